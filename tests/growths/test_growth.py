"""Growth: sparse evolutionary training and continual backprop, against what their papers say;
moments, the clock, resumption.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from tests.part import some

import by_hand
import byway
from byway.core.errors import RuleError, UnknownNameError
from byway.core.hyper import hypers
from byway.core.signal import Signal, SquaredError
from byway.core.task import Split
from byway.growths import GROWTHS
from byway.learning.growth import Growth, policies
from byway.network.builders import mlp
from byway.rules.backprop.bp import BP
from byway.training.loop import Loop
from byway.training.optimisers import OPTIMISERS
from byway.training.step import Optimisers, grown, learn, new_learner
from byway.verify.case import with_calls_of_f

SPARSE = {"fan_in": 5}


def _net(**options):
    return by_hand.with_biases(mlp(9, 7, 6, 3, key=2, **options))


def _learner(net, growth, optimiser, rule=None):
    x, target = by_hand.sample(9, 3)
    optimisers, signal, rule = (
        Optimisers(optimiser, optimiser),
        Signal(target, SquaredError()),
        rule or BP(),
    )
    learner = new_learner(rule, net, optimisers, x, signal, jax.random.key(0), (growth,))
    return eqx.tree_at(lambda one: one.net, learner, net), optimisers, x, signal


# Sparse evolutionary training


def test_set_drops_the_weakest_of_each_unit_and_reads_as_many_others():
    net, growth = _net(**SPARSE), byway.growth("set", share=0.4)
    _, after, fresh = growth.grow((), net, jax.random.key(1), 0.5)
    for p, q in zip(net.projections, after.projections, strict=True):
        if p.name == "hidden2-output":
            assert p.name not in fresh
            np.testing.assert_array_equal(p.weight, q.weight)
            continue
        for row in range(len(p.weight)):
            w, before, index = (np.asarray(a)[row] for a in (p.weight, p.index, q.index))
            new = np.asarray(fresh[p.name]["weight"])[row]
            assert set(np.flatnonzero(new)) == set(np.argsort(np.abs(w))[:2]), (
                "round(0.4 * 5) = 2, the smallest"
            )
            np.testing.assert_array_equal(np.asarray(q.weight)[row][~new], w[~new])
            np.testing.assert_array_equal(index[~new], before[~new])
            assert not set(index[new]) & set(before), "others than it read"
            assert len(set(index)) == 5, "the number of synapses stays the same"
        np.testing.assert_array_equal(p.bias, q.bias)


def test_set_draws_every_other_unit_alike():
    net, growth = _net(fan_in=3), byway.growth("set", share=1 / 3)
    draw = jax.jit(jax.vmap(lambda key: growth.grow((), net, key, 0.5)[1].projections[0]))
    made = draw(jax.random.split(jax.random.key(0), 2000))
    weakest = np.argmin(np.abs(np.asarray(net.projections[0].weight)), 1)
    for row in range(7):
        counts = np.bincount(np.asarray(made.index)[:, row, weakest[row]], minlength=9)
        free = np.setdiff1d(np.arange(9), np.asarray(net.projections[0].index)[row])
        assert counts.sum() == counts[free].sum() == 2000
        assert stats.chisquare(counts[free]).pvalue > 1e-4
    assert not np.any(np.asarray(made.weight)[:, np.arange(7), weakest]), "their weights begin at 0"


def test_a_share_of_zero_changes_nothing_and_is_refused():
    growth = byway.growth("set", share=0.0)
    with pytest.raises(RuleError, match="no unit could read others"):
        growth.accepts(_net(**SPARSE))
    _, after, fresh = growth.grow((), _net(**SPARSE), jax.random.key(0), 0.5)
    assert fresh == {} and eqx.tree_equal(after, _net(**SPARSE))


@pytest.mark.parametrize("name", ["adam", "momentum", "rmsprop", "adam_each"])
def test_of_a_weight_that_began_anew_no_moment_is_left_and_of_others_all(name):
    net, growth = _net(**SPARSE), byway.growth("set", share=0.4)
    learner, optimisers, x, signal = _learner(net, growth, OPTIMISERS[name](0.1))
    learner, _ = learn(BP(), optimisers, learner, x, signal, growth=(growth,))
    after = grown((growth,), 0, optimisers, learner, jnp.float32(0.5))
    changed = np.asarray(learner.net.projections[0].index) != np.asarray(
        after.net.projections[0].index
    )
    assert 0 < changed.sum() < changed.size
    before = [a for a in jax.tree.leaves(learner.moments) if a.shape == changed.shape]
    left = [a for a in jax.tree.leaves(after.moments) if a.shape == changed.shape]
    assert len(left) >= 1
    for old, new in zip(before, left, strict=True):
        assert not np.any(np.asarray(new)[changed])
        np.testing.assert_array_equal(np.asarray(new)[~changed], np.asarray(old)[~changed])
        assert np.any(np.asarray(old)[changed]), "there was something to forget"


def test_adam_each_is_adam_until_a_weight_begins_anew():
    """Against optax, step by step; a weight reset after five steps goes on as a new one does,
    beside the others.
    """
    draw = np.random.default_rng(0)
    gradients, params = jnp.asarray(draw.normal(size=(8, 4))), jnp.zeros(4)
    mine, theirs = OPTIMISERS["adam_each"](0.1), optax.adam(0.1)
    a, b, fresh = mine.init(params), theirs.init(params), theirs.init(params)
    for i, g in enumerate(gradients):
        if i == 5:
            a = jax.tree.map(lambda m: m.at[1].set(0.0), a)
        step, a = mine.update(g, a)
        with jax.numpy_dtype_promotion("standard"):
            expected, b = theirs.update(g, b)
            if i >= 5:
                began, fresh = theirs.update(g, fresh)
                expected = expected.at[1].set(began[1])
        np.testing.assert_allclose(step, expected, rtol=1e-7, atol=1e-12)  # optax counts in float32


class Memory(BP):
    """Keeps a trace of each weight."""

    def start(self, gamma, net, batch):
        return net.rest(batch), {
            name: {part: jnp.ones_like(a) for part, a in w.items()} for name, w in net.theta.items()
        }


def test_what_a_rule_remembers_of_each_synapse_is_forgotten_with_it():
    net, growth = _net(**SPARSE), byway.growth("set", share=0.4)
    learner, optimisers, _, _ = _learner(net, growth, optax.sgd(0.1), Memory())
    after = grown((growth,), 0, optimisers, learner, jnp.float32(0.5))
    changed = np.asarray(net.projections[0].index) != np.asarray(after.net.projections[0].index)
    np.testing.assert_array_equal(np.asarray(after.memory["input-hidden1"]["weight"]), ~changed)
    assert np.all(np.asarray(after.memory["hidden2-output"]["weight"]) == 1)


def _loop(growth, seeds=(3, 4), rule=None, net=None, share=40, **options):
    task = byway.task("digits")
    splits = {name: Split(s.x[:share], s.y[:share]) for name, s in task.load().items()}
    net = mlp(task.input_shape, 12, task.outputs, fan_in=6) if net is None else net
    optimisers = Optimisers(OPTIMISERS["adam"](0.01), OPTIMISERS["adam"](0.01))
    return Loop(
        rule or BP(),
        net,
        task,
        splits,
        optimisers,
        4,
        list(seeds),
        10,
        growth=policies(growth),
        **options,
    )


def test_a_hundred_rewirings_compile_once():
    rule, traced = with_calls_of_f(BP())
    loop = _loop(byway.growth("set", every=1), rule=rule)
    loop.train()
    before, tables = (
        len(traced),
        [np.asarray(loop.learners.net.structure["input-hidden1"]["index"])],
    )
    for _ in range(11):  # ten updates an epoch
        loop.train()
        tables.append(np.asarray(loop.learners.net.structure["input-hidden1"]["index"]))
    assert len(traced) == before > 0
    assert len({table.tobytes() for table in tables}) == 12
    assert all(len(set(row)) == 6 for table in tables for seed in table for row in seed)


def test_the_clock_counts_updates_across_epochs_and_stretches():
    """Every seven updates, of ten an epoch: the wiring changes after 7, 14, 21 and 28, however
    epochs are cut.
    """
    whole, cut = _loop(byway.growth("set", every=7)), _loop(byway.growth("set", every=7))
    index = lambda loop: np.asarray(loop.learners.net.structure["input-hidden1"]["index"])
    changes, last = [], index(cut)
    for epoch in range(3):
        whole.train()
        for i in range(10):
            cut.train(i, i + 1)
            if not np.array_equal(index(cut), last):
                changes.append(10 * epoch + i + 1)
            last = index(cut)
    assert changes == [7, 14, 21, 28]
    for a, b in zip(
        jax.tree.leaves(whole.learners.net), jax.tree.leaves(cut.learners.net), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_growth_rests_in_the_last_part_of_a_run():
    loop, changes = _loop(byway.growth("set", every=7), rests=[14]), []
    last = np.asarray(loop.learners.net.structure["input-hidden1"]["index"])
    for epoch in range(3):
        for i in range(10):
            loop.train(i, i + 1)
            now = np.asarray(loop.learners.net.structure["input-hidden1"]["index"])
            changes += [10 * epoch + i + 1] * (not np.array_equal(now, last))
            last = now
    assert changes == [7, 14]


@pytest.mark.parametrize("until", [0.0, 1.0])
def test_how_long_it_grows_is_a_share_of_the_run(until):
    task, tables = byway.task("digits"), []
    net = mlp(task.input_shape, 12, task.outputs, fan_in=6)
    for growth in (byway.growth("set", every=1, until=until), None):
        result = byway.fit(
            net,
            Still(),
            task,
            epochs=1,
            batch=16,
            data=_few(task),
            looks=0,
            progress=False,
            growth=growth,
        )
        tables.append(np.asarray(result.learners.net.structure["input-hidden1"]["index"]))
    assert np.array_equal(*tables) == (until == 0)


def _few(task, share=48):
    return {name: Split(s.x[:share], s.y[:share]) for name, s in task.load().items()}


@pytest.mark.parametrize(
    "name",
    some(["set", "deep_r", "rigl", "structural_plasticity", "migration", "spatial_cost"], 1),
)
def test_a_growing_run_that_was_stopped_is_the_same_bits(name, tmp_path):
    """Stopped after the first of three epochs, in mid-clock."""
    task, growth = byway.task("digits"), byway.growth(name, every=5)
    net = byway.grownet(task.input_shape, 12, task.outputs, regions=2, fan_in=6, spare=2)
    options = {
        "batch": 4,
        "seeds": 2,
        "data": _few(task),
        "looks": 0,
        "progress": False,
        "growth": growth,
        "epochs": 3,
    }
    straight = byway.fit(net, BP(), task, **options)

    def stop(row):
        if row.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        byway.fit(
            net, BP(), task, **options, checkpoint=tmp_path / "c", save_every=0.0, on_epoch=stop
        )
    resumed = byway.fit(net, BP(), task, **options, checkpoint=tmp_path / "c", save_every=0.0)
    for a, b in zip(
        jax.tree.leaves(straight.learners.net), jax.tree.leaves(resumed.learners.net), strict=True
    ):
        np.testing.assert_array_equal(a, b)


# Continual backprop


def _cbp_by_hand(steps, rate, maturity, decay, transfer, posts, weights_out):
    """Dohare et al., eq. 1 and the accumulator, for one layer whose weights stand still between
    replacements: which unit, and when.
    """
    n = posts.shape[-1]
    u, mean, age, due, events = np.zeros(n), np.zeros(n), np.zeros(n), 0.0, []
    out = weights_out.copy()
    for t in range(steps):
        u = decay * u + (1 - decay) * np.abs(posts[t]).mean(0) * np.abs(out).sum(1)
        mean = decay * mean + (1 - decay) * posts[t].mean(0)
        age += 1
        mature = age > maturity
        due += rate * mature.sum()
        if due >= 1 and mature.any():
            corrected = np.where(mature, u / (1 - decay**age), np.inf)
            unit = int(np.argmin(corrected))
            events.append((t, unit, mean[unit] / (1 - decay ** age[unit]), out[unit].copy()))
            u[unit] = mean[unit] = age[unit] = 0
            out[unit] = 0
            due -= 1
    return events


class Still(BP):
    """Learns nothing, so that utility is all that moves."""

    def g(self, gamma, net, memory, record, signal):
        return memory, jax.tree.map(
            jnp.zeros_like, super().g(gamma, net, memory, record, signal)[1]
        )


@pytest.mark.parametrize("transfer", [False, True])
def test_units_of_least_utility_begin_anew_when_they_are_due(transfer):
    net = by_hand.with_biases(mlp(9, 7, 3, key=2))
    growth = byway.growth("continual_backprop", rate=0.05, maturity=4, decay=0.9, transfer=transfer)
    learner, optimisers, x, signal = _learner(net, growth, optax.sgd(0.1), Still())
    posts, bias = [], np.asarray(net.theta["hidden1-output"]["bias"])
    events, first = [], None
    for t in range(25):
        posts.append(np.asarray(learner.net.forward(x).post["hidden1"]))
        before = learner.net
        learner, _ = learn(Still(), optimisers, learner, x, signal, growth=(growth,))
        learner = grown((growth,), 0, optimisers, learner, jnp.float32(0.5))
        learner = eqx.tree_at(lambda one: one.step, learner, jnp.int32(t + 1))
        changed = np.flatnonzero(
            np.any(
                np.asarray(
                    before.theta["input-hidden1"]["weight"]
                    != learner.net.theta["input-hidden1"]["weight"]
                ),
                0,
            )
        )
        events += [(t, int(unit)) for unit in changed]
        if first is None and len(changed):
            first = t
            theta, unit = learner.net.theta, changed[0]
            assert (
                not np.any(theta["hidden1-output"]["weight"][unit])
                and theta["input-hidden1"]["bias"][unit] == 0
            )
            moved = np.asarray(theta["hidden1-output"]["bias"]) - bias
    expected = _cbp_by_hand(
        25,
        0.05,
        4,
        0.9,
        transfer,
        np.stack(posts),
        np.asarray(net.theta["hidden1-output"]["weight"]),
    )
    assert len(events) > 3 and events == [(t, unit) for t, unit, *_ in expected]
    _, _, mean, out = expected[0]
    np.testing.assert_allclose(
        moved, mean * out if transfer else np.zeros(3), rtol=1e-12, atol=1e-15
    )


def test_a_rate_of_zero_is_the_same_bits_as_no_growth():
    never, none = (
        _loop(byway.growth("continual_backprop", rate=0.0), net=mlp((8, 8, 1), 12, 10)),
        _loop(None, net=mlp((8, 8, 1), 12, 10)),
    )
    for loop in (never, none):
        loop.train()
    for a, b in zip(
        jax.tree.leaves(never.learners.net), jax.tree.leaves(none.learners.net), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_as_many_units_begin_anew_as_the_rate_says():
    """rate * mature units * updates, up to the fraction that is still due."""
    growth = byway.growth("continual_backprop", rate=0.01, maturity=0)
    loop = _loop(growth, net=mlp((8, 8, 1), 12, 10))
    for _ in range(5):
        loop.train()
    due = np.asarray(loop.learners.seen[0]["due"]["hidden1"])
    # 50 updates with 12 mature units each, but for one update after each replacement... none: a
    # unit is mature at age 1.
    replaced = 50 * 12 * 0.01 - due
    np.testing.assert_allclose(replaced, np.round(replaced), atol=1e-9)
    assert np.all(np.round(replaced) == 5) or np.all(np.round(replaced) == 6)


# All of them


@pytest.mark.parametrize("name", GROWTHS.ids())
def test_a_policy_explains_itself_and_refuses_what_cannot_grow(name):
    growth = byway.growth(name)
    assert isinstance(growth, Growth) and growth.id == name
    assert all(len(field.metadata["doc"]) > 10 for field in hypers(type(growth)))
    with pytest.raises(RuleError, match=f"{name} was given a network"):
        growth.accepts(byway.convnet((6, 6, 1), (2,), 3))


def test_an_unknown_policy_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'set'"):
        byway.growth("sett")


@pytest.mark.parametrize("rule", some(["fa", "dfa", "node_perturbation", "pc"], 2))
def test_any_rule_trains_a_network_that_grows(rule):
    task = byway.task("digits")
    net = mlp(task.input_shape, 12, task.outputs, fan_in=6)
    result = byway.fit(
        net,
        byway.rule(rule),
        task,
        epochs=1,
        batch=8,
        data=_few(task),
        looks=0,
        progress=False,
        growth=byway.growth("set", every=2),
    )
    assert result.failures == {} and np.all(np.isfinite(result.learners.net.projections[0].weight))


def test_set_fills_no_free_slot_and_draws_what_is_near():
    """The number of synapses stays the same; in space new ones are as near as drawn ones."""
    net = byway.grownet(64, 120, 4, regions=2, fan_in=10, spare=6, reach=40.0, cycles=True)
    growth, before = byway.growth("set", share=0.5), byway.wiring(net)
    key = jax.random.key(0)
    for i in range(6):
        _, net, _ = growth.grow((), net, jax.random.fold_in(key, i), 0.5)
    after = byway.wiring(net)
    assert after.synapses == before.synapses
    assert after.length.mean() == pytest.approx(before.length.mean(), rel=0.05)
    assert set(zip(after.source, after.target, strict=True)) != set(
        zip(before.source, before.target, strict=True)
    )
