"""Tasks of other kinds: a reward and no more, no targets, an order of their own, a world that
changes.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import byway
from byway.audit.networks import tiny
from byway.audit.verdict import audit
from byway.core.errors import ConfigError, RuleError
from byway.core.score import Score
from byway.core.signal import Closeness, CrossEntropy, Near, NoLoss, Right, Signal, SquaredError
from byway.core.task import Split, Task
from byway.learning.rule import Claims, Rule, Update

RNG = np.random.default_rng(0)


class Guess(Rule):
    """A reward and noise at the output: what earned more than was usual is done more. No target, no
    error, no loss.
    """

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset({"reward"}), 1, "units")

    def accepts(self, net):
        pass

    def start(self, gamma, net, batch):
        return (), jnp.zeros(())

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        output = free.post[net.output]
        if signal is None:
            return state, byway.Record({"free": free}, output)
        noise = 0.5 * jax.random.normal(key, output.shape)
        tried = byway.Phase(free.pre, free.u, free.post, free.slope, {net.output: noise})
        return state, byway.Record({"free": tried}, output)

    def g(self, gamma, net, memory, record, signal):
        free, last = record["free"], net.projections[-1]
        noise = free.injected[net.output]
        earned = signal.reward(record.output + noise)
        delta = -(earned - memory)[:, None] * noise
        return 0.9 * memory + 0.1 * jnp.mean(earned), Update(
            {last.name: last.outer(free.pre[last.name], delta)}
        )


class Hebb(Rule):
    """Oja's rule on every projection: no signal at all."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset(), 1, "none")

    def accepts(self, net):
        pass

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        return state, byway.Record({"free": free}, free.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], -free.post[p.dst]) for p in net.projections}
        )


class Cloud(Task):
    """Points without a word of what they are."""

    input_shape, outputs, scores = (3,), 2, ()

    def load(self):
        return {
            name: Split(jnp.asarray(RNG.normal(size=(20, 3))), jnp.zeros((20, 0)))
            for name in ("train", "validation", "test")
        }

    def batch(self, split, index, key):
        return split.x[index], Signal(split.y[index], NoLoss())

    def score(self, output, signal):
        return {}


def fitted(rule, task, **options):
    net = byway.mlp(*task.input_shape, 4, task.outputs)
    return byway.fit(
        net, rule, task, **{"epochs": 2, "batch": 5, "progress": False, "looks": 0, **options}
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_rewards_by_hand(weighted):
    output, target = (
        jnp.array([[1.0, 2.0], [3.0, 0.5], [0.0, 0.01]]),
        jnp.array([[0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]),
    )
    weight = jnp.array([0.25, 0.5, 0.25]) if weighted else None
    scale = 1.0 if weight is None else weight
    for payoff, wanted in (
        (Right(), [1, 0, 0]),
        (Near(0.04), [0, 0, 1]),
        (Closeness(), [-1.0, -4.625, -0.00005]),
    ):
        got = Signal(target, CrossEntropy(), weight, payoff).reward(output)
        np.testing.assert_allclose(got, np.array(wanted) * np.asarray(scale), rtol=1e-12)


def test_accuracy_is_the_mean_reward_of_classification_tasks():
    for name in ("digits", "delayed_xor", "adding", "copy"):
        task = byway.task(name)
        _, signal = task.batch(task.load()["train"], jnp.arange(6), jax.random.key(0))
        output = signal.target + 0.039 * jax.random.normal(jax.random.key(1), signal.target.shape)
        np.testing.assert_array_equal(task.score(output, signal)["accuracy"], signal.reward(output))


def test_the_audit_sees_a_reward_and_nothing_else():
    found = audit(Guess(), tiny("mlp", Guess()))
    assert found.found.signal == frozenset({"reward"}) and found.disagreements == []


def test_a_rule_learns_from_reward_alone():
    """Three clouds far apart, random features: what is rewarded is the right answer, of which one
    in three is one by chance.
    """
    y = np.arange(300) % 3
    x = 4 * np.eye(3)[y] + RNG.normal(size=(300, 3))
    task = byway.Data(x, y)
    result = fitted(Guess(), task, epochs=60, batch=10, lr=0.03, seeds=2)
    assert np.all(result.main > 0.9)


class Silent(Cloud):
    """Targets, and no reward."""

    scores, score = Task.scores, Task.score

    def batch(self, split, index, key):
        return split.x[index], Signal(split.x[index, :2], SquaredError())


def test_a_reward_rule_on_a_task_without_reward_is_refused():
    with pytest.raises(
        RuleError,
        match="guess, which learns from a reward, on the task silent, which hands out none",
    ) as caught:
        fitted(Guess(), Silent())
    assert "payoff" in caught.value.fix
    with pytest.raises(RuleError, match="a reward, asked of a signal that has none"):
        Signal(jnp.zeros((2, 2)), SquaredError()).reward(jnp.zeros((2, 2)))


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("bp", "error"),
        ("node_perturbation", "loss"),
        ("pc", "target"),
        ("ff", "error and the target"),
    ],
)
def test_a_rule_that_needs_targets_is_refused_where_there_are_none(name, reads):
    with pytest.raises(
        RuleError,
        match=(
            f"{name}, which learns from the {reads}, on the task cloud, which has no "
            "targets|spare 0"
        ),
    ):
        fitted(byway.rule(name), Cloud())


def test_whoever_asks_for_a_loss_that_is_not_there_is_refused():
    signal = Signal(jnp.zeros((2, 0)), NoLoss())
    assert not signal.taught
    for ask, said in ((signal.loss, "the loss, asked"), (signal.error, "the error, asked")):
        with pytest.raises(RuleError, match=said):
            ask(jnp.zeros((2, 3)))


def test_without_targets_nothing_is_scored_and_everything_can_be_shown(tmp_path):
    """Oja's rule by hand: with a batch of one and plain steps, every projection gains rate *
    outer(pre, post).
    """
    task = Cloud()
    result = fitted(Hebb(), task, batch=1, epochs=1, optimiser=optax.sgd(0.01), looks=3)
    assert result.test == {} and result.looks == 0 and np.isnan(result.main).all()
    assert str(result).startswith("hebb on cloud: 1 seed in ") and "hebb" in result._repr_html_()
    net, learner = byway.mlp(3, 4, 2), result.learner()
    assert not np.array_equal(
        learner.net.theta["input-hidden1"]["weight"], net.theta["input-hidden1"]["weight"]
    )
    lost = fitted(Hebb(), task, optimiser=optax.sgd(1e200))
    assert (
        list(lost.failures) == [0] and "a number stopped being finite at update" in lost.failures[0]
    )


def _numbers(size, first=0):
    return Split(jnp.arange(first, first + size, dtype=float)[:, None], jnp.zeros((size, 0)))


class Stream(Cloud):
    """The numbers 1 to 12, in their order."""

    input_shape, outputs = (1,), 1

    def load(self):
        return {"train": _numbers(12, 1), "validation": _numbers(3), "test": _numbers(3)}

    def order(self, key, size):
        return jnp.arange(size)


class Last(Hebb):
    """Its memory is a hundred times what it held, and the input that it saw."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset(), 1, "units")

    def start(self, gamma, net, batch):
        return (), jnp.zeros((batch,))

    def g(self, gamma, net, memory, record, signal):
        return 100 * memory + record["free"].pre[net.projections[0].name][:, 0], Update({})


def test_a_stream_is_seen_in_its_own_order():
    """Two epochs of four batches of three: the memory is what was seen, two digits each."""
    memory = np.asarray(fitted(Last(), Stream(), batch=3).learner().memory)
    np.testing.assert_array_equal(
        memory, [int("01040710" * 2), int("02050811" * 2), int("03060912" * 2)]
    )


class Endless(Stream):
    def order(self, key, size):
        return jnp.arange(size) + 1


class Short(Stream):
    def order(self, key, size):
        return jnp.arange(size // 2)


class Fractions(Stream):
    def order(self, key, size):
        return jnp.linspace(0.0, 1.0, size)


@pytest.mark.parametrize("task", [Endless(), Short(), Fractions()])
def test_an_order_of_samples_that_are_not_there_is_refused(task):
    with pytest.raises(ConfigError, match="whose order is"):
        fitted(Last(), task, batch=3)


class Turning(Stream):
    """Each number is multiplied by the number of batches before it; scored by the mean input that
    is seen.
    """

    scores = (Score("seen"),)

    def drift(self, x, signal, step):
        return x * step.astype(float), Signal(x[:, :0], NoLoss())

    def score(self, output, signal):
        return {"seen": output[:, 0]}


class Show(Last):
    """Answers with its input."""

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        return state, byway.Record({"free": free}, x)


def test_a_world_that_changes_is_seen_and_scored_as_it_is_at_each_step():
    """Step 0 to 7: batches begin with 1, 4, 7, 10, and are multiplied by 0 to 7. Of validation, 0
    to 2, the mean is the step.
    """
    result = fitted(Show(), Turning(), batch=3)
    assert result.history["validation/seen"].values[0].tolist() == [0, 4, 8] and result.main[0] == 8
    first = [start * step for start, step in zip([1, 4, 7, 10] * 2, range(8), strict=True)]
    expected = 0.0
    for value in first:
        expected = 100 * expected + value
    assert np.asarray(result.learner().memory)[0] == expected
    assert result.history["train/seen"].values[:, 0][0] == np.mean(
        [step * (start + 1) for start, step in zip([1, 4, 7, 10], range(4), strict=True)]
    )
