"""The small readouts that layers with a loss of their own learn from."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Dense, Projection

# Keeps the heads apart from the weights, even where a caller draws both from one key.
HEADS = 0x5E


def predictor(net: Network, population: Population, bias: bool = True) -> Dense:
    """From a population to the shape of the output, as zeros."""
    out = net[net.output]
    return Dense(
        src=population.name,
        dst="pred",
        src_shape=population.shape,
        dst_shape=out.shape,
        weight=jnp.zeros((population.size, out.size), net.dtype),
        bias=jnp.zeros(out.size, net.dtype) if bias else None,
    )


def drawn(head: Projection, key: Key[Array, ""]) -> dict[str, Array]:
    """Its theta, with weights that are normal with variance 1 / fan_in."""
    theta = head.theta
    return theta | {
        "weight": jax.random.normal(key, theta["weight"].shape, theta["weight"].dtype)
        / math.sqrt(head.fan_in)
    }
