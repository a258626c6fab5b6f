"""All that evolves while a network learns."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Int, Key, PyTree


class Learner(eqx.Module):
    """One learner: a pytree, so a population of them is the same pytree with a leading axis.

    Attributes:
        net: the network, weights included.
        gamma: the rule's own parameters.
        state: activity carried from one call of f to the next.
        memory: what g carries (eligibility, running means ...).
        moments: the optimiser's state, for theta and for gamma.
        step: how many batches it learned from.
        key: the key from which data order and noise are drawn; never changed.
        failed: the batch, counted from 1, after which a number was not finite any more, or -1.
    """

    net: Any
    gamma: PyTree
    state: PyTree
    memory: PyTree
    moments: tuple[PyTree, PyTree]
    step: Int[Array, ""]
    key: Key[Array, ""]
    failed: Int[Array, ""]
