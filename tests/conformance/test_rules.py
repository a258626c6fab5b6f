"""What holds for every rule found in the folder, on every kind of network it accepts."""

import dataclasses
import functools
import importlib
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import byway
from byway.audit.networks import KINDS, tiny
from byway.core.errors import RuleError
from byway.core.run import step_of
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.core.task import Split
from byway.network.builders import graph, mlp, rnn
from byway.rules import RULES
from byway.training.loop import Loop
from byway.training.step import Optimisers, learn, new_learner

OPTIMISERS = Optimisers(optax.sgd(0.1, momentum=0.9), optax.sgd(0.01))
BATCH, STEPS = 4, 3


def _accepts(name, kind):
    try:
        RULES.get(name)().accepts(eqx.filter_eval_shape(lambda: tiny(kind, RULES.get(name)())))
    except RuleError:
        return False
    return True


# What `accepts` takes decides what is tested; some tests only on an mlp and, for rules that see time, on an rnn.
PAIRS = [(name, kind) for name in RULES.ids() for kind in KINDS if _accepts(name, kind)]
FEW = [(name, kind) for name, kind in PAIRS if kind == "mlp" or (kind == "rnn" and RULES.get(name).sees != "sample")]

every_rule = pytest.mark.parametrize("name", RULES.ids())
every_pair = pytest.mark.parametrize(("name", "kind"), PAIRS, ids=map("-".join, PAIRS))
one_pair_each = pytest.mark.parametrize(("name", "kind"), FEW, ids=map("-".join, FEW))


@functools.cache
def _net(name, kind):
    return tiny(kind, RULES.get(name)())


def _in_time(rule, net):
    """Whether a batch is one of sequences: always where f sees them whole, and where steps are carried to the next."""
    return rule.sees == "sequence" or (rule.sees == "step" and net.cyclic)


def _batches(rule, net, count=3):
    """Inputs, targets and, in time, what each step counts."""
    draw, classes, time = np.random.default_rng(0), net[net.output].size, (STEPS,) if _in_time(rule, net) else ()
    x = draw.normal(size=(count, BATCH, *time, *net[net.input].shape))
    target = np.eye(classes)[draw.integers(0, classes, (count, BATCH, *time))]
    weight = draw.uniform(size=(count, BATCH, *time))
    return jnp.asarray(x), jnp.asarray(target), jnp.asarray(weight / weight.sum(2, keepdims=True)) if time else None


def _loss(net):
    """An output that projects onwards has a value of its own, not a probability."""
    return SquaredError() if net.outgoing(net.output) else CrossEntropy()


def _first(batches):
    return jax.tree.map(lambda a: a[0], batches)


def _score(output, signal):
    return {"loss": signal.loss(output), "size": jnp.sum(output**2, -1)}


def _starter(rule, net):
    x, target, weight = _first(_batches(rule, net))
    return jax.jit(lambda key: new_learner(rule, net, OPTIMISERS, x, Signal(target, _loss(net), weight), key))


def _step(rule):
    def step(learner, batch):
        x, target, weight = batch
        return learn(rule, OPTIMISERS, learner, x, Signal(target, _loss(learner.net), weight), _score)

    return step


@functools.cache
def _scanned(name, kind):
    """Three batches learned in one program: the start, the end and the scores."""
    rule, net = byway.rule(name), _net(name, kind)
    start = _starter(rule, net)(jax.random.key(0))
    return start, *jax.jit(lambda learner: jax.lax.scan(_step(rule), learner, _batches(rule, net)))(start)


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


@every_rule
def test_a_rule_accepts_some_network_and_refuses_others_by_its_name(name):
    accepted = {kind for rule, kind in PAIRS if rule == name}
    assert accepted
    for kind in KINDS.keys() - accepted:
        with pytest.raises(RuleError, match=f"^{name} was given "):
            byway.rule(name).accepts(_net(name, kind))


@every_pair
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_have_the_shape_and_type_of_what_they_change(name, kind, dtype):
    rule = byway.rule(name)
    net = jax.tree.map(lambda a: a.astype(dtype), _net(name, kind))
    x, target, weight = jax.tree.map(lambda a: a.astype(dtype), _first(_batches(rule, net)))
    signal, key = Signal(target, _loss(net), weight), jax.random.key(0)
    if weight is not None and rule.sees == "step":
        x, signal = step_of(x, 0), signal.at(0)

    def run():
        gamma = rule.init(net, key)
        state, memory = rule.start(gamma, net, BATCH)
        after, record = rule.f(gamma, net, state, x, signal, key)
        _, predicting = rule.f(gamma, net, state, x, None, key)
        learnt, update = rule.g(gamma, net, memory, record, signal)
        return gamma, state, after, memory, learnt, update, (record.output, predicting.output), record.measures

    gamma, state, after, memory, learnt, update, outputs, measures = jax.eval_shape(run)
    like = lambda tree: jax.tree.map(lambda a: (a.shape, a.dtype), tree)  # noqa: E731
    assert update.net.keys() <= net.theta.keys()
    assert like(update.net) == {k: v for k, v in like(net.theta).items() if k in update.net}
    assert update.gamma is None or like(update.gamma) == like(gamma)
    assert (like(after), like(learnt)) == (like(state), like(memory))
    assert like(outputs) == ((signal.target.shape, jnp.dtype(dtype)),) * 2
    assert all(a.shape == () for a in measures.values())
    assert all(a.dtype == dtype for a in jax.tree.leaves((gamma, state, memory)))


@every_pair
def test_a_scan_a_loop_and_a_vmap_over_seeds_learn_the_same(name, kind):
    rule, net = byway.rule(name), _net(name, kind)
    start, step, batches = _starter(rule, net), _step(rule), _batches(rule, net)
    compiled = jax.jit(step)

    def looped(key):
        learner = start(key)
        for i in range(3):
            learner, _ = compiled(learner, jax.tree.map(lambda a, i=i: a[i], batches))
        return learner

    keys = [jax.random.key(s) for s in range(2)]
    one_by_one = [looped(key) for key in keys]
    _close(_scanned(name, kind)[1], one_by_one[0])
    starts = [start(key) for key in keys]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *starts)
    abreast, _ = jax.jit(jax.vmap(lambda learner: jax.lax.scan(step, learner, batches)))(stacked)
    for i, alone in enumerate(one_by_one):
        _close(jax.tree.map(lambda a, i=i: a[i], abreast), alone)
    _same_bits(looped(keys[0]), one_by_one[0])
    assert any(not np.array_equal(a, b) for a, b in zip(*(_bits(one.net.theta) for one in one_by_one), strict=True))


@one_pair_each
def test_compiled_or_not_a_step_is_the_same(name, kind):
    rule, net = byway.rule(name), _net(name, kind)
    learner, batch = _starter(rule, net)(jax.random.key(0)), _first(_batches(rule, net))
    _close(_step(rule)(learner, batch), jax.jit(_step(rule))(learner, batch))


TRAINED = [(name, "digits") for name in RULES.ids() if RULES.get(name).sees != "sequence"]
TRAINED += [(name, "delayed_xor") for name in RULES.ids() if RULES.get(name).sees != "sample"]


@pytest.mark.parametrize(("name", "task"), TRAINED, ids=map("-".join, TRAINED))
def test_a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits(name, task):
    """Tracing f is what comes before compiling: once everything ran, it must not be traced again."""
    task, cls, traced = byway.task(task), RULES.get(name), []

    def f(self, *args):
        traced.append(1)
        return cls.f(self, *args)

    rule = type(cls.__name__, (cls,), {"f": f})()
    net = (rnn if task.in_time else mlp)(task.input_shape, 4, task.outputs, **rule.network_options)
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


@every_pair
def test_learning_changes_the_weights_and_counts_its_steps(name, kind):
    start, end, scores = _scanned(name, kind)
    assert (int(end.step), int(end.failed)) == (3, -1)
    assert {"loss", "size"} <= scores.keys()
    assert all(np.all(np.isfinite(v)) for v in scores.values())
    for p in start.net.incoming(start.net.output):
        assert not np.array_equal(end.net.theta[p.name]["weight"], start.net.theta[p.name]["weight"])


@pytest.mark.parametrize("name", [name for name in RULES.ids() if (name, "cyclic") not in PAIRS])
def test_a_cycle_is_refused_by_the_rules_name(name):
    rule = byway.rule(name)
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    looped = graph({"input": 6, "a": 3, "b": 3, "output": 3}, edges, **rule.network_options)
    with pytest.raises(RuleError, match=f"{name} was given a network with a cycle"):
        rule.accepts(looped)


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
    fields = {f.name: f.default for f in dataclasses.fields(claims) if f.name != "signal"}
    assert said.keys() - {"signal"} <= fields.keys()
    # What a claim is by default need not be said.
    assert {k: said.get(k, str(default)) for k, default in fields.items()} == {k: str(getattr(claims, k)) for k in fields}
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
