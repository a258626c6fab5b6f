"""A task goes by the scores that it declares: what they are on a whole split, what it may not do,
and that nothing needs an accuracy.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error

import byway
from byway.core.errors import ConfigError, DataError
from byway.core.score import LOSS, R2, RMSE, Score
from byway.core.signal import Signal, SquaredError
from byway.core.task import Split, Task
from byway.training.history import History, Reading

# More than are scored at once, and no multiple of it.
SIZES = {
    "train": 60,
    "validation": 1100,
    "test": 21,
    "shifted": 7,
}


class Plane(Task):
    """Two numbers that are linear in three."""

    input_shape, outputs = (3,), 2
    scores = (RMSE, R2, LOSS)

    def load(self):
        draw = np.random.default_rng(0)
        x = {name: draw.normal(size=(size, 3)) for name, size in SIZES.items()}
        return {
            name: Split(
                jnp.asarray(a),
                jnp.asarray(a @ [[1, 0], [0, 2], [3, 0]] + draw.normal(size=(len(a), 2))),
            )
            for name, a in x.items()
        }

    def batch(self, split, index, key):
        return split.x[index], Signal(split.y[index], SquaredError())

    def score(self, output, signal):
        square, t = (output - signal.target) ** 2, signal.target
        return super().score(output, signal) | {
            RMSE.name: square,
            R2.name: jnp.stack([square, t, t**2], -1),
        }


class Loss(Plane):
    """The same, and not a word about scores."""

    scores, score = Task.scores, Task.score


def trained(task, **options):
    net = byway.mlp(3, 5, 2)
    return byway.fit(
        net,
        byway.rule("bp"),
        task,
        **{"epochs": 2, "batch": 12, "looks": 0, "seeds": 2, "progress": False, **options},
    )


@pytest.fixture(scope="module")
def result():
    return trained(Plane(), lr=1e-2)


def test_scores_are_those_of_the_whole_split(result):
    for i in range(2):
        net = result.learner(i).net
        for name, held in (
            ("test", result.test),
            ("validation", result.history.last("validation")),
            ("shifted", result.others["shifted"]),
        ):
            split = result.task.load()[name]
            split, output = (
                Split(*map(np.asarray, split)),
                np.asarray(net.forward(split.x).post[net.output]),
            )
            assert held["rmse"][i] == pytest.approx(
                root_mean_squared_error(split.y, output), rel=1e-10
            )
            assert held["r2"][i] == pytest.approx(r2_score(split.y, output), rel=1e-10)
            assert held["loss"][i] == pytest.approx(
                np.sum((split.y - output) ** 2, 1).mean() / 2, rel=1e-10
            )


def test_scores_of_training_are_those_of_all_samples_of_the_epoch_not_means_of_batches():
    """At a rate of zero the weights stay, and the five batches of an epoch are the training
    split.
    """
    result = trained(Plane(), optimiser=optax.sgd(0.0), epochs=1)
    split = result.task.load()["train"]
    for i in range(2):
        net = result.learner(i).net
        output = net.forward(split.x).post[net.output]
        assert result.history["train/r2"].last[i] == pytest.approx(
            r2_score(split.y, output), rel=1e-10
        )
        assert result.history["train/rmse"].last[i] == pytest.approx(
            root_mean_squared_error(split.y, output), rel=1e-10
        )


def test_a_result_says_the_main_score_and_has_every_one_by_name(result):
    mean, deviation = result.test["rmse"].mean(), result.test["rmse"].std(ddof=1)
    assert str(result).startswith(
        f"bp on plane: test RMSE {mean:.3f} ± {deviation:.3f}, 2 seeds in "
    )
    np.testing.assert_array_equal(result.main, result.test["rmse"])
    np.testing.assert_array_equal(result.r2, result.test["r2"])
    with pytest.raises(
        AttributeError, match="no attribute 'accuracy'; the scores of this one are "
    ):
        result.accuracy  # noqa: B018
    assert "test RMSE" in result._repr_html_() and "Validation RMSE" in result._repr_html_()


def test_a_task_that_says_nothing_of_scores_has_its_loss():
    result = trained(Loss(), seeds=1)
    assert set(result.test) == {"loss"} and str(result).startswith("bp on loss: test loss ")
    assert "Validation loss" in result._repr_html_()


def test_a_seed_that_was_lost_counts_as_it_was_before_it_learned(result):
    first = result.history["validation/rmse"].values[:, 0]
    readings = [
        Reading(0, 0.0, 0.0, {"validation/rmse": first}),
        Reading(10, 2.0, 1.0, {"validation/rmse": np.array([np.nan, 1.0])}),
    ]
    again = dataclasses.replace(result, history=History(readings))
    assert again.validated == pytest.approx((first[0] + 1.0) / 2)


def test_extra_splits_change_nothing_of_what_is_learnt(result):
    task = Plane()
    without = trained(
        task,
        lr=1e-2,
        data={name: split for name, split in task.load().items() if name != "shifted"},
    )
    assert without.others == {} and set(result.others) == {"shifted"}
    np.testing.assert_array_equal(without.test["loss"], result.test["loss"])
    with pytest.raises(DataError, match="extra x with 1 numbers that are not finite"):
        trained(
            task,
            data=task.load() | {"extra": Split(jnp.array([[np.nan, 1, 2]]), jnp.zeros((1, 2)))},
        )


def test_a_failure_is_dated_without_a_loss_among_the_scores():
    class Sizes(Plane):
        scores = (Score("size"),)

        def score(self, output, signal):
            return {"size": jnp.zeros(len(output))}

    result = trained(Sizes(), optimiser=optax.sgd(1e200), seeds=1)
    assert (
        list(result.failures) == [0]
        and "a number stopped being finite at update" in result.failures[0]
    )
    assert np.isnan(result.test["size"][0])


def scoring(given, **about):
    """The task with another `score`."""
    return type("Plane", (Plane,), {"score": lambda self, output, signal: given(output), **about})()


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (scoring(lambda output: {"rmse": output[:, 0]}), "declares the score r2 and measures rmse"),
        (scoring(lambda output: output[:, 0]), "declares the score rmse and measures"),
        (scoring(lambda output: {"f1": "good"}, scores=(Score("f1"),)), "whose score f1 is 'good'"),
        (scoring(lambda output: {"f1": None}, scores=(Score("f1"),)), "whose score f1 is None"),
        (scoring(lambda output: {"f1": 0.5}, scores=(Score("f1"),)), "whose score f1 is 0.5"),
        (
            scoring(lambda output: {"f1": output.mean()}, scores=(Score("f1"),)),
            "whose score f1 is of shape ()",
        ),
        (
            scoring(lambda output: {"f1": output[:, 0].astype(complex)}, scores=(Score("f1"),)),
            "whose score f1 is ShapeDtypeStruct",
        ),
        (
            scoring(lambda output: {"f1": output.T}, scores=(Score("f1"),)),
            "whose score f1 is of shape (2, 12) for a batch of (12,)",
        ),
        (
            scoring(lambda output: {"f1": output[:, 0] * jnp.nan}, scores=(Score("f1"),)),
            "the score f1 of the task plane, which is nan",
        ),
        (
            scoring(lambda output: {"f1": output}, scores=(Score("f1"),)),
            "of parts of shape (2,) and nothing that puts them together",
        ),
        (
            scoring(lambda output: {"f1": output[:, 0], "own": output}, scores=(Score("f1"),)),
            "whose score own is of shape (12, 2)",
        ),
        (
            scoring(lambda output: {"f1": output}, scores=(Score("f1", finish=np.sqrt),)),
            "whose `finish` makes",
        ),
        (scoring(lambda output: {"f1": output[:, 0]}, scores=("f1",)), "whose scores are ('f1',)"),
        (
            scoring(lambda output: {"f1": output[:, 0]}, scores=(Score("f1"), Score("f1"))),
            "whose scores are",
        ),
    ],
    ids=range(14),
)
def test_a_score_that_is_no_number_is_refused_before_anything_trains(task, said):
    with pytest.raises(ConfigError) as caught:
        trained(task)
    assert said in caught.value.given


def test_truths_are_numbers_too():
    task = scoring(
        lambda output: {"large": output[:, 0] > 0}, scores=(Score("large", unit="%", scale=100.0),)
    )
    result = trained(task, seeds=1)
    net, split = result.learner().net, result.task.load()["test"]
    assert result.main[0] == pytest.approx(
        np.mean(np.asarray(net.forward(split.x).post[net.output])[:, 0] > 0)
    )
