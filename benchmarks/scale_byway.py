"""Byway's networks for `benchmarks.scale`."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp

import byway
from benchmarks import scale
from byway.network.builders.assembly import placed
from byway.network.cell import Local, StatefulCell
from byway.network.network import Network
from byway.network.projections import Dense
from byway.network.sparse import FixedFanIn

_held = {}


class Cuba(StatefulCell):
    """A leaky integrate-and-fire unit with an exponential current, which stays at its reset for a
    while after a spike. It is here to run, and has no derivatives.
    """

    carries: ClassVar[tuple[str, ...]] = ("v", "i")
    silent: ClassVar[bool] = True

    def rest(self, like):
        zero = jnp.zeros_like(like)
        return {"v": zero, "i": zero, "wait": zero}

    def step(self, state, u):
        alpha, beta = math.exp(-scale.DT / scale.TAU), math.exp(-scale.DT / scale.TAU_I)
        # The current through the membrane, both exactly.
        share = scale.TAU_I / (scale.TAU - scale.TAU_I) * (alpha - beta)
        v = scale.REST + alpha * (state["v"] - scale.REST) + share * state["i"]
        v = jnp.where(state["wait"] > 0, scale.RESET, v)
        spikes = v > scale.THRESHOLD
        wait = jnp.where(spikes, scale.REFRACTORY / scale.DT, jnp.maximum(state["wait"] - 1, 0))
        after = {
            "v": jnp.where(spikes, scale.RESET, v),
            "i": beta * state["i"] + u,
            "wait": wait.astype(v.dtype),
        }
        return after, spikes.astype(v.dtype)

    def local(self, state, u):
        return Local({}, {}, {}, None)


def build(units: int, seconds: float, rate: bool, threads: int) -> dict:
    """Make the network."""
    index, sends, v = scale.wired(units)
    cell, sizes = "tanh" if rate else Cuba(), [(1,), (units,), (1,)]
    ends = placed(["input", "units", "output"], sizes, cell, False)
    weight = jnp.asarray(sends[index] / (10.0 if rate else 1.0), jnp.float32)
    p = FixedFanIn.between(ends[1], ends[1], scale.FAN_IN, index=index, bias=False)
    # No other simulator has an input or an output: ours stand beside the units.
    past = Dense("input", "output", (1,), (1,), jnp.zeros((1, 1)), None)
    # Not by `graph`, which would draw a wiring of its own.
    net = Network(ends, [past, p.with_theta({"weight": weight})], "input", "output")
    del index, weight, p
    state = net.rest(1)
    start = jnp.asarray(v if not rate else v + 55, jnp.float32)[None]
    if rate:
        state = state._replace(due={"units": {1: jnp.tanh(start)}})
    else:
        state = state._replace(cell={"units": state.cell["units"] | {"v": start}})
    look = lambda phase: jnp.sum(phase.post["units"])
    x = jnp.zeros((1, scale.steps(seconds), 1))
    _held.update(
        net=net.by_source(), args=(x, state, look), units=units, seconds=seconds, threads=threads
    )
    return {}


def turn() -> dict:
    """Simulate from the start."""
    began = scale.clock(_held["threads"])
    _, spikes = jax.block_until_ready(byway.simulate(_held["net"], *_held["args"]))
    took = scale.clock(_held["threads"]) - began
    return scale.ran(took, float(spikes.sum()), _held["units"], _held["seconds"])
