"""Neural ODEs with checkpoints (CHECKPOINTED): some states of the way are kept, the others computed
again.

The gradient of what the solver computed, not of the equation that it approximates: discretise, then
optimise. Of n steps every K-th is kept; on the way back the K steps after each are run again from
there and gone back through. It is the gradient of `bp`, for one more run of the equation and memory
that grows with the root of n.

    f:  ds/dt = u(s, x) - decay s,   s_{k+1} = s_k + Psi_h(s_k), by the method of the units;   kept:
        s_0, s_K, s_2K ...
    g:  a_n = dC/ds(T);   from each kept s the K after it, then backwards
        a_k = a_{k+1} + (dPsi_h/ds)^T a_{k+1} at s_k,   dW = sum_k (dPsi_h/dW)^T a_{k+1}

Shapes   s, a "batch *units"; what is kept "marks batch *units"; W "pre post"
Units    time in that of the units; s dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   exact up to rounding, on stiff equations too, as long as the way there is stable: a step
         beyond the stability of the method diverges. Memory n / K + K states, least where K is the
         root of n
Source   Gholami, Keutzer and Biros, ANODE: unconditionally accurate memory-efficient gradients for
         neural ODEs, IJCAI 2019; Chen, Xu, Zhang and Guestrin, Training deep nets with sublinear
         memory cost, 2016, arXiv 1604.06174
"""

import math
from typing import ClassVar

import jax
from typing_extensions import override

from byway.core.hyper import hyper
from byway.learning.rule import Claims
from byway.network.flows import way, way_back
from byway.rules._flow import ByFlow


class Checkpointed(ByFlow):
    """The gradient of a solver, from every K-th of its states."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none")

    every: int = hyper(
        0, "steps between states that are kept; 0 for the root of all", unit="step", low=0
    )

    def _parts(self, steps: int) -> tuple[int, int, int]:
        """How many whole parts the way has, the steps of each, and the steps that are left."""
        every = min(self.every or math.isqrt(steps - 1) + 1, steps)
        return steps // every, every, steps % every

    @override
    def there(self, field):
        parts, every, left = self._parts(field.steps)
        last, marks = jax.lax.scan(
            lambda s, _: (way(field, s, every)[0], s), field.start, None, parts
        )
        return way(field, last, left)[0], {"marks": marks, "last": last}

    @override
    def home(self, field, end, kept, owed):
        _, every, left = self._parts(field.steps)

        def part(held, mark, steps=every):
            return way_back(field, way(field, mark, steps)[1], *held), None

        held, _ = part((owed, field.nothing_learnt), kept["last"], left)
        (_, learnt), _ = jax.lax.scan(part, held, kept["marks"], reverse=True)
        return learnt, field.start
