"""Training whole learners: seeds, failures, schedules, order of data, scores and errors."""

import itertools
import subprocess
import sys
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import balanced_accuracy_score

from byway.core.errors import ConfigError, RuleError, ShapeError, UnknownNameError
from byway.core.task import Split
from byway.learning.rule import Update
from byway.metrics.microscope import QUANTITIES
from byway.network.builders import graph, mlp
from byway.rules.backprop.bp import BP
from byway.rules.energy.pc import PC
from byway.rules.local.ff import FF
from byway.training import loop
from byway.training.fit import fit
from byway.training.layout import Layout
from byway.training.plan import default_looks
from byway.training.step import GAMMA, WEIGHTS, branch

EPOCHS, BATCH = 3, 5
STEPS = 24 // BATCH


class Drift(BP):
    """A test rule whose update is one for every weight, and for its own parameter."""

    learning_rate = 0.5

    def init(self, net, key):
        return jnp.zeros(())

    def g(self, gamma, net, memory, record, signal):
        return memory, Update(jax.tree.map(jnp.ones_like, net.theta), jnp.ones(()))


class Counting(BP):
    """A test rule that is backprop, and counts its updates where they happen."""

    seen: ClassVar[list[int]] = []

    def g(self, gamma, net, memory, record, signal):
        jax.debug.callback(lambda step: self.seen.append(int(step)), memory)
        return memory + 1, super().g(gamma, net, (), record, signal)[1]

    def start(self, gamma, net, batch):
        return (), jnp.zeros((), int)


class Breaking(BP):
    """A test rule that is backprop, but makes NaN for one seed at one update."""

    seed: int = 1
    at: int = 5

    def init(self, net, key):
        mine = jax.random.key_data(branch(jax.random.key(self.seed), GAMMA))
        return jnp.where(jnp.all(jax.random.key_data(key) == mine), 1.0, 0.0)

    def start(self, gamma, net, batch):
        return (), jnp.zeros((), int)

    def g(self, gamma, net, memory, record, signal):
        _, update = super().g(gamma, net, (), record, signal)
        factor = jnp.where((gamma > 0) & (memory == self.at), jnp.nan, 1.0)
        return memory + 1, Update(jax.tree.map(lambda a: factor * a, update.net))


class Listing(BP):
    """A test rule that remembers which samples it saw, in order; `draws` is noise it takes from its
    keys.
    """

    draws: bool = False

    def init(self, net, key):
        return jax.random.normal(key, (3,)) if self.draws else {}

    def start(self, gamma, net, batch):
        return (), jnp.full((EPOCHS * STEPS, BATCH), -1.0)

    def f(self, gamma, net, state, x, signal, key):
        x = (
            x + jax.random.normal(key, (1, 4)) * jnp.array([[1e-6, 1e-6, 1e-6, 0]])
            if self.draws
            else x
        )
        return super().f(gamma, net, state, x, signal, key)

    def g(self, gamma, net, memory, record, signal):
        _, update = super().g(gamma, net, (), record, signal)
        seen = record["free"].post["input"][:BATCH, 3]  # the microscope looks at more
        return memory.at[jnp.argmax(memory[:, 0] < 0)].set(seen), update


def _net(**options):
    return mlp(4, 5, 3, **options)


def _fit(rule, task, net=None, **change):
    settings = {"epochs": EPOCHS, "batch": BATCH, "progress": False} | change
    return fit(_net() if net is None else net, rule, task, **settings)


def _same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="session")
def three(blobs):
    return _fit(BP(), blobs, seeds=3)


@pytest.fixture(scope="session")
def broken(blobs):
    seen = []
    return _fit(Breaking(), blobs, seeds=3, on_epoch=seen.append), seen


@pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="an accelerator adds up in another order side by side"
)
def test_three_seeds_are_three_runs_bit_for_bit(blobs, three):
    for seed in range(3):
        alone = _fit(BP(), blobs, first_seed=seed)
        assert alone.seeds == [seed]
        _same(three.learner(seed).net.theta, alone.learner().net.theta)
        assert {k: v[seed] for k, v in three.test.items()} == {
            k: v[0] for k, v in alone.test.items()
        }
        assert three.history.keys() == alone.history.keys()
        for name, curve in three.history.items():
            np.testing.assert_array_equal(curve.values[seed], alone.history[name].values[0])
            np.testing.assert_array_equal(curve.steps, alone.history[name].steps)


def test_three_seeds_are_three_runs_but_for_rounding_wherever_they_run(blobs, three):
    alone = _fit(BP(), blobs, first_seed=2)
    for mine, other in zip(
        jax.tree.leaves(three.learner(2).net.theta),
        jax.tree.leaves(alone.learner().net.theta),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-14)


@pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")
@pytest.mark.parametrize("batch", [6, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_rule_that_settles_learns_the_same_where_its_batch_is_divided_among_devices(blobs, batch):
    """Of two seeds each has a device; one alone has its samples on both."""
    task, net = blobs, mlp(4, 6, 3, activation="tanh")
    two = fit(net, PC(), task, epochs=2, batch=batch, seeds=2)
    one = fit(net, PC(), task, epochs=2, batch=batch)
    assert one.history.group("train").keys() == two.history.group("train").keys() != set()
    for name, curve in one.history.group("train").items():
        np.testing.assert_allclose(curve.last[0], two.history[f"train/{name}"].last[0], rtol=1e-10)
    for mine, theirs in zip(
        jax.tree.leaves(one.learner().net), jax.tree.leaves(two.learner().net), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_the_batch_of_a_learner_that_is_alone_is_divided():
    spread = Layout(1, divided=True)
    x = jax.jit(lambda x: spread.divide(x * 1.0))(
        spread.share(jnp.ones((2 * jax.device_count(), 3)))
    )
    assert {shard.data.shape for shard in x.addressable_shards} == {(2, 3)}
    assert jax.jit(Layout(2, divided=True).divide)(jnp.ones((4, 3))).sharding.is_fully_replicated


def test_learners_that_fill_up_devices_are_never_seen(three):
    """On two devices three seeds are four learners; the fourth must not show in a mean, a row or a
    file.
    """
    assert three.seeds == [0, 1, 2]
    assert all(a.shape[0] == 3 for a in jax.tree.leaves(three.learners))
    assert three.learners.failed.tolist() == [-1] * 3
    assert three.learners.step.tolist() == [EPOCHS * STEPS] * 3
    for name, curve in three.history.items():
        assert curve.values.shape == (3, len(curve.steps)), name
        assert np.all(np.isfinite(curve.values)), name
    assert three.failures == {}
    assert three.accuracy.shape == (3,)


def test_curves_count_epochs_and_updates(blobs, three):
    validation, train = (three.history[f"{part}/loss"] for part in ("validation", "train"))
    assert validation.epochs.tolist() == [0, 1, 2, 3] and train.epochs.tolist() == [1, 2, 3]
    assert validation.steps.tolist() == [0, STEPS, 2 * STEPS, 3 * STEPS]
    seconds = validation.seconds
    assert seconds[0] == 0 < seconds[1] < seconds[3] == three.seconds


def test_the_microscope_looks_from_the_start_to_the_end_and_more_often_early(three):
    for metric in QUANTITIES:
        curves = three.history.group(metric.name)
        assert curves.keys() == {"input-hidden1", "hidden1-output"}
        for curve in curves.values():
            at = curve.steps.tolist()
            assert at == sorted({round(EPOCHS * STEPS * (i / 7) ** 2) for i in range(8)})
            assert (at[0], at[-1], curve.epochs[-1]) == (0, EPOCHS * STEPS, EPOCHS)
    for curve in three.history.group("angle").values():
        np.testing.assert_allclose(curve.values, 0, atol=1e-6)
    assert three.looks == len(three.history["angle/input-hidden1"].steps)
    assert three.look_seconds > 0 < three.look_compile_seconds


def test_training_time_is_that_of_the_training_calls_alone(blobs, monkeypatch):
    """By a clock that goes on by one whenever it is read: each call takes one."""
    ticks, calls, train = itertools.count(), [], loop.Loop.train
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(loop.Loop, "train", lambda *args: calls.append(args) or train(*args))
    result = _fit(BP(), blobs, looks=3)
    assert result.seconds == len(calls) >= EPOCHS
    assert result.looks == 3


def test_the_microscope_looks_at_validation_samples(blobs):
    """Where those are all zero, nothing is to be said of the weights that read them."""
    data = blobs.load()
    blank = data["validation"]._replace(x=jnp.zeros_like(data["validation"].x))
    result = _fit(BP(), blobs, data=data | {"validation": blank}, epochs=1)
    assert np.isnan(result.history["angle/input-hidden1"].values).all()
    assert np.isfinite(result.history["train/loss"].values).all()


def test_the_memory_of_an_update_holds_what_backprop_has_to_keep(blobs):
    """The activity of a wide layer, beside weights, both moments of Adam and the samples."""
    wide, batch = 4000, 16
    result = _fit(BP(), blobs, net=mlp(4, wide, 3), epochs=1, batch=batch, looks=0)
    weights = 4 * wide + wide + wide * 3 + 3
    kept = batch * wide
    assert result.step_bytes > 8 * (3 * weights + kept)


class Advising(BP):
    """A test rule that says what it was told of its epoch."""

    def advice(self, measures):
        return f"{measures['loss']:.12f}"


def test_advice_is_of_the_last_epoch(blobs):
    result = _fit(Advising(), blobs)
    last = result.history["train/loss"].values[0, -1]
    assert result.advice == {0: f"{last:.12f}"}


def test_looking_changes_nothing(blobs, three):
    """Not the weights, not a score, to the bit: whole epochs and parts of them are one program."""
    heard = []
    never, always = (
        _fit(BP(), blobs, seeds=3, looks=0),
        _fit(BP(), blobs, seeds=3, look_at=range(EPOCHS * STEPS + 1), on_look=heard.append),
    )
    assert never.looks == 0 == never.look_seconds == never.look_compile_seconds == 0
    every = [*range(EPOCHS * STEPS + 1)]
    assert always.history["angle/input-hidden1"].steps.tolist() == every
    assert [look.step for look in heard] == every and all(look.look for look in heard)
    for other in (never, always):
        _same(other.learners.net.theta, three.learners.net.theta)
        _same(other.test, three.test)
        for name, curve in three.history.group("validation").items():
            _same(other.history[f"validation/{name}"].values, curve.values)
        for name, curve in three.history.group("train").items():
            mine = other.history[f"train/{name}"].values  # a mean of parts, added in another order
            np.testing.assert_allclose(mine, curve.values, rtol=1e-12)
    for metric in QUANTITIES:
        _same(always.history.last(metric.name), three.history.last(metric.name))


def test_a_failure_between_two_looks_is_dated_as_ever(blobs, broken):
    looked = _fit(Breaking(), blobs, seeds=3, look_at=[2, 4, 5, 6, 7, 12])
    assert looked.failures == broken[0].failures
    curve = looked.history["angle/input-hidden1"]
    # The look after update 5 shows what update 6 will be.
    assert np.isnan(curve.values[1]).tolist() == [step >= 5 for step in curve.steps]
    assert np.all(np.isfinite(curve.values[[0, 2]]))


@pytest.mark.parametrize(
    ("updates", "batch", "probe", "looks"),
    [
        (1170, 32, 64, 11),
        (4290, 128, 64, 20),
        (90, 128, 64, 8),
        (4290, 128, 512, 20),
        (1170, 32, 256, 8),
    ],
)
def test_the_default_number_of_looks(updates, batch, probe, looks):
    assert default_looks(updates, batch, probe) == looks


def _outputs(result, i, split):
    """The outputs of a trained network, by NumPy."""
    w1, w2 = (
        {k: np.asarray(a) for k, a in w.items()} for w in result.learner(i).net.theta.values()
    )
    hidden = np.maximum(np.asarray(split.x) @ w1["weight"] + w1["bias"], 0)
    return hidden @ w2["weight"] + w2["bias"]


def _scored(result, i, split):
    """Accuracy and loss of a trained network on a split, by NumPy."""
    y = _outputs(result, i, split)
    labels = np.asarray(split.y)
    return np.mean(y.argmax(1) == labels), np.mean(
        np.log(np.exp(y).sum(1)) - y[np.arange(len(y)), labels]
    )


def test_test_scores_are_those_of_the_weights_handed_back(blobs, three):
    """The split is scored in chunks; the last one is filled up with samples that must not count."""
    for i in range(3):
        accuracy, loss = _scored(three, i, blobs.load()["test"])
        assert three.test["accuracy"][i] == pytest.approx(accuracy, rel=1e-12)
        assert three.test["loss"][i] == pytest.approx(loss, rel=1e-10)


def test_predictions_are_those_that_were_scored(blobs, three):
    """Each class by its number; from them the balanced accuracy, as scikit-learn has it."""
    test, kept = blobs.load()["test"], three.predictions
    assert kept.labels == ("red", "green", "blue") and kept.seeds == (0, 1, 2)
    np.testing.assert_array_equal(kept.truth, test.y)
    for i in range(3):
        np.testing.assert_array_equal(kept.values[i], _outputs(three, i, test).argmax(1))
        wanted = balanced_accuracy_score(kept.truth, kept.values[i])
        assert three.balanced_accuracy[i] == pytest.approx(wanted, rel=1e-12)
    assert three.test_classes == [4, 4, 3] and not three.imbalanced


def test_more_answers_than_there_is_room_for_are_not_kept(blobs, monkeypatch):
    monkeypatch.setattr(loop, "MOST_ANSWERS", 10)
    result = _fit(BP(), blobs)
    assert result.predictions is None and result.test_classes == []
    assert "balanced_accuracy" not in result.test


def test_the_curve_ends_at_the_validation_scores_of_the_weights_handed_back(blobs, three):
    """Rules are tuned by it, so it must be of no other split."""
    for i in range(3):
        accuracy, loss = _scored(three, i, blobs.load()["validation"])
        assert three.history["validation/accuracy"].last[i] == pytest.approx(accuracy, rel=1e-12)
        assert three.history["validation/loss"].last[i] == pytest.approx(loss, rel=1e-10)


def test_until_the_end_nothing_reads_the_test_split(blobs, three):
    """With another test split every curve, look and weight is the same bit; only the final scores
    are others.
    """
    data = blobs.load()
    other = _fit(BP(), blobs, seeds=3, data=data | {"test": Split(-data["test"].x, data["test"].y)})
    _same(other.learners.net.theta, three.learners.net.theta)
    assert other.history.keys() == three.history.keys()
    for name, curve in three.history.items():
        _same(other.history[name].values, curve.values)
    assert not np.any(other.test["loss"] == three.test["loss"])


def test_scoring_in_chunks_that_do_not_divide_the_split_changes_nothing(blobs, monkeypatch, three):
    monkeypatch.setattr(loop, "SCORE_BATCH", 4)
    chunked = _fit(BP(), blobs)
    for k, v in three.test.items():
        assert chunked.test[k][0] == pytest.approx(v[0], rel=1e-12)
    np.testing.assert_array_equal(chunked.predictions.values[0], three.predictions.values[0])


def test_a_seed_that_diverges_is_stopped_and_explained(broken):
    result, _ = broken
    assert result.failures.keys() == {1}
    assert "stopped being finite at update" in result.failures[1]
    assert "in epoch 2" in result.failures[1]  # its sixth update, of four an epoch
    assert "try a smaller learning rate (lr was 0.001)" in result.failures[1]
    assert np.isnan(result.accuracy[1]) and np.isnan(result.test["loss"][1])
    assert (result.predictions.values == -1).all(1).tolist() == [False, True, False]
    assert np.isnan(result.balanced_accuracy).tolist() == [False, True, False]
    assert int(result.learner(1).step) <= 2 * STEPS, "it went on after the epoch in which it failed"
    assert "1 failed" in str(result)
    assert all(np.isnan(v[1]) for v in result.history.last("train").values())


def test_other_seeds_do_not_notice_the_one_that_diverged(three, broken):
    result, _ = broken
    for i in (0, 2):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12),
            result.learner(i).net.theta,
            three.learner(i).net.theta,
        )
        for mine, other in (
            (result.test, three.test),
            (result.history.last("train"), three.history.last("train")),
        ):
            assert {k: v[i] for k, v in mine.items()} == pytest.approx(
                {k: v[i] for k, v in other.items()}, rel=1e-12
            )


def test_a_seed_that_failed_has_no_validation_score(broken):
    """The arg max of NaN is class 0: without care its accuracy is the share of that class, a number
    that means nothing.
    """
    _, rows = broken
    for row in rows[2:]:
        assert np.all(np.isnan([v[1] for name, v in row.items() if name.startswith("validation/")]))


@pytest.mark.parametrize("at", [5, 7])
def test_the_update_that_broke_is_named(blobs, at):
    """Counted from one, as the epochs are: wherever in its epoch it falls."""
    result = _fit(Breaking(seed=0, at=at), blobs)
    assert f"at update {at + 1}, in epoch 2" in result.failures[0]


def test_a_learning_rate_beyond_reason_is_stopped(blobs):
    result = _fit(BP(), blobs, optimiser="sgd", lr=1e300)
    assert result.failures.keys() == {0}
    assert "lr was 1e+300" in result.failures[0]
    assert "no seed survived" in str(result)


def _moved(result):
    """How far down each weight went: by projection and part, the values that occur."""
    start, end = (
        mlp(4, 5, 3).redraw(branch(jax.random.key(0), WEIGHTS)).theta,
        result.learner().net.theta,
    )
    return [
        np.unique(np.round(np.asarray(start[name][k] - a), 12))
        for name, w in end.items()
        for k, a in w.items()
    ]


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_schedule_is_the_curve_it_is_named_after(blobs, schedule):
    """The update is one throughout, so a weight moves by the sum of the rates. Loshchilov and
    Hutter 2017, eq. 5.
    """
    total = EPOCHS * STEPS
    rates = (
        0.1 * (1 + np.cos(np.pi * np.arange(total) / total)) / 2
        if schedule == "cosine"
        else np.full(total, 0.1)
    )
    result = _fit(Drift(), blobs, optimiser="sgd", lr=0.1, lr_gamma=0.02, schedule=schedule)
    for moved in _moved(result):
        np.testing.assert_allclose(moved, [rates.sum()], rtol=1e-9)
    np.testing.assert_allclose(result.learner().gamma, -0.2 * rates.sum(), rtol=1e-9)


def test_rate_is_the_rules_own_where_none_is_given(blobs):
    result = _fit(Drift(), blobs, optimiser="sgd", schedule="constant", epochs=1)
    for moved in _moved(result):
        np.testing.assert_allclose(moved, [0.5 * STEPS], rtol=1e-9)
    np.testing.assert_allclose(result.learner().gamma, -0.5 * STEPS, rtol=1e-9)


def test_what_the_first_update_of_a_program_costs_is_not_training_time(blobs):
    """It is made once before, and forgotten."""
    rule = Counting()
    result = _fit(rule, blobs, epochs=1)
    jax.effects_barrier()
    assert Counting.seen.count(0) == 2 * Counting.seen.count(STEPS - 1) > 0
    _same(result.learner().net.theta, _fit(BP(), blobs, epochs=1).learner().net.theta)


def test_any_optax_transformation_will_do(blobs):
    result = _fit(Drift(), blobs, optimiser=optax.sgd(0.25), epochs=1)
    for moved in _moved(result):
        np.testing.assert_allclose(moved, [0.25 * STEPS], rtol=1e-9)


def test_an_epoch_takes_each_sample_once_and_every_rule_in_the_same_order(blobs):
    """Neither what a rule draws for itself nor its noise moves the order, which differs between
    epochs.
    """
    quiet, noisy = (
        np.rint(1000 * np.asarray(_fit(Listing(draws=d), blobs).learner().memory)).astype(int)
        for d in (False, True)
    )
    np.testing.assert_array_equal(quiet, noisy)
    epochs = quiet.reshape(EPOCHS, STEPS * BATCH)
    for one in epochs:
        assert len(set(one)) == STEPS * BATCH
        assert set(one) <= set(range(24))
    assert len({one.tobytes() for one in epochs}) == EPOCHS


def test_a_second_readout_has_scores_of_its_own(blobs):
    result = _fit(FF(), blobs, _net(norm=True), epochs=1)
    assert result.test.keys() - {"balanced_accuracy"} == {
        "accuracy",
        "loss",
        "accuracy/head",
        "loss/head",
        "accuracy/hidden1",
        "loss/hidden1",
    }
    assert result.test["loss"][0] != result.test["loss/head"][0]


CYCLE = graph(
    {"input": 4, "a": 3, "b": 3, "output": 3},
    [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")],
)
REFUSED = {
    "no rate": ({"lr": 0.0}, ConfigError, "a learning rate of 0.0"),
    "rate below zero": ({"lr": -0.1}, ConfigError, "a positive number"),
    "rate not a number": ({"lr": float("nan")}, ConfigError, "a positive number"),
    "rate without end": ({"lr": float("inf")}, ConfigError, "a positive number"),
    "rate of gamma": ({"lr_gamma": 0.0}, ConfigError, "a learning rate of 0.0"),
    "batch too large": ({"batch": 25}, ConfigError, "1 to 24, the training samples there are"),
    "no batch": ({"batch": 0}, ConfigError, "a batch of 0"),
    "unknown optimiser": ({"optimiser": "adm"}, UnknownNameError, "did you mean 'adam'"),
    "unknown schedule": ({"schedule": "cosin"}, UnknownNameError, "did you mean 'cosine'"),
    "no epochs": ({"epochs": 0}, ConfigError, "epochs = 0"),
    "no seeds": ({"seeds": 0}, ConfigError, "seeds = 0"),
    "no probe": ({"probe": 0}, ConfigError, "probe = 0"),
    "one look": ({"looks": 1}, ConfigError, "looks = 1"),
    "looks that are too late": ({"look_at": [0, 13]}, ConfigError, "look_at = [0, 13]"),
    "looks said twice": ({"looks": 5, "look_at": [0]}, ConfigError, "one of the two"),
    "seed below zero": ({"first_seed": -1}, ConfigError, "-1"),
    "other inputs": ({"net": mlp(5, 4, 3)}, ShapeError, "5 inputs and 3 outputs on the task blobs"),
    "other outputs": ({"net": mlp(4, 5, 2)}, ShapeError, "4 inputs, as (4,), and 3 outputs"),
    "a cycle": ({"net": CYCLE}, RuleError, "bp was given a network with a cycle"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_settings_that_make_no_sense_are_refused(blobs, case):
    change, error, said = REFUSED[case]
    with pytest.raises(error) as caught:
        _fit(BP(), blobs, **change)
    assert said in str(caught.value)
    assert "wanted: " in str(caught.value)
    assert "do: " in str(caught.value)


def test_import_loads_nothing_that_is_only_needed_later():
    """`import byway` is for a prompt; optax, scikit-learn, matplotlib and rich come with their
    first use.
    """
    late = (
        "{'optax', 'sklearn', 'scipy', 'matplotlib', 'rich', 'pooch', 'tyro', 'byway.training', "
        "'byway.rules'}"
    )
    code = (
        f"import sys, jax; before = set(sys.modules); import byway; print(sorted({late} & "
        "(set(sys.modules) - before)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
