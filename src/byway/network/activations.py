"""The activation functions of rate populations, each with its slope written out."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array

from byway.core.errors import unknown_name


@dataclass(frozen=True)
class Activation:
    """phi and phi', both elementwise functions of the potential u.

    Attributes:
        name: what it is called on the command line.
        phi: activity of a potential.
        slope: phi'(u). The number 1.0 for the identity: then there is no derivative to read.
        gain: weights into such units are drawn with variance gain / fan_in: 2 for relu, which halves the second moment.
    """

    name: str
    phi: Callable[[Array], Array]
    slope: Callable[[Array], Array | float]
    gain: float = 1.0


def _identity(u):
    return u


def _unit_slope(u):
    return 1.0


def _relu_slope(u):
    return (u > 0).astype(u.dtype)


def _tanh_slope(u):
    return 1 - jnp.tanh(u) ** 2


def _sigmoid_slope(u):
    s = jax.nn.sigmoid(u)
    return s * (1 - s)


def _hard_sigmoid(u):
    return jnp.clip(u, 0, 1)


def _hard_sigmoid_slope(u):
    return ((u > 0) & (u < 1)).astype(u.dtype)


ACTIVATIONS = {
    a.name: a
    for a in (
        Activation("identity", _identity, _unit_slope),
        Activation("relu", jax.nn.relu, _relu_slope, gain=2.0),
        Activation("tanh", jnp.tanh, _tanh_slope),
        Activation("sigmoid", jax.nn.sigmoid, _sigmoid_slope),
        Activation("hard_sigmoid", _hard_sigmoid, _hard_sigmoid_slope),
        Activation("softplus", jax.nn.softplus, jax.nn.sigmoid),
    )
}


def activation(name: str) -> Activation:
    """The activation called `name`; an unknown name raises, with the nearest ones."""
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
