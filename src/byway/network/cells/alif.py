"""Adaptive leaky integrate-and-fire units (alif): each spike raises the threshold for a while.

    v_t as `lif`,   z_t = H(v_t - theta - beta a_{t-1}),   a_t = rho a_{t-1} + z_t
    rho = exp(-1 / tau_adaptation); the rest as in `lif`
    psi_t = (dampening / theta) S(steepness (v_t - theta - beta a_{t-1}) / theta),
    which stands for dz/dv, and is 0 while refractory

Shapes   u, v, a, z "batch *units"
Units    time in steps; theta, beta and v in those of the drive, a in spikes
Limits   as `lif`. A spike acts on a with its derivative, always: along this path such units
         remember
Source   Bellec et al., A solution to the learning dilemma for recurrent networks of spiking
         neurons, Nat. Commun. 11:3625, 2020, eqs. 9 to 11; differs in: a counts a spike at once and
         not a step later, and is read a step later: z is the same
"""

import math
from typing import ClassVar

import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.network.cell import Local
from byway.network.cells._spiking import Spiking


class ALIF(Spiking):
    """An adaptive leaky integrate-and-fire unit."""

    carries: ClassVar[tuple[str, ...]] = ("v", "a", "z")

    tau_adaptation: float = hyper(200.0, "time constant of the adaptation", unit="step", low=1.0)
    beta: float = hyper(0.17, "how much the threshold rises with each spike", low=0.0)

    @property
    def rho(self) -> float:
        """What is left of the adaptation after a step."""
        return math.exp(-1 / self.tau_adaptation)

    @override
    def rest(self, like):
        return super().rest(like) | {"a": jnp.zeros_like(like)}

    @override
    def step(self, state, u):
        v = self.moved(state, u)
        after, z = self.fired(state, v - self.threshold - self.beta * state["a"], {"v": v})
        return after | {"a": self.rho * state["a"] + z}, z

    @override
    def local(self, state, u):
        psi = self.psi(state, self.moved(state, u) - self.threshold - self.beta * state["a"])
        moved = self.moved_by(state)
        spike = {j: psi * d for j, d in moved.items()} | {"a": -psi * self.beta}
        carry = {(i, j): d for i in ("a", "z") for j, d in spike.items()}
        carry |= {("v", j): d for j, d in moved.items()}
        carry["a", "a"] = self.rho - psi * self.beta
        return Local(
            carry, {"v": self.k, "a": psi * self.k, "z": psi * self.k}, spike, psi * self.k
        )
