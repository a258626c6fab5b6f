"""What becomes of wiring while a policy grows it: how many synapses there are, what they cost, how
many are not those of the start, how many units they join.

Of projections with a fixed fan-in, but for `UNITS`, on the host: nothing is compiled for it. A
synapse is one that learns: a policy may hold places with others that do not, such as scouts.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from byway.core.metric import Metric, Scale
from byway.core.tree import PyTree
from byway.learning.growth import Growth
from byway.learning.rule import Update
from byway.network.network import Network
from byway.network.sparse import FixedFanIn

SYNAPSES = Metric(
    "synapses",
    meaning="How many synapses there are that learn, of projections with a fixed fan-in.",
    axis=Scale(0.0),
)
COST = Metric(
    "wiring_cost",
    "wiring cost",
    unit="mm",
    scale=1e-3,
    higher=False,
    meaning="How long all of these synapses are together, as the crow flies.",
    column=True,
)
BORN = Metric(
    "born",
    "new synapses",
    unit="%",
    scale=100.0,
    meaning="The share of the synapses that were not there at the start: growth put them there.",
    axis=Scale(0.0),
)
LOST = Metric(
    "lost",
    "lost synapses",
    unit="%",
    scale=100.0,
    meaning="The share of the synapses of the start that are gone.",
    axis=Scale(0.0),
)
UNITS = Metric(
    "units",
    "joined units",
    meaning="How many hidden units read others and are read; the rest are dead, or not born yet.",
    axis=Scale(0.0),
)
GROWING = (SYNAPSES, COST, BORN, LOST, UNITS)
# Of what they are: of all projections together.
WHOLE = "network"
# By projection its synapses, each as post * units of src + pre.
Wired = dict[str, Int[np.ndarray, " _"]]


def grows(net: Network, growth: Sequence[Growth]) -> bool:
    """Whether there is wiring that may grow."""
    return bool(growth) and any(isinstance(p, FixedFanIn) for p in net.projections)


def wired(net: Network, growth: Sequence[Growth] = (), seen: Sequence[PyTree] = ()) -> Wired:
    """Which synapses there are that learn, by projection with a fixed fan-in.

    Args:
        net: the network of one seed.
        growth: the policies.
        seen: what each remembers.
    """
    ones = Update({p.name: jax.tree.map(jnp.ones_like, p.theta) for p in net.projections})
    for policy, memory in zip(growth, seen, strict=True):
        ones = policy.taught(memory, ones)
    found = {}
    for p in net.projections:
        if isinstance(p, FixedFanIn):
            learns = (np.asarray(p.index) < p.sources) & (
                np.asarray(ones.net[p.name]["weight"]) != 0
            )
            post, slot = np.nonzero(learns)
            found[p.name] = post * p.sources + np.asarray(p.index)[post, slot]
    return found


def growing(net: Network, start: Wired, now: Wired) -> dict[str, float]:
    """What has become of the wiring of one seed, by metric.

    Args:
        net: its network.
        start: its synapses at the start.
        now: those that there are.
    """
    length, into, out = 0.0, _none(net), _none(net)
    for p in net.projections:
        if not isinstance(p, FixedFanIn):
            into[p.dst] += 1
            out[p.src] += 1
            continue
        post, pre = np.divmod(now[p.name], p.sources)
        here, there = (np.asarray(net[end].position, float) for end in (p.dst, p.src))
        length += float(np.linalg.norm(here[post] - there[pre], axis=1).sum())
        into[p.dst] += np.bincount(post, minlength=len(here))
        out[p.src] += np.bincount(pre, minlength=len(there))
    there_are, were = (sum(len(a) for a in wired.values()) for wired in (now, start))
    kept = sum(len(np.intersect1d(now[name], start[name])) for name in now)
    return {
        SYNAPSES.name: there_are,
        COST.name: length,
        BORN.name: (there_are - kept) / max(there_are, 1),
        LOST.name: (were - kept) / max(were, 1),
        UNITS.name: sum(
            int(np.count_nonzero((into[p.name] > 0) & (out[p.name] > 0))) for p in net.hidden
        ),
    }


def _none(net: Network) -> dict[str, np.ndarray]:
    return {p.name: np.zeros(p.size, int) for p in net.populations}
