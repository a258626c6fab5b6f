"""The shape of wiring: closed forms, networkx, and chance that keeps what it says it keeps, held
against all graphs that there are.
"""

import itertools

import networkx as nx
import numpy as np
import pytest
from scipy import stats

import byway
from byway.core.errors import ConfigError, RuleError
from byway.network.graph import Graph, form


def _graph(edges, units):
    source, target = np.array(edges).T
    return Graph.of(units, source, target)


def _ring(units, each):
    """Each unit reads so many to its right."""
    return _graph([((i + d) % units, i) for i in range(units) for d in range(1, each + 1)], units)


def _codes(graph):
    return frozenset(zip(graph.source.tolist(), graph.target.tolist(), strict=True))


@pytest.mark.parametrize("size", [5, 12])
def test_two_cliques_with_a_bridge_are_two_modules(size):
    """m = n (n - 1) + 1 edges, each half with half of all ends: Q = n (n - 1) / m - 1 / 2."""
    half = list(itertools.combinations(range(size), 2))
    edges = [*half, *((a + size, b + size) for a, b in half), (0, size)]
    q, modules = _graph(edges, 2 * size).modularity()
    assert modules == 2
    assert q == pytest.approx(size * (size - 1) / (size * (size - 1) + 1) - 0.5, abs=1e-12)


@pytest.mark.parametrize(("units", "each"), [(20, 2), (31, 3)])
def test_of_a_ring_clustering_and_paths_are_known(units, each):
    """C = 3 (k - 2) / (4 (k - 1)), and a unit d places away takes ceil(d / (k / 2)) steps."""
    graph, k = _ring(units, each), 2 * each
    assert graph.clustering() == pytest.approx(3 * (k - 2) / (4 * (k - 1)), abs=1e-6)
    away = [min(d, units - d) for d in range(1, units)]
    assert graph.path_length() == pytest.approx(np.mean([-(-d // each) for d in away]))


def test_another_program_finds_the_same_of_a_real_network():
    club = nx.karate_club_graph()
    graph = _graph(list(club.edges), len(club))
    assert graph.clustering() == pytest.approx(nx.average_clustering(club), abs=1e-6)
    assert graph.path_length() == pytest.approx(nx.average_shortest_path_length(club))
    found = nx.community.louvain_communities(nx.Graph(club.edges), weight=None, seed=0)
    best = nx.community.modularity(club, found, weight=None)
    assert graph.modularity()[0] == pytest.approx(best, abs=0.01)
    assert 0.40 < graph.modularity()[0] <= 0.4198  # the best there is: Brandes et al. 2008


def test_paths_count_where_there_are_any_and_none_is_no_number():
    two = _graph([(0, 1), (2, 3), (3, 4)], 6)
    assert two.path_length() == pytest.approx((1 * 6 + 2 * 2) / 8)
    assert np.isnan(Graph(3, np.zeros(0, int), np.zeros(0, int)).path_length())


def test_synapses_there_and_back_are_one_pair_and_a_unit_is_no_neighbour_of_its_own():
    graph = _graph([(0, 1), (1, 0), (1, 1), (0, 1)], 2)
    assert _codes(graph) == {(0, 1), (1, 0)}
    np.testing.assert_array_equal(graph.neighbours.toarray(), [[0, 1], [1, 0]])


def _chi_squared(drawn, possible):
    counts = [drawn.count(one) for one in possible]
    assert sum(counts) == len(drawn), "none that it may not be"
    return stats.chisquare(counts).pvalue


@pytest.mark.slow
def test_of_all_graphs_with_these_degrees_each_is_as_likely():
    """Against all 4-unit graphs without loops, listed."""
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    start = _graph([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)], 4)
    degrees = lambda edges: (
        tuple(sum(a == i for a, _ in edges) for i in range(4)),
        tuple(sum(b == i for _, b in edges) for i in range(4)),
    )
    wanted = degrees(_codes(start))
    possible = [
        frozenset(edges) for edges in itertools.combinations(pairs, 5) if degrees(edges) == wanted
    ]
    assert len(possible) > 3
    draw = np.random.default_rng(0)
    drawn = [_codes(start.exchanged(draw, rounds=60)) for _ in range(1500)]
    assert _chi_squared(drawn, possible) > 1e-3


def test_chance_that_keeps_degrees_keeps_them_and_little_else():
    draw = np.random.default_rng(1)
    ends = draw.integers(0, 200, (2, 2500))
    graph = Graph.of(200, *ends)
    other = graph.exchanged(draw)
    assert len(_codes(other)) == len(graph.source)
    for end in ("source", "target"):
        counts = [np.bincount(getattr(g, end), minlength=200) for g in (graph, other)]
        np.testing.assert_array_equal(*counts)
    assert np.all(other.source != other.target)
    shared = len(_codes(graph) & _codes(other)) / len(graph.source)
    assert shared < 2 * len(graph.source) / (200 * 199), "as many as by chance"


def test_chance_that_keeps_lengths_draws_each_unit_at_its_distance_alike():
    """Unit 0 reads one of three at distance 1, and one of two at distance 2."""
    position = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 0, 0], [0, 2, 0]], float)
    start = _graph([(1, 0), (4, 0)], 6)
    draw = np.random.default_rng(0)
    groups = [range(0, 1), range(1, 6)]
    drawn = [_codes(start.spread(draw, groups, position)) for _ in range(1200)]
    possible = [frozenset({(a, 0), (b, 0)}) for a in (1, 2, 3) for b in (4, 5)]
    assert _chi_squared(drawn, possible) > 1e-3


@pytest.mark.slow
def test_chance_that_keeps_lengths_keeps_who_reads_how_many_of_whom_and_how_far():
    net = byway.grownet(16, 200, 3, regions=2, fan_in=10, cycles=True, key=2)
    wired = byway.wiring(net).between_hidden()
    graph = Graph.of(200, wired.source - 16, wired.target - 16)
    position, groups = wired.position[16:216], [range(0, 100), range(100, 200)]
    other = graph.spread(np.random.default_rng(0), groups, position)
    assert len(_codes(other)) == len(graph.source) and np.all(other.source != other.target)
    length = lambda g: np.linalg.norm(position[g.source] - position[g.target], axis=1)
    edges = np.linspace(0, length(graph).max() * (1 + 1e-9), 25)
    for unit in range(200):
        for group in groups:
            held = []
            for g in (graph, other):
                mine = (g.target == unit) & np.isin(g.source, group)
                held.append(np.histogram(length(g)[mine], edges)[0])
            np.testing.assert_array_equal(*held)
    assert len(_codes(other) & _codes(graph)) < 0.5 * len(graph.source)


@pytest.mark.slow
def test_near_wiring_falls_into_modules_by_itself():
    """Drawn by distance alone it is far more modular than its degrees say, and no more than its
    lengths do.
    """
    near = byway.wiring(byway.grownet(64, 400, 4, fan_in=12, reach=40.0, cycles=True)).form(draws=3)
    by = near.chance
    assert near.modularity > by["degrees"]["modularity"].mean() + 0.1
    assert near.modularity == pytest.approx(by["space"]["modularity"].mean(), abs=0.03)
    assert near.small_world("degrees") > 2
    assert near.small_world("space") == pytest.approx(1, abs=0.15)
    assert 0 < near.moved < 1
    assert "same lengths" in str(near)


def test_what_space_did_not_put_there_exceeds_chance_of_both_kinds():
    """Units all over the same ball that read their own half alone."""
    draw = np.random.default_rng(0)
    position = draw.uniform(size=(60, 3))
    half = np.arange(60) % 2
    edges = [(a, b) for a in range(60) for b in range(60)
             if a != b and half[a] == half[b] and draw.uniform() < 0.3]  # fmt: skip
    found = form(_graph(edges, 60), [range(60)], position, 3)
    assert found.modules == 2
    for kept in ("degrees", "space"):
        assert found.modularity > found.chance[kept]["modularity"].max() + 0.2


def test_of_dense_wiring_the_strongest_synapses_count():
    net = byway.rnn(3, 20, 2, key=1)
    found = byway.wiring(net).between_hidden()
    assert found.synapses == 400
    strong = found.strongest(0.1)
    assert strong.synapses == 40
    assert np.abs(strong.weight).min() >= np.sort(np.abs(found.weight))[-40]
    byway.wiring(net).form(share=0.1, draws=1)


def test_what_has_no_shape_says_so():
    with pytest.raises(RuleError, match="no synapse joins two hidden units"):
        byway.wiring(byway.mlp(4, 5, 2)).form()
    for share in (0.0, 1.5):
        with pytest.raises(ConfigError, match="share = "):
            byway.wiring(byway.mlp(4, 5, 5, 2)).strongest(share)
