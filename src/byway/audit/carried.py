"""How what a rule carries from step to step grows with the network.

The same network is outlined twice, the second time with as many units again in every population.
What is carried then stays, or doubles, or grows with the number of synapses, or faster. The batch
is the same both times, and does not count.
"""

import collections
import dataclasses
import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from byway.audit.steps import leaves
from byway.learning.rule import Rule
from byway.network.layers import Layers
from byway.network.network import Network
from byway.network.projections import Dense, Projection, Skip

Size = Literal["none", "units", "synapses", "influence"]
SIZES: tuple[Size, ...] = ("none", "units", "synapses", "influence")
FACTOR = 2


def sizes(rule: Rule, net: Network, batch: int) -> dict[str, Size]:
    """What each leaf of gamma, state and memory grows like.

    The state that the network itself carries is not the rule's; nor, out of time, a number a unit:
    that is how a sample's units settle.
    """
    small, large = (_carried(rule, net, batch, factor) for factor in (1, FACTOR))
    found: dict[str, Size] = {}
    for name, size in small.items():
        grows = math.log(max(large.get(name, size), 1) / size, FACTOR)
        found[name] = "units" if grows < 1.5 else "synapses" if grows < 2.5 else "influence"
    return {
        name: size
        for name, size in found.items()
        if rule.in_time or size != "units" or not name.startswith("state.")
    }


def _carried(rule: Rule, net: Network, batch: int, factor: int) -> dict[str, int]:
    """The size of every leaf that is carried, but for the state in which the network rests."""

    def begin():
        like = _enlarged(net, factor)
        gamma = rule.init(like, jax.random.key(0))
        return gamma, *rule.start(gamma, like, batch), like.rest(batch)

    gamma, state, memory, rest = eqx.filter_eval_shape(begin)
    own = collections.Counter(np.shape(a) for a in jax.tree.leaves(rest))
    found = {}
    for name, leaf in {
        **leaves("gamma", gamma),
        **leaves("state", state),
        **leaves("memory", memory),
    }.items():
        shape = np.shape(leaf)
        if name.startswith("state.") and own[shape] > 0:
            own[shape] -= 1
        elif math.prod(shape):
            found[name] = math.prod(shape)
    return found


def _enlarged(net: Network, factor: int) -> Network:
    """The same network with `factor` times the units in every population, and weights of zero."""
    populations = [
        dataclasses.replace(
            p, shape=_wider(p.shape, factor), position=jnp.zeros((p.size * factor, 3))
        )
        for p in net.populations
    ]
    return Network(
        populations, [_between_more(p, factor) for p in net.projections], net.input, net.output
    )


def _between_more(p: Projection, factor: int) -> Projection:
    fields = {field.name for field in dataclasses.fields(p) if field.init}
    ends = {
        name: _wider(getattr(p, name), factor)
        for name in ("src_shape", "dst_shape")
        if name in fields
    }
    if isinstance(p, Skip) and p.units is not None:
        return dataclasses.replace(p, **ends, units=p.units * factor)
    if p.weight is None:
        parts = {} if p.bias is None else {"bias": jnp.tile(p.bias, factor)}
        return dataclasses.replace(p, **ends, **parts)
    if isinstance(p, Layers):  # whose layers are as large as they are: all to all grows alike
        weight = jnp.zeros(
            (math.prod(ends["src_shape"]), math.prod(ends["dst_shape"])), p.weight.dtype
        )
        bias = None if p.bias is None else weight[0]
        return Dense(
            p.src,
            p.dst,
            ends["src_shape"],
            ends["dst_shape"],
            weight,
            bias,
            label=p.label,
            delay=p.delay,
        )
    # The units of a population are many times as many along its last axis; so are those that a
    # weight comes from, or ends at.
    longer = {
        max((k for k, one in enumerate(p.axes) if one == role), default=-1)
        for role in ("pre", "post")
    }
    shape = tuple(n * factor if k in longer else n for k, n in enumerate(p.weight.shape))
    parts = {"weight": jnp.zeros(shape, p.weight.dtype)}
    if p.bias is not None:
        parts["bias"] = jnp.zeros(_wider(p.bias.shape, factor), p.bias.dtype)
    parts |= {
        name: jnp.zeros(shape, a.dtype)
        for name, a in p.structure.items()
        if a.shape == p.weight.shape
    }
    return dataclasses.replace(p, **ends, **parts)


def _wider(shape: tuple[int, ...], factor: int) -> tuple[int, ...]:
    return (*shape[:-1], shape[-1] * factor)
