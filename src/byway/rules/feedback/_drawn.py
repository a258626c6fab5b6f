"""Random feedback, projection by projection: what stands in for the transposed weights."""

import jax
import numpy as np
from jaxtyping import Array, Key

from byway.network.network import Network

# Keeps the feedback apart from the weights, even where a caller draws both from one key.
FEEDBACK = 0xB


def drawn_feedback(net: Network, key: Key[Array, ""]) -> dict[str, Array]:
    """Weights for the way back along every projection that has weights and does not start at the
    input.

    They are uniform with the standard deviation 1 / sqrt(fan_out), shaped like the weight of the
    projection.
    """
    feedback = {}
    for p, k in zip(
        net.projections,
        jax.random.split(jax.random.fold_in(key, FEEDBACK), len(net.projections)),
        strict=True,
    ):
        if p.src != net.input and p.theta:
            bound = np.sqrt(3 / p.fan_out).item()  # a uniform variable on +-b has variance b^2 / 3
            feedback[p.name] = jax.random.uniform(k, p.weight.shape, p.weight.dtype, -bound, bound)
    return feedback
