"""Networks in which nothing is heard of some units, or from which these are cut off; of the same
shapes, so that a compiled program goes on with them.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool

from byway.network.convolutions import Conv, LocallyConnected
from byway.network.fan_out import FanOut
from byway.network.network import Network
from byway.network.projections import Dense, Projection
from byway.network.sparse import FixedFanIn


def silenced(net: Network, silent: Bool[Array, " units"]) -> Network:
    """The same network where nothing is heard of some units: their outgoing weights are zero. A map
    of a convolution, whose weights its units share, falls silent with the first of them; what
    brings units as they are, or rotates them, has no weights to silence.

    Args:
        net: the network.
        silent: which units, counted over all populations in order.
    """
    parts = _parted(net, silent)
    return net.with_theta(
        {
            p.name: {"weight": jnp.where(out, jnp.zeros_like(p.weight), p.weight)}
            for p in net.projections
            if (out := _meets(p, parts[p.src], None)) is not None
        }
    )


def cut(net: Network, gone: Bool[Array, " units"]) -> Network:
    """The same network without the synapses from and to some units, of the same shapes. Slots of a
    fixed fan-in become free, so no rule brings these back; of other projections weights and biases
    are zero, and may be learned again. A map of a convolution goes with the first of its units.

    Args:
        net: the network.
        gone: which units, counted over all populations in order.
    """
    parts = _parted(net, gone)
    theta, structure = {}, {}
    for p in net.projections:
        out, into = parts[p.src], parts[p.dst]
        changed = {}
        if (lost := _meets(p, out, into)) is not None:
            changed["weight"] = jnp.where(lost, jnp.zeros_like(p.weight), p.weight)
            if isinstance(p, FixedFanIn):
                free = jnp.full_like(p.index, p.sources)
                structure[p.name] = {"index": jnp.where(lost, free, p.index)}
        if p.bias is not None and p.ports != net[p.dst].cell.own:
            bias = _at_bias(p, into)
            changed["bias"] = jnp.where(bias, jnp.zeros_like(p.bias), p.bias)
        theta[p.name] = changed
    return net.with_theta(theta).with_structure(structure)


def _parted(net: Network, mask: Bool[Array, " units"]) -> dict[str, Array]:
    """A mask over all units, by population."""
    parts, at = {}, 0
    for p in net.populations:
        parts[p.name], at = mask[at : at + p.size], at + p.size
    return parts


def _meets(p: Projection, out: Array, into: Array | None) -> Array | None:
    """Which weights begin at some units of `src`, or end at some of `dst`, to be broadcast to the
    weight; None where weights belong to no units.
    """
    into = jnp.zeros(1, bool) if into is None else into
    match p:
        case Dense():
            rows, columns = p.weight.shape
            ends = jnp.resize(into, (columns,)) if into.size > 1 else into
            return jnp.resize(out, (rows,))[:, None] | ends[None]
        case FixedFanIn():
            read = jnp.append(out, jnp.zeros(1, bool))[p.index]
            return read | into[:, None]
        case FanOut():
            read = jnp.append(out, jnp.zeros(1, bool))[p.source]
            return read | (into[p.target] if into.size > 1 else into)
        case Conv():
            maps = out.reshape(p.src_shape).any((0, 1))
            ends = into.reshape(p.dst_shape).any((0, 1)) if into.size > 1 else into
            return maps[None, None, :, None] | ends[None, None, None]
        case LocallyConnected():
            image = out.reshape(1, *p.src_shape).astype(p.weight.dtype)
            read = p.at_pre(image)[0] > 0
            ends = (
                into.reshape(p.dst_shape)[:, :, None] if into.size > 1 else into[None, None, None]
            )
            return read | ends
        case _:
            return None


def _at_bias(p: Projection, into: Array) -> Array:
    """Which entries of the bias belong to some units of `dst`."""
    shape = () if p.bias is None else p.bias.shape
    if isinstance(p, Conv):
        return into.reshape(p.dst_shape).any((0, 1))
    return jnp.resize(into, (math.prod(shape),)).reshape(shape)
