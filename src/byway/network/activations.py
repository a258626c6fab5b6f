"""Activation functions: cells without a state, each with its slope written out, if it has one."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from byway.core.errors import ConfigError, look_up
from byway.core.given import is_number, require, require_whole, shown
from byway.network.cell import Cell, Local


class Activation(Cell):
    """phi and phi', both functions of the potential u, "batch *units".

    Attributes:
        name: what it is called on the command line.
        phi: activity of a potential.
        slope: phi'(u), elementwise. The number 1.0 for the identity: then there is no derivative to
            read. None makes a black box, which only rules that need no slope can train.
        gain: weights into such units are drawn with variance gain / fan_in: 2 for relu, which
            halves the second moment.
        inverse: the potential of an activity; None where it is not the only one.
    """

    name: str = eqx.field(static=True)
    phi: Callable[[Array], Array] = eqx.field(static=True)
    slope: Callable[[Array], Array | float] | None = eqx.field(static=True)
    gain: float = eqx.field(static=True)
    inverse: Callable[[Array], Array] | None = eqx.field(static=True)

    def __init__(
        self,
        name: str,
        phi: Callable[[Array], Array],
        slope: Callable[[Array], Array | float] | None,
        gain: float = 1.0,
        inverse: Callable[[Array], Array] | None = None,
    ):
        self.name, self.phi, self.slope, self.gain = name, phi, slope, gain
        self.inverse = inverse

    def __check_init__(self):
        require(str, "the name of an activation", self.name, "a word", "name it")
        functions = (("phi", self.phi), ("slope", self.slope), ("inverse", self.inverse))
        for what, function in functions:
            if not callable(function) and not (what != "phi" and function is None):
                raise ConfigError(
                    f"{what} = {shown(function)} for the activation {self.name}",
                    "a function of the potential",
                    "write one",
                )
        if not is_number(self.gain) or self.gain <= 0:
            raise ConfigError(
                f"gain = {shown(self.gain)} for the activation {self.name}",
                "a number above 0",
                "leave it out for 1",
            )

    @override
    def __reduce_ex__(self, protocol):
        """One of ours goes to another process by its name: JAX's functions cannot be sent."""
        known = ACTIVATIONS.get(self.name)
        ours = known is not None and known.phi is self.phi and known.slope is self.slope
        return (activation, (self.name,)) if ours else super().__reduce_ex__(protocol)

    @property
    @override
    def black_box(self):
        return self.slope is None

    @override
    def step(self, state, u):
        return state, self.phi(u)

    @override
    def local(self, state, u):
        return Local({}, {}, {}, None if self.slope is None else self.slope(u))


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


def quantised(bits: int, top: float = 4.0) -> Activation:
    """A relu that saturates and takes only 2^bits levels, evenly spaced from 0 to `top`: a black
    box, as its slope is zero or none.

    Args:
        bits: from 1 to 24.
        top: the highest level; potentials drawn as for a relu have a standard deviation of about 1.

    Raises:
        ConfigError: a number of bits that is none, or a top that is not above zero.
    """
    # Float32 tells no more levels apart.
    require_whole("bits", bits, 1, 24, "for example quantised(3)")
    if not is_number(top) or top <= 0:
        raise ConfigError(
            f"a quantiser up to {shown(top)}", "a level above 0", "for example quantised(3)"
        )
    return Activation("quantised", Levels(bits, float(top)), None, gain=2.0)


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """A relu that does not lose what is below zero, but scales it. It can be inverted, and the
    nearer its slope there is to 1, the less of an error that makes larger.

    Args:
        negative_slope: the slope below zero, above 0 and at most 1.

    Raises:
        ConfigError: a slope out of that range.
    """
    if not is_number(negative_slope) or not 0 < negative_slope <= 1:
        raise ConfigError(
            f"a slope of {shown(negative_slope)} below zero",
            "a number above 0, at most 1",
            "for example leaky_relu(0.9)",
        )
    slope = float(negative_slope)
    return Activation(
        "leaky_relu", Leak(slope), LeakSlope(slope), 2 / (1 + slope**2), Leak(1 / slope)
    )


class Leak(NamedTuple):
    """The phi of `leaky_relu`; of the inverse slope its inverse."""

    below: float

    def __call__(self, u: Array) -> Array:
        """U above zero, scaled below."""
        return jnp.where(u > 0, u, self.below * u)


class LeakSlope(NamedTuple):
    """Its slope."""

    below: float

    def __call__(self, u: Array) -> Array:
        """1 above zero."""
        return jnp.where(u > 0, 1.0, self.below).astype(u.dtype)


class Levels(NamedTuple):
    """The phi of `quantised`: one that can be sent and written down, as a closure cannot."""

    bits: int
    top: float

    def __call__(self, u: Array) -> Array:
        """The nearest level of a potential."""
        step = self.top / (2**self.bits - 1)
        return jnp.round(jnp.clip(u, 0, self.top) / step) * step


ACTIVATIONS = {
    a.name: a
    for a in (
        Activation("identity", _identity, _unit_slope, inverse=_identity),
        # Linear, and the end of a subtask: see `segments`.
        Activation("code", _identity, _unit_slope, inverse=_identity),
        Activation("relu", jax.nn.relu, _relu_slope, gain=2.0),
        # A relu whose units are drawn with weights of norm 5, for rules whose weights shrink as
        # they learn.
        Activation("long_relu", jax.nn.relu, _relu_slope, gain=25.0),
        Activation("tanh", jnp.tanh, _tanh_slope),
        Activation("sigmoid", jax.nn.sigmoid, _sigmoid_slope),
        Activation("hard_sigmoid", _hard_sigmoid, _hard_sigmoid_slope),
        Activation("softplus", jax.nn.softplus, jax.nn.sigmoid),
        leaky_relu(),
        quantised(3),
    )
}


def activation(name: str | Activation) -> Activation:
    """The activation called `name`, or the one given; an unknown name raises, with the nearest
    ones.
    """
    return name if isinstance(name, Activation) else look_up("activation", name, ACTIVATIONS)
