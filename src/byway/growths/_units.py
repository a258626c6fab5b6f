"""Units that come and go: the populations whose places may be empty."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from byway.core.errors import RuleError
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.sparse import FixedFanIn


def places(net: Network) -> list[Population]:
    """The hidden populations that fixed fan-ins alone enter: a place whose slots are all free holds
    no unit.
    """
    return [
        h
        for h in net.hidden
        if (into := net.incoming(h.name)) and all(isinstance(p, FixedFanIn) for p in into)
    ]


def require_places(net: Network, policy: str) -> None:
    """Raise `RuleError` where no unit can come or go."""
    if not places(net):
        raise RuleError(
            f"{policy} was given a network without hidden units that fixed fan-ins alone enter",
            "places that may be empty",
            "build it with byway.grownet(..., born=0.5), for example",
        )


def no_room(policy: str) -> str:
    """What to say where no place is empty any more."""
    return (
        f"{policy} found every place taken: the network grew no more; give it more places (a "
        "smaller born with more units)"
    )


def wired(
    p: FixedFanIn, net: Network, key: Key[Array, ""], alive: Bool[Array, " pre"]
) -> Int[Array, "post slots"]:
    """For each unit, were it born now, as many others to read as the wiring gives every unit, drawn
    by its odds among those that there are.
    """
    drawn = p.proposed(key, net[p.src], net[p.dst], p.fan_in, alive)
    return jnp.full_like(p.index, p.sources).at[:, : p.fan_in].set(drawn)


def sent(net: Network, name: str) -> Float[Array, " units"]:
    """Of each unit of a population, the size of all weights that go out of it, sum_k |w_ki|."""
    total = jnp.zeros(net[name].size, net.dtype)
    for p in net.outgoing(name):
        ones = p.reached.astype(net.dtype).reshape(1, *p.dst_shape)
        heard = p.backward(ones, jnp.abs(p.weight))  # at once, or over the steps of a window
        total = total + jnp.sum(heard.reshape(-1, net[name].size), 0)
    return total
