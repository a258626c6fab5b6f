"""Random directions in the space of weights, and what a network does on either side of it along
them.

A direction is as large as the network, so the rules that try it do not keep it: they keep the key
that it is drawn from, and draw it again where they learn. Nor is it there as a whole while it is
tried: the network runs on both sides at once, layer by layer, and each layer draws its own part.
"""

import functools
import math
import operator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from byway.core.record import Phase, Record
from byway.network.network import Network

Theta = dict[str, dict[str, Array]]
Keys = dict[str, dict[str, Key[Array, ""]]]

# So many numbers are drawn at once: what is on its way from key to number takes several times their
# room.
BLOCK = 2**15


def keys_of(net: Network, key: Key[Array, ""]) -> Keys:
    """A key for each array of weights."""
    leaves, structure = jax.tree.flatten(net.theta)
    return jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))


def once_there(key: Key[Array, ""], what: Array) -> Key[Array, ""]:
    """The same key, but known only once something else is; where that is not a number, another.

    XLA would draw all layers first and keep them, for the sake of what can be done at once.
    """
    late = jnp.isnan(jnp.ravel(what)[0]).astype(jnp.uint32)
    return jax.random.wrap_key_data(jax.random.key_data(key) ^ late, impl=jax.random.key_impl(key))


def draw(key: Key[Array, ""], like: Array, signs: bool = False) -> Array:
    """N(0, 1) for each entry, or a random sign; by blocks of rows, where there are many."""
    one = jax.random.rademacher if signs else jax.random.normal
    last = like.shape[-1]
    rows = math.prod(like.shape[:-1])
    if rows * last <= BLOCK:
        return one(key, like.shape, like.dtype)
    some = max(n for n in range(1, max(BLOCK // last, 1) + 1) if rows % n == 0)
    each = jax.random.split(key, rows // some)
    # A first block all over: of zeros XLA would make room for every array at the start.
    all_over = jnp.broadcast_to(one(each[0], (some, last), like.dtype), (len(each), some, last))
    put = lambda i, a: a.at[i].set(one(each[i], (some, last), like.dtype))
    return jax.lax.fori_loop(1, len(each), put, all_over).reshape(like.shape)


def drawn(net: Network, key: Key[Array, ""], signs: bool = False) -> Theta:
    """A whole direction."""
    keys = keys_of(net, key)
    return {
        name: {part: draw(keys[name][part], a, signs) for part, a in w.items()}
        for name, w in net.theta.items()
    }


def tried(
    net: Network,
    x: Float[Array, "batch *inputs"],
    key: Key[Array, ""],
    sigma: Float[Array, ""] | float,
    count: int,
    signs: bool = False,
) -> Record:
    """One pass as it is, "free", and two for each of so many directions: "up", along it, and
    "down", against it.

    The record keeps of "up" and "down" the outputs, "count batch out", and the key of each
    direction. Directions take their turn.
    """
    free, keys = net.forward(x), jax.random.split(key, count)
    # What the input sends is the same on both sides of all directions, and so are its currents.
    sent = net[net.input].send(net.place(x))
    still = {p.name: p.forward(sent) for p in net.outgoing(net.input)}
    up, down = jax.lax.map(
        lambda key: _both_ways(net, sent, still, keys_of(net, key), sigma, signs), keys
    )
    phases = {
        name: Phase({}, {}, {net.output: answers}, {}, {"key": keys})
        for name, answers in (("up", up), ("down", down))
    }
    return Record({"free": free, **phases}, free.post[net.output])


def along(
    net: Network, record: Record, weights: Float[Array, " count"], signs: bool = False
) -> Theta:
    """The sum of the directions of a record, each times its weight: drawn again, array by array."""
    keys = jax.vmap(lambda key: keys_of(net, key))(record["up"].injected["key"])
    done, update = weights, {}
    for p in net.projections:
        update[p.name] = {}
        for part, a in p.theta.items():
            one_by_one = jax.vmap(once_there, (0, None))(keys[p.name][part], done)
            done = update[p.name][part] = _sum(one_by_one, weights, a, signs)
    return update


def _sum(
    keys: Key[Array, " count"], weights: Float[Array, " count"], like: Array, signs: bool
) -> Array:
    """One array's part of directions, each times its weight."""

    def add(total: Array, one: tuple[Array, Array]) -> tuple[Array, None]:
        return total + one[1] * draw(one[0], like, signs), None

    first = weights[0] * draw(keys[0], like, signs)
    return jax.lax.scan(add, first, (keys[1:], weights[1:]))[0]


def _both_ways(
    net: Network,
    sent: Float[Array, "batch *inputs"],
    still: dict[str, Array],
    keys: Keys,
    sigma: Float[Array, ""] | float,
    signs: bool,
) -> tuple[Array, Array]:
    """The outputs of the network moved along a direction and against it, whose passes are one batch
    of twice the size but where the input is heard, of what it sends and of the currents of that.
    """
    u, post = {}, {}

    def current(p):
        heard = p.src == net.input
        if heard:
            pre, twice = sent, lambda a: jnp.concatenate([a, a])
            sides = lambda a: (a, a)
        else:
            pre = u[p.src] if p.carries == "u" else net[p.src].send(post[p.src])
            twice, sides = lambda a: a, lambda a: jnp.split(a, 2)
        if not p.theta:
            return twice(p.forward(pre))
        own = {part: once_there(key, pre) for part, key in keys[p.name].items()}
        v = {part: draw(own[part], a, signs) for part, a in p.theta.items()}
        if p.linear_in_weights:
            # W h +- sigma V h: the weights on either side are never there.
            up, down = sides(sigma * p.with_theta(v).forward(pre))
            there = still[p.name] if heard else p.forward(pre)
            return twice(there) + jnp.concatenate([up, -down])
        return jnp.concatenate(
            [
                p.with_theta({part: a + way * v[part] for part, a in p.theta.items()}).forward(h)
                for way, h in zip((sigma, -sigma), sides(pre), strict=True)
            ]
        )

    for population in net.populations:
        if population.name != net.input:
            into = net.incoming(population.name)
            u[population.name] = functools.reduce(operator.add, map(current, into))
            post[population.name] = population.activate(u[population.name])
    up, down = jnp.split(post[net.output], 2)
    return up, down
