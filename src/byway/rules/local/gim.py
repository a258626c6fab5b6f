"""Greedy InfoNCE (GIM), the patches of an image as its sequence.

Each feature map learns by itself, without labels: from what it makes of a place it is to tell what
it makes of the same image some rows below, among all that it makes of that place in the other
images of the batch. No error travels between layers. The readout learns from the error beside them,
by the delta rule.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l), maps of "rows columns channels"
    g:  for k from 1 to `ahead`, a place i, and the place j that is skip + k rows below it:
        s_ab = h_l(b, i)^T V_k h_l(a, j), for images a and b of the batch
        C_l = -< log softmax_a(s_ab) at a = b >, the mean over k, places and images b
        delta_l = phi'(u_l) dC_l/dh_l,   dW_l = <delta_l h_{l-1}^T>;   V_k descends C_l too, and the
            readout learns by the delta rule

    "contrast" (`Record.measures`): C_l, the mean over the maps that learn; log of the batch at
        chance, which is where V = 0 begins

Shapes   h "batch rows columns channels", gamma[population] V: "ahead channels channels"
Units    activity dimensionless
Claims   transport no | locking no | derivative yes | signal error | phases 1 | memory none
Limits   populations that are no maps, or have no more than skip + 1 rows, stay as drawn. The other
         images of the batch are what is told apart, so the batch sets how hard that is. Patches
         that overlap share pixels, by which they are told without seeing anything: skip them
Source   Lowe, O'Connor and Veeling, Putting an end to end-to-end: gradient-isolated learning of
         representations, NeurIPS 2019, arXiv 1905.11786; differs in: a module is one convolution,
         patches are the fields of the first one, rows are told from above downwards alone,
         negatives are the other images at the same place
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.network import Network
from byway.network.populations import Population
from byway.rules import able


class GIM(Rule):
    """Feature maps that tell what is below."""

    claims: ClassVar[Claims] = Claims("no", "no", "yes", frozenset({"error"}), 1, "none")
    particular: ClassVar[bool] = True

    ahead: int = hyper(3, "how many rows are told, where there are so many", low=1)
    skip: int = hyper(1, "rows just below that are not told: patches there overlap", low=0)

    @override
    def accepts(self, net):
        """A network without cycles with a feature map of more than skip + 1 rows."""
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able)
        if not self._maps(net):
            raise RuleError(
                f"{self.id} was given a network without a feature map of {self.skip + 2} rows",
                "one at least: what is told is what lies some rows below",
                "use a convnet, with less pooling; or one of "
                f"{', '.join(rule for rule in able(net) if rule != self.id)}",
            )

    def _maps(self, net: Network) -> Mapping[str, int]:
        """The populations that learn, and how many rows each tells."""
        maps = [h for h in net.hidden if _is_map(h)]
        told = {h.name: min(self.ahead, h.shape[0] - self.skip - 1) for h in maps}
        return {name: n for name, n in told.items() if n > 0}

    @override
    def init(self, net, key):
        """V of each map, zero: chance."""
        return {
            name: jnp.zeros((n, net[name].shape[2], net[name].shape[2]), net.dtype)
            for name, n in self._maps(net).items()
        }

    @override
    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        output = free.post[net.output]
        if signal is None:
            return state, Record({"free": free}, output)
        each = [self._told(free.post[name], v)[0] for name, v in gamma.items()]
        measures = {"contrast": sum(each[1:], start=each[0]) / len(each)}
        return state, Record({"free": free}, output, measures=measures)

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta: dict[str, Any] = {net.output: signal.error(record.output) * free.slope[net.output]}
        learned = {}
        for name, v in gamma.items():
            _, pull, learned[name] = self._told(free.post[name], v)
            delta[name] = pull * free.slope[name]
        return memory, Update(
            {
                p.name: p.outer(free.pre[p.name], delta[p.dst])
                for p in net.projections
                if p.dst in delta
            },
            learned,
        )

    def _told(
        self, h: Float[Array, "batch rows columns channels"], v: Float[Array, "ahead c c"]
    ) -> tuple[Float[Array, ""], Array, Array]:
        """C of a map, its slope by h times the images of the batch (`outer` divides by them), and
        its slope by V.
        """
        loss, pull, learned = jnp.zeros((), h.dtype), jnp.zeros_like(h), []
        for k in range(len(v)):
            below, above = h[:, self.skip + k + 1 :], h[:, : -(self.skip + k + 1)]
            guess = above @ v[k]
            scores = jnp.einsum("arcd,brcd->rcab", below, guess)
            likely = jax.nn.log_softmax(scores, 2)
            right = jnp.eye(len(h), dtype=h.dtype)[None, None]
            terms = len(v) * above.shape[1] * above.shape[2]
            loss = loss - jnp.sum(likely * right) / (terms * len(h))
            wrong = (jnp.exp(likely) - right) / terms
            pull = pull.at[:, self.skip + k + 1 :].add(jnp.einsum("rcab,brcd->arcd", wrong, guess))
            by_guess = jnp.einsum("rcab,arcd->brcd", wrong, below)
            pull = pull.at[:, : above.shape[1]].add(by_guess @ v[k].T)
            learned.append(jnp.einsum("brcd,brce->de", above, by_guess) / len(h))
        return loss, pull, jnp.stack(learned)


def _is_map(h: Population) -> bool:
    return len(h.shape) == 3
