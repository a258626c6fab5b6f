"""Random keys from seeds."""

import jax
from jaxtyping import Array, Integer, Key


def seeded(seed: int | Integer[Array, ""]) -> Key[Array, ""]:
    """The key of a seed, of the kind whose draws depend on nothing but the key.

    JAX may be set to draw in another way by default (`jax_default_prng_impl`). With "rbg" what a
    learner draws would depend on the learners beside it.
    """
    return jax.random.key(seed, impl="threefry2x32")
