"""What wiring costs, against sums over pairs."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import spatial

import byway
from byway.core.errors import RuleError
from byway.network.sparse import FixedFanIn


def test_length_and_number_are_those_of_the_synapses_that_there_are():
    net = byway.grownet(9, 20, 3, regions=2, fan_in=4, spare=2, cycles=True, speed=50.0)
    found = byway.wiring(net)
    cost, count, late = 0.0, 0, []
    for p in net.projections:
        far = spatial.distance.cdist(net[p.dst].position, net[p.src].position)
        if isinstance(p, FixedFanIn):
            for i, row in enumerate(np.asarray(p.index)):
                for j in row[row < p.sources]:
                    cost, count = cost + far[i, j], count + 1
                    late.append(p.delay)
        else:
            cost, count = cost + far.sum(), count + far.size
    assert found.synapses == count == 20 * 4 + 20 * 3
    assert found.cost == pytest.approx(cost / 1000, rel=1e-6)
    assert sorted(found.delay[found.delay > 0]) == sorted(late)
    pairs = sum(net[p.src].size * net[p.dst].size for p in net.projections)
    assert found.sparsity == pytest.approx(1 - count / pairs)
    assert f"{count} synapses of {pairs}" in str(found)


def test_units_are_counted_over_all_populations():
    net = byway.mlp(2, 3, 1)
    found = byway.wiring(net)
    ends = {(int(a), int(b)) for a, b in zip(found.source, found.target, strict=True)}
    assert ends == {(i, j) for i in (0, 1) for j in (2, 3, 4)} | {(j, 5) for j in (2, 3, 4)}
    weight = dict(zip(zip(found.source, found.target, strict=True), found.weight, strict=True))
    assert weight[1, 3] == jnp.asarray(net.projections[0].weight)[1, 1]


@pytest.mark.slow
def test_near_wiring_costs_less_than_wiring_that_is_blind():
    near, blind = (byway.wiring(byway.grownet(64, 200, 4, reach=r)) for r in (40.0, float("inf")))
    inner = lambda w: w.length[w.target < 264].sum()
    assert inner(near) < 0.7 * inner(blind)


def test_shared_weights_have_no_wiring():
    with pytest.raises(RuleError, match="a weight of its own"):
        byway.wiring(byway.convnet((6, 6, 1), (2,), 3))
