"""What spiking cells share: the membrane, the pseudo-derivative, the refractory counter."""

import math

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.network.cell import StatefulCell, spike


class Spiking(StatefulCell):
    """Abstract: a membrane that leaks, and spikes at a threshold."""

    tau: float = hyper(20.0, "time constant of the membrane", unit="step", low=1e-3)
    threshold: float = hyper(
        0.6, "potential at which a unit spikes, and by which it is reset", low=1e-6
    )
    dampening: float = hyper(0.3, "height of the pseudo-derivative, times the threshold", low=0.0)
    refractory: int = hyper(
        0, "steps after a spike in which there is no other", unit="step", low=0, high=1_000_000
    )
    scaled: bool = hyper(False, "whether a drive counts 1 - alpha, or 1")
    detached: bool = hyper(True, "whether the derivative of the reset is dropped")

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
        z = state["z"]
        return (
            self.alpha * state["v"]
            + self.k * u
            - self.threshold * (jax.lax.stop_gradient(z) if self.detached else z)
        )

    def psi(self, state, above):
        """The pseudo-derivative of a spike by how far the potential is above its threshold."""
        psi = self.dampening / self.threshold * jnp.maximum(0, 1 - jnp.abs(above / self.threshold))
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
