"""What holds for every rule found in the folder, on every kind of network it accepts."""

import dataclasses
import importlib
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import byway
from byway.core.errors import RuleError
from byway.core.signal import CrossEntropy, Signal
from byway.core.task import Split
from byway.network.builders import convnet, graph, mlp
from byway.rules import RULES
from byway.training.loop import Loop
from byway.training.step import Optimisers, learn, new_learner

OPTIMISERS = Optimisers(optax.sgd(0.1, momentum=0.9), optax.sgd(0.01))
CLASSES, BATCH = 3, 4
INPUTS = {"mlp": (6,), "convnet": (6, 6, 1)}

every_rule = pytest.mark.parametrize("name", RULES.ids())
every_network = pytest.mark.parametrize("kind", INPUTS)


def _net(rule, kind):
    options = dict(rule.network_options)
    return mlp(6, 5, 4, CLASSES, **options) if kind == "mlp" else convnet(INPUTS[kind], (2,), CLASSES, hidden=(4,), **options)


def _batches(kind, count=3):
    draw = np.random.default_rng(0)
    x = draw.uniform(size=(count, BATCH, *INPUTS[kind]))
    return jnp.asarray(x), jnp.asarray(np.eye(CLASSES)[draw.integers(0, CLASSES, (count, BATCH))])


def _starter(rule, net, kind):
    x, target = (a[0] for a in _batches(kind))
    return jax.jit(lambda key: new_learner(rule, net, OPTIMISERS, x, Signal(target, CrossEntropy()), key))


def _step(rule):
    def step(learner, batch):
        x, target = batch
        learner, record = learn(rule, OPTIMISERS, learner, x, Signal(target, CrossEntropy()))
        return learner, record.output

    return step


def _bits(tree):
    return [np.asarray(jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a) for a in jax.tree.leaves(tree)]


def _close(a, b, rtol=1e-10, atol=1e-12):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(_bits(a), _bits(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def _same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(_bits(a), _bits(b), strict=True):
        np.testing.assert_array_equal(x, y)


@every_network
@every_rule
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_have_the_shape_and_type_of_what_they_change(name, kind, dtype):
    rule = byway.rule(name)
    net = jax.tree.map(lambda a: a.astype(dtype), _net(rule, kind))
    x, target = (a[0].astype(dtype) for a in _batches(kind))
    signal, key = Signal(target, CrossEntropy()), jax.random.key(0)

    def run():
        gamma = rule.init(net, key)
        state, memory = rule.start(gamma, net, BATCH)
        after, record = rule.f(gamma, net, state, x, signal, key)
        _, predicting = rule.f(gamma, net, state, x, None, key)
        learnt, update = rule.g(gamma, net, memory, record, signal)
        return gamma, state, after, memory, learnt, update, (record.output, predicting.output)

    gamma, state, after, memory, learnt, update, outputs = jax.eval_shape(run)
    like = lambda tree: jax.tree.map(lambda a: (a.shape, a.dtype), tree)  # noqa: E731
    assert update.net.keys() <= net.theta.keys()
    assert like(update.net) == {k: v for k, v in like(net.theta).items() if k in update.net}
    assert update.gamma is None or like(update.gamma) == like(gamma)
    assert (like(after), like(learnt)) == (like(state), like(memory))
    assert [(o.shape, o.dtype) for o in outputs] == [((BATCH, CLASSES), jnp.dtype(dtype))] * 2
    assert all(a.dtype == dtype for a in jax.tree.leaves((gamma, memory)))


@every_network
@every_rule
def test_a_scan_a_loop_and_a_vmap_over_seeds_learn_the_same(name, kind):
    rule = byway.rule(name)
    start, step, batches = _starter(rule, _net(rule, kind), kind), _step(rule), _batches(kind)
    compiled = jax.jit(step)

    def looped(key):
        learner = start(key)
        for x, target in zip(*batches, strict=True):
            learner, _ = compiled(learner, (x, target))
        return learner

    keys = [jax.random.key(s) for s in range(2)]
    one_by_one = [looped(key) for key in keys]
    scanned, _ = jax.jit(lambda learner: jax.lax.scan(step, learner, batches))(start(keys[0]))
    _close(scanned, one_by_one[0])
    starts = [start(key) for key in keys]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *starts)
    abreast, _ = jax.jit(jax.vmap(lambda learner: jax.lax.scan(step, learner, batches)))(stacked)
    for i, alone in enumerate(one_by_one):
        _close(jax.tree.map(lambda a, i=i: a[i], abreast), alone)
    _same_bits(looped(keys[0]), one_by_one[0])
    assert any(not np.array_equal(a, b) for a, b in zip(*(_bits(one.net.theta) for one in one_by_one), strict=True))


@every_rule
def test_compiled_or_not_a_step_is_the_same(name):
    rule = byway.rule(name)
    learner = _starter(rule, _net(rule, "mlp"), "mlp")(jax.random.key(0))
    x, target = (a[0] for a in _batches("mlp"))
    _close(_step(rule)(learner, (x, target)), jax.jit(_step(rule))(learner, (x, target)))


@every_rule
def test_a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits(name):
    """Tracing f is what comes before compiling: once everything ran, it must not be traced again."""
    task, cls, traced = byway.task("digits"), RULES.get(name), []

    def f(self, *args):
        traced.append(1)
        return cls.f(self, *args)

    rule = type(cls.__name__, (cls,), {"f": f})()
    net = mlp((8, 8, 1), 4, 10, **rule.network_options)
    splits = {k: Split(s.x[:40], s.y[:40]) for k, s in task.load().items()}

    def run(loop):
        scores, _ = loop.epoch()
        return scores, loop.score("validation"), loop.angles()

    first, again = (Loop(rule, net, task, splits, OPTIMISERS, 16, [3], 10) for _ in range(2))
    run(first)
    before = len(traced)
    second = run(first)
    assert len(traced) == before > 0
    run(again)
    _same_bits(run(again), second)
    _same_bits(again.real_learners(), first.real_learners())


@every_rule
def test_learning_changes_the_weights_and_counts_its_steps(name):
    rule = byway.rule(name)
    start = _starter(rule, _net(rule, "mlp"), "mlp")(jax.random.key(0))
    end, _ = jax.jit(lambda learner: jax.lax.scan(_step(rule), learner, _batches("mlp")))(start)
    assert (int(end.step), int(end.failed)) == (3, -1)
    assert not np.array_equal(end.net.theta["hidden2-output"]["weight"], start.net.theta["hidden2-output"]["weight"])


@every_rule
def test_a_cycle_is_refused_by_the_rules_name(name):
    rule = byway.rule(name)
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    looped = graph({"input": 6, "a": 3, "b": 3, "output": 3}, edges, **rule.network_options)
    with pytest.raises(RuleError, match=f"{name} was given a network with a cycle"):
        rule.accepts(looped)
    for kind in INPUTS:
        rule.accepts(_net(rule, kind))


@every_rule
def test_class_id_and_file_have_one_name(name):
    cls = RULES.get(name)
    assert cls.__module__ == f"byway.rules.{name}"
    assert cls().id == name
    assert re.sub("[^a-z0-9]", "", cls.__name__.lower()) == name.replace("_", "")
    assert eqx.Module in cls.__mro__


def _sections(doc):
    """The labelled lines of a module docstring, continued lines joined."""
    found, label = {}, None
    for line in doc.splitlines():
        if start := re.match(r"(?:    )?(f:|g:|Shapes|Units|Claims|Limits|Source)\s+(.*)", line):
            label = start[1]
            found[label] = start[2]
        elif label and line.startswith("  "):
            found[label] += " " + line.strip()
    return found


@every_rule
def test_docstring_states_all_and_its_claims_are_the_claims(name):
    doc = importlib.import_module(f"byway.rules.{name}").__doc__
    sections = _sections(doc)
    assert sections.keys() == {"f:", "g:", "Shapes", "Units", "Claims", "Limits", "Source"}
    assert all(sections.values())
    claims = RULES.get(name).claims
    said = dict(part.strip().split(" ", 1) for part in sections["Claims"].split("|"))
    wanted = {k: str(getattr(claims, k)) for k in ("transport", "locking", "derivative", "phases", "memory")}
    assert {k: v for k, v in said.items() if k != "signal"} == wanted
    assert set(re.findall(r"target|error|loss", said["signal"])) == set(claims.signal)
    assert f"({name.upper()})" in doc.splitlines()[0]


@every_rule
def test_hyper_parameters_explain_themselves_and_keep_their_range(name):
    for field in dataclasses.fields(byway.rule(name)):
        assert len(field.metadata["doc"]) > 10
        assert field.metadata["low"] is None or field.default >= field.metadata["low"]
        assert field.metadata["high"] is None or field.default <= field.metadata["high"]
        for bound, beyond in (("low", -1), ("high", 1)):
            if field.metadata[bound] is not None:
                with pytest.raises(byway.BywayError, match=field.name):
                    byway.rule(name, **{field.name: field.metadata[bound] + beyond})
