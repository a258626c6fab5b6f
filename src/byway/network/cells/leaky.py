"""Leaky units (leaky): a rate unit with a membrane, the discrete form of a continuous-time network
(CTRNN).

    v_t = alpha v_{t-1} + k u_t,   post_t = phi(v_t),   alpha = exp(-1 / tau)
    k = 1 - alpha, the exact step of tau v' = -v + u; or 1, where `scaled` is off: then v is the
    filtered sum of its drives

Shapes   u, v, post "batch *units"
Units    time in steps
Source   Doya, Recurrent networks: supervised learning, in The handbook of brain theory and neural
         networks, 2nd ed., 2003
"""

import math
from typing import ClassVar

import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.network.activations import Activation, activation
from byway.network.cell import Local, StatefulCell


class Leaky(StatefulCell):
    """A leaky rate unit."""

    carries: ClassVar[tuple[str, ...]] = ("v",)

    phi: str | Activation = hyper("tanh", "what it sends of v: an activation, by name or as it is")
    tau: float = hyper(5.0, "time constant of the membrane", unit="step", low=1.0)
    scaled: bool = hyper(True, "whether a drive counts 1 - alpha, as in the exact step, or 1")

    @override
    def __check_init__(self):
        self._phi  # noqa: B018  says so where there is none

    @property
    def alpha(self) -> float:
        """What is left of v after a step."""
        return math.exp(-1 / self.tau)

    @property
    @override
    def black_box(self):
        return self._phi.black_box

    @override
    def rest(self, like):
        return {"v": jnp.zeros_like(like)}

    @override
    def step(self, state, u):
        v = self._moved(state, u)
        return {"v": v}, self._phi.phi(v)

    @override
    def local(self, state, u):
        alpha, k = self.alpha, self._k
        if self._phi.slope is None:
            return Local({("v", "v"): alpha}, {"v": k}, {}, None)
        slope = self._phi.slope(self._moved(state, u))
        return Local({("v", "v"): alpha}, {"v": k}, {"v": alpha * slope}, k * slope, {"v": slope})

    @property
    def _phi(self) -> Activation:
        return activation(self.phi)

    @property
    def _k(self) -> float:
        return 1 - self.alpha if self.scaled else 1.0

    def _moved(self, state, u):
        return self.alpha * state["v"] + self._k * u
