"""Units that come and go: the populations whose places may be empty."""

from typing import cast

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from byway.core.errors import RuleError
from byway.core.record import Phase, Record
from byway.core.signal import Signal
from byway.network.cell import Derivative
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


def activity(record: Record, policy: str) -> Phase:
    """The first phase of a call: what the units did.

    Raises:
        RuleError: the rule leaves none.
    """
    if not record.phases:
        raise RuleError(
            f"{policy} beside a rule whose record holds no activity",
            "the activity of the units, by which it goes",
            "use a policy that goes by weights, such as set, or another rule",
        )
    return next(iter(record.phases.values()))


def at_output(
    net: Network, record: Record, signal: Signal, phase: Phase
) -> Float[Array, "batch *units"]:
    """The error at the drive of the output. A rule that needs no slopes records none."""
    held = phase.slope.get(net.output)
    slope = net[net.output].slope(phase.u[net.output]) if held is None else held
    return signal.error(record.output) * cast(Derivative, slope)


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
