"""Readouts that are solved: ridge regression from sums of products."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.network.network import Network

# By how much the ridge is raised where rounding has swallowed it.
RAISED = (1.0, 10.0, 100.0, 1_000.0)


def solved_ridge(
    products: Float[Array, "n n"], wanted: Float[Array, "n out"], penalty: Float[Array, " n"]
) -> Float[Array, "n out"]:
    """(products + diag(penalty))^-1 wanted; with a penalty that is larger by the least power of ten
    for which rounding leaves a matrix that is positive definite.
    """
    solved = jnp.full_like(wanted, jnp.nan)
    for times in reversed(RAISED):
        root = jax.lax.linalg.cholesky(products + jnp.diag(times * penalty))
        half = jax.lax.linalg.triangular_solve(root, wanted, left_side=True, lower=True)
        found = jax.lax.linalg.triangular_solve(
            root, half, left_side=True, lower=True, transpose_a=True
        )
        solved = jnp.where(jnp.all(jnp.isfinite(found)), found, solved)
    return solved


def single(net: Network) -> Any:
    """The type to add up in, and to solve in: that of the weights, but single precision at
    least.
    """
    return net.dtype if jnp.finfo(net.dtype).bits >= 32 else jnp.float32
