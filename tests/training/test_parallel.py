"""Layers on devices of their own learn what one device learns; who would wait is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.part import some

import byway
from byway.audit.program import trace
from byway.cli.main import main
from byway.core.errors import ConfigError, RuleError, RunError, UnknownNameError
from byway.experiment.experiment import Experiment
from byway.training.programs import in_precision
from byway.training.stages import Waits, carried_out
from byway.training.step import Optimisers, learn, new_learner

OPTIONS = {
    "adam_each": {"optimiser": "adam_each", "schedule": "cosine", "warmup": 3, "decay": 0.1},
    "momentum": {"optimiser": "momentum", "seeds": 1},
    "optax": {"optimiser": optax.adamw(1e-2), "seeds": 1},
    "best": {"best": True, "patience": 1, "epochs": 3},
}
UNLOCKED = (
    *("predsim", "mono_forward", "symba", "scff", "distance_forward", "soft_hebb", "cafo"),
    "activity_forward_gradient",
)
LOCKED = ("bp", "dfa", "fa", "ff", "dni", "block_local", "dtp", "node_perturbation")
SMALL = {"epochs": 2, "batch": 5, "seeds": 2, "looks": 3, "probe": 4, "progress": False}

several = pytest.mark.skipif(jax.local_device_count() < 2, reason="needs two devices, or cores")


def _pair(blobs, name, *hidden, **options):
    """The same training on one device, and with the layers shared."""
    rule = byway.rule(name)
    net, task = blobs.beside(rule, *(hidden or (6, 5, 4)))
    return [
        byway.fit(net, rule, task, **SMALL | options, parallel=parallel)
        for parallel in (None, "layers")
    ]


def _numbers(tree):
    key = lambda a: jnp.issubdtype(a.dtype, jax.dtypes.prng_key)
    return [np.asarray(jax.random.key_data(a) if key(a) else a) for a in jax.tree.leaves(tree)]


def _assert_same(one, other):
    for a, b in zip(_numbers(one.learners), _numbers(other.learners), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
    assert one.history.keys() == other.history.keys()
    for name, curve in one.history.items():
        if name.startswith("sign_agreement/"):  # of what is zero up to rounding it is anything
            continue
        np.testing.assert_allclose(curve.values, other.history[name].values, rtol=1e-9, atol=1e-9)
    for name, values in one.test.items():
        np.testing.assert_allclose(values, other.test[name], rtol=1e-11)
    assert one.failures == other.failures


@several
@pytest.mark.parametrize("name", some(UNLOCKED, 1))
def test_layers_that_are_shared_learn_what_they_learn_on_one_device(blobs, name):
    one, shared = _pair(blobs, name)
    _assert_same(one, shared)
    assert not one.stages and len(shared.stages) == 2


@pytest.mark.slow
@several
def test_forward_forward_is_shared_where_wrong_labels_do_not_wait_for_the_head(blobs):
    rule = byway.rule("ff", hard=False)
    net = byway.mlp(4, 6, 5, 4, 3, **rule.network_options)
    fitted = [byway.fit(net, rule, blobs, **SMALL, parallel=how) for how in (None, "layers")]
    _assert_same(*fitted)


@pytest.mark.slow
@several
def test_blocks_are_shared_where_messages_stay_as_drawn(blobs):
    """The layers of a block are a stage; each draws the noise that one device draws."""
    rule = byway.rule("block_local", fixed=True)
    net = byway.mlp(4, 6, 5, 4, 7, 3)
    one, shared = (byway.fit(net, rule, blobs, **SMALL, parallel=how) for how in (None, "layers"))
    _assert_same(one, shared)
    assert [len(stage) for stage in shared.stages] in ([2, 3], [4, 1])


@several
@pytest.mark.parametrize("case", some(list(OPTIONS), 1))
@pytest.mark.slow
def test_moments_and_options_go_with_their_layers(blobs, case):
    _assert_same(*_pair(blobs, "symba", **OPTIONS[case]))


@several
@pytest.mark.parametrize("calls", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_however_many_updates_a_call_makes_the_result_is_one(blobs, monkeypatch, calls):
    monkeypatch.setattr("byway.training.pipeline.CALLS", calls)
    monkeypatch.setattr("byway.training.course.STRETCH", 1e9)  # all the rest of an epoch
    one, shared = _pair(blobs, "predsim", batch=3, looks=0, probe=None)
    _assert_same(one, shared)


@pytest.mark.slow
@several
def test_each_stage_trains_its_own_projections(blobs):
    shared = _pair(blobs, "mono_forward", 20, 20, 20)[1]
    names = [name for stage in shared.stages for name in stage]
    assert names == ["input-hidden1", "hidden1-hidden2", "hidden2-hidden3", "hidden3-output"]
    assert "in 2 stages" in str(shared)


@several
@pytest.mark.slow
def test_a_failure_is_of_the_same_update(blobs):
    one, shared = _pair(blobs, "mono_forward", optimiser=optax.sgd(1e200))
    assert one.failures and one.failures == shared.failures


@several
@pytest.mark.slow
def test_what_was_stopped_ends_as_if_it_never_had_been(blobs, tmp_path):
    rule = byway.rule("predsim")
    net, task = blobs.beside(rule, 6, 5)

    def stop(reading):
        if reading.epoch == 1 and not stopped:
            stopped.append(reading)
            raise ValueError

    stopped = []
    fitted = lambda **options: byway.fit(net, rule, task, **SMALL, parallel="layers", **options)
    whole = fitted()
    with pytest.raises(ValueError):
        fitted(checkpoint=tmp_path, on_epoch=stop)
    resumed = fitted(checkpoint=tmp_path)
    for a, b in zip(_numbers(whole.learners), _numbers(resumed.learners), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(RunError, match="parallel"):
        byway.fit(net, rule, task, **SMALL, checkpoint=tmp_path)


@pytest.mark.slow
@several
def test_data_on_disk_teach_the_same(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    y = np.arange(60) % 3
    rule, results = byway.rule("mono_forward"), []
    for held, parallel in ((x, None), (np.load(tmp_path / "x.npy", mmap_mode="r"), "layers")):
        task = byway.Data(x=held, y=y)
        net = byway.mlp(task.input_shape, 6, 5, task.outputs)
        results.append(byway.fit(net, rule, task, **SMALL, parallel=parallel))
    _assert_same(*results)


def _traced(blobs, name, *hidden):
    """An update of a rule, its learner, and what waits for what."""
    rule = byway.rule(name)
    net, task = blobs.beside(rule, *hidden)
    data = task.load()["train"]
    adam = Optimisers(optax.adam(1e-2), optax.adam(1e-2))
    x, signal = in_precision(task.batch(data, jnp.arange(6), jax.random.key(0)), net.dtype)
    learner = new_learner(rule, net, adam, x, signal, jax.random.key(1))
    flat, shape = jax.tree.flatten((learner, x, signal))

    def update(*flat):
        return jax.tree.leaves(learn(rule, adam, *jax.tree.unflatten(shape, flat), task.score))

    return update, flat, learner, Waits(trace(update, flat), 0, learner)


@pytest.mark.parametrize("name", some(["predsim", "cafo"], 1))
def test_stages_one_after_another_are_the_update_wherever_it_is_cut(blobs, name):
    """Without devices: whatever the number of stages, together they are the whole, and no stage
    needs anything from a later one.
    """
    update, flat, _, waits = _traced(blobs, name, 6, 5, 4)
    whole = _numbers(jax.jit(update)(*flat))

    def in_stages(stages, *flat):
        known = dict(zip(waits.program.ins, flat, strict=True))
        outs = dict(known)
        for stage in stages:
            made = [*(waits.outs[i] for i in stage.leaves), *stage.hands]
            made += [waits.scores[k] for k in stage.scores]
            outs |= zip(made, carried_out(waits.program, stage.equations, known, made), strict=True)
            known |= {slot: outs[slot] for slot in stage.hands}
        return [outs[slot] for slot in waits.program.outs]

    for count in range(1, len(waits.groups) + 1):
        stages = waits.stages(count)
        assert len(stages) == count
        assert all(before < s for s, stage in enumerate(stages) for before in stage.takes)
        assert sum(stage.work for stage in stages) == pytest.approx(1)
        found = _numbers(jax.jit(functools.partial(in_stages, stages))(*flat))
        for a, b in zip(whole, found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_stage_computes_none_of_the_products_of_another(blobs):
    """Three products a layer, by hand: forwards, the head, their updates; each in one stage."""
    waits = _traced(blobs, "mono_forward", 6, 5, 4)[-1]
    products = lambda some: [e for e in some if e.name == "dot_general"]
    stages = waits.stages(4)
    each = [products(stage.equations) for stage in stages]
    assert sum(map(len, each)) == len({id(e) for some in each for e in some})
    assert all(each)


def test_layers_are_groups_and_backprop_is_one(blobs):
    layers = lambda waits: [
        [name for name in dict.fromkeys(waits.names[i] for i in group) if name in names]
        for group in waits.groups
    ]
    names = ["input-hidden1", "hidden1-hidden2", "hidden2-output"]
    assert layers(_traced(blobs, "predsim", 6, 5)[-1]) == [[name] for name in names]
    assert layers(_traced(blobs, "bp", 6, 5)[-1]) == [names]


@several
@pytest.mark.parametrize("name", some(LOCKED, 2))
def test_rules_that_wait_are_refused(blobs, name):
    with pytest.raises(RuleError, match=f"for {name}: .*input-hidden1.* waits for the weights of"):
        _pair(blobs, name, epochs=1)


@several
def test_what_a_locked_update_waits_for_is_named(blobs):
    for name, said in (
        ("bp", "the update of input-hidden1 waits for the weights of hidden3-output"),
        ("dni", "gamma hidden1 .*, which input-hidden1 learns by, waits for .* hidden1-hidden2"),
    ):
        with pytest.raises(RuleError, match=said):
            _pair(blobs, name, epochs=1)


@several
@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"parallel": "batch"}, UnknownNameError, "parallel"),
        ({"clip": 1.0}, ConfigError, "beside clip"),
        ({"growth": byway.growth("continual_backprop")}, ConfigError, "beside growth"),
    ],
)
def test_what_cannot_go_together_is_refused(blobs, options, error, said):
    rule = byway.rule("predsim")
    net, task = blobs.beside(rule, 6, 5)
    with pytest.raises(error, match=said):
        byway.fit(net, rule, task, **SMALL | {"parallel": "layers"} | options)


@several
def test_nothing_to_share_is_refused(blobs):
    with pytest.raises(RuleError, match=r"hidden3-output has 100 % of the work"):
        _pair(blobs, "frozen")
    with pytest.raises(RuleError, match="sequences"):
        task = byway.task("delayed_xor", samples=24, gap=2, wait=1)
        byway.fit(byway.rnn(2, 4, 2), byway.rule("rtrl"), task, batch=4, parallel="layers")
    with pytest.raises(ConfigError, match="beside jobs"):
        byway.train("predsim", jobs=2, out="nowhere", parallel="layers")
    with pytest.raises(ConfigError, match="parallel"):
        byway.tune(["predsim"], parallel="layers")


@several
@pytest.mark.slow
def test_in_a_comparison_what_cannot_share_its_layers_is_on_one_device(blobs):
    """With the results that it has without, and the word why; where nothing can, it is refused."""
    rule = byway.rule("predsim")
    net, task = blobs.beside(rule, 6, 5)
    given = {"data": task.load(), **SMALL}
    run = byway.compare(["bp", "predsim"], net, task, parallel="layers", **given)
    assert run["predsim"].stages and not run["bp"].stages
    plain = byway.compare(["bp"], net, task, **given)
    np.testing.assert_array_equal(run["bp"].main, plain["bp"].main)
    rules = {name: byway.rule(name) for name in ("bp", "frozen")}
    with pytest.raises(RuleError, match="parallel"):
        byway.compare(rules, net, task, parallel="layers", **given)
    made = Experiment(
        rules | {"predsim": rule}, lambda *_: net, task, {"parallel": "layers", "batch": 5}
    )
    assert set(made.apart) == {"bp", "frozen"} and "waits for" in made.apart["bp"]


@pytest.mark.slow
@several
def test_what_shares_layers_is_not_resumed_in_jobs(tmp_path, capsys):
    out = tmp_path / "run"
    asked = ["--rule", "predsim", "--epochs", "1", "--looks", "0", "--parallel", "layers"]
    assert main(["train", *asked, "--net.hidden", "6", "5", "--out", str(out)]) == 0
    assert main(["resume", str(out), "--jobs", "2"]) == 2
    assert "beside jobs" in capsys.readouterr().err


@several
def test_devices_that_would_do_nothing_are_told_of(blobs, monkeypatch):
    monkeypatch.setattr(jax, "local_device_count", lambda: 5)
    with pytest.warns(byway.BywayWarning, match="of 5 devices 3 do nothing, as only 2 parts"):
        shared = _pair(blobs, "mono_forward", 6, epochs=1)[1]
    assert len(shared.stages) == 2


def test_one_device_is_refused(blobs, monkeypatch):
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    with pytest.raises(ConfigError, match="one device"):
        _pair(blobs, "predsim", epochs=1)
