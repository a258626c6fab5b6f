"""Units that add up what drives them and never forget (integrator), for reversible networks.

    s_t = s_{t-1} + h phi(u_t),   post = s

Two layers of them that drive each other, and not themselves, are a leapfrog, p' = p + h phi(W q),
q' = q + h phi(V p'): volume is preserved, and each step can be taken back exactly. Weights are
drawn as those of a Hamiltonian system, V = -W^T, where what is near stays near: with V and W drawn
apart small differences grow exponentially, and so do gradients on their way back.

Shapes   u, s, post "batch *units"
Units    time in steps; s in those of phi
Limits   what is never forgotten adds up: under independent drives s grows as h sqrt(T), under a
         lasting one as h T. So phi should be bounded and h about 1 / sqrt(T); the default suits
         100 steps
Source   Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Probl.
         34:014004, 2018, section 4.2; Chang et al., Reversible architectures for arbitrarily deep
         residual neural networks, AAAI 2018
"""

from typing import ClassVar

import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.network.activations import Activation, activation
from byway.network.cell import AffineCell, Local


class Integrator(AffineCell):
    """A unit that adds up a function of its drive."""

    carries: ClassVar[tuple[str, ...]] = ("s",)
    opposed: ClassVar[bool] = True

    phi: str | Activation = hyper(
        "tanh", "what it adds of its drive: an activation, by name or not"
    )
    h: float = hyper(0.1, "how much of it, about 1 / sqrt(steps of a sequence)", low=1e-6)

    @override
    def __check_init__(self):
        self._phi  # noqa: B018  says so where there is none

    @property
    @override
    def black_box(self):
        return self._phi.black_box

    @property
    @override
    def keeps(self) -> float:
        """All."""
        return 1.0

    @override
    def rest(self, like):
        return {"s": jnp.zeros_like(like)}

    @override
    def gate(self, part, u, after):
        return 1.0, self.h * self._phi.phi(u)

    @override
    def local(self, state, u):
        if self._phi.slope is None:
            return Local({("s", "s"): 1.0}, {}, {"s": 1.0}, None)
        drive = self.h * self._phi.slope(u)
        return Local({("s", "s"): 1.0}, {"s": drive}, {"s": 1.0}, drive, {"s": 1.0})

    @property
    def _phi(self) -> Activation:
        return activation(self.phi)
