"""All that evolves while a network learns."""

import equinox as eqx
from jaxtyping import Array, Int, Key

from byway.core.tree import PyTree
from byway.network.network import Network


class Learner(eqx.Module):
    """One learner: a pytree, so a population of them is the same pytree with a leading axis.

    Attributes:
        net: the network, weights included.
        gamma: the rule's own parameters.
        memory: what g carries from one batch to the next (running means ...).
        seen: what growth remembers.
        moments: the optimiser's state, for each turn one for theta and one for gamma.
        step: how many batches it learned from.
        key: the key from which data order and noise are drawn; never changed.
        failed: the batch, counted from 1, after which a number was not finite any more, or -1.
    """

    net: Network
    gamma: PyTree
    memory: PyTree
    seen: PyTree
    moments: tuple[tuple[PyTree, PyTree], ...]
    step: Int[Array, ""]
    key: Key[Array, ""]
    failed: Int[Array, ""]
