"""A lesion: units in a ball are removed, to see what a network does without them and whether it
recovers.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from byway.core.errors import ConfigError, RuleError
from byway.core.given import is_number, require, shown
from byway.network.network import Network
from byway.network.projections import Dense, Projection
from byway.network.sparse import FixedFanIn


class Lesion(NamedTuple):
    """A network without some of its units.

    Attributes:
        net: the network, which counts as learnt: `fit` goes on from its weights.
        units: the units that were removed, as numbers in their populations, by name.
    """

    net: Network
    units: dict[str, Int[np.ndarray, " removed"]]


def lesion(net: Network, *, centre: Sequence[float] | np.ndarray | Array, radius: float) -> Lesion:
    """Remove the hidden units in a ball: every synapse from them and to them is cut.

    What is cut is a free slot, so no rule brings it back; a growth policy may. A dense projection
    from or to such units becomes one with a fixed fan-in, of all units that are left.

    Args:
        net: the network of one seed, such as `result.learner().net`.
        centre: of the ball, x, y and z [um].
        radius: of the ball [um].

    Raises:
        ConfigError: no such ball, or no hidden unit in it.
        RuleError: a projection from or to these units whose weights many places share.
    """
    require(Network, "net", net, "a network", "for example result.learner().net")
    middle = np.asarray(centre, float)
    if middle.shape != (3,) or not np.isfinite(middle).all():
        raise ConfigError(
            f"centre = {shown(centre)}", "three coordinates [um]", "for example (200, 200, 200)"
        )
    if not is_number(radius) or radius <= 0:
        raise ConfigError(f"radius = {shown(radius)}", "a length above 0 [um]", "try 100")
    far = {
        p.name: np.linalg.norm(np.asarray(p.position, float) - middle, axis=1) for p in net.hidden
    }
    gone = {name: away <= radius for name, away in far.items()}
    if not any(mask.any() for mask in gone.values()):
        nearest = min((away.min() for away in far.values()), default=np.inf)
        raise ConfigError(
            f"a lesion of {radius:g} um around {shown(centre)}, in which no hidden unit lies",
            f"a radius of {nearest:.1f} um at least, where the nearest is",
            "move it, or make it larger",
        )
    mask = functools.partial(_mask, gone)
    cut = [_cut(p, mask(p.src, p.src_shape), mask(p.dst, p.dst_shape)) for p in net.projections]
    hurt = Network(net.populations, cut, net.input, net.output, learnt=True)
    return Lesion(hurt, {name: np.flatnonzero(mask) for name, mask in gone.items() if mask.any()})


def _mask(
    gone: dict[str, Bool[np.ndarray, " units"]], name: str, shape: tuple[int, ...]
) -> Bool[np.ndarray, " entries"]:
    """Which entries of what a population sends, or is driven by, are of units that are gone."""
    size = int(np.prod(shape))
    mask = gone.get(name, np.zeros(size, bool))
    return np.tile(mask, size // len(mask))


def _cut(
    p: Projection, pre: Bool[np.ndarray, " pre"], post: Bool[np.ndarray, " post"]
) -> Projection:
    """A projection without its synapses from and to some units."""
    if not pre.any() and not post.any():
        return p
    if isinstance(p, Dense) and p.ports is None:
        left = np.flatnonzero(~pre)
        left = left if left.size else np.zeros(1, int)
        index = np.broadcast_to(left[None], (len(post), len(left)))
        weight = jnp.asarray(p.weight).T[:, left]
        ends = p.src, p.dst, p.src_shape, p.dst_shape
        p = FixedFanIn(
            *ends, weight, p.bias, jnp.asarray(index, jnp.int32), label=p.label, delay=p.delay
        )
    if not isinstance(p, FixedFanIn):
        raise RuleError(
            f"a lesion of units that {p.name}, a {type(p).__name__}, joins",
            "a weight of its own for each pair of units",
            "remove units of networks with dense projections or fixed fan-ins",
        )
    index = np.asarray(p.index)
    free = post[:, None] | np.append(pre, True)[index]
    bias = None if p.bias is None else jnp.where(jnp.asarray(post), 0, p.bias)
    return eqx.tree_at(
        lambda one: (one.weight, one.index, one.bias),
        p,
        (
            jnp.where(jnp.asarray(free), 0, p.weight),
            jnp.asarray(np.where(free, p.sources, index), p.index.dtype),
            bias,
        ),
        is_leaf=lambda leaf: leaf is None,
    )
