"""Training images that are shifted a little, by another amount each time that they are seen."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from byway.core.task import Split

# What the setting of a task is called in its help, and the largest value that it takes.
JITTER = "pixels by which training images are shifted at most, along either axis, each time anew"
MOST = 1_000
# Keeps the shifts apart from all else that is drawn from the key of a batch.
SHIFTS = 0x51


def jittered(
    split: Split, index: Int[Array, " batch"], key: Key[Array, ""], most: int
) -> tuple[Split, Int[Array, " batch"]]:
    """The images of a batch, each shifted by a whole number of pixels from -most to most, down and
    across, each as likely; what comes in at the edge repeats it.

    Args:
        split: images "samples height width ...".
        index: which of them.
        key: that of the batch: rules that train one seed see the same shifts.
        most: 0 for none.

    Returns:
        A split, and which of its samples to take.
    """
    if not most:
        return split, index
    x, y = (a.at[index].get(mode="promise_in_bounds") for a in split)
    rest = [(0, 0)] * (x.ndim - 3)
    wide = jnp.pad(x, [(0, 0), (most, most), (most, most), *rest], mode="edge")
    start = jax.random.randint(jax.random.fold_in(key, SHIFTS), (len(x), 2), 0, 2 * most + 1)

    def cut(image: Array, at: Int[Array, "2"]) -> Array:
        return jax.lax.dynamic_slice(image, [at[0], at[1], *[0] * len(rest)], x.shape[1:])

    return Split(jax.vmap(cut)(wide, start), y), jnp.arange(len(x))
