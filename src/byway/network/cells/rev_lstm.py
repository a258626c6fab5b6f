"""Long short-term memory whose steps can be taken back (rev_lstm).

    f = keep + (1 - keep) sigmoid(u_f),   p = keep + (1 - keep) sigmoid(u_p),   i = sigmoid(u_i),
    o = sigmoid(u_o),   g = tanh(u_g)
    c_t = f c_{t-1} + i g,   h_t = p h_{t-1} + o tanh(c_t);   post = h

In an `lstm` the activity h is made anew at each step, and what it was is gone; here it is scaled
and added to, like c.

Ports: 0 the input gate, 1 the forget gate of c, 2 the candidate, 3 the output gate, 4 the forget
gate p of h. Every projection feeds all of them.

Shapes   u "batch 5 *units", c, h "batch *units"
Limits   h adds up, to at most 1 / (1 - p); with `keep` of 0 no bound is set to what a step forgets
Source   MacKay et al., Reversible recurrent neural networks, NeurIPS 2018, section 3.2
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.network.cell import AffineCell, Local

INPUT, FORGET, CANDIDATE, OUTPUT, KEEP = range(5)


class RevLSTM(AffineCell):
    """A unit with a long short-term memory that can be gone back through."""

    keep: float = hyper(0.125, "least share of c and h that a step keeps", low=0.0, high=0.999)

    ports: ClassVar[int] = 5
    carries: ClassVar[tuple[str, ...]] = ("c", "h")

    @property
    @override
    def keeps(self) -> float:
        """What `keep` says."""
        return self.keep

    @override
    def rest(self, like):
        return {"c": jnp.zeros_like(like), "h": jnp.zeros_like(like)}

    @override
    def gate(self, part, u, after):
        i, f, g, o, p = self._gates(u)
        return (f, i * g) if part == "c" else (p, o * jnp.tanh(after["c"]))

    @override
    def local(self, state, u):
        i, f, g, o, p = self._gates(u)
        out = jnp.tanh(f * state["c"] + i * g)
        by_c, none = o * (1 - out**2), jnp.zeros_like(o)
        c = jnp.stack([g * i * (1 - i), state["c"] * self._slope(f), i * (1 - g**2), none, none], 1)
        h = (by_c[:, None] * c).at[:, OUTPUT].set(out * o * (1 - o))
        h = h.at[:, KEEP].set(state["h"] * self._slope(p))
        carry = {("c", "c"): f, ("h", "h"): p, ("h", "c"): by_c * f}
        return Local(carry, {"c": c, "h": h}, {"c": by_c * f, "h": p}, h, {"h": 1.0})

    def _gates(self, u):
        i, f, o, p = (jax.nn.sigmoid(u[:, k]) for k in (INPUT, FORGET, OUTPUT, KEEP))
        f, p = (self.keep + (1 - self.keep) * a for a in (f, p))
        return i, f, jnp.tanh(u[:, CANDIDATE]), o, p

    def _slope(self, gate):
        return (gate - self.keep) * (1 - gate) / (1 - self.keep)
