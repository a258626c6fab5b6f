"""Training on sequences: rules against each other, schedules, what is scored, and what is
refused.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from byway.core.encoding import Encoding
from byway.core.errors import ConfigError, RuleError
from byway.core.signal import CrossEntropy, Signal
from byway.learning.rule import Update
from byway.network.builders import graph, mlp, rnn
from byway.rules.backprop.bp import BP
from byway.rules.control.frozen import Frozen
from byway.rules.feedback.dfa import DFA
from byway.rules.time.bptt import BPTT
from byway.rules.time.rtrl import RTRL
from byway.tasks.adding import Adding
from byway.tasks.delayed_xor import DelayedXOR
from byway.training import loop
from byway.training.fit import fit
from byway.training.programs import Programs
from byway.training.step import WEIGHTS, branch

TASK = DelayedXOR(gap=2, wait=1, samples=40)
NET = rnn(2, 5, 2)
BATCH, EPOCHS, STEPS = 8, 2, 40 // 8


def _fit(rule, net=NET, task=TASK, **change):
    return fit(
        net,
        rule,
        task,
        **(
            {
                "epochs": EPOCHS,
                "batch": BATCH,
                "optimiser": "momentum",
                "lr": 0.05,
                "progress": False,
            }
            | change
        ),
    )


@pytest.fixture(scope="module")
def unrolled():
    return _fit(BPTT(), seeds=2)


def test_real_time_recurrent_learning_trains_as_backprop_through_time_does(unrolled):
    """The same start, the same order, the same gradient: the same weights, curves and angles."""
    online = _fit(RTRL(), seeds=2)
    for name, w in unrolled.learners.net.theta.items():
        for k, a in w.items():
            np.testing.assert_allclose(online.learners.net.theta[name][k], a, rtol=1e-9, atol=1e-12)
    assert online.history.keys() == unrolled.history.keys()
    for name, mine in online.history.items():
        other = unrolled.history[name]
        assert mine.steps.tolist() == other.steps.tolist()
        assert mine.epochs.tolist() == other.epochs.tolist()
        if name.startswith(("train/", "validation/")):
            np.testing.assert_allclose(mine.values, other.values, rtol=1e-9)
    for name, angle in online.history.group("angle").items():
        np.testing.assert_allclose(angle.values, 0, atol=1e-6)
        np.testing.assert_allclose(unrolled.history[f"angle/{name}"].values, 0, atol=1e-6)
        np.testing.assert_allclose(online.history[f"norm_ratio/{name}"].values, 1, rtol=1e-9)
    np.testing.assert_allclose(online.test["loss"], unrolled.test["loss"], rtol=1e-9)


def test_test_scores_are_those_of_the_weights_handed_back(unrolled):
    """In NumPy, step by step, from rest."""
    split = TASK.load()["test"]
    x, signal = TASK.batch(split, jnp.arange(split.size), jax.random.key(0))
    x, asked = np.asarray(x), np.asarray(signal.target)[:, -1].argmax(1)
    for i in range(2):
        w = {
            name: {k: np.asarray(a) for k, a in w.items()}
            for name, w in unrolled.learner(i).net.theta.items()
        }
        h = np.zeros((len(x), 5))
        for t in range(x.shape[1]):
            h = np.tanh(
                x[:, t] @ w["input-hidden1"]["weight"]
                + h @ w["hidden1-hidden1"]["weight"]
                + w["input-hidden1"]["bias"]
            )
        y = h @ w["hidden1-output"]["weight"] + w["hidden1-output"]["bias"]
        np.testing.assert_array_equal(unrolled.predictions.values[i], y.argmax(1))
        assert unrolled.test["accuracy"][i] == pytest.approx(
            np.mean(y.argmax(1) == asked), rel=1e-12
        )
        assert unrolled.test["loss"][i] == pytest.approx(
            np.mean(np.log(np.exp(y).sum(1)) - y[np.arange(len(y)), asked]), rel=1e-10
        )


def test_scoring_in_chunks_that_do_not_divide_the_split_changes_nothing(unrolled, monkeypatch):
    monkeypatch.setattr(loop, "SCORE_BATCH", 70)
    chunked = _fit(BPTT())
    np.testing.assert_array_equal(unrolled.predictions.truth, chunked.predictions.truth)
    for k, v in unrolled.test.items():
        assert chunked.test[k][0] == pytest.approx(v[0], rel=1e-12)


@pytest.mark.parametrize("labels", [("no", "yes"), ()])
def test_of_a_sequence_with_many_answers_each_step_that_counts_is_kept(labels):
    """By hand: the first sequence counts at two steps of three, the other at the last."""
    output = jnp.array([[[0.0, 1], [3, 2], [0, 9]], [[1, 0], [0, 1], [1, 0]]])
    target = jnp.array([[[1.0, 0], [1, 0], [0, 1]], [[0, 1], [1, 0], [1, 0]]])
    signal = Signal(target, CrossEntropy(), jnp.array([[0.5, 0.5, 0], [0, 0, 1]]))
    asked = np.array([[True, True, False], [False, False, True]])
    for at_end in (False, True):
        encoding = Encoding(shape=(2,), in_time=True, labels=labels, at_end=at_end)
        programs = SimpleNamespace(_task=lambda e=encoding: SimpleNamespace(encoding=e))
        found = Programs._answers(programs, output, signal)
        for name, numbers in (("said", output), ("right", target)):
            whole = np.argmax(numbers, -1) if labels else np.asarray(numbers)
            if at_end:  # where a sequence has one answer: the first step with the largest weight
                wanted = whole[[0, 1], [0, 2]]
            else:
                there = asked if labels else asked[..., None]
                wanted = np.where(there, whole, -1 if labels else np.nan)
            np.testing.assert_array_equal(found[name], wanted)


def test_the_control_leaves_the_reservoir_as_it_was_drawn():
    result = _fit(Frozen(), epochs=1)
    start, end = NET.redraw(branch(jax.random.key(0), WEIGHTS)).theta, result.learner().net.theta
    for name in start:
        assert np.allclose(end[name]["weight"], start[name]["weight"], rtol=1e-12, atol=0) == (
            name != "hidden1-output"
        )
    seen = result.history.last("angle")
    assert seen.keys() == {"hidden1-output"}
    np.testing.assert_allclose(seen["hidden1-output"], 0, atol=1e-6)


class Drift(RTRL):
    """A test rule whose update is one for every weight at every step."""

    def g(self, gamma, net, memory, record, signal):
        return memory, Update(jax.tree.map(jnp.ones_like, net.theta))


@pytest.mark.parametrize(("schedule", "every"), [("cosine", None), ("cosine", 1), ("constant", 2)])
def test_schedule_spans_all_the_updates_there_are(schedule, every):
    """Updates of a step add up to one of so many steps, so a weight moves by their number times the
    sum of the rates.
    """
    a_update = TASK.length if every is None else every
    total = EPOCHS * STEPS * TASK.length // a_update
    rates = (
        0.1 * (1 + np.cos(np.pi * np.arange(total) / total)) / 2
        if schedule == "cosine"
        else np.full(total, 0.1)
    )
    result = _fit(Drift(), optimiser="sgd", lr=0.1, schedule=schedule, every=every)
    start, end = NET.redraw(branch(jax.random.key(0), WEIGHTS)).theta, result.learner().net.theta
    for moved in jax.tree.leaves(jax.tree.map(lambda a, b: np.asarray(a - b), start, end)):
        np.testing.assert_allclose(moved, a_update * rates.sum(), rtol=1e-9)


class Stopping(BPTT):
    """A test rule whose update is not finite from its first batch on."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(jax.tree.map(lambda a: a * jnp.nan, update.net))


def test_a_sequence_that_is_not_finite_stops_the_learner_and_says_so():
    result = _fit(Stopping())
    assert "stopped being finite at update 1, in epoch 1" in result.failures[0]
    assert np.isnan(result.accuracy[0])


class Endless(DelayedXOR):
    """A test task whose sequences have no steps."""

    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x[:, :0], Signal(signal.target[:, :0], signal.criterion, signal.weight[:, :0])


CYCLE = graph({"input": 4, "a": 3, "output": 3}, [("input", "a"), ("a", "a"), ("a", "output")])
REFUSED = {
    "a rule without time": (
        DFA(),
        {},
        RuleError,
        "dfa on the task delayed_xor, whose samples are sequences",
    ),
    "a rule without time, no cycle": (
        BP(),
        {"net": mlp(2, 5, 2)},
        RuleError,
        "use bptt (the baseline), rtrl, or frozen",
    ),
    "not a divisor": (
        RTRL(),
        {"every": 3},
        ConfigError,
        "a divisor of 4, the length of a sequence",
    ),
    "longer than a sequence": (RTRL(), {"every": 8}, ConfigError, "every = 8"),
    "no steps at all": (Frozen(), {"every": 0}, ConfigError, "every = 0"),
    "steps below none": (RTRL(), {"every": -2}, ConfigError, "every = -2"),
    "steps of a whole": (BPTT(), {"every": 7}, ConfigError, "a divisor of"),
    "another input": (
        BPTT(),
        {"task": Adding(samples=40)},
        Exception,
        "2 inputs, as (2,), and 1 outputs",
    ),
    "nothing to see": (BPTT(), {"task": Endless(samples=40)}, ConfigError, "sequences of length 0"),
}
REFUSED_WITHOUT_TIME = {
    "whole sequences": (BPTT(), {"net": mlp(4, 5, 3)}, RuleError, "bptt on the task blobs"),
    "a cycle by steps": (
        RTRL(),
        {"net": CYCLE},
        RuleError,
        "rtrl was given a network with a cycle, on the task blobs",
    ),
    "a reservoir": (
        Frozen(),
        {"net": CYCLE},
        RuleError,
        "frozen was given a network with a cycle, on the task blobs",
    ),
    "several updates": (
        Frozen(),
        {"net": mlp(4, 5, 3), "every": 1},
        ConfigError,
        "every = 1 on the task blobs",
    ),
}


@pytest.mark.parametrize("case", REFUSED | REFUSED_WITHOUT_TIME)
def test_rules_networks_and_tasks_that_do_not_go_together_are_refused(blobs, case):
    rule, change, error, said = (REFUSED | REFUSED_WITHOUT_TIME)[case]
    with pytest.raises(error) as caught:
        _fit(rule, **({"task": blobs} if case in REFUSED_WITHOUT_TIME else {}) | change)
    assert said in str(caught.value)
    assert "wanted: " in str(caught.value)
    assert "do: " in str(caught.value)
