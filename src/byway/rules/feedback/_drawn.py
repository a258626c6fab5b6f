"""Random feedback, projection by projection: what stands in for the transposed weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from byway.network.network import Network
from byway.network.sparse import FixedFanIn

# Keeps the feedback apart from the weights, even where a caller draws both from one key.
FEEDBACK = 0xB
# And its wiring from its weights.
WIRING = 0xA


def drawn_feedback(net: Network, key: Key[Array, ""], own_wiring: bool = False) -> dict[str, Any]:
    """Weights for the way back along every projection that has weights and does not start at the
    input.

    They are uniform with the standard deviation 1 / sqrt(fan_out), shaped like the weight of the
    projection. With `own_wiring` that of a fixed fan-in is a projection: as many synapses between
    the same populations, drawn by the same odds, between other units.
    """
    feedback = {}
    for p, k in zip(
        net.projections,
        jax.random.split(jax.random.fold_in(key, FEEDBACK), len(net.projections)),
        strict=True,
    ):
        if p.src != net.input and p.theta:
            bound = np.sqrt(3 / p.fan_out).item()  # a uniform variable on +-b has variance b^2 / 3
            b = jax.random.uniform(k, p.weight.shape, p.weight.dtype, -bound, bound)
            if own_wiring and isinstance(p, FixedFanIn):
                other = p.redraw(jax.random.fold_in(k, WIRING), net[p.src], net[p.dst])
                feedback[p.name] = other.with_theta({"weight": jnp.where(other.alive, b, 0)})
            else:
                feedback[p.name] = b
    return feedback
