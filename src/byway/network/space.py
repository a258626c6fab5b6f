"""Where units sit in 3-D, in micrometres: layers along z, the units of a layer on a plane."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Distance between neighbouring units and between layers [um]: cortical orders of magnitude, for the
# eye only.
UNIT_PITCH, LAYER_PITCH = 10.0, 100.0


def sheet(shape: tuple[int, ...], depth: int) -> np.ndarray:
    """Positions "units 3" of a layer at z = depth * LAYER_PITCH, centred on the z axis.

    A flat layer fills a square grid row by row; an image keeps its grid, with its channels as
    patches side by side.
    """
    if len(shape) == 3:
        height, width, channels = shape
        side = math.ceil(math.sqrt(channels))
        row, col, channel = np.indices(shape).reshape(3, -1)
        x = col + (channel % side) * (width + 1)
        y = row + (channel // side) * (height + 1)
    else:
        units = np.arange(math.prod(shape))
        side = math.ceil(math.sqrt(units.size))
        x, y = units % side, units // side
    plane = np.stack([x - x.max() / 2, y - y.max() / 2], 1) * UNIT_PITCH
    return np.concatenate([plane, np.full((len(plane), 1), depth * LAYER_PITCH)], 1).astype(
        np.float32
    )


def distances(here: Float[Array, "a 3"], there: Float[Array, "b 3"]) -> Float[Array, "a b"]:
    """How far each point is from each other one [um]."""
    return jnp.sqrt(jnp.sum((here[:, None] - there[None]) ** 2, 2))
