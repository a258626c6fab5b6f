"""Long short-term memory (lstm).

    i = sigmoid(u_i),   f = sigmoid(u_f + forget_bias),   g = tanh(u_g),   o = sigmoid(u_o)
    c_t = f c_{t-1} + i g;   post = o tanh(c_t)

Four ports, each with a drive of its own: 0 the input gate, 1 the forget gate, 2 the candidate, 3
the output gate. Every projection feeds all of them.

Shapes   u "batch 4 *units", c "batch *units"
Limits   the activity follows from the state and the drive together, through the output gate
Source   Hochreiter and Schmidhuber, Long short-term memory, Neural Comput. 9:1735, 1997; Gers,
         Schmidhuber and Cummins, Learning to forget, Neural Comput. 12:2451, 2000; the bias of the
         forget gate: Jozefowicz, Zaremba and Sutskever, An empirical exploration of recurrent
         network architectures, ICML 2015
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.network.cell import Local, StatefulCell

INPUT, FORGET, CANDIDATE, OUTPUT = range(4)


class LSTM(StatefulCell):
    """A unit with a long short-term memory."""

    ports: ClassVar[int] = 4
    carries: ClassVar[tuple[str, ...]] = ("c",)

    forget_bias: float = hyper(
        1.0, "added to the drive of the forget gate: above 0, a unit remembers at first"
    )

    @override
    def rest(self, like):
        return {"c": jnp.zeros_like(like)}

    @override
    def step(self, state, u):
        i, f, g, o = self._gates(u)
        c = f * state["c"] + i * g
        return {"c": c}, o * jnp.tanh(c)

    @override
    def local(self, state, u):
        i, f, g, o = self._gates(u)
        out = jnp.tanh(f * state["c"] + i * g)
        by_c = o * (1 - out**2)
        drive = jnp.stack(
            [g * i * (1 - i), state["c"] * f * (1 - f), i * (1 - g**2), jnp.zeros_like(o)], 1
        )
        slope = (by_c[:, None] * drive).at[:, OUTPUT].set(out * o * (1 - o))
        return Local({("c", "c"): f}, {"c": drive}, {"c": by_c * f}, slope)

    def _gates(self, u):
        sigmoid = jax.nn.sigmoid
        return (
            sigmoid(u[:, INPUT]),
            sigmoid(u[:, FORGET] + self.forget_bias),
            jnp.tanh(u[:, CANDIDATE]),
            sigmoid(u[:, OUTPUT]),
        )
