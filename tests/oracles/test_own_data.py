"""The task `data`: what is read is what was written, splits are in proportion, and whatever can be wrong is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import byway
from byway.cli.experiment import Experiment
from byway.cli.main import main
from byway.cli.settings import read, settings_class, to_toml
from byway.core.errors import ConfigError, DataError
from byway.tasks.data import parted

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)) * [1, 10, 0.1] + [0, 100, -5]
Y = np.array([["no", "yes", "perhaps"][i % 3] for i in range(40)])
PIXELS = RNG.integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)


def _everything(task):
    """All samples of a task and their labels, in an order of their own."""
    splits = task.load().values()
    x, y = (np.concatenate([np.asarray(split[i]) for split in splits]) for i in (0, 1))
    rows = np.column_stack([x.reshape(len(x), -1), y])
    return rows[np.lexsort(rows.T)]


def _expected(x, y):
    numbers = np.array([sorted(set(y.tolist())).index(label) for label in y.tolist()])
    rows = np.column_stack([x.reshape(len(x), -1), numbers])
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("counts", [(50, 50), (90, 10), (1, 60, 39)])
@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.2), (0.25, 0.25), (0.2, 0.0)])
def test_each_sample_is_in_one_split_and_each_class_in_proportion(counts, validation, test):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    index = parted(labels, validation, test, seed=0)
    assert sorted(np.concatenate(list(index.values())).tolist()) == list(range(100))
    assert [len(index[k]) for k in ("validation", "test")] == [100 * validation, 100 * test]
    for name, share in (("validation", validation), ("test", test)):
        of_class = np.bincount(labels[index[name]], minlength=len(counts))
        assert np.all(np.abs(of_class - share * np.array(counts)) <= 1)
    assert np.all(np.bincount(labels[index["train"]], minlength=len(counts)) > 0)


def test_the_seed_draws_the_splits():
    same, again, other = (byway.Data(X, Y, seed=seed).load() for seed in (0, 0, 1))
    for name in same:
        np.testing.assert_array_equal(same[name].x, again[name].x)
    assert not np.array_equal(same["test"].x, other["test"].x)


def test_numbers_are_standardised_over_the_training_samples_alone():
    raw, task = byway.Data(X, Y, standardise=False).load(), byway.Data(X, Y)
    train = np.asarray(raw["train"].x)
    mean, deviation = train.mean(0), train.std(0)
    for name, split in task.load().items():
        np.testing.assert_allclose(split.x, (np.asarray(raw[name].x) - mean) / deviation, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(task.prepare(X[:5]), (X[:5] - mean) / deviation, rtol=1e-10)
    x, signal = task.batch(task.load()["train"], jnp.array([3, 0]), jax.random.key(0))
    np.testing.assert_array_equal(x, np.asarray(task.load()["train"].x)[[3, 0]])
    np.testing.assert_array_equal(np.argmax(signal.target, 1), np.asarray(task.load()["train"].y)[[3, 0]])


def test_small_differences_far_from_zero_survive_single_precision():
    """Times in seconds since 1970, a second apart: in float32 they would all be equal."""
    x = 1.7e9 + np.arange(40.0)[:, None]
    with jax.enable_x64(False):
        stored = byway.Data(x, Y).load()["train"].x
    assert stored.dtype == jnp.float32
    assert len(np.unique(stored)) == len(stored)


def test_a_feature_that_never_changes_is_no_division_by_zero():
    task = byway.Data(np.column_stack([X, np.ones(40)]), Y)
    assert np.all(np.asarray(task.load()["train"].x)[:, 3] == 0)


def test_bytes_are_pixels():
    task = byway.Data(PIXELS, Y[:12], test=0.25)
    split = task.load()["train"]
    assert (split.x.dtype, task.input_shape) == (jnp.uint8, (4, 5, 3))
    x, _ = task.batch(split, jnp.array([1, 2]), jax.random.key(0))
    np.testing.assert_allclose(x, np.asarray(split.x)[[1, 2]] / 255, rtol=1e-12)
    np.testing.assert_allclose(task.prepare(PIXELS[:2]), PIXELS[:2] / 255, rtol=1e-12)
    assert byway.Data(PIXELS[..., 0], Y[:12]).input_shape == (4, 5, 1)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([9, -1] * 20), (-1, 9)),
        (np.array([2.0, 1.0] * 20), (1, 2)),
        (np.array([True, False] * 20), (False, True)),
        (np.array(["b", "a"] * 20, object), ("a", "b")),
        (["b", "a"] * 20, ("a", "b")),
    ],
    ids=["whole", "whole as float", "truth", "text as objects", "a list"],
)
def test_labels_of_any_kind_are_numbered_in_their_order(labels, classes):
    task = byway.Data(X, labels)
    assert task.classes == classes
    assert task.outputs == 2
    np.testing.assert_array_equal(_everything(byway.Data(X, labels, standardise=False)), _expected(X, np.array(labels)))


def _write_csv(path, delimiter=","):
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table.insert(1, "kind", Y)
    table.to_csv(path, index=False, sep=delimiter)
    return table


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_written_by_pandas(tmp_path, delimiter):
    _write_csv(tmp_path / "table.csv", delimiter)
    task = byway.task("data", path=tmp_path / "table.csv", target="kind", standardise=False)
    assert task.classes == ("no", "perhaps", "yes")
    np.testing.assert_array_equal(_everything(task), _expected(X, Y))


def test_a_frame(tmp_path):
    table = _write_csv(tmp_path / "table.csv")
    np.testing.assert_array_equal(_everything(byway.Data.from_frame(table, "kind", standardise=False)), _expected(X, Y))


def test_the_last_column_holds_the_labels_unless_told(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i},{10 - i % 2}\n" for i in range(20)))
    assert byway.Data(path=str(tmp_path / "t.csv")).classes == (9, 10)


@pytest.mark.parametrize("names", [("x", "y"), ("x_train", "y_train")])
def test_arrays_of_an_npz(tmp_path, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (PIXELS, Y[:12]), strict=True)))
    np.testing.assert_array_equal(_everything(byway.Data(path=tmp_path / "a.npz")), _expected(PIXELS, Y[:12]))


def test_a_test_part_stays_one(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X[:30], y_train=Y[:30], x_test=X[30:], y_test=Y[30:])
    for task in (
        byway.Data(path=tmp_path / "a.npz", standardise=False),
        byway.Data(X[:30], Y[:30], test_x=X[30:], test_y=Y[30:], standardise=False),
    ):
        np.testing.assert_array_equal(task.load()["test"].x, X[30:])
        assert [np.array(task.classes)[label] for label in task.load()["test"].y] == Y[30:].tolist()
        assert [task.load()[k].size for k in ("train", "validation")] == [27, 3]


def _write_images(folder, pixels, labels):
    for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / label / f"{i}.png")
    (folder / "no" / "notes.txt").write_text("not an image")


@pytest.mark.parametrize("grey", [False, True])
def test_folders_of_images(tmp_path, grey):
    pixels = PIXELS[..., 0] if grey else PIXELS
    _write_images(tmp_path, pixels, Y[:12])
    task = byway.Data(path=tmp_path)
    assert task.input_shape == (4, 5, 1 if grey else 3)
    np.testing.assert_array_equal(_everything(task), _expected(pixels, Y[:12]))
    assert byway.Data(path=tmp_path, side=3).input_shape == (3, 3, 1 if grey else 3)


@pytest.mark.parametrize("form", ["pairs", "dicts of images", "channels first"])
def test_items_of_a_dataset(form):
    labels = [int(label == "yes") for label in Y[:12]]
    if form == "pairs":
        task = byway.Data.from_dataset(list(zip(PIXELS, labels, strict=True)))
    elif form == "channels first":
        task = byway.Data.from_dataset([(np.moveaxis(x, -1, 0), y) for x, y in zip(PIXELS, labels, strict=True)], channels_first=True)
    else:
        rows = [{"img": Image.fromarray(x), "label": y} for x, y in zip(PIXELS, labels, strict=True)]
        task = byway.Data.from_dataset(rows, names=("img", "label"))
    np.testing.assert_array_equal(_everything(task), _expected(PIXELS, np.array(labels)))


class _Tensor:
    """As tensors of torch that are part of a computation, or of a type that NumPy lacks, answer NumPy."""

    def __init__(self, error):
        self.error = error

    def __array__(self, *args, **kwargs):
        raise self.error


class _Stream:
    """As datasets of Hugging Face that are streamed: to be gone through, with no length."""

    def __iter__(self):
        yield from zip(PIXELS, range(12), strict=True)


def test_a_test_dataset_stays_one():
    labels = [int(label == "yes") for label in Y[:12]]
    rows = [{"image": Image.fromarray(x), "label": y} for x, y in zip(PIXELS, labels, strict=True)]
    split = byway.Data.from_dataset(rows[:8], test_dataset=rows[8:]).load()["test"]
    np.testing.assert_array_equal(split.x, PIXELS[8:])
    np.testing.assert_array_equal(split.y, labels[8:])


def _spoilt(at, value):
    x = X.copy()
    x[at] = value
    return x


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: byway.Data().outputs, "without data"),
        (lambda: byway.Data(X, Y[:39]), "40 samples and labels of shape (39,)"),
        (lambda: byway.Data(X, np.eye(3)[[0] * 40]), "labels of shape (40, 3)"),
        (lambda: byway.Data(X[:, 0], Y), "samples of shape (40,)"),
        (lambda: byway.Data(X[:0], Y[:0]), "samples of shape (0, 3)"),
        (lambda: byway.Data(X.astype(object), Y), "samples of type object"),
        (lambda: byway.Data(X.astype(str), Y), "samples of type <U"),
        (lambda: byway.Data([[1, 2], [3]], [0, 1]), "make no array"),
        (lambda: byway.Data(_spoilt((7, 1), np.nan), Y), "sample 7 holds nan at (1,)"),
        (lambda: byway.Data(_spoilt((7, 1), np.inf), Y), "sample 7 holds inf at (1,)"),
        (lambda: byway.Data(X, np.zeros(40, int)), "labels of one class, 0"),
        (lambda: byway.Data(X, X[:, 0]), "a label of "),
        (lambda: byway.Data(X, np.where(Y == "no", np.nan, 1.0)), "a label of nan"),
        (lambda: byway.Data(X, np.array([None, 1] * 20)), "labels of type object"),
        (lambda: byway.Data(X, np.arange(40)), "has 1 of 40 samples, and none is left to train on"),
        (lambda: byway.Data(X, Y, test_x=X[:4, :2], test_y=Y[:4]), "test samples that are numbers of shape (2,)"),
        (lambda: byway.Data(X, Y, test_x=X[:2], test_y=["no", "new"]), "test labels ['new']"),
        (lambda: byway.Data(PIXELS, Y[:12], test=0.25).prepare(PIXELS / 255), "new samples that are numbers"),
        (lambda: byway.Data.from_dataset([{"x": 1, "label": 0}]), "sample 0 has x, label"),
        (lambda: byway.Data.from_dataset([3]), "sample 0 is a int"),
        (lambda: byway.Data.from_dataset({"train": [], "test": []}), "several datasets, train, test"),
        (lambda: byway.Data.from_dataset(_Stream()), "a _Stream, which has no length"),
        (lambda: byway.Data.from_dataset([(_Tensor(RuntimeError("requires grad")), 0)]), "sample 0 makes no array: requires grad"),
        (lambda: byway.Data.from_dataset([([1], 0), ([1], _Tensor(TypeError("BFloat16")))]), "sample 1 makes no array: BFloat16"),
        (lambda: byway.Data.from_dataset([(PIXELS[0, ..., 0], 0)], channels_first=True), "channels_first and samples of shape (4, 5)"),
        (lambda: byway.Data.from_dataset([([1], 0), ([1], [1, 0])]), "the label of sample 1 has the shape (2,)"),
        (lambda: byway.Data.from_dataset([([1, 2], 0), ([1], 1)]), "sample 1 has the shape (1,)"),
        (lambda: byway.Data.from_frame(pd.DataFrame({"a": ["u"], "b": [1]}), "b"), "the columns a do not hold numbers"),
        (lambda: byway.Data.from_frame(pd.DataFrame({"a": [1.0]}), "b"), "no column 'b'"),
        (lambda: byway.Data(path="nowhere.csv"), "nowhere.csv is not there"),
    ],
)
def test_data_that_will_not_do_are_refused(make, given):
    with pytest.raises(DataError) as caught:
        make()
    assert given in caught.value.given


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"validation": 0.0}, "validation = 0 of 40 samples"),
        ({"test": 0.01}, "test = 0.01 of 40 samples"),
        ({"test": 1.5}, "Data.test = 1.5"),
        ({"vaildation": 0.1}, "Data(vaildation=...)"),
        ({"path": "a.csv"}, "both arrays and a path"),
    ],
)
def test_settings_that_will_not_do_are_refused(options, given):
    with pytest.raises(ConfigError) as caught:
        byway.Data(X, Y, **options)
    assert given in caught.value.given


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("", "0 columns and 0 lines"),
        ("a,b\n", "2 columns and 0 lines"),
        ("1,2\n3,4\n", "begins with the numbers 1, 2"),
        ("a,b\n1,2,3\n", "line 2 of"),
        ("a,b\n1,u\nx,v\n", "'x' in line 3, column 'a'"),
        ("a,b\n1,u\n,v\n", "nothing in line 3, column 'a'"),
        ("a,b\n1,u\n2,\n", "line 3 of"),
        ("a,b\n1,0.5\n2,0.25\n", "a label of 0.5"),
        ("a,a\n1,2\n", "two columns of one name"),
    ],
)
def test_tables_that_will_not_do_are_refused(tmp_path, text, given):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        byway.Data(path=tmp_path / "t.csv")
    assert given in caught.value.given


def test_files_that_will_not_do_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", images=X)
    np.savez(tmp_path / "objects.npz", x=X, y=np.array([None, "a"]))
    (tmp_path / "broken.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:100])
    (tmp_path / "t.xlsx").write_text("")
    (tmp_path / "latin.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    wanted = {
        "other.npz": "holds the arrays images",
        "objects.npz": "Object arrays cannot be loaded",
        "broken.npz": "cannot be read",
        "t.xlsx": "ends in .xlsx",
        "latin.csv": "cannot be read",
    }
    for name, given in wanted.items():
        with pytest.raises(DataError) as caught:
            byway.Data(path=tmp_path / name)
        assert given in caught.value.given


def test_folders_that_will_not_do_are_refused(tmp_path):
    with pytest.raises(DataError, match="holds no image"):
        byway.Data(path=tmp_path)
    _write_images(tmp_path, PIXELS, Y[:12])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="the folders empty of"):
        byway.Data(path=tmp_path)
    (tmp_path / "empty").rmdir()
    Image.fromarray(PIXELS[0, :2]).save(tmp_path / "yes" / "smaller.png")
    with pytest.raises(DataError, match=r"smaller\.png is 5 by 2 pixels"):
        byway.Data(path=tmp_path)
    (tmp_path / "yes" / "smaller.png").write_bytes((tmp_path / "no" / "0.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"smaller\.png cannot be read"):
        byway.Data(path=tmp_path)
    Image.fromarray(np.full((4, 5), 40_000, np.uint16)).save(tmp_path / "yes" / "smaller.png")
    with pytest.raises(DataError, match="pixels of the kind I;16"):
        byway.Data(path=tmp_path)


def test_a_table_from_the_command_line(tmp_path, capsys):
    """The flags reach the task, the network fits it, and the settings read back."""
    _write_csv(tmp_path / "t.csv")
    settings = settings_class("Settings", [("rule", str, "bp", "rule")], "For a test.")
    argv = ["--task", "data", "--data.path", str(tmp_path / "t.csv"), "--data.target", "kind", "--data.test", "0.25", "--batch", "9"]
    asked = read(settings, argv, "test")
    experiment = Experiment(["bp"], asked)
    assert [experiment.data[name].size for name in ("train", "validation", "test")] == [26, 4, 10]
    assert (experiment.nets[0]["input"].size, experiment.nets[0]["output"].size) == (3, 3)
    (tmp_path / "config.toml").write_text(to_toml(asked, used={"data"}))
    assert read(settings, ["--config", str(tmp_path / "config.toml")], "test") == asked
    assert main(["train", "--task", "data", "--data.path", str(tmp_path / "none.csv")]) == 2
    assert "none.csv is not there" in capsys.readouterr().err
    assert main(["train", "--task", "data"]) == 2
    assert "--data.path" in capsys.readouterr().err
