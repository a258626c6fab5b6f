"""Folds: every sample is tested once, and nothing of it is known while others are trained on."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import byway
from byway.core.errors import ConfigError

DRAW = np.random.default_rng(0)
# A number of its own for each sample, and one to be scaled.
X = np.stack([np.arange(60.0), DRAW.normal(5, 3, 60)], 1)
Y = DRAW.permutation([0] * 37 + [1] * 16 + [2] * 7)


def _numbers(task):
    """By split, which samples are in it."""
    splits = {name: np.asarray(split.x, float) for name, split in task.load().items()}
    undo = lambda x: x if task.mean is None else x * task.deviation + task.mean
    return {name: np.rint(undo(x)[..., 0]).astype(int) for name, x in splits.items()}


def test_every_sample_is_tested_once_and_each_class_in_proportion():
    folds = [_numbers(byway.Data(X, Y).in_fold(f"{i}/5")) for i in range(1, 6)]
    assert sorted(np.concatenate([one["test"] for one in folds])) == [*range(60)]
    for one in folds:
        assert sorted(np.concatenate([*one.values()])) == [*range(60)]
        assert len(one["validation"]) == 6, "a tenth of all, as without folds"
        tested = np.bincount(Y[one["test"]], minlength=3)
        assert np.all(abs(tested - np.bincount(Y) / 5) < 1)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_scaling_knows_the_training_samples_of_the_fold_alone(kind):
    """Mean and deviation by numpy, of those samples and no others; of y too, where it is scaled."""
    y = Y if kind == "classification" else X[:, 1] ** 2
    task = byway.Data(X, y, kind=kind).in_fold("2/4")
    splits, numbers = task.load(), _numbers(task)
    trained = X[numbers["train"]]
    for name, split in splits.items():
        wanted = (X[numbers[name]] - trained.mean(0)) / trained.std(0)
        np.testing.assert_allclose(split.x, wanted, atol=1e-5)
        if kind == "regression":
            known = y[numbers["train"]]
            scaled = (y[numbers[name]] - known.mean()) / known.std()
            np.testing.assert_allclose(np.asarray(split.y)[:, 0], scaled, atol=1e-5)


def test_a_sequence_is_in_one_fold_whole():
    walks = [np.full((n, 1), float(i)) for i, n in enumerate(DRAW.integers(2, 6, 20))]
    data = byway.Data(walks, [0, 1] * 10, sequences=True, standardise=False)
    folds = [_numbers(data.in_fold(f"{i}/4"))["test"] for i in range(1, 5)]
    assert sorted(np.concatenate(folds)[:, 0]) == [*range(20)]


def test_the_folds_of_digits_are_those_of_scikit_learn_each_once():
    x, y = load_digits(return_X_y=True)
    tested = [byway.task("digits", fold=f"{i}/3").load()["test"] for i in range(1, 4)]
    images = np.concatenate([np.asarray(one.x).reshape(-1, 64) for one in tested])
    assert sorted(map(bytes, images)) == sorted(map(bytes, x.astype(np.uint8)))
    for one in tested:
        assert np.all(abs(np.bincount(one.y) - np.bincount(y) / 3) < 1)


def test_folds_of_data_on_disk_are_the_same(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    held, there = (
        task.in_fold("3/3").load()
        for task in (byway.Data(X, Y), byway.Data(path=tmp_path / "x.npy"))
    )
    for name, split in held.items():
        np.testing.assert_array_equal(split.x, there[name].x[:])


@pytest.mark.parametrize("fold", ["", "2", "0/5", "6/5", "1/1", "-1/5", "1/5/2", "a/b", "1/99999"])
def test_folds_that_there_are_not_are_refused(fold):
    with pytest.raises(ConfigError, match="fold"):
        byway.Data(X, Y).in_fold(fold)


def test_more_folds_than_samples_of_a_class_are_refused():
    with pytest.raises(ConfigError, match="a class has 7"):
        byway.Data(X, Y).in_fold("1/8")
    with pytest.raises(ConfigError, match="of 60 samples"):
        byway.Data(X, X[:, 1], kind="regression").in_fold("1/61")


def test_what_is_no_pool_is_refused():
    for name in ("mnist", "adding"):
        with pytest.raises(ConfigError, match=f"{name} in folds"):
            byway.task(name).in_fold("1/5")
    parts = byway.Data(X, Y, test_x=X, test_y=Y)
    with pytest.raises(ConfigError, match="one pool"):
        parts.in_fold("1/5")
    with pytest.raises(ConfigError, match=r"test = 0\.3"):
        byway.Data(X, Y, test=0.3).in_fold("1/5")
    with pytest.raises(ConfigError, match="of its fold 1/5"):
        byway.Data(X, Y).in_fold("1/5").in_fold("1/5")
    with pytest.raises(ConfigError, match="of its fold 1/5"):
        byway.task("digits", fold="1/5").in_fold("2/5")
