"""What spiking cells share: the membrane, the pseudo-derivative, the refractory counter."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import look_up
from byway.core.hyper import hyper
from byway.network.cell import StatefulCell, spike

# Shapes of the pseudo-derivative, 1 at the threshold, by x, which is how far a potential is above
# it: triangle, Bellec et al. 2018; fast_sigmoid, Zenke and Ganguli 2018; arctan, Fang et al. 2021;
# exponential, Shrestha and Orchard 2018; boxcar, Kaiser et al. 2020.
SURROGATES = {
    "triangle": lambda x: jnp.maximum(0, 1 - jnp.abs(x)),
    "fast_sigmoid": lambda x: 1 / (1 + jnp.abs(x)) ** 2,
    "arctan": lambda x: 1 / (1 + x**2),
    "exponential": lambda x: jnp.exp(-jnp.abs(x)),
    "boxcar": lambda x: (jnp.abs(x) < 1).astype(x.dtype),
}


class Spiking(StatefulCell):
    """Abstract: a membrane that leaks, and spikes at a threshold."""

    silent: ClassVar[bool] = True

    tau: float = hyper(20.0, "time constant of the membrane", unit="step", low=1.0)
    threshold: float = hyper(
        0.6, "potential at which a unit spikes, and by which it is reset", low=1e-6
    )
    dampening: float = hyper(0.3, "height of the pseudo-derivative, times the threshold", low=0.0)
    surrogate: str = hyper("triangle", f"shape of the pseudo-derivative: {', '.join(SURROGATES)}")
    steepness: float = hyper(
        1.0, "how narrow the pseudo-derivative is, in units of one threshold", low=1e-6
    )
    refractory: int = hyper(
        0, "steps after a spike in which there is no other", unit="step", low=0, high=1_000_000
    )
    hard: bool = hyper(False, "whether a spike sets v to 0, or takes the threshold off it")
    scaled: bool = hyper(False, "whether a drive counts 1 - alpha, or 1")
    detached: bool = hyper(True, "whether the derivative of the reset is dropped")

    @override
    def __check_init__(self):
        look_up("surrogate", self.surrogate, SURROGATES)

    @property
    def alpha(self) -> float:
        """What is left of v after a step."""
        return math.exp(-1 / self.tau)

    @property
    def k(self) -> float:
        """What a drive counts."""
        return 1 - self.alpha if self.scaled else 1.0

    @override
    def rest(self, like):
        zero = jnp.zeros_like(like)
        return {"v": zero, "z": zero} | ({"wait": zero} if self.refractory else {})

    def moved(self, state, u):
        """The potential after a step."""
        z = jax.lax.stop_gradient(state["z"]) if self.detached else state["z"]
        if self.hard:
            return self.alpha * state["v"] * (1 - z) + self.k * u
        return self.alpha * state["v"] + self.k * u - self.threshold * z

    def moved_by(self, state):
        """The derivatives of that by the state before."""
        if not self.hard:
            return {"v": self.alpha} | ({} if self.detached else {"z": -self.threshold})
        kept = {"v": self.alpha * (1 - state["z"])}
        return kept | ({} if self.detached else {"z": -self.alpha * state["v"]})

    def psi(self, state, above):
        """The pseudo-derivative of a spike by how far the potential is above its threshold."""
        shape = SURROGATES[self.surrogate]
        psi = self.dampening / self.threshold * shape(self.steepness * above / self.threshold)
        return jnp.where(state["wait"] > 0, 0, psi) if self.refractory else psi

    def fired(self, state, above, moved):
        """The state and the spikes, where potentials are so far above their thresholds."""
        z = spike(above, self.psi(state, above))
        if self.refractory:
            z = jnp.where(state["wait"] > 0, 0, z)
            spiked = jax.lax.stop_gradient(z) > 0
            moved = moved | {
                "wait": jnp.where(
                    spiked, self.refractory, jnp.maximum(state["wait"] - 1, 0)
                ).astype(z.dtype)
            }
        return moved | {"z": z}, z
