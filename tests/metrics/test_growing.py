"""What becomes of wiring while it grows, against sets of pairs; and that it is measured with each
epoch, of growing networks alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.metrics.growing import BORN, COST, GROWING, LOST, SYNAPSES, UNITS, WHOLE, growing, wired
from byway.network.sparse import FixedFanIn
from byway.report.page import write_page
from byway.report.table import Table
from byway.runs.outcomes import Outcomes

BRIEF = {"epochs": 2, "seeds": 2, "looks": 0, "batch": 100}


def _net(**more):
    return byway.grownet(64, 40, 10, regions=2, fan_in=6, **more)


def _pairs(net):
    return {
        (p.name, i, int(j))
        for p in net.projections
        if isinstance(p, FixedFanIn)
        for i, row in enumerate(np.asarray(p.index))
        for j in row[row < p.sources]
    }


def test_born_and_lost_are_those_of_sets():
    net = _net(spare=3)
    _, after, _ = byway.growth("set", share=0.4).grow((), net, jax.random.key(3), 0.5)
    p = after.projections[0]
    # One synapse more, and a unit cut off.
    index = p.index.at[1, -1].set(int(np.setdiff1d(np.arange(64), p.index[1])[0]))
    after = after.with_structure({p.name: {"index": index.at[0].set(p.sources)}})
    before, now = _pairs(net), _pairs(after)
    found = growing(after, wired(net), wired(after))
    assert found[SYNAPSES.name] == len(now)
    assert found[BORN.name] == pytest.approx(len(now - before) / len(now))
    assert found[LOST.name] == pytest.approx(len(before - now) / len(before))
    assert 0.2 < found[LOST.name] < 1
    whole = byway.wiring(after)
    inner = whole.target < 64 + 40
    assert found[COST.name] == pytest.approx(whole.length[inner].sum())
    assert found[UNITS.name] == np.count_nonzero(whole.joined) == 39


@pytest.fixture(scope="module")
def result():
    """Scouts come and go, and one is on trial at each epoch's end."""
    policy = byway.growth("rigl", every=5, until=1.0)
    return byway.fit(_net(spare=4), byway.rule("bp"), byway.task("digits"), growth=policy, **BRIEF)


@pytest.mark.slow
def test_scouts_are_no_synapses_until_they_are_taken(result):
    history = result.history
    np.testing.assert_array_equal(history[f"{SYNAPSES.name}/{WHOLE}"].values, 40 * 6.0)
    born, lost = (history[f"{m.name}/{WHOLE}"].values for m in (BORN, LOST))
    assert np.all(born[:, 0] == 0) and np.all(born[:, 1:] > 0)
    np.testing.assert_allclose(born, lost)
    for i in range(2):
        net = result.learner(i).net
        cost = sum(
            w.length.sum() for w in [byway.wiring(net)] for w in [w.only(w.target < 64 + 40)]
        )
        assert history[f"{COST.name}/{WHOLE}"].values[i, -1] == pytest.approx(cost)


def test_tables_and_pages_show_what_is_declared(result, tmp_path):
    run = Outcomes({result.label: result})
    table = Table(run)
    cost = np.mean(result.history[f"{COST.name}/{WHOLE}"].last) / 1000
    assert table.cell(result.label, COST.title) == f"{cost:.0f}"
    page = write_page(run, tmp_path / "report.html").read_text(encoding="utf-8")
    for metric in GROWING:
        assert f'id="{metric.name}"' in page and metric.meaning in page
    assert 'id="microscope"' not in page
    assert COST.meaning in result._repr_html_()


def test_a_resumed_run_measures_the_same(result, tmp_path):
    class Enough(Exception):
        pass

    def stop(reading):
        if reading.epoch == 1:
            raise Enough

    policy = byway.growth("rigl", every=5, until=1.0)
    again = lambda **more: byway.fit(
        _net(spare=4),
        byway.rule("bp"),
        byway.task("digits"),
        growth=policy,
        checkpoint=tmp_path,
        **BRIEF,
        **more,
    )
    with pytest.raises(Enough):
        again(on_epoch=stop)
    history = again().history
    for metric in GROWING:
        name = f"{metric.name}/{WHOLE}"
        np.testing.assert_array_equal(history[name].values, result.history[name].values)


@pytest.mark.slow
def test_nothing_is_measured_of_what_does_not_grow():
    task = byway.task("digits")
    for net, growth in (
        (_net(), None),
        (byway.mlp(64, 12, 10), byway.growth("continual_backprop")),
    ):
        one = byway.fit(net, byway.rule("bp"), task, growth=growth, epochs=1, looks=0, batch=300)
        assert not any(f"{m.name}/{WHOLE}" in one.history for m in GROWING)
        assert not {*GROWING} & {*one.metrics}


def test_units_that_learn_nothing_hold_no_synapses():
    """A policy of one's own that stops a projection."""
    net = _net()

    class Still(byway.Growth):
        claims = frozenset({"weights"})
        every: int = 1
        until: float = 1.0

        def accepts(self, net):
            pass

        def taught(self, memory, update):
            quiet = {"weight": jnp.zeros_like(update.net["input-region1"]["weight"])}
            return byway.Update(update.net | {"input-region1": quiet})

        def grow(self, memory, net, key, done):
            return memory, net, {}

    found = wired(net, (Still(),), ((),))
    assert len(found["input-region1"]) == 0
    assert sum(map(len, found.values())) == 40 * 6 - 20 * 6
