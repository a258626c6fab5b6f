"""Synapses that come and go: what policies that draw for free slots have in common."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from byway.core.errors import RuleError
from byway.learning.rule import Update
from byway.network.network import Network
from byway.network.sparse import FixedFanIn


def roomy(net: Network) -> list[FixedFanIn]:
    """The fixed fan-ins with free slots at the start."""
    return [p for p in net.projections if isinstance(p, FixedFanIn) and p.spare]


def require_room(net: Network, policy: str) -> None:
    """Raise `RuleError` where no unit has a free slot."""
    if not roomy(net):
        raise RuleError(
            f"{policy} was given a network in which no unit has a free slot",
            "projections with a fixed fan-in and room for more",
            "build it with spare, for example byway.grownet(784, 500, 10, spare=8)",
        )


def rank(score: Float[Array, "*rows some"]) -> Int[Array, "*rows some"]:
    """The place of each number in its row, from the largest, which is 0."""
    return jnp.argsort(jnp.argsort(-score, -1), -1).astype(jnp.int32)


def moved(update: Update, name: str) -> Float[Array, "..."] | None:
    """What an update would change in the weights of a projection, if it does."""
    held = update.net.get(name, update.change.get(name, {}))
    return held.get("weight")
