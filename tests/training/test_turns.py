"""What surrounds f and g: turns, what holds after each update, what is done before somebody looks,
raw changes, parts of gamma.
"""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.record import Record
from byway.core.signal import Signal, SquaredError
from byway.learning.rule import Claims, Pair, Rule, Update
from byway.network.builders import mlp
from byway.rules.backprop.bp import BP
from byway.training.step import Optimisers, concluded, learn, new_learner

RATE = 0.1


class Half(Pair):
    """Half of a gradient, of the layer named, from the activity that the turn before left."""

    layer: str = eqx.field(static=True)

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        return state + 1.0, Record({"free": free}, free.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        _, update = BP().g(gamma, net, (), record, signal)
        return memory * 2.0 + 1.0, Update(
            {self.layer: jax.tree.map(lambda a: a / 2, update.net[self.layer])}
        )


class Turning(Rule):
    """The output twice, then all layers; weights kept within a bound; gamma's first entry learns;
    memory is concluded into the readout.
    """

    claims: ClassVar[Claims] = BP.claims

    def accepts(self, net):
        net.require_feedforward(self.id)

    def init(self, net, key):
        return {"learns": jnp.ones(2), "stays": jnp.ones(3)}

    def start(self, gamma, net, batch):
        return jnp.zeros(()), jnp.zeros(())

    @property
    def turns(self):
        return ((Half("hidden1-output"), 2), (self, 1))

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        return state + 10.0, Record(
            {"free": free}, free.post[net.output], measures={"state": state}
        )

    def g(self, gamma, net, memory, record, signal):
        _, update = BP().g(gamma, net, (), record, signal)
        change = {
            "input-hidden1": {"bias": jnp.full_like(net.theta["input-hidden1"]["bias"], 0.25)}
        }
        return memory, Update(update.net, {"learns": gamma["learns"] * 3.0}, change)

    def keep(self, gamma, net):
        return gamma, net.with_theta(jax.tree.map(lambda a: jnp.clip(a, -0.6, 0.6), net.theta))

    def conclude(self, gamma, net, memory):
        bias = jnp.broadcast_to(memory, net.theta["hidden1-output"]["bias"].shape)
        return gamma, net.with_theta({"hidden1-output": {"bias": bias}})


def _problem():
    net = by_hand.with_biases(mlp(4, 5, 3, activation="tanh"))
    x, target = by_hand.sample(4, 3)
    return net, x, target


def _learnt(rule, optimiser, batches=1):
    net, x, target = _problem()
    signal, optimisers = Signal(target, SquaredError()), Optimisers(optimiser, optimiser)
    learner = new_learner(rule, net, optimisers, x, signal, jax.random.key(0))
    learner, scores = eqx.tree_at(lambda one: one.net, learner, net), {}
    score = lambda output, signal: {"loss": signal.loss(output)}
    for _ in range(batches):
        learner, scores = learn(rule, optimisers, learner, x, signal, score)
    return learner, scores


def _loss(theta, x, target):
    h = jnp.tanh(x @ theta["input-hidden1"]["weight"] + theta["input-hidden1"]["bias"][None])
    y = h @ theta["hidden1-output"]["weight"] + theta["hidden1-output"]["bias"][None]
    return jnp.mean(jnp.sum((y - target) ** 2, -1)) / 2


def _by_hand(batches, momentum=0.0):
    """The same in plain steps of gradient descent, with one momentum for each turn."""
    net, x, target = _problem()
    theta, gradient = net.theta, jax.grad(_loss)
    clip = lambda theta: jax.tree.map(lambda a: jnp.clip(a, -0.6, 0.6), theta)
    first = jax.tree.map(jnp.zeros_like, theta["hidden1-output"])
    second = jax.tree.map(jnp.zeros_like, theta)
    for _ in range(batches):
        for _ in range(2):
            half = jax.tree.map(lambda a: a / 2, gradient(theta, x, target)["hidden1-output"])
            first = jax.tree.map(lambda m, g: momentum * m + g, first, half)
            theta = clip(
                theta
                | {
                    "hidden1-output": jax.tree.map(
                        lambda w, m: w - RATE * m, theta["hidden1-output"], first
                    )
                }
            )
        loss = _loss(theta, x, target)
        second = jax.tree.map(lambda m, g: momentum * m + g, second, gradient(theta, x, target))
        theta = jax.tree.map(lambda w, m: w - RATE * m, theta, second)
        first_layer = theta["input-hidden1"]
        theta = clip(theta | {"input-hidden1": first_layer | {"bias": first_layer["bias"] + 0.25}})
    return theta, loss


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_turns_raw_changes_and_what_is_kept(momentum):
    """Each turn on the weights that the one before left, with moments of its own; what is kept
    holds after each update.
    """
    learner, scores = _learnt(Turning(), optax.sgd(RATE, momentum=momentum), batches=3)
    theta, loss = _by_hand(3, momentum)
    assert by_hand.largest_gap(learner.net.theta, theta) < 1e-12
    assert float(jnp.max(jnp.abs(learner.net.theta["input-hidden1"]["bias"]))) == 0.6, (
        "the bound has to bite"
    )
    assert float(scores["loss"]) == pytest.approx(float(loss), rel=1e-12), (
        "scores are those of the turn of the rule itself"
    )


def test_state_and_memory_go_from_turn_to_turn_and_memory_to_the_next_batch():
    learner, scores = _learnt(Turning(), optax.sgd(RATE), batches=2)
    assert float(scores["state"]) == 2.0, "after two turns of half a gradient, in every batch anew"
    assert float(learner.memory) == 15.0, "four times m <- 2 m + 1"
    assert int(learner.step) == 2, "a batch counts once, whatever its turns"


def test_a_part_of_gamma_learns_and_the_rest_stays():
    learner, _ = _learnt(Turning(), optax.adam(RATE))
    np.testing.assert_allclose(learner.gamma["learns"], 1 - RATE, rtol=1e-6)  # Adam's first step
    np.testing.assert_array_equal(learner.gamma["stays"], np.ones(3))
    (first, none), (_, mine) = learner.moments
    assert (
        none is None
        and mine[0].mu.keys() == {"learns"}
        and first[0].mu.keys() == {"hidden1-output"}
    )


def test_what_is_concluded_is_seen_and_changes_nothing():
    rule = Turning()
    learner, _ = _learnt(rule, optax.sgd(RATE), batches=2)
    seen = concluded(rule, learner)
    np.testing.assert_array_equal(seen.net.theta["hidden1-output"]["bias"], np.full(3, 15.0))
    assert not np.array_equal(learner.net.theta["hidden1-output"]["bias"], np.full(3, 15.0))


def test_one_turn_of_a_rule_is_what_it_was_without_turns():
    """The same bits: the key of the only call of a batch is that of the batch."""

    class Twice(BP):
        @property
        def turns(self):
            return ((self, 1), (self, 1))

    once, _ = _learnt(BP(), optax.sgd(RATE), batches=2)
    twice, _ = _learnt(Twice(), optax.sgd(RATE), batches=1)
    assert by_hand.largest_gap(twice.net.theta, once.net.theta) < 1e-12
    assert len(twice.moments) == 2


@pytest.mark.parametrize("times", [0, -1, 2.0, True, float("inf")])
def test_a_turn_that_never_ends_or_never_begins_is_refused(times):
    class Endless(BP):
        @property
        def turns(self):
            return ((self, times),)

    task = byway.task("digits")
    with pytest.raises(RuleError, match="a turn to be taken"):
        byway.fit(mlp(task.input_shape, 4, 10), Endless(), task, epochs=1, progress=False)


def test_a_rule_without_a_turn_of_its_own_is_refused():
    class Absent(BP):
        @property
        def turns(self):
            return ((BP(), 1),)

    task = byway.task("digits")
    with pytest.raises(RuleError, match="no turn of its own"):
        byway.fit(mlp(task.input_shape, 4, 10), Absent(), task, epochs=1, progress=False)


def test_the_rate_falls_over_all_batches_however_often_a_turn_updates_on_each(blobs):
    """`ipc` moves weights three times on each batch. By optax: a warm-up of six moves and a cosine
    over three times as many moves as there are batches, ending where the last move is made.
    """
    net = mlp(blobs.input_shape, 5, blobs.outputs, activation="tanh")
    data, rule = blobs.load(), byway.rule("ipc", steps=3)
    batches = 4 * (data["train"].size // 10)
    falls = optax.cosine_decay_schedule(0.01, 3 * batches)
    course = lambda count: falls(count) * jnp.minimum((count + 1) / 6, 1.0)
    options = {"data": data, "epochs": 4, "batch": 10, "looks": 0, "progress": False}
    told = byway.fit(net, rule, blobs, lr=0.01, schedule="cosine", warmup=2, **options)
    want = byway.fit(net, rule, blobs, optimiser=optax.adam(course), **options)
    for one, other in zip(
        jax.tree.leaves(told.learners.net.theta),
        jax.tree.leaves(want.learners.net.theta),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_a_rule_may_name_its_optimiser_and_schedule():
    class Plain(BP):
        optimiser: ClassVar[str] = "sgd"
        schedule: ClassVar[str] = "constant"
        learning_rate: ClassVar[float] = 0.1

    task = byway.task("digits")
    net, few = (
        mlp(task.input_shape, 4, 10),
        {name: type(split)(split.x[:64], split.y[:64]) for name, split in task.load().items()},
    )
    options = {"epochs": 1, "batch": 32, "data": few, "looks": 0, "progress": False}
    own = byway.fit(net, Plain(), task, **options)
    said = byway.fit(net, BP(), task, optimiser="sgd", schedule="constant", lr=0.1, **options)
    for mine, other in zip(
        jax.tree.leaves(own.learners.net.theta),
        jax.tree.leaves(said.learners.net.theta),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, other)
    assert dataclasses.is_dataclass(own)
