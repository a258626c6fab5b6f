"""What holds for every task found in the folder, and what is known of each data set from
elsewhere.
"""

import gzip

import jax
import jax.numpy as jnp
import numpy as np
import pooch
import pytest
import requests
from sklearn.datasets import load_digits

import byway
from byway.core.errors import ConfigError, DataError
from byway.core.signal import CrossEntropy, Signal
from byway.tasks import TASKS
from byway.tasks._images import ImageTask
from byway.tasks._spoken import SpokenTask

# training and test images, train mean and standard deviation of the scaled pixels, from the data
# card
CARD = {
    "mnist": (60_000, 10_000, 0.1307, 0.3081),
    "fashion_mnist": (60_000, 10_000, 0.2860, 0.3530),
}
MNIST_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
# Those that need a file.
FILED = {name for name in TASKS.ids() if issubclass(TASKS.get(name), ImageTask | SpokenTask)}
FILED = FILED - {"digits"} | {"shakespeare"}
# Nothing until somebody gives it samples; its tests are in tasks/test_own_data.py.
GIVEN = {"data"}
# What holds of a long sequence holds of a short one, which takes a tenth of the time.
SHORT = {
    "evidence": {"scale": 0.05},
    "fsdd": {"hop": 100},
    "fsdd_spikes": {"hop": 100},
    "pattern_generation": {"length": 20},
    "shakespeare": {"length": 20},
}

every_task = pytest.mark.parametrize("name", TASKS.ids())
# Sequences that are drawn have tests of their own, in tasks/test_sequences.py.
every_image_task = pytest.mark.parametrize(
    "name", [name for name in TASKS.ids() if issubclass(TASKS.get(name), ImageTask)]
)
every_classification = pytest.mark.parametrize(
    "name", [name for name in TASKS.ids() if name not in GIVEN and byway.task(name).encoding.labels]
)
_loaded = {}


@pytest.fixture
def splits_of(request, monkeypatch):
    """A task's splits, loaded once; a skip where its files are not at hand. Nothing is
    downloaded.
    """

    def offline(*args, **kwargs):
        raise requests.ConnectionError("tests do not download")

    def load(name):
        if name not in _loaded:
            if name in FILED:
                request.getfixturevalue("real_data")
            monkeypatch.setattr(pooch, "retrieve", offline)
            try:
                _loaded[name] = byway.task(name, **SHORT.get(name, {})).load()
            except DataError as problem:
                pytest.skip(problem.given)
        return _loaded[name]

    return load


def _everything(splits, part):
    return np.concatenate(
        [np.asarray(splits[name][part]) for name in ("train", "validation", "test")]
    )


@every_image_task
def test_batches_are_scaled_to_one_with_one_hot_targets(name, splits_of):
    splits, task = splits_of(name), byway.task(name)
    index = jnp.array([5, 0, 3, 3])
    for split in splits.values():
        x, signal = task.batch(split, index, jax.random.key(0))
        raw = np.asarray(split.x)[[5, 0, 3, 3]].reshape(4, -1)
        raw = raw if task.encoding.order is None else raw[:, task.encoding.order]
        np.testing.assert_allclose(
            np.reshape(x, raw.shape), raw / {"digits": 16}.get(name, 255), rtol=1e-12
        )
        assert x.shape == (4, *x.shape[1 : 1 + task.in_time], *task.input_shape)
        asked = signal.target[:, -1] if task.in_time else signal.target
        np.testing.assert_array_equal(
            asked, np.eye(task.outputs)[np.asarray(split.y)[[5, 0, 3, 3]]]
        )
        assert split.x.dtype == jnp.uint8


@every_image_task
def test_pixels_use_the_whole_range(name, splits_of):
    pixels = np.asarray(splits_of(name)["train"].x)
    assert (pixels.min(), pixels.max()) == (0, {"digits": 16}.get(name, 255))


@every_image_task
def test_every_class_is_in_every_split(name, splits_of):
    for split in splits_of(name).values():
        assert np.all(np.bincount(np.asarray(split.y), minlength=10) > 0)


@every_image_task
def test_validation_takes_the_last_of_training_and_leaves_the_test_alone(name, splits_of):
    splits = splits_of(name)
    fewer = byway.task(name, validation=7).load()
    assert fewer["validation"].size == 7
    np.testing.assert_array_equal(fewer["test"].x, splits["test"].x)
    whole = np.concatenate([splits["train"].y, splits["validation"].y])
    np.testing.assert_array_equal(np.concatenate([fewer["train"].y, fewer["validation"].y]), whole)
    np.testing.assert_array_equal(fewer["validation"].y, whole[-7:])


@every_image_task
def test_a_validation_split_that_leaves_nothing_is_refused(name, splits_of):
    splits = splits_of(name)
    total = splits["train"].size + splits["validation"].size
    with pytest.raises(ConfigError, match=f"validation = {total}"):
        byway.task(name, validation=total).load()
    with pytest.raises(ConfigError, match="validation = 0"):
        byway.task(name, validation=0)


@every_task
def test_class_id_and_file_have_one_name(name):
    cls = TASKS.get(name)
    assert cls.__module__ == f"byway.tasks.{name}"
    assert cls().id == name


def _one_of_each_kind():
    """Tasks, of which the first of each kind is checked in every run; all are in `make slow`."""
    seen = set()
    for name in TASKS.ids():
        if name in GIVEN:
            continue
        kind = TASKS.get(name).__mro__[1]
        yield pytest.param(name, marks=pytest.mark.slow if kind in seen else (), id=name)
        seen.add(kind)


@pytest.mark.parametrize("name", list(_one_of_each_kind()))
def test_every_task_keeps_the_contract(name, splits_of):
    byway.check_task(byway.task(name, **SHORT.get(name, {})), splits_of(name))


@every_classification
def test_scores_are_the_share_of_right_answers_and_the_loss(name):
    task = byway.task(name)
    draw = np.random.default_rng(0)
    output, labels = draw.normal(size=(50, task.outputs)), draw.integers(0, task.outputs, 50)
    signal = Signal(
        jnp.asarray(np.eye(task.outputs)[labels]),
        CrossEntropy(),
        jnp.ones(50) if task.in_time else None,
    )
    scores = task.score(jnp.asarray(output), signal)
    assert {"accuracy", "loss"} <= {score.name for score in task.scores}
    np.testing.assert_array_equal(scores["accuracy"], output.argmax(1) == labels)
    np.testing.assert_allclose(
        scores["loss"], np.log(np.exp(output).sum(1)) - output[np.arange(50), labels], rtol=1e-12
    )


def test_digits_are_those_of_scikit_learn_each_once(splits_of):
    """As many pairs of image and label as there are, no pair more often: so no image is both
    trained on and tested.
    """
    splits = splits_of("digits")
    assert [splits[k].size for k in ("train", "validation", "test")] == [1257, 180, 360]
    flat, labels = load_digits(return_X_y=True)
    expected = np.column_stack([flat, labels])
    mine = np.column_stack([_everything(splits, 0).reshape(-1, 64), _everything(splits, 1)])
    assert len(np.unique(expected, axis=0)) == 1797
    np.testing.assert_array_equal(mine[np.lexsort(mine.T)], expected[np.lexsort(expected.T)])
    # The order in which they were shuffled once: another one would make every figure another.
    shuffled = np.random.default_rng(0).permutation(1797)
    np.testing.assert_array_equal(splits["test"].y, labels[shuffled[-360:]])


def _official(folder, part, rank):
    """An IDX file read by hand: a header of one magic word and `rank` sizes, then bytes."""
    raw = gzip.decompress((folder / part).read_bytes())
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank)


@pytest.mark.parametrize("name", CARD)
def test_idx_sets_are_the_official_ones_in_order(name, splits_of, real_data):
    splits, (train, test, mean, deviation) = splits_of(name), CARD[name]
    assert [splits[k].size for k in ("train", "validation", "test")] == [train - 5_000, 5_000, test]
    x = np.concatenate([np.asarray(splits[k].x) for k in ("train", "validation")])
    y = np.concatenate([np.asarray(splits[k].y) for k in ("train", "validation")])
    np.testing.assert_array_equal(np.bincount(y), MNIST_COUNTS if name == "mnist" else [6000] * 10)
    assert x.mean() / 255 == pytest.approx(mean, abs=5e-5)
    assert np.sqrt(np.mean(x.astype(np.float32) ** 2) - x.mean() ** 2) / 255 == pytest.approx(
        deviation, abs=5e-5
    )
    np.testing.assert_array_equal(
        x.ravel(), _official(real_data / name, "train-images-idx3-ubyte.gz", 3)
    )
    np.testing.assert_array_equal(y, _official(real_data / name, "train-labels-idx1-ubyte.gz", 1))
    np.testing.assert_array_equal(
        np.asarray(splits["test"].x).ravel(),
        _official(real_data / name, "t10k-images-idx3-ubyte.gz", 3),
    )
    np.testing.assert_array_equal(
        splits["test"].y, _official(real_data / name, "t10k-labels-idx1-ubyte.gz", 1)
    )


def test_cifar10_subset_is_a_subset_and_says_so(splits_of):
    """The data card: the first 20,000 official training images less 39, the official test set less
    31 ships and a horse.
    """
    splits = splits_of("cifar10_subset")
    assert [splits[k].size for k in ("train", "validation", "test")] == [17_961, 2_000, 9_968]
    lost = np.zeros(10, int)
    lost[[8, 7]] = 31, 1
    np.testing.assert_array_equal(np.bincount(np.asarray(splits["test"].y)), 1000 - lost)
    # published: mean 0.4914 0.4822 0.4465, deviation 0.2470 0.2435 0.2616, over all 50,000
    x = np.asarray(splits["train"].x)[::4] / 255
    np.testing.assert_allclose(x.mean((0, 1, 2)), [0.4914, 0.4822, 0.4465], atol=0.005)
    np.testing.assert_allclose(x.std((0, 1, 2)), [0.2470, 0.2435, 0.2616], atol=0.005)
    assert "NOT CIFAR-10" in __import__("byway.tasks.cifar10_subset", fromlist=["_"]).__doc__


def test_a_misspelt_task_is_answered_with_the_nearest():
    with pytest.raises(byway.BywayError, match="did you mean 'mnist'"):
        byway.task("mnits")
