"""Direct feedback alignment (DFA).

Each hidden population gets the output error straight from the output, through its own fixed random
matrix. Layers learn in any order once the error is known.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  delta_L = e * phi'(u_L),   delta_l = (B_l e) * phi'(u_l),   dW_l = <delta_l h_{l-1}^T>

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[population] "out units"
Units    activity dimensionless
Claims   transport no | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   falls far behind backprop in convolutional networks, where each position of a feature map
         has feedback of its own
Source   Nokland, Direct feedback alignment provides learning in deep neural networks, 2016, arXiv
         1609.01596; differs in: B is uniform with standard deviation 1 / sqrt(outputs), hidden
         weights do not start at zero
"""

from typing import ClassVar

import jax
import numpy as np
from typing_extensions import override

from byway.learning.rule import Claims, Update
from byway.rules._feedforward import FeedForward

# Keeps the feedback apart from the weights, even where a caller draws both from one key.
FEEDBACK = 0xB


class DFA(FeedForward):
    """Direct feedback alignment."""

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"error"}), 1, "none")

    @override
    def init(self, net, key):
        """Fixed random feedback from the output to every hidden population."""
        outputs = net[net.output].size
        bound = np.sqrt(3 / outputs).item()  # a uniform variable on +-b has variance b^2 / 3
        dtype = net.dtype
        keys = jax.random.split(jax.random.fold_in(key, FEEDBACK), max(len(net.hidden), 1))
        return {
            h.name: jax.random.uniform(k, (outputs, h.size), dtype, -bound, bound)
            for h, k in zip(net.hidden, keys, strict=False)
        }

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        error = signal.error(record.output)
        delta = {net.output: error * free.slope[net.output]}
        for h in net.hidden:
            delta[h.name] = (error @ gamma[h.name]).reshape(-1, *h.shape) * free.slope[h.name]
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}
        )
