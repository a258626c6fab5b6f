"""What shape a network of units has: how far it falls into modules, how much its neighbours are
neighbours of each other, how short its paths are; and the same of wiring drawn by chance.

Direction and weight are left aside: two units are neighbours where a synapse joins them either way.
With k_i the neighbours of unit i, m the number of joined pairs, and T_i the pairs among the
neighbours of i that are joined:

    Q = sum_c (m_c / m - (K_c / 2 m)^2)      the best found over divisions into modules c; m_c pairs
                                             within c, K_c the sum of k_i in c
    C = mean_i 2 T_i / (k_i (k_i - 1))       0 where k_i < 2
    L = mean over the pairs that a path joins of its least number of synapses
    sigma = (C / C_r) / (L / L_r)            r: wiring drawn by chance

By chance in two ways. *Degrees*: synapses exchange their ends at random, (a to b, c to d) for (a to
d, c to b), so each unit keeps how many it reads and how many read it. *Space*: each unit reads as
many others as it does in each population and at each distance, otherwise at random. Wiring that is
near falls into modules by itself, so only what exceeds the second was not put there by space.

Sources  Newman and Girvan, Finding and evaluating community structure in networks, Phys. Rev. E 69,
         2004; Blondel et al., Fast unfolding of communities in large networks, J. Stat. Mech. 2008;
         Watts and Strogatz, Collective dynamics of small-world networks, Nature 393, 1998;
         Humphries and Gurney, Network small-world-ness, PLoS ONE 3, 2008; Maslov and Sneppen,
         Specificity and stability in topology of protein networks, Science 296, 2002
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse, spatial
from typing_extensions import override

# How often each synapse is offered an exchange, how many distances are told apart, and from how
# many units, spread evenly, the paths to all others are followed.
ROUNDS, BINS, MOST_STARTS = 20, 24, 1000


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A directed graph: each edge once, none from a unit to itself.

    Attributes:
        units: how many units there are.
        source: where each edge starts, "edges".
        target: where it ends.
    """

    units: int
    source: Int[np.ndarray, " edges"]
    target: Int[np.ndarray, " edges"]

    @classmethod
    def of(cls, units: int, source: np.ndarray, target: np.ndarray) -> "Graph":
        """The graph of some synapses: those that join the same units count once."""
        codes = np.unique(source.astype(np.int64) * units + target)
        ends = codes // units, codes % units
        other = ends[0] != ends[1]
        return cls(units, ends[0][other], ends[1][other])

    @property
    def neighbours(self) -> sparse.csr_array:
        """Which units are joined, either way: "units units", of ones."""
        one = sparse.csr_array(
            (np.ones(len(self.source), np.float32), (self.source, self.target)),
            shape=(self.units, self.units),
        )
        both = (one + one.T).tocsr()
        both.data[:] = 1
        return both

    def modularity(self, seed: int = 0) -> tuple[float, int]:
        """Q of the best division that Louvain's method finds, and into how many modules."""
        import networkx as nx  # noqa: PLC0415  takes a while

        graph = nx.Graph()
        graph.add_nodes_from(range(self.units))
        graph.add_edges_from(np.stack([self.source, self.target], 1).tolist())
        found = nx.community.louvain_communities(graph, seed=seed)
        return float(nx.community.modularity(graph, found)), len(found)

    def clustering(self) -> float:
        """C."""
        joined = self.neighbours
        degree = joined.sum(1)
        closed = joined.multiply(joined @ joined).sum(1)  # twice T
        return float(np.mean(closed / np.maximum(degree * (degree - 1), 1)))

    def path_length(self) -> float:
        """L; NaN where nothing is joined. Of more than 1000 units from as many, spread evenly."""
        joined = self.neighbours
        starts = np.unique(np.linspace(0, self.units - 1, min(self.units, MOST_STARTS)).astype(int))
        front = np.zeros((len(starts), self.units), np.float32)
        front[np.arange(len(starts)), starts] = 1
        seen, steps, length, pairs = front > 0, 0, 0, 0
        while np.any(front):
            steps += 1
            front = np.where(seen, 0, front @ joined > 0).astype(np.float32)
            seen |= front > 0
            reached = np.count_nonzero(front)
            length, pairs = length + steps * reached, pairs + reached
        return length / pairs if pairs else float("nan")

    def exchanged(self, draw: np.random.Generator, rounds: int = ROUNDS) -> "Graph":
        """One that chance draws of all that have its degrees, in and out.

        In a round all edges are paired at random, and a pair exchanges its ends unless any of its
        four edges, old or new, is there or proposed once more. The way back is as likely, so
        no graph is preferred.
        """
        source, target, units = self.source, self.target.copy(), self.units
        for _ in range(rounds):
            one, two = draw.permutation(len(source))[: len(source) // 2 * 2].reshape(2, -1)
            codes = source * units + target
            new = np.concatenate([source[one] * units + target[two],
                                  source[two] * units + target[one]])  # fmt: skip
            _, place, times = np.unique(
                np.concatenate([codes, new]), return_inverse=True, return_counts=True
            )
            old, (first, second) = times[place] == 1, new.reshape(2, -1)
            fresh = old[len(codes) :].reshape(2, -1).all(0)
            loops = (first // units == first % units) | (second // units == second % units)
            good = old[one] & old[two] & fresh & ~loops
            one, two = one[good], two[good]
            target[one], target[two] = target[two], target[one]
        return Graph(units, source, target)

    def spread(
        self,
        draw: np.random.Generator,
        groups: Sequence[range],
        position: Float[np.ndarray, "units 3"],
    ) -> "Graph":
        """One that chance draws of all in which each unit reads as many others of each group at
        each distance.

        Args:
            draw: the randomness.
            groups: the populations.
            position: of each unit.
        """
        length = np.linalg.norm(position[self.source] - position[self.target], axis=1)
        edges = np.linspace(0, length.max() * (1 + 1e-9), BINS + 1)
        found = []
        for here in groups:
            for there in groups:
                mine = _within(self.target, here) & _within(self.source, there)
                if not mine.any():
                    continue
                far = spatial.distance.cdist(position[here], position[there])
                at = np.clip(np.digitize(far, edges) - 1, 0, BINS)  # the last: too far for any
                if here == there:
                    np.fill_diagonal(at, BINS)
                row, column = self.target[mine] - here.start, self.source[mine] - there.start
                wanted = _counts(row, at[row, column], len(here))
                # Of each row in order of distance, and by chance where that is the same.
                order = np.argsort(at + draw.uniform(size=at.shape), 1)
                ranked = np.take_along_axis(at, order, 1)
                size = _counts(np.repeat(np.arange(len(here)), len(there)), at.ravel(), len(here))
                before = np.cumsum(size, 1) - size
                place = np.arange(len(there))[None] - np.take_along_axis(before, ranked, 1)
                row, column = np.nonzero(place < np.take_along_axis(wanted, ranked, 1))
                found.append((there.start + order[row, column], here.start + row))
        source, target = (np.concatenate(ends) for ends in zip(*found, strict=True))
        return Graph(self.units, source, target)


def _within(unit: np.ndarray, group: range) -> np.ndarray:
    return (unit >= group.start) & (unit < group.stop)


def _counts(row: np.ndarray, at: np.ndarray, rows: int) -> Int[np.ndarray, "rows bins"]:
    """How often each bin occurs in each row."""
    return np.bincount(row * (BINS + 1) + at, minlength=rows * (BINS + 1)).reshape(rows, -1)


@dataclasses.dataclass(frozen=True, eq=False)
class Form:
    """The shape of a network's wiring beside that of wiring drawn by chance.

    Attributes:
        modularity: Q.
        clustering: C.
        path_length: L.
        modules: into how many modules Q divides it.
        chance: by what chance kept ("degrees", "space"), the same three numbers by their names,
            one for each time it was drawn.
        moved: of the synapses drawn by chance with the same lengths, the share that was not there;
            where it is small there was little to choose.
    """

    modularity: float
    clustering: float
    path_length: float
    modules: int
    chance: Mapping[str, Mapping[str, Float[np.ndarray, " draws"]]]
    moved: float

    def small_world(self, kept: str) -> float:
        """Sigma, against chance that kept degrees or space; NaN where that forms no triangle."""
        by = self.chance[kept]
        closed = by["clustering"].mean()
        if not closed:
            return float("nan")
        return float(self.clustering / closed / (self.path_length / by["path_length"].mean()))

    @override
    def __str__(self) -> str:
        lines = [f"{'':14}{'wiring':>8}{'same degrees':>18}{'same lengths':>18}"]
        for name, title in NAMES.items():
            cells = [f"{by[name].mean():.3f} ± {by[name].std():.3f}" for by in self.chance.values()]
            lines.append(
                f"{title:14}{getattr(self, name):8.3f}" + "".join(f"{c:>18}" for c in cells)
            )
        sigma = "".join(f"{self.small_world(kept):18.2f}" for kept in self.chance)
        return "\n".join([*lines, f"{'small world':14}{'':8}{sigma}"])


NAMES = {"modularity": "modularity Q", "clustering": "clustering C", "path_length": "path length L"}


def form(
    graph: Graph,
    groups: Sequence[range],
    position: Float[np.ndarray, "units 3"],
    draws: int = 5,
    seed: int = 0,
) -> Form:
    """The shape of a graph beside chance.

    Args:
        graph: the graph, with an edge at least.
        groups: its populations.
        position: of each unit.
        draws: how often chance draws, of each kind.
        seed: of chance.
    """
    draw = np.random.default_rng(seed)
    degrees = [graph.exchanged(draw) for _ in range(draws)]
    space = [graph.spread(draw, groups, position) for _ in range(draws)]
    codes = lambda g: g.source * g.units + g.target
    moved = [1 - np.isin(codes(one), codes(graph)).mean() for one in space]
    q, modules = graph.modularity(seed)
    return Form(
        q,
        graph.clustering(),
        graph.path_length(),
        modules,
        {"degrees": _measured(degrees), "space": _measured(space)},
        float(np.mean(moved)),
    )


def _measured(graphs: Sequence[Graph]) -> dict[str, np.ndarray]:
    return {
        "modularity": np.array([one.modularity()[0] for one in graphs]),
        "clustering": np.array([one.clustering() for one in graphs]),
        "path_length": np.array([one.path_length() for one in graphs]),
    }
