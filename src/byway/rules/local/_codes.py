"""What `subtask` stands on: codes that are white under what is known of targets, and how far apart
what follows from two codes can be.
"""

import functools
import operator
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.network.network import Network

# Of a Gram matrix, for a norm.
SQUARINGS = 6


class Prior(NamedTuple):
    """What is known of targets: how many there were, their mean "out", and that of y y^T."""

    count: Array
    mean: Array
    square: Array

    def seeing(self, y: Float[Array, "batch out"]) -> "Prior":
        """With a batch more."""
        count = self.count + len(y)
        share = len(y) / count
        moved = lambda a, b: a + share * (b - a)
        return Prior(count, moved(self.mean, y.mean(0)), moved(self.square, y.T @ y / len(y)))

    def centred(self, y: Float[Array, "batch out"]) -> Float[Array, "batch out"]:
        """Y - <y>."""
        return y - self.mean[None]

    @property
    def covariance(self) -> Float[Array, "out out"]:
        """S."""
        return self.square - jnp.outer(self.mean, self.mean)


def whitening(a: Float[Array, "out code"], prior: Prior) -> Float[Array, "code code"]:
    """N: (k A^T S A)^(-1/2), by its eigenvectors."""
    s = a.T @ prior.covariance @ a
    if jnp.finfo(s.dtype).bits < 32:  # there are no eigenvectors in half precision
        s = s.astype(jnp.float32)
    # Directions in which targets do not differ, or have not yet, have no code.
    values, vectors = jnp.linalg.eigh(s)
    differ = values > len(s) * jnp.finfo(s.dtype).eps * jnp.max(values)
    inverse = jnp.where(differ, 1 / jnp.sqrt(jnp.where(differ, values, 1)), 0)
    return (vectors * inverse[None] @ vectors.T / jnp.sqrt(len(s))).astype(a.dtype)


def norm(weight: Float[Array, "pre post"]) -> Float[Array, ""]:
    """The spectral norm from above, by at most a factor of n^(1/128) for n units on its smaller
    side: that of Schatten, tr((W^T W)^64)^(1/128).
    """
    gram = weight.T @ weight if weight.shape[0] > weight.shape[1] else weight @ weight.T
    log = 0.0
    for _ in range(SQUARINGS):
        size = jnp.maximum(jnp.trace(gram), jnp.finfo(gram.dtype).tiny)
        gram = gram / size
        gram, log = gram @ gram, 2 * (log + jnp.log(size))
    return jnp.exp((log + jnp.log(jnp.trace(gram))) / 2 ** (SQUARINGS + 1))


def reach(net: Network) -> Float[Array, ""]:
    """K: how much further apart two inputs can come to be at the output, from the norms of the
    weights, path by path.
    """
    found: dict[str, Any] = {net.input: 1.0}
    for population in net.populations[1:]:
        name = population.name
        found[name] = total([norm(p.weight) * found[p.src] for p in net.incoming(name)])
    return found[net.output]


def depth(net: Network) -> int:
    """Weights on the longest way through."""
    found = {net.input: 0}
    for population in net.populations[1:]:
        found[population.name] = 1 + max(found[p.src] for p in net.incoming(population.name))
    return found[net.output]


def total(terms: list[Array]) -> Array:
    """Their sum."""
    return functools.reduce(operator.add, terms)
