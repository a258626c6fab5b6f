"""The microscope, where what it must see is known beforehand: closed forms, finite differences, and
rules that equal the gradient.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
from byway.core.signal import CrossEntropy, Signal
from byway.learning.rule import Update
from byway.metrics.microscope import QUANTITIES, compare, microscope, true_gradient
from byway.network.builders import convnet, mlp, revnet
from byway.rules.backprop.bp import BP
from byway.rules.control.frozen import Frozen
from byway.rules.feedback.dfa import DFA
from byway.rules.local.ff import FF
from byway.rules.time.bptt import BPTT
from byway.rules.time.rollback import Rollback
from byway.rules.time.rtrl import RTRL
from byway.training.step import Optimisers, new_learner

SGD = Optimisers(optax.sgd(0.1), optax.sgd(0.1))


def _gradient(seed=0, shape=(5, 4)):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def _compare(update, gradient):
    return {
        quantity: float(value)
        for quantity, value in jax.jit(compare)(jnp.asarray(update), jnp.asarray(gradient)).items()
    }


def _turned(gradient, angle):
    """The gradient turned by an angle [rad], as long as before."""
    across = np.random.default_rng(1).normal(size=gradient.shape)
    across = across - gradient * np.sum(across * gradient) / np.sum(gradient**2)
    return gradient * np.cos(angle) + across * np.linalg.norm(gradient) / np.linalg.norm(
        across
    ) * np.sin(angle)


@pytest.mark.parametrize(
    ("factor", "angle", "sign"), [(1, 0, 1), (0.25, 0, 1), (1e-6, 0, 1), (-3, 180, 0)]
)
def test_a_multiple_of_the_gradient(factor, angle, sign):
    gradient = _gradient()
    found, length = _compare(factor * gradient, gradient), float(jnp.linalg.norm(gradient))
    assert found["angle"] == pytest.approx(angle, abs=1e-9)
    assert found["norm_ratio"] == pytest.approx(abs(factor), rel=1e-12)
    assert found["sign_agreement"] == sign
    assert found["descent"] == pytest.approx(np.sign(factor) * length, rel=1e-12)


@pytest.mark.parametrize("degrees", [1e-7, 30, 60, 90, 120, 180 - 1e-7])
def test_a_turned_gradient(degrees):
    gradient = np.asarray(_gradient())
    update = 7 * _turned(gradient, np.radians(degrees))
    found, length = _compare(update, gradient), np.linalg.norm(gradient)
    # The arc cosine would make 1e-7 into 0 or 1e-6.
    assert found["angle"] == pytest.approx(degrees, rel=1e-6)
    assert found["norm_ratio"] == pytest.approx(7, rel=1e-12)
    assert found["sign_agreement"] == np.mean(update * gradient > 0)
    assert found["descent"] == pytest.approx(length * np.cos(np.radians(degrees)), abs=1e-12)


def test_signs_count_only_where_there_is_a_gradient_and_a_missing_update_is_a_disagreement():
    assert (
        _compare([[1.0, -2.0, 0.0], [3.0, 4.0, -9.0]], [[2.0, 5.0, -1.0], [0.0, 1.0, -1.0]])[
            "sign_agreement"
        ]
        == 3 / 5
    )


def test_where_neither_side_says_anything_there_is_no_agreement():
    """As with inputs that are always zero: two weights have a gradient, and one of them the sign of
    it.
    """
    assert _compare([1.0, 1.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0])["sign_agreement"] == 1 / 2


@pytest.mark.parametrize("zero", ["update", "gradient", "both"])
def test_nothing_is_said_where_either_side_is_zero(zero):
    update, gradient = (
        np.zeros((5, 4)) if zero in (name, "both") else _gradient()
        for name in ("update", "gradient")
    )
    assert np.all(np.isnan(list(_compare(update, gradient).values())))


class Turned(BP):
    """A test rule: backprop, with each weight update turned by 60 degrees and stretched."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)

        def turn(true):
            across = jnp.ones_like(true) - true * jnp.sum(true) / jnp.sum(true**2)
            across = across * jnp.linalg.norm(true.ravel()) / jnp.linalg.norm(across.ravel())
            return 7 * (true * np.cos(np.pi / 3).item() + across * np.sin(np.pi / 3).item())

        return memory, Update(jax.tree.map(turn, update.net))


class Opposed(BP):
    """A test rule: backprop uphill."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(jax.tree.map(lambda a: -3 * a, update.net))


class Idle(BP):
    """A test rule that never learns."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(jax.tree.map(jnp.zeros_like, update.net))


def _seen(rule, net, x, signal, batch=None):
    """What the microscope sees of a learner that was made for batches of another size, and its
    weights.
    """
    size = x.shape[0] if batch is None else batch

    @jax.jit
    def look(x, signal):
        few = jax.tree.map(lambda a: a[:1].repeat(size, 0), (x, signal))
        learner = new_learner(rule, net, SGD, *few, jax.random.key(0))
        return learner.net, microscope(rule, learner, x, signal, jax.random.key(1))

    drawn, seen = look(x, signal)
    return drawn, {
        quantity: {name: float(a) for name, a in found.items()} for quantity, found in seen.items()
    }


def _static(inputs, outputs, **options):
    x, target = by_hand.sample(inputs, outputs, **options)
    return x, Signal(target, CrossEntropy())


@pytest.mark.parametrize(
    ("rule", "degrees", "ratio", "signs"),
    [(BP(), 0, 1, 1), (Opposed(), 180, 3, 0), (Turned(), 60, 7, None)],
    ids=lambda v: str(v)[:12],
)
def test_a_rule_made_for_it(rule, degrees, ratio, signs):
    net = mlp(6, 5, 4, 3, activation="tanh", norm=True)
    _, seen = _seen(rule, net, *_static(6, 3))
    assert all(found.keys() == net.theta.keys() for found in seen.values())
    assert list(seen["angle"].values()) == pytest.approx([degrees] * 3, abs=1e-7)
    assert list(seen["norm_ratio"].values()) == pytest.approx([ratio] * 3, rel=1e-9)
    assert signs is None or list(seen["sign_agreement"].values()) == [signs] * 3


def test_backprop_in_a_convnet():
    _, seen = _seen(BP(), convnet((6, 6, 1), (2, 2), 3, norm=True), *_static((6, 6, 1), 3))
    assert list(seen["angle"].values()) == pytest.approx([0] * 3, abs=1e-7)


def test_nothing_is_said_of_a_rule_that_never_learns():
    _, seen = _seen(Idle(), mlp(6, 5, 3), *_static(6, 3))
    assert np.all(np.isnan([list(found.values()) for found in seen.values()]))


def test_only_projections_that_learn_are_looked_at():
    _, seen = _seen(Frozen(), mlp(6, 5, 4, 3), *_static(6, 3))
    assert all(found.keys() == {"hidden2-output"} for found in seen.values())
    assert seen["angle"]["hidden2-output"] == pytest.approx(0, abs=1e-7)


def test_backprop_though_one_sample_silences_a_normalised_layer():
    """The root mean square has no slope at zero: autodiff of it makes NaN of the whole layer's true
    gradient.
    """
    x, signal = _static(6, 3)
    _, seen = _seen(BP(), mlp(6, 5, 4, 3, norm=True), x.at[0].set(0), signal)
    assert seen["angle"]["hidden2-output"] == pytest.approx(0, abs=1e-7)
    assert seen["angle"]["input-hidden1"] == pytest.approx(0, abs=1e-7)


def test_descent_is_how_much_the_loss_falls_for_a_short_step():
    net = mlp(6, 5, 4, 3, activation="tanh")
    x, signal = _static(6, 3)
    learner = new_learner(DFA(), net, SGD, x, signal, jax.random.key(0))
    seen = jax.jit(lambda: microscope(DFA(), learner, x, signal, jax.random.key(1)))()
    update = by_hand.taught(DFA(), learner.net, x, signal.target, gamma=learner.gamma)[1]
    for name, mine in update.net.items():
        along = mine["weight"] / jnp.linalg.norm(mine["weight"])
        up, down = (
            by_hand.cross_entropy(
                learner.net.with_theta({name: {"weight": theta}}).forward(x).u["output"],
                signal.target,
            )
            for theta in (
                learner.net.theta[name]["weight"] + sign * 1e-5 * along for sign in (1, -1)
            )
        )
        assert float(seen["descent"][name]) == pytest.approx(float(up - down) / 2e-5, rel=1e-6)


def test_forward_forward_is_held_against_the_gradient_of_its_goodness():
    """Its prediction is the goodness of each label, so that is what the true gradient descends."""
    net, classes = mlp(6, 5, 4, 3, norm=True), 3
    x, signal = _static(6, classes)
    drawn, seen = _seen(FF(), net, x, signal)

    def scores(theta):
        columns = []
        for label in range(classes):
            h = x.at[:, :classes].set(jnp.eye(classes)[label][None])
            for name in ("input-hidden1", "hidden1-hidden2"):
                h = jnp.maximum(
                    by_hand.rms_normalised(h) @ theta[name]["weight"]
                    + theta[name]["bias"][None, :],
                    0,
                )
            columns.append(jnp.sum(h**2, 1))
        return jnp.stack(columns, 1)

    true = jax.jit(jax.grad(lambda theta: by_hand.cross_entropy(scores(theta), signal.target)))(
        drawn.theta
    )
    _, update, _ = by_hand.taught(FF(), drawn, x, signal.target, gamma={}, key=jax.random.key(1))
    for name in ("input-hidden1", "hidden1-hidden2"):
        a, b = (np.asarray(tree[name]["weight"]).ravel() for tree in (update.net, true))
        assert seen["angle"][name] == pytest.approx(
            np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))), rel=1e-9
        )
        assert seen["norm_ratio"][name] == pytest.approx(
            np.linalg.norm(a) / np.linalg.norm(b), rel=1e-9
        )
    assert np.isnan(seen["angle"]["hidden2-output"])  # the head takes no part in the prediction


def test_of_a_skip_which_has_no_weights_nothing_is_seen():
    net = revnet(3, 4, 2, blocks=1)
    drawn, seen = _seen(BP(), net, *_static(3, 2))
    assert seen["angle"].keys() == {name for name, parts in drawn.theta.items() if parts}
    assert list(seen["norm_ratio"].values()) == pytest.approx([1] * len(seen["angle"]))


@pytest.mark.parametrize(
    "rule", [BPTT(), RTRL(), Rollback(checkpoint=1)], ids=["bptt", "rtrl", "rollback"]
)
@pytest.mark.parametrize("name", ["two layers", "one layer"])
def test_rules_in_time_are_held_against_bptt_whatever_batch_they_learn_from(rule, name):
    """The influence of RTRL has a row for each sample, so it cannot be the learner's here; of
    rollback, which keeps every state here, every turn goes through the sequences from rest.
    """
    net, x, signal, _ = by_hand.in_time(name)
    drawn, seen = _seen(rule, net, x, signal, batch=3)
    assert seen["angle"].keys() == drawn.theta.keys()
    for found, want in (("angle", 0), ("norm_ratio", 1), ("sign_agreement", 1)):
        assert list(seen[found].values()) == pytest.approx([want] * len(drawn.theta), abs=1e-7)


def test_the_true_gradient_in_time_is_that_of_the_unrolled_loop():
    """For a rule that is not it, too: the frozen control sees one step at a time and learns at the
    output alone.
    """
    net, x, signal, loss = by_hand.in_time("two layers")
    learner = new_learner(Frozen(), net, SGD, x, signal, jax.random.key(0))
    learner = dataclasses.replace(learner, net=net)
    found = jax.jit(lambda: true_gradient(Frozen(), learner, x, signal, jax.random.key(1)))()
    want = jax.jit(jax.grad(loss))(net.theta)
    assert found is not None
    assert max(by_hand.apart(found[name], want[name]["weight"]) for name in net.theta) < 1e-12


class Remembering(BP):
    """A test rule that is backprop times what it remembers: a running number, and one for each
    sample.
    """

    def start(self, gamma, net, batch):
        return (), {"run": jnp.asarray(1.0), "samples": jnp.ones((batch, 1))}

    def g(self, gamma, net, memory, record, signal):
        _, update = super().g(gamma, net, (), record, signal)
        factor = memory["run"] * memory["samples"].mean()
        return memory, Update(jax.tree.map(lambda a: factor * a, update.net))


@pytest.mark.parametrize("probe", [5, 3])
def test_memory_of_single_samples_begins_anew_and_all_other_is_the_learners(probe):
    x, signal = _static(6, 3)
    learner = new_learner(Remembering(), mlp(6, 5, 3), SGD, x, signal, jax.random.key(0))
    learner = dataclasses.replace(
        learner, memory={"run": jnp.asarray(4.0), "samples": jnp.full((5, 1), 100.0)}
    )
    few = jax.tree.map(lambda a: a[:probe], (x, signal))
    seen = jax.jit(lambda: microscope(Remembering(), learner, *few, jax.random.key(1)))()
    assert [float(a) for a in seen["norm_ratio"].values()] == pytest.approx([4, 4])


class Settling(BP):
    """A test rule whose prediction settles for as long as it takes: autodiff cannot go back through
    it.
    """

    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        if signal is None:
            settled = jax.lax.while_loop(lambda y: jnp.max(y) > 1, lambda y: y / 2, record.output)
            record = dataclasses.replace(record, output=settled)
        return state, record


class Calling(BP):
    """A test rule whose prediction is made on the host."""

    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        if signal is None:
            shape = jax.ShapeDtypeStruct(record.output.shape, record.output.dtype)
            record = dataclasses.replace(
                record, output=jax.pure_callback(np.tanh, shape, record.output)
            )
        return state, record


@pytest.mark.parametrize("rule", [Settling(), Calling()], ids=["settles", "host"])
def test_nothing_is_said_where_autodiff_cannot_go_back(rule):
    _, seen = _seen(rule, mlp(6, 5, 3), *_static(6, 3))
    assert seen == {metric.name: {} for metric in QUANTITIES}


def test_nothing_is_said_of_a_network_with_a_black_box():
    _, seen = _seen(Frozen(), mlp(6, 5, 3, activation="quantised"), *_static(6, 3))
    assert seen == {metric.name: {} for metric in QUANTITIES}


class Faulty(BP):
    """A test rule whose prediction is wrong."""

    def f(self, gamma, net, state, x, signal, key):
        if signal is None:
            raise ValueError("no such prediction")
        return super().f(gamma, net, state, x, signal, key)


def test_a_fault_of_the_prediction_is_no_missing_gradient():
    with pytest.raises(ValueError, match="no such prediction"):
        _seen(Faulty(), mlp(6, 5, 3), *_static(6, 3))
