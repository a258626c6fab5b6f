"""Adaptive leaky integrate-and-fire units (alif): each spike raises the threshold for a while.

    v_t = alpha v_{t-1} + k u_t - theta z_{t-1},   a_t = rho a_{t-1} + z_{t-1},   z_t = H(v_t - theta - beta a_t)
    psi_t = (dampening / theta) max(0, 1 - |v_t - theta - beta a_t| / theta), 0 while refractory, stands for dz/dv
    rho = exp(-1 / tau_adaptation); the rest as in `lif`

Shapes   u, v, a, z "batch *units"
Units    time in steps; theta, beta and v in those of the drive, a in spikes
Limits   as `lif`. A spike acts on a with its derivative, always: along this path such units remember
Source   Bellec et al., A solution to the learning dilemma for recurrent networks of spiking neurons, Nat. Commun. 11:3625, 2020, eqs. 9
         to 11
"""

import math
from typing import ClassVar

import jax.numpy as jnp

from byway.core.hyper import hyper
from byway.network.cell import Local
from byway.network.cells._spiking import Spiking


class ALIF(Spiking):
    """An adaptive leaky integrate-and-fire unit."""

    carries: ClassVar[tuple[str, ...]] = ("v", "a", "z")

    tau_adaptation: float = hyper(200.0, "time constant of the adaptation", unit="step", low=1e-3)
    beta: float = hyper(0.17, "how much the threshold rises with each spike", low=0.0)

    @property
    def rho(self) -> float:
        """What is left of the adaptation after a step."""
        return math.exp(-1 / self.tau_adaptation)

    def rest(self, like):
        """See `Cell.rest`."""
        return super().rest(like) | {"a": jnp.zeros_like(like)}

    def step(self, state, u):
        """See `Cell.step`."""
        v, a = self.moved(state, u), self._adapted(state)
        return self.fired(state, v - self.threshold - self.beta * a, {"v": v, "a": a})

    def local(self, state, u):
        """See `Cell.local`."""
        psi = self.psi(state, self.moved(state, u) - self.threshold - self.beta * self._adapted(state))
        carry = {
            ("v", "v"): self.alpha,
            ("a", "a"): self.rho,
            ("a", "z"): 1.0,
            ("z", "v"): psi * self.alpha,
            ("z", "a"): -psi * self.beta * self.rho,
            ("z", "z"): -psi * self.beta,
        }
        if not self.detached:
            carry |= {("v", "z"): -self.threshold, ("z", "z"): -psi * (self.threshold + self.beta)}
        return Local(carry, {"v": self.k, "z": psi * self.k}, {j: carry["z", j] for j in self.carries}, psi * self.k)

    def _adapted(self, state):
        return self.rho * state["a"] + state["z"]
