"""A signal and a network that leave marks in a traced program: what is asked of the one, and where
the slopes of the other are read.

Both compute what the originals compute. A question to the signal is a call of its own in the
program, so that the audit knows what was asked, and about which output. A cell marks its
derivatives, whoever calls them, and whoever takes them by autodiff.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name as tag
from jaxtyping import Array
from typing_extensions import override

from byway.audit.program import POTENTIAL, SLOPE
from byway.core.signal import Signal
from byway.network.activations import Activation
from byway.network.cell import Cell
from byway.network.network import Network


class WatchedSignal(Signal):
    """A signal whose questions can be told from the rest of the program."""

    @override
    def error(self, output):
        return _asked("error", self)(output)

    @override
    def loss(self, output):
        """Its derivative by the output is the error, and is one more question."""
        asked = jax.custom_jvp(_asked("loss", self))
        asked.defjvp(
            lambda outputs, changes: (
                asked(*outputs),
                jnp.sum(self.error(*outputs) * changes[0], -1),
            )
        )
        return asked(output)

    @override
    def reward(self, output):
        return _asked("reward", self)(output)

    @override
    def at(self, t):
        return watched_signal(super().at(t))


def watched_signal(signal: Signal) -> WatchedSignal:
    """The same signal, watched."""
    return WatchedSignal(**_fields(signal))


def watched_network(net: Network) -> Network:
    """The same network, each of its cells watched."""
    populations = tuple(
        eqx.tree_at(lambda p: p.cell, p, _watched(p.name, p.cell)) for p in net.populations
    )
    return eqx.tree_at(lambda n: n.populations, net, populations)


def _asked(question: str, signal: Signal) -> Callable[[Array], Array]:
    """The method of a plain signal, as a call of its own in the program."""
    plain = _fields(signal)

    def answer(output, target, *weight):
        return getattr(
            Signal(**{**plain, "target": target, "weight": weight[0] if weight else None}), question
        )(output)

    answer.__name__ = f"byway.{question}"
    given = () if signal.weight is None else (signal.weight,)
    return lambda output: jax.jit(answer)(output, signal.target, *given)


def _fields(signal: Signal) -> dict[str, Any]:
    return {field.name: getattr(signal, field.name) for field in dataclasses.fields(Signal)}


def _watched(name: str, cell: Cell) -> Cell:
    if isinstance(cell, Activation):
        phi, slope = cell.phi, cell.slope
        if slope is None:
            return Activation(cell.name, _through(phi), None, cell.gain)
        linear = isinstance(slope(jnp.zeros(1)), float | int)
        return Activation(
            cell.name,
            phi if linear else _entered(name, phi),  # its slope is a number, and no derivative
            lambda u: _marked(slope(u)),
            cell.gain,
            None if cell.inverse is None else _through(cell.inverse),
        )
    cls = type(cell)

    def step(self, state, u):
        return jax.tree.map(_felt, cls.step(self, state, u))

    def local(self, state, u):
        return jax.tree.map(_marked, cls.local(self, state, u))

    watched = type(
        cls.__name__,
        (cls,),
        {"step": step, "local": local, "__doc__": cls.__doc__, "__module__": cls.__module__},
    )
    made = object.__new__(watched)
    for field in dataclasses.fields(cell):
        object.__setattr__(made, field.name, getattr(cell, field.name))
    return made


def _through(phi: Any) -> Any:
    return lambda u: _felt(phi(u))


def _entered(name: str, phi: Any) -> Any:
    return lambda u: _felt(phi(tag(u, POTENTIAL + name)))


def _marked(derivative: Array | float) -> Array | float:
    return derivative if isinstance(derivative, float | int) else tag(derivative, SLOPE)


@jax.custom_jvp
def _felt(post: Array) -> Array:
    """The same; but a derivative that is taken through it, by whatever means, carries a mark."""
    return post


@_felt.defjvp
def _(primals, tangents):
    (post,), (change,) = primals, tangents
    return post, change * tag(jnp.ones_like(post), SLOPE)
