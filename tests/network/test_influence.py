"""Influence: on graphs small enough to follow by hand, and against sums over all paths."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import RuleError, ShapeError


def _net(edges, delays=None, middle=2, inputs=2):
    """A graph of linear units with these weights, by projection."""
    sizes = {"input": inputs, "middle": middle, "output": 1}
    joined = [
        byway.Dense(
            *(a, b, (sizes[a],), (sizes[b],), jnp.zeros((sizes[a], sizes[b])), None),
            delay=(delays or {}).get((a, b)),
        )
        for a, b in edges
    ]
    net = byway.graph(sizes, joined, activation="identity")
    return net.with_theta(
        {f"{a}-{b}": {"weight": jnp.asarray(w, jnp.float32)} for (a, b), w in edges.items()}
    )


# The output reads 0.75 of middle 0 and 0.25 of middle 1, and beside them input 1 as much as both.
EDGES = {
    ("input", "middle"): [[1.0, -3.0], [1.0, 1.0]],
    ("middle", "output"): [[3.0], [-1.0]],
    ("input", "output"): [[0.0], [4.0]],
}


def test_shares_are_those_of_hand():
    found = byway.influence(_net(EDGES))
    np.testing.assert_allclose(found.depth[0], [0, 0, 0, 0, 1])
    np.testing.assert_allclose(found.depth[1], [0, 4 / 8, 3 / 8, 1 / 8, 0])
    np.testing.assert_allclose(
        found.depth[2], [3 / 16 + 3 / 32, 3 / 16 + 1 / 32, 0, 0, 0], atol=1e-7
    )
    np.testing.assert_allclose(found.arrived, [0, 0.5, 0.5], atol=1e-7)
    assert found.lost == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(found.units[2:4], [3 / 8, 1 / 8])


def test_the_strongest_path_is_that_of_hand():
    found = byway.influence(_net(EDGES))
    direct = found.strongest()
    assert direct.units == [("input", 1), ("output", 0)] and direct.share == pytest.approx(0.5)
    other = found.strongest(source=0, output=0)
    assert other.units == [("input", 0), ("middle", 0), ("output", 0)]
    assert other.weights == [1.0, 3.0] and other.share == pytest.approx(3 / 16)
    assert str(other) == "input 0 –(+1)→ middle 0 –(+3)→ output 0"


def test_delays_add_up_along_paths():
    late = {("input", "middle"): 2, ("middle", "output"): 3, ("input", "output"): 7}
    found = byway.influence(_net(EDGES, late))
    expected = np.zeros(8)
    expected[[5, 7]] = 0.5
    np.testing.assert_allclose(found.late, expected, atol=1e-7)
    assert found.strongest(source=0).steps == 5 and found.strongest(source=1).steps == 7


def test_a_loop_hands_on_what_it_does_not_keep():
    """The middle reads itself with half of its drive, a step later: 1/2, 1/4, 1/8 ... come in."""
    edges = {
        ("input", "middle"): [[1.0]],
        ("middle", "middle"): [[1.0]],
        ("middle", "output"): [[1.0]],
    }
    found = byway.influence(_net(edges, middle=1, inputs=1))
    np.testing.assert_allclose(found.late[:8], 0.5 ** np.arange(1, 9))
    np.testing.assert_allclose(found.arrived[2:9], 0.5 ** np.arange(1, 8))
    assert found.lost < 1e-3
    assert found.units[1] == pytest.approx(2, abs=2e-3), "it is passed twice on average"
    path = found.strongest()
    assert path.steps == 0 and path.share == pytest.approx(0.5)


def test_units_that_read_nobody_end_what_they_have():
    edges = EDGES | {("input", "middle"): [[0.0, -3.0], [0.0, 1.0]]}
    found = byway.influence(_net(edges))
    assert found.lost == pytest.approx(3 / 8)
    alone = EDGES | {("input", "middle"): [[0.0, 0.0], [1.0, 1.0]]}
    assert byway.influence(_net(alone)).strongest(source=0) is None


def test_against_the_sum_over_all_paths():
    net = byway.grownet(6, 12, 2, regions=3, fan_in=3, key=1)
    found, names = byway.influence(net), [p.name for p in net.populations]
    dense = {}
    for p in net.projections:
        dense[p.src, p.dst] = np.abs(np.asarray(p.by_entries().weight, float))
    drive = {b: sum(w.sum(0) for (_, d), w in dense.items() if d == b) for b in names[1:]}
    part = {ends: w / drive[ends[1]][None] for ends, w in dense.items()}
    between = names[1:-1]
    for n in range(1, 5):
        total = np.zeros(6)
        for middle in itertools.combinations(between, n - 1):
            way = ["input", *middle, "output"]
            if all(ends in part for ends in itertools.pairwise(way)):
                along = [part[ends] for ends in itertools.pairwise(way)]
                product = along[0]
                for one in along[1:]:
                    product = product @ one
                total += product.mean(1)
        np.testing.assert_allclose(found.depth[n][:6], total, atol=1e-6)


def test_what_sends_nothing_has_no_say():
    """With samples: relu units that are always off."""
    net = byway.mlp(3, 4, 2, key=1)
    theta = net.theta["input-hidden1"]
    net = net.with_theta({"input-hidden1": theta | {"bias": theta["bias"].at[0].set(-1e6)}})
    x = jax.random.normal(jax.random.key(0), (20, 3))
    found = byway.influence(net, x)
    assert found.units[3] == 0 and byway.influence(net).units[3] > 0
    h = np.maximum(np.asarray(x) @ net.theta["input-hidden1"]["weight"], 0).mean(0)
    h[0] = 0
    size = np.abs(np.asarray(net.theta["hidden1-output"]["weight"])) * h[:, None]
    np.testing.assert_allclose(found.depth[1][3:7], (size / size.sum(0)).mean(1), rtol=1e-4)


def test_bad_questions():
    net = _net(EDGES)
    with pytest.raises(ShapeError, match="source = 5"):
        byway.influence(net).strongest(source=5)
    with pytest.raises(RuleError, match="in time"):
        byway.influence(byway.rnn(3, 4, 2), np.zeros((2, 3)))
