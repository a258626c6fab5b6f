"""Gated recurrent units (gru).

    z = sigmoid(u_z),   r = sigmoid(u_r),   n = tanh(u_n + r u_h),   h_t = (1 - z) n + z h_{t-1};
    post = h;   with `keep`, z = keep + (1 - keep) sigmoid(u_z)

Four ports, each with a drive of its own: 0 the update gate, 1 the reset gate, 2 what an input
drives, 3 what the layer itself drives, which the reset gate scales. A projection of the input feeds
the ports 0, 1 and 2, a recurrent one 0, 1 and 3; the builders see to it.

Shapes   u "batch 4 *units", h "batch *units"
Source   Cho et al., Learning phrase representations using RNN encoder-decoder for statistical
         machine translation, 2014, arXiv 1406.1078; differs in: the reset gate scales W_h h + b, as
         in cuDNN, PyTorch and Keras, and not h
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.network.cell import AffineCell, Local

UPDATE, RESET, INPUT, OWN = range(4)


class GRU(AffineCell):
    """A gated recurrent unit."""

    keep: float = hyper(0.0, "least share of h that a step keeps", low=0.0, high=0.999)

    ports: ClassVar[int] = 4
    carries: ClassVar[tuple[str, ...]] = ("h",)

    @override
    def fed_by(self, recurrent):
        return (UPDATE, RESET, OWN) if recurrent else (UPDATE, RESET, INPUT)

    @override
    def rest(self, like):
        return {"h": jnp.zeros_like(like)}

    @override
    def gate(self, part, u, after):
        z, _, n = self._gates(u)
        return z, (1 - z) * n

    @override
    def local(self, state, u):
        z, r, n = self._gates(u)
        candidate = (1 - z) * (1 - n**2)  # dh / d(argument of the tanh)
        drive = jnp.stack(
            [
                (state["h"] - n) * (z - self.keep) * (1 - z) / (1 - self.keep),
                candidate * u[:, OWN] * r * (1 - r),
                candidate,
                candidate * r,
            ],
            1,
        )
        return Local({("h", "h"): z}, {"h": drive}, {"h": z}, drive, {"h": 1.0})

    @property
    @override
    def keeps(self) -> float:
        """What `keep` says."""
        return self.keep

    def _gates(self, u):
        z, r = jax.nn.sigmoid(u[:, UPDATE]), jax.nn.sigmoid(u[:, RESET])
        z = self.keep + (1 - self.keep) * z if self.keep else z
        return z, r, jnp.tanh(u[:, INPUT] + r * u[:, OWN])
