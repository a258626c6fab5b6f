"""Numbers are leaves: other hyper-parameters and learning rates need no other program, and mean
what they say.
"""

import dataclasses
import gc
import sys
import weakref
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.part import some

import byway
from byway.audit.networks import accepted, tiny
from byway.core.errors import ConfigError, RuleError
from byway.core.hyper import hyper, numbers_of
from byway.core.signal import CrossEntropy, Right, Signal
from byway.learning.rule import Carry, Update
from byway.network.builders import mlp
from byway.rules import RULES
from byway.rules.backprop.bp import BP
from byway.rules.energy.pc import PC
from byway.rules.local.ff import FF
from byway.rules.perturbation.node_perturbation import NodePerturbation
from byway.training.fit import fit
from byway.training.loop import Loop
from byway.training.optimisers import optimiser
from byway.training.step import Optimisers
from byway.verify.case import with_calls_of_f

BATCH = 5
STEPS = 24 // BATCH


class Drift(BP):
    """A test rule whose update is one number for every weight."""

    pace: float = hyper(1.0, "the update of every weight", low=0.0)

    def g(self, gamma, net, memory, record, signal):
        return memory, Update(jax.tree.map(lambda a: jnp.full_like(a, self.pace), net.theta))


class Deciding(BP):
    """A test rule on whose number Python branches."""

    share: float = hyper(0.0, "what is added to every update")

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(
            jax.tree.map(lambda a: a + self.share, update.net)
        ) if self.share > 0 else update


class Declared(Deciding):
    """The same, and says so."""

    share: float = hyper(0.0, "what is added to every update", live=False)


def _fit(rule, task, **change):
    settings = {
        "epochs": 2,
        "batch": BATCH,
        "progress": False,
        "looks": 2,
        "optimiser": "sgd",
        "schedule": "constant",
    } | change
    return fit(mlp(4, 5, 3), rule, task, **settings)


def _loop(rules, task, rates, seeds, schedule="constant"):
    pairs = [
        Optimisers(*(optimiser("sgd", rate, schedule, 2 * STEPS) for _ in range(2)))
        for rate in rates
    ]
    return Loop(rules, mlp(4, 5, 3), task, task.load(), pairs, BATCH, seeds, 8)


def _moved(result, task):
    """How far each weight moved, of every learner, and that all moved alike."""
    began = jax.tree.leaves(_loop(Drift(), task, [1.0], [0]).real_learners().net.theta)
    moves = [
        np.asarray(a[0] - b[0])
        for a, b in zip(jax.tree.leaves(result.learners.net.theta), began, strict=True)
    ]
    flat = np.concatenate([m.ravel() for m in moves])
    assert np.ptp(flat) < 1e-12
    return flat.mean()


@pytest.fixture
def compiled():
    """How many programs were compiled, or fetched from disk, so far."""
    count = []

    def heard(event, seconds, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            count.append(event)

    jax.monitoring.register_event_duration_secs_listener(heard)
    yield count
    jax.monitoring.unregister_event_duration_listener(heard)


def test_another_value_of_anything_live_compiles_nothing(blobs, compiled):
    rule, traced = with_calls_of_f(NodePerturbation(sigma=0.1))
    _fit(rule, blobs)
    before = len(traced), len(compiled)
    second = _fit(dataclasses.replace(rule, sigma=0.2), blobs, lr=0.3)
    assert (len(traced), len(compiled)) == before and before[0] > 0
    other = _fit(dataclasses.replace(rule, sigma=0.1), blobs, lr=0.3)
    assert not np.array_equal(second.test["loss"], other.test["loss"])
    _fit(dataclasses.replace(rule, draws=2), blobs)
    assert len(traced) > before[0], "a whole number decides shapes"


@pytest.mark.parametrize(("pace", "lr"), [(1.0, 0.25), (0.5, 0.25), (3.0, 0.01), (2, 1)])
def test_each_value_does_what_it_says(blobs, pace, lr):
    assert _moved(_fit(Drift(pace=pace), blobs, lr=lr), blobs) == pytest.approx(
        -pace * lr * 2 * STEPS, rel=1e-12
    )


def test_each_learner_may_have_numbers_of_its_own_and_ends_as_it_would_alone(blobs):
    sigmas, rates, seeds = [0.1, 0.3, 0.1], [0.5, 0.5, 0.01], [0, 0, 4]
    loop = _loop([NodePerturbation(sigma=s) for s in sigmas], blobs, rates, seeds)
    for _ in range(2):
        loop.train()
    together = loop.real_learners()
    for i, (sigma, rate, seed) in enumerate(zip(sigmas, rates, seeds, strict=True)):
        alone = _fit(NodePerturbation(sigma=sigma), blobs, lr=rate, first_seed=seed).learner()
        for mine, its in zip(
            jax.tree.leaves(together.net.theta), jax.tree.leaves(alone.net.theta), strict=True
        ):
            np.testing.assert_allclose(mine[i], its, rtol=1e-12, atol=1e-14)
    with pytest.raises(ConfigError, match="rules that differ in their live numbers alone"):
        _loop([PC(steps=3), PC(steps=4)], blobs, [1.0, 1.0], [0, 1])


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_loop_goes_on_with_other_numbers_and_compiles_nothing(blobs, compiled, schedule):
    rule, traced = with_calls_of_f(Drift(pace=1.0))
    loop = _loop(rule, blobs, [0.5], [0], schedule)
    loop.train(0, 1)
    began = jax.tree.map(np.asarray, loop.real_learners().net.theta)
    loop.change(dataclasses.replace(rule, pace=3.0), lr=0.125)
    before = len(traced), len(compiled)
    loop.train(1, 3)
    assert (len(traced), len(compiled)) == before
    course = (
        (lambda k: 1.0)
        if schedule == "constant"
        else (lambda k: (1 + np.cos(np.pi * k / (2 * STEPS))) / 2)
    )
    for a, b in zip(
        jax.tree.leaves(loop.real_learners().net.theta), jax.tree.leaves(began), strict=True
    ):
        np.testing.assert_allclose(a - b, -3.0 * 0.125 * (course(1) + course(2)), rtol=1e-12)
    with pytest.raises(ConfigError, match="in its live numbers alone"):
        loop.change(NodePerturbation())
    other = Loop(
        rule,
        mlp(4, 5, 3),
        blobs,
        blobs.load(),
        Optimisers(optax.sgd(0.1), optax.sgd(0.1)),
        BATCH,
        [0],
        8,
    )
    with pytest.raises(ConfigError, match="an optimiser given by name"):
        other.change(lr=0.5)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "momentum", "rmsprop"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_an_optimiser_by_name_is_the_one_of_optax(name, schedule):
    """To the bit, in float64 and float32."""
    theirs = {"adam": optax.adam, "adamw": optax.adamw, "rmsprop": optax.rmsprop, "sgd": optax.sgd}
    theirs["momentum"] = lambda rate: optax.sgd(rate, momentum=0.9)
    course = optax.cosine_decay_schedule(0.03, 4) if schedule == "cosine" else 0.03
    draw = np.random.default_rng(0)
    for dtype in ("float64", "float32"):
        mine, its = optimiser(name, 0.03, schedule, 4), theirs[name](course)
        one = other = {"w": jnp.asarray(draw.normal(size=(3, 2)), dtype)}
        state, their_state = mine.init(one), its.init(other)
        for _ in range(5):
            slope = {"w": jnp.asarray(draw.normal(size=(3, 2)), dtype)}
            with jax.numpy_dtype_promotion("standard"):
                change, state = mine.update(slope, state, one)
                their_change, their_state = its.update(slope, their_state, other)
                one, other = (
                    optax.apply_updates(one, change),
                    optax.apply_updates(other, their_change),
                )
            assert one["w"].dtype == dtype
            np.testing.assert_array_equal(one["w"], other["w"])


def test_a_rule_is_mapped_over_the_values_of_its_numbers(blobs):
    net, key = mlp(4, 5, 3), jax.random.key(0)
    x, target = jax.random.normal(jax.random.key(1), (6, 4)), jnp.eye(3)[jnp.arange(6) % 3]
    signal, sigmas = Signal(target, CrossEntropy()), [0.01, 0.1, 0.7]

    def update(rule):
        _, record = rule.f({}, net, (), x, signal, key)
        return rule.g({}, net, (), record, signal)[1].net

    rules = [NodePerturbation(sigma=s, draws=2) for s in sigmas]
    numbers, moulds = zip(*map(numbers_of, rules), strict=True)
    stacked = jax.tree.map(lambda *a: jnp.stack([jnp.asarray(v) for v in a]), *numbers)
    mapped = jax.vmap(lambda numbers: update(moulds[0](numbers)))(stacked)
    made = jax.vmap(lambda sigma: update(NodePerturbation(sigma=sigma, draws=2)))(jnp.array(sigmas))
    for i, rule in enumerate(rules):
        for mine, also, its in zip(
            *map(jax.tree.leaves, (mapped, made, update(rule))), strict=True
        ):
            np.testing.assert_allclose(mine[i], its, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(also[i], its, rtol=1e-9, atol=1e-12)


DTYPES = ("bfloat16", "float32", "float64")
NUMBERED = [name for name in RULES.ids() if numbers_of(byway.rule(name))[0]]


EACH = [
    (name, DTYPES[(i + j) % len(DTYPES)])
    for j in range(len(DTYPES))
    for i, name in enumerate(NUMBERED)
]


@pytest.mark.parametrize(("name", "dtype"), some(EACH, 20))
def test_a_number_takes_the_precision_of_what_it_meets(name, dtype):
    rule = byway.rule(name)
    net = jax.tree.map(lambda a: a.astype(dtype), tiny(accepted(rule)[0], rule))
    answers = jnp.eye(net[net.output].size, dtype=dtype)
    x, signal = (
        jnp.ones((6, *net[net.input].shape), dtype),
        Signal(answers[jnp.arange(6) % len(answers)], CrossEntropy(), payoff=Right()),
    )
    numbers, mould = numbers_of(rule)

    def update(numbers):
        rule, key = mould(numbers), jax.random.key(0)
        gamma = rule.init(net, key)
        carry, learnt = Carry(*rule.start(gamma, net, 6), ()), []
        for pair, _ in rule.turns:
            carry, made, _ = rule.teach(pair, gamma, net, carry, x, signal, key)
            learnt += [made.net, made.change]
        return learnt, rule.conclude(gamma, net, carry.memory)[1].theta

    stacked = jax.tree.map(lambda a: jnp.stack([jnp.asarray(a)] * 2), numbers)
    for made in (jax.eval_shape(update, numbers), jax.eval_shape(jax.vmap(update), stacked)):
        assert {str(a.dtype) for a in jax.tree.leaves(made)} == {dtype}


def test_what_is_live_and_what_is_not():
    assert jax.tree.leaves(PC()) == [0.05, 1.0] and jax.tree.leaves(FF()) == [1.0, 0.03, 0.9]
    assert jax.tree.leaves(NodePerturbation(sigma=0.5, draws=3)) == [0.5]
    assert (
        jax.tree.leaves(Deciding(share=0.5)) == [0.5] and jax.tree.leaves(Declared(share=0.5)) == []
    )


@pytest.mark.parametrize(
    "value", [0.25, np.float32(0.25), np.float64(0.25), np.array(0.25), jnp.asarray(0.25)]
)
def test_a_number_is_shown_as_one(value):
    rule = NodePerturbation(sigma=value)
    assert type(rule.sigma) is float and repr(rule) == "NodePerturbation(sigma=0.25)"
    assert type(FF(threshold=2).threshold) is float


@pytest.mark.parametrize(
    "value", [0.0, -1.0, float("nan"), float("inf"), True, "much", None, np.array([0.1, 0.2])]
)
def test_a_number_that_makes_no_sense_is_refused(value):
    with pytest.raises(ConfigError, match=r"NodePerturbation\.sigma"):
        NodePerturbation(sigma=value)


def test_python_may_branch_on_a_number_that_is_declared(blobs):
    with pytest.raises(RuleError, match=r"deciding asks Python for a value(?s:.*)live=False"):
        _fit(Deciding(share=0.5), blobs)
    one, other = _fit(Declared(share=0.5), blobs, lr=0.1), _fit(Declared(), blobs, lr=0.1)
    assert not np.array_equal(one.test["loss"], other.test["loss"])


SHARE = 0.5


def _shared(update):
    return jax.tree.map(lambda a: a * SHARE, update)


class Reading(BP):
    """A test rule that reads what is not its own: a constant, by way of a function."""

    factor: ClassVar = 1.0

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(jax.tree.map(lambda a: a * self.factor, _shared(update.net)))


@pytest.mark.parametrize(
    ("where", "name", "new"),
    [
        (sys.modules[__name__], "SHARE", 0.0),
        (sys.modules[__name__], "_shared", lambda update: jax.tree.map(jnp.zeros_like, update)),
        (Reading, "factor", 0.0),
        (
            Reading,
            "g",
            lambda self, gamma, net, memory, record, signal: (
                memory,
                Update(jax.tree.map(jnp.zeros_like, net.theta)),
            ),
        ),
    ],
    ids=["a constant", "a function", "an attribute", "a method"],
)
def test_code_that_changed_is_compiled_anew(blobs, monkeypatch, where, name, new):
    """As it does in a notebook: with no update nothing is learnt."""
    first = _fit(Reading(), blobs, lr=0.5)
    monkeypatch.setattr(where, name, new)
    second = _fit(Reading(), blobs, lr=0.5)
    assert first.history["validation/loss"].last != first.history["validation/loss"].values[:, 0]
    assert second.history["validation/loss"].last == second.history["validation/loss"].values[:, 0]


@pytest.mark.slow
def test_a_task_that_holds_arrays_keeps_its_programs_and_is_not_kept_by_them(compiled):
    draw = np.random.default_rng(0)
    task = byway.Data(draw.normal(size=(60, 4)), np.arange(60) % 3)
    _fit(BP(), task, lr=0.1)
    before = len(compiled)
    _fit(BP(), task, lr=0.2)
    assert len(compiled) == before
    held = weakref.ref(task)
    del task
    gc.collect()
    assert held() is None


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
@pytest.mark.parametrize("kind", [list, np.array])
def test_a_rule_may_hold_what_has_no_hash(blobs, kind):
    class Holding(BP):
        factors: Any = eqx.field(static=True, default=None)

        def g(self, gamma, net, memory, record, signal):
            memory, update = super().g(gamma, net, memory, record, signal)
            return memory, Update(jax.tree.map(lambda a: a * float(self.factors[0]), update.net))

    still, moving = (_fit(Holding(kind([factor, 1.0])), blobs, lr=0.5) for factor in (0.0, 1.0))
    assert still.history["validation/loss"].last == still.history["validation/loss"].values[:, 0]
    assert moving.history["validation/loss"].last != moving.history["validation/loss"].values[:, 0]
