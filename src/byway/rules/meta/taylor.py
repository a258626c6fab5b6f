"""A learnable local rule (TAYLOR): a polynomial in what a synapse can see.

Every synapse follows one polynomial in its presynaptic activity, its postsynaptic activity, its own
weight and an error broadcast to its postsynaptic unit. The coefficients are gamma, shared by all
synapses, so they carry over to networks of other widths and can be learned: Oja's rule and the
delta rule are two points of this space.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  Delta W_ij = sum_abcd theta_abcd <pre_i^a post_j^b e_j^d> W_ij^c,
        a, c, d in {0, 1}, b in {0, 1, 2}
        e = dLoss/d(output) at the output, B_l e at hidden layers, B_l fixed and random; one theta
        for the projections into the output, one for all others; a bias is the weight of an input
        that is always 1

    The polynomial is what is ADDED to a weight, as the field writes plasticity; the update is its
    negative. No weight changes by more than `bound` (times the rate) at once: a polynomial can run
    away.

Shapes   pre "batch pre", post "batch post", W "pre post", theta "2 3 2 2" by power of (pre, post,
         weight, error), B "out units"
Units    activity dimensionless
Claims   transport no | locking yes | derivative no | signal error | phases 1 | memory none
Limits   before anything was learned it is direct feedback alignment without the slope
Source   Confavreux et al., A meta-learning approach to (re)discover plasticity rules, NeurIPS 2020;
         Mehta et al., Model based inference of synaptic plasticity rules, 2023; differs in: the
         error is a factor, and reaches hidden layers by fixed random feedback as in Shervani-Tabar
         and Rosenbaum, Nat. Commun. 14:1805, 2023
"""

from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.errors import ShapeError
from byway.core.hyper import hyper
from byway.learning.rule import Claims, Update
from byway.rules import able
from byway.rules._feedforward import FeedForward

POWERS = (2, 3, 2, 2)
# Keeps the feedback apart from whatever else a caller draws from the same key.
FEEDBACK = 0x7A


def coefficients(terms: Mapping[tuple[int, int, int, int], float]) -> np.ndarray:
    """The table theta of a few terms: the power of (pre, post, weight, error) -> coefficient.

    Raises:
        ShapeError: a power that the polynomial does not have.
    """
    table = np.zeros(POWERS)
    for powers, value in terms.items():
        if len(powers) != len(POWERS) or not all(
            0 <= p < n for p, n in zip(powers, POWERS, strict=True)
        ):
            raise ShapeError(
                f"the powers {powers}",
                "of (pre, post, weight, error), at most (1, 2, 1, 1)",
                "drop that term",
            )
        table[powers] = value
    return table


DELTA = coefficients({(1, 0, 0, 1): -1.0})
OJA = coefficients({(1, 1, 0, 0): 1.0, (0, 2, 1, 0): -1.0})


class Taylor(FeedForward):
    """A polynomial of pre, post, weight and error, with learnable coefficients."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"error"}), 1, "none")
    # What gamma starts from; a rule that was found is this class with other numbers.
    theta: ClassVar[Mapping[str, np.ndarray]] = {"hidden": DELTA, "output": DELTA}

    bound: float = hyper(
        1.0, "largest change of a weight in one update, before the learning rate", low=1e-6
    )

    @override
    def accepts(self, net):
        net.require_feedforward(self.id, able)

    @override
    def init(self, net, key):
        """The coefficients as they stand, and fixed random feedback to every hidden population."""
        dtype, out = net.dtype, net[net.output].size
        keys = jax.random.split(jax.random.fold_in(key, FEEDBACK), len(net.hidden) + 1)
        feedback = {
            h.name: jax.random.normal(k, (out, h.size), dtype) / np.sqrt(out).item()
            for h, k in zip(net.hidden, keys, strict=False)
        }
        return {
            "theta": {role: jnp.asarray(table, dtype) for role, table in self.theta.items()},
            "feedback": feedback,
        }

    @override
    def g(self, gamma, net, memory, record, signal):
        free, error, update = record["free"], signal.error(record.output), {}
        flat = error.reshape(error.shape[0], -1)
        for p in net.projections:
            post = free.post[p.dst]
            if p.dst == net.output:
                update[p.name] = _polynomial(
                    gamma["theta"]["output"], p, free.pre[p.name], post, error
                )
            else:
                broadcast = (flat @ gamma["feedback"][p.dst]).reshape(post.shape)
                update[p.name] = _polynomial(
                    gamma["theta"]["hidden"], p, free.pre[p.name], post, broadcast
                )
        return memory, Update(jax.tree.map(lambda a: jnp.clip(a, -self.bound, self.bound), update))


def _polynomial(theta, p, pre, post, error):
    """-sum_abcd theta_abcd <pre^a post^b e^d> W^c: for each power of pre and of the weight, one
    outer product.
    """
    total = jax.tree.map(jnp.zeros_like, p.theta)
    for a, before in enumerate((jnp.ones_like(pre), pre)):
        for c in (0, 1):
            after = sum(
                theta[a, b, c, d] * _power(post, b) * _power(error, d)
                for b in (0, 1, 2)
                for d in (0, 1)
            )
            term = p.outer(before, jnp.broadcast_to(after, post.shape))
            total = {part: total[part] - term[part] * _power(w, c) for part, w in p.theta.items()}
    return total


def _power(value, exponent):
    """A power with a derivative at zero, which `value ** 0` under autodiff has only by luck."""
    return 1.0 if exponent == 0 else value if exponent == 1 else value * value
