"""The task `data`: what is read is what was written, splits are in proportion, and whatever can be
wrong is named.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import byway
from byway.cli.experiment import made
from byway.cli.flags import Flag
from byway.cli.main import main
from byway.cli.settings import Verb, plain, to_toml
from byway.core.errors import ConfigError, DataError
from byway.tasks._folds import parted
from byway.tasks._parts import Form
from byway.tasks._tables import read_csv

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
        np.testing.assert_allclose(
            split.x, (np.asarray(raw[name].x) - mean) / deviation, rtol=1e-10, atol=1e-12
        )
    np.testing.assert_allclose(task.prepare(X[:5]), (X[:5] - mean) / deviation, rtol=1e-10)
    x, signal = task.batch(task.load()["train"], jnp.array([3, 0]), jax.random.key(0))
    np.testing.assert_array_equal(x, np.asarray(task.load()["train"].x)[[3, 0]])
    np.testing.assert_array_equal(
        np.argmax(signal.target, 1), np.asarray(task.load()["train"].y)[[3, 0]]
    )


def test_small_differences_far_from_zero_survive_single_precision():
    """Times in seconds since 1970, a second apart: in float32 they would all be equal."""
    x = 1.7e9 + np.arange(40.0)[:, None]
    with jax.enable_x64(False):
        stored = byway.Data(x, Y).load()["train"].x
    assert stored.dtype == jnp.float32
    assert len(np.unique(stored)) == len(stored)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [1.0, 14.62, 1e9 / 7, 0.0])
def test_a_feature_that_never_changes_is_not_divided_by_what_rounding_leaves(value, dtype):
    """The mean of many equal numbers is not always that number: scaled by the difference, 14.62
    became 1 and 14.621 became 2e10.
    """
    x = np.column_stack([X, np.full(40, value)]).astype(dtype)
    task = byway.Data(x, Y)
    assert np.all(np.asarray(task.load()["train"].x)[:, 3] == 0)
    new = x[:2].copy()
    new[1, 3] += 0.5
    np.testing.assert_array_equal(
        task.prepare(new)[:, 3], [0, float(new[1, 3]) - float(dtype(value))]
    )


def test_a_feature_that_changes_by_rounding_alone_counts_as_one_that_does_not():
    x = np.column_stack([X, np.where(np.arange(40) % 2, 0.1 + 0.2, 0.3)])
    assert np.ptp(x[:, 3]) > 0
    assert np.all(abs(np.asarray(byway.Data(x, Y).load()["train"].x)[:, 3]) < 1e-15)


def test_a_channel_that_never_changes_is_left_as_it_is():
    x = RNG.normal(size=(12, 4, 5, 3))
    x[..., 1] = 14.62
    task = byway.Data(x, Y[:12])
    assert np.all(np.asarray(task.load()["train"].x)[..., 1] == 0)
    np.testing.assert_array_equal(task.deviation[0, 0, 0] == 1, [False, True, False])


def test_mean_and_deviation_of_many_samples_far_from_zero():
    """They are taken block by block, and must not lose what numbers far from zero differ in."""
    x = 1e6 + np.random.default_rng(1).normal(size=(70_000, 20))
    task = byway.Data(x, np.arange(len(x)) % 2)
    train = np.asarray(task.parts["train"][0], np.longdouble)
    np.testing.assert_allclose(task.mean, train.mean(0, keepdims=True).astype(float), rtol=1e-14)
    np.testing.assert_allclose(task.deviation, train.std(0, keepdims=True).astype(float), rtol=1e-9)


@pytest.mark.parametrize(
    ("new", "given"),
    [
        ([[np.nan, 0, 0]], "new sample 0 holds nan at (0,)"),
        ([[0, 0, 0], [0, np.inf, 0]], "new sample 1 holds inf at (1,)"),
        ([[1j, 0, 0]], "new samples of type complex128"),
        ([["1", "2", "x"]], "new samples of type <U1"),
        ([[1, None, 2]], "new samples of type object"),
        ([[1, 2]], "new samples that are numbers of shape (2,)"),
        ([1, 2, 3], "new samples of shape (3,)"),
        ([[1, 2], [3]], "make no array"),
        (np.zeros((1, 3), np.uint8), "new samples that are bytes"),
    ],
)
def test_new_samples_that_could_not_have_been_trained_on_are_refused(new, given):
    with pytest.raises(DataError) as caught:
        byway.Data(X, Y).prepare(new)
    assert given in caught.value.given


def test_room_in_front_of_the_features():
    """Three inputs of zero, and then the features as they would be without."""
    plain, roomy = byway.Data(X, Y), byway.Data(X, Y, room=3)
    assert (roomy.input_shape, roomy.spare, plain.spare) == ((6,), 3, 0)
    for name, split in roomy.load().items():
        np.testing.assert_array_equal(
            split.x, np.concatenate([np.zeros((split.size, 3)), plain.load()[name].x], 1)
        )
    np.testing.assert_array_equal(roomy.prepare(X[:2])[:, 3:], plain.prepare(X[:2]))


def test_room_above_an_image_is_whole_rows():
    plain, roomy = (
        byway.Data(PIXELS, Y[:12], test=0.25),
        byway.Data(PIXELS, Y[:12], test=0.25, room=16),
    )
    assert (roomy.input_shape, roomy.spare, plain.spare) == ((6, 5, 3), 30, 0)
    x, old = (np.asarray(task.load()["train"].x) for task in (roomy, plain))
    assert x.dtype == np.uint8 and not x[:, :2].any()
    np.testing.assert_array_equal(x[:, 2:], old)
    np.testing.assert_array_equal(roomy.prepare(PIXELS[:2])[:, 2:], PIXELS[:2] / 255)


def test_inputs_that_never_change_can_be_spared_up_to_the_first_that_does():
    border = PIXELS.copy()
    # Five entries of one value, the sixth of one image differs.
    border[:, 0, :2], border[5, 0, 1, 2] = (
        7,
        8,
    )
    # 6 where that image is not trained on.
    assert byway.Data(border, np.arange(12) % 2, validation=0.1, test=0.1).spare in (
        5,
        6,
    )
    assert (
        byway.Data(
            border,
            np.arange(12) % 2,
            validation_x=border,
            validation_y=np.arange(12) % 2,
            test=0.1,
            seed=1,
        ).spare
        == 5
    )
    many = np.random.default_rng(0).normal(size=(70_000, 20))
    many[:, :4] = 3
    many[69_999, 3] = 4
    task = byway.Data(many, np.arange(70_000) % 2, room=2)
    assert task.spare == 2 + (3 if 4 in task.parts["train"][0][:, 3] else 4)
    assert [byway.task(name).spare for name in ("digits", "mnist", "adding")] == [10, 10, 0]


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
    np.testing.assert_array_equal(
        _everything(byway.Data(X, labels, standardise=False)), _expected(X, np.array(labels))
    )


def _write_csv(path, delimiter=","):
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table.insert(1, "kind", Y)
    table.to_csv(path, index=False, sep=delimiter)
    return table


@pytest.fixture(params=["line by line", "by DuckDB"])
def either_reader(request, monkeypatch):
    """Small tables are read by one program and large ones by another: here each reads them."""
    if request.param == "by DuckDB":
        monkeypatch.setattr("byway.tasks._tables.SMALL", 0)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.usefixtures("either_reader")
def test_a_table_written_by_pandas(tmp_path, delimiter):
    _write_csv(tmp_path / "table.csv", delimiter)
    task = byway.task("data", path=tmp_path / "table.csv", target="kind", standardise=False)
    assert task.classes == ("no", "perhaps", "yes")
    np.testing.assert_array_equal(_everything(task), _expected(X, Y))


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,2,u\n3,4,v\n",
        "a,b,c\n1,2,u\n3,4,v",
        "a,b,c\r\n1,2,u\r\n3,4,v\r\n",
        "a,b,c\r1,2,u\r3,4,v\r",
        "a,b,c\r\n1,2,u\n3,4,v\r\n",
        "a,b,c\n\n1,2,u\n\n\n3,4,v\n\n",
        "\n\na,b,c\n1,2,u\n3,4,v\n",
        "\ufeffa,b,c\n1,2,u\n3,4,v\n",
        '"a\nwide",b,c\n"1",2,"u"\n3,"4",v\n',
        "a,A,c\n1, 2 ,  u\n\t3,+4,v  \n",
        "a,b,c\n1,2,u,\n3,4,v,\n",
        "a,b,c\n1e0,2.,u\n.3e1,4e+00,v\n",
    ],
)
@pytest.mark.usefixtures("either_reader")
def test_the_many_ways_to_write_one_table(tmp_path, text):
    """Also in a file whose name is a pattern that others would match."""
    (tmp_path / "t1.csv").write_text("a,b\n9,9\n")
    path = tmp_path / "t*[1]?.csv"
    path.write_bytes(text.encode())
    x, y, *_ = read_csv(path, Form())
    np.testing.assert_array_equal(x, [[1, 2], [3, 4]])
    assert y is not None and y.tolist() == ["u", "v"]


@pytest.mark.parametrize(("small", "reader"), [(0, "_by_duckdb"), (8 * 2**20, "_line_by_line")])
def test_which_program_reads_a_table(tmp_path, monkeypatch, small, reader):
    """So that the tests of both do not read by one of them alone."""
    for other in {"_by_duckdb", "_line_by_line"} - {reader}:
        monkeypatch.delattr(f"byway.tasks._tables.{other}")
    monkeypatch.setattr("byway.tasks._tables.SMALL", small)
    _write_csv(tmp_path / "t.csv")
    assert read_csv(tmp_path / "t.csv", Form("kind"))[0].shape == (40, 3)


@pytest.mark.usefixtures("either_reader")
def test_every_digit_of_a_table_counts(tmp_path):
    """The nearest number in double precision, as Python reads it; also of the smallest and of the
    longest.
    """
    cells = [
        "0.1",
        "5e-324",
        "1.7976931348623157e308",
        "123456789012345678901234567890",
        "0.30000000000000004",
        "2.2250738585072011e-308",
        "-0.0",
    ]
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{cell},k\n" for cell in cells))
    np.testing.assert_array_equal(
        read_csv(tmp_path / "t.csv", Form())[0][:, 0], [float(cell) for cell in cells]
    )


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        (("01", "1", "2"), ("01", "1", "2")),
        (("02134", "00501", "90210"), ("02134", "00501", "90210")),
        (("1_0", "10", "7"), ("1_0", "10", "7")),
        (("1e2", "100", "5"), ("1e2", "100", "5")),
        (("1e2", "3e2"), ("1e2", "3e2")),
        (("+1", "1"), ("+1", "1")),
        (("1.10", "1.1", "2.5"), ("1.10", "1.1", "2.5")),
        (("-0", "0"), ("-0", "0")),
        (("1.0", "2.0"), ("1.0", "2.0")),
        (
            ("123456789012345678901", "123456789012345678902"),
            ("123456789012345678901", "123456789012345678902"),
        ),
        (("10", "9", "-3"), (10, 9, -3)),
        (("0.5", "1e-05", "2"), (0.5, 1e-05, 2.0)),
        (("0.50", "0.25"), (0.5, 0.25)),
        (("3", "x"), ("3", "x")),
    ],
)
@pytest.mark.usefixtures("either_reader")
def test_labels_that_are_written_differently_stay_different(tmp_path, written, labels):
    """Codes are no numbers: 01 and 1 are two, and lose nothing. Quantities are numbers."""
    (tmp_path / "t.csv").write_text(
        "a,code\n" + "".join(f"{i},{one}\n" for i, one in enumerate(written))
    )
    assert read_csv(tmp_path / "t.csv", Form("code"))[1].tolist() == list(labels)


def test_a_frame(tmp_path):
    table = _write_csv(tmp_path / "table.csv")
    np.testing.assert_array_equal(
        _everything(byway.Data.from_frame(table, "kind", standardise=False)), _expected(X, Y)
    )


@pytest.mark.parametrize(
    ("target", "classes"),
    [(0, (0, 1)), (3, (7, 8, 9, 10)), ("", ("u", "v")), (("a", 1), (False, True))],
)
def test_the_column_of_labels_may_have_any_name(target, classes):
    """A name that counts as false, such as the 0 of a frame without names, once meant the last
    column.
    """
    frame = pd.DataFrame({0: np.repeat([0, 1], 20), 1: X[:, 0], 3: np.tile([7, 8, 9, 10], 10)})
    frame = (
        frame
        if isinstance(target, int)
        else frame.assign(**{"last": X[:, 1]}).rename(columns={3: target})
    )
    if not isinstance(target, int):
        frame[target] = np.tile(np.array(classes), 20)
        frame = frame[[0, target, 1, "last"]]
    assert byway.Data.from_frame(frame, target=target).classes == classes


@pytest.mark.parametrize("target", [None, "label", 2, ""])
def test_a_column_that_is_not_there_is_refused(target):
    with pytest.raises(DataError, match=f"the frame has no column {target!r}"):
        byway.Data.from_frame(pd.DataFrame({0: [1, 2], 1: [3, 4]}), target=target)


def test_the_last_column_holds_the_labels_unless_told(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i},{10 - i % 2}\n" for i in range(20)))
    assert byway.Data(path=str(tmp_path / "t.csv")).classes == (9, 10)


@pytest.mark.parametrize("names", [("x", "y"), ("x_train", "y_train")])
def test_arrays_of_an_npz(tmp_path, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (PIXELS, Y[:12]), strict=True)))
    np.testing.assert_array_equal(
        _everything(byway.Data(path=tmp_path / "a.npz")), _expected(PIXELS, Y[:12])
    )


def test_a_test_part_stays_one(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X[:30], y_train=Y[:30], x_test=X[30:], y_test=Y[30:])
    for task in (
        byway.Data(path=tmp_path / "a.npz", standardise=False),
        byway.Data(X[:30], Y[:30], test_x=X[30:], test_y=Y[30:], standardise=False),
    ):
        np.testing.assert_array_equal(task.load()["test"].x, X[30:])
        assert [np.array(task.classes)[label] for label in task.load()["test"].y] == Y[30:].tolist()
        assert [task.load()[k].size for k in ("train", "validation")] == [27, 3]


@pytest.mark.parametrize("names", ["x_{}", "X_{}"])
def test_a_validation_part_stays_one(tmp_path, names):
    parts = {"train": slice(0, 24), "val": slice(24, 30), "test": slice(30, 40)}
    np.savez(
        tmp_path / "a.npz",
        **{names.format(k): X[v] for k, v in parts.items()},
        **{f"y_{k}": Y[v] for k, v in parts.items()},
    )
    arrays = byway.Data(
        X[:30], Y[:30], validation_x=X[30:], validation_y=Y[30:], standardise=False, test=0.1
    ).load()
    np.testing.assert_array_equal(arrays["validation"].x, X[30:])
    assert [arrays[k].size for k in ("train", "test")] == [27, 3]
    splits = byway.Data(path=tmp_path / "a.npz", standardise=False).load()
    for name, part in (("train", "train"), ("validation", "val"), ("test", "test")):
        np.testing.assert_array_equal(np.sort(splits[name].x, 0), np.sort(X[parts[part]], 0))


@pytest.mark.parametrize("extra", ["x_test", "test_images", "X", "x_val"])
def test_arrays_of_a_file_are_not_left_out_in_silence(tmp_path, extra):
    """A test part that nobody notices would be drawn from the training part instead."""
    np.savez(tmp_path / "a.npz", x=X, y=Y, **{extra: X})
    with pytest.raises(DataError, match=f"holds the arrays x, y, {extra}"):
        byway.Data(path=tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x=X, y=Y, ids=np.arange(40), values=X)
    assert byway.Data(path=tmp_path / "a.npz").outputs == 3


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
    assert task.encoding.labels == tuple(sorted(set(Y[:12])))
    np.testing.assert_array_equal(_everything(task), _expected(pixels, Y[:12]))
    assert byway.Data(path=tmp_path, side=3).input_shape == (3, 3, 1 if grey else 3)


INK = {"no": (slice(None), 0), "yes": (0, slice(None))}


def _transparent(mode, ink, where):
    """A picture with a bar of ink on nothing, and a corner half covered."""
    rgba = np.zeros((4, 5, 4), np.uint8)
    rgba[..., :3] = 17  # hidden under full transparency
    rgba[where] = (*ink, 255)
    rgba[3, 4] = (*ink, 51)
    image = Image.fromarray(rgba)
    return image.quantize() if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("background", "ground"), [("white", 255), ("#808080", 128)])
def test_transparent_images_lie_on_a_background(tmp_path, mode, background, ground):
    """Black ink on nothing would be black on black, if transparency were dropped."""
    for label, where in INK.items():
        (tmp_path / label).mkdir()
        for i in range(6):
            _transparent(mode, (0, 0, 0), where).save(tmp_path / label / f"{i}.png")
    task = byway.Data(path=tmp_path, background=background, test=0.25, validation=0.25)
    assert task.input_shape == (4, 5, 1 if mode == "LA" else 3)
    for x, y in task.parts.values():
        for one, label in zip(x, y, strict=True):
            expected = np.full((4, 5), ground)
            expected[INK[task.classes[label]]] = 0
            expected[3, 4] = round(ground * (1 - 51 / 255))
            np.testing.assert_array_equal(one, np.broadcast_to(expected[..., None], one.shape))


def test_a_picture_that_vanishes_into_the_background_is_refused(tmp_path):
    for label, where in INK.items():
        (tmp_path / label).mkdir()
        _transparent("RGBA", (255, 255, 255), where).save(tmp_path / label / "a.png")
    with pytest.raises(
        DataError, match=r"a\.png is transparent, and nothing of it is seen on #ffffff"
    ):
        byway.Data(path=tmp_path)
    with pytest.raises(ConfigError, match="background = 'whyte'"):
        byway.Data(path=tmp_path, background="whyte")
    assert (
        byway.tasks._samples.read_folder(tmp_path, Form(background="black"))["train"].x.max() == 255
    )


def test_several_pictures_in_one_file_are_refused(tmp_path):
    _write_images(tmp_path, PIXELS, Y[:12])
    frames = [Image.fromarray(one) for one in PIXELS[:2]]
    frames[0].save(tmp_path / "no" / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"moving\.gif holds 2 pictures"):
        byway.Data(path=tmp_path)


def test_a_folder_in_parts(tmp_path):
    """A test part is not a class called test."""
    parts = {"train": slice(0, 6), "Test": slice(6, 9), "valid": slice(9, 12)}
    for part, some in parts.items():
        _write_images(tmp_path / part, PIXELS[some], Y[:12][some])
    task = byway.Data(path=tmp_path)
    assert task.classes == ("no", "perhaps", "yes")
    for name, part in (("train", "train"), ("test", "Test"), ("validation", "valid")):
        x, y = task.parts[name]
        np.testing.assert_array_equal(
            x[np.lexsort(x.reshape(len(x), -1).T)],
            (w := PIXELS[parts[part]])[np.lexsort(w.reshape(len(w), -1).T)],
        )
        assert sorted(task.classes[i] for i in y) == sorted(Y[:12][parts[part]].tolist())


@pytest.mark.parametrize(
    ("folders", "given"),
    [
        (["train", "test"], "the folders test, train of"),
        (["train/no", "train/yes", "test"], "holds the folders train, test"),
        (["test/no", "test/yes", "val/no"], "holds the folders test, val"),
        (["train/no", "train/yes", "training/no"], "holds the folders train, training"),
        (["train/no", "train/yes", "cat"], "holds the folders train, cat"),
        (["no/train", "no/test", "yes/train", "yes/test"], "the class no of"),
    ],
)
def test_folders_whose_parts_cannot_be_told_are_refused(tmp_path, folders, given):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(PIXELS[0]).save(tmp_path / folder / "a.png")
    with pytest.raises(DataError) as caught:
        byway.Data(path=tmp_path)
    assert given in caught.value.given


def test_a_class_may_be_called_train(tmp_path):
    for label in ("car", "train"):
        (tmp_path / label).mkdir()
        for i in range(6):
            Image.fromarray(PIXELS[i]).save(tmp_path / label / f"{i}.png")
    assert byway.Data(path=tmp_path).classes == ("car", "train")


@pytest.mark.slow
def test_files_with_numbers_in_their_names_are_in_the_order_of_the_numbers(tmp_path):
    for i in range(12):
        (tmp_path / str(i % 2)).mkdir(exist_ok=True)
        Image.fromarray(np.full((2, 2), i, np.uint8)).save(
            tmp_path / str(i % 2) / f"picture{i}.png"
        )
    read = byway.tasks._samples.read_folder(tmp_path, Form())["train"]
    assert read.x[:, 0, 0, 0].tolist() == [*range(0, 12, 2), *range(1, 12, 2)]


@pytest.mark.parametrize("form", ["pairs", "dicts of images", "channels first"])
def test_items_of_a_dataset(form):
    labels = [int(label == "yes") for label in Y[:12]]
    if form == "pairs":
        task = byway.Data.from_dataset(list(zip(PIXELS, labels, strict=True)))
    elif form == "channels first":
        task = byway.Data.from_dataset(
            [(np.moveaxis(x, -1, 0), y) for x, y in zip(PIXELS, labels, strict=True)],
            channels_first=True,
        )
    else:
        rows = [
            {"img": Image.fromarray(x), "label": y} for x, y in zip(PIXELS, labels, strict=True)
        ]
        task = byway.Data.from_dataset(rows, names=("img", "label"))
    np.testing.assert_array_equal(_everything(task), _expected(PIXELS, np.array(labels)))


def test_images_of_a_dataset_are_read_as_those_of_a_folder():
    """An array of a palette's numbers, or of colours without their transparency, is no picture."""
    images = [
        _transparent(mode, (0, 0, 0), INK[label])
        for mode in ("P", "RGBA")
        for label in INK
        for _ in range(4)
    ]
    task = byway.Data.from_dataset(
        [(image, i // 4 % 2) for i, image in enumerate(images)], test=0.25, validation=0.25
    )
    for x, y in task.parts.values():
        for one, label in zip(x, y, strict=True):
            assert one[3, 3].tolist() == [255] * 3
            assert (one[INK["yes" if label else "no"]] == 0).all()
    smaller = byway.Data.from_dataset(
        [(image, i % 2) for i, image in enumerate(images)], test=0.25, side=2
    )
    assert smaller.input_shape == (2, 2, 3)


class _Tensor:
    """As tensors of torch that are part of a computation, or of a type that NumPy lacks, answer
    NumPy.
    """

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
        (lambda: byway.Data(X, [1, "1"] * 20), "labels of the kinds number and text"),
        (lambda: byway.Data(X, [1, True] * 20), "labels of the kinds bool and number"),
        (lambda: byway.Data(X, ["a", None] * 20), "labels of the kinds NoneType and text"),
        (lambda: byway.Data(X, [float("nan"), "a"] * 20), "labels of the kinds number and text"),
        (lambda: byway.Data(X, np.array([1e300, 2e300] * 20)), "a label of 1e+300"),
        (
            lambda: byway.Data.from_dataset([([1], 0), ([2], "0")] * 9),
            "labels of the kinds number and text",
        ),
        (
            lambda: byway.Data.from_dataset([(Image.new("L", (2, 2)), 0), (PIXELS[0], 1)]),
            "sample 1 is no image",
        ),
        (
            lambda: byway.Data(X, Y, validation_x=X[:2], validation_y=["no", "new"]),
            "validation labels ['new']",
        ),
        (lambda: byway.Data(X, np.arange(40)), "has 1 of 40 samples, and none is left to train on"),
        (
            lambda: byway.Data(X, Y, test_x=X[:4, :2], test_y=Y[:4]),
            "test samples that are numbers of shape (2,)",
        ),
        (lambda: byway.Data(X, Y, test_x=X[:2], test_y=["no", "new"]), "test labels ['new']"),
        (
            lambda: byway.Data(PIXELS, Y[:12], test=0.25).prepare(PIXELS / 255),
            "new samples that are numbers",
        ),
        (lambda: byway.Data.from_dataset([{"x": 1, "label": 0}]), "sample 0 has x, label"),
        (lambda: byway.Data.from_dataset([3]), "sample 0 is a int"),
        (
            lambda: byway.Data.from_dataset({"train": [], "test": []}),
            "several datasets, train, test",
        ),
        (lambda: byway.Data.from_dataset(_Stream()), "a _Stream, which has no length"),
        (
            lambda: byway.Data.from_dataset([(_Tensor(RuntimeError("requires grad")), 0)]),
            "sample 0 makes no array: requires grad",
        ),
        (
            lambda: byway.Data.from_dataset([([1], 0), ([1], _Tensor(TypeError("BFloat16")))]),
            "sample 1 makes no array: BFloat16",
        ),
        (
            lambda: byway.Data.from_dataset([(PIXELS[0, ..., 0], 0)], channels_first=True),
            "channels_first and samples of shape (4, 5)",
        ),
        (
            lambda: byway.Data.from_dataset([([1], 0), ([1], [1, 0])]),
            "the label of sample 1 has the shape (2,)",
        ),
        (lambda: byway.Data.from_dataset([([1, 2], 0), ([1], 1)]), "sample 1 has the shape (1,)"),
        (
            lambda: byway.Data.from_frame(pd.DataFrame({"a": ["u"], "b": [1]}), "b"),
            "the columns a do not hold numbers",
        ),
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
        ({"test_x": X}, "samples without labels"),
        ({"target": "kind"}, "arrays, with a target"),
        ({"side": 8}, "arrays, with a target, side"),
        ({"background": "black"}, "arrays, with a target, side or background"),
    ],
)
def test_settings_that_will_not_do_are_refused(options, given):
    with pytest.raises(ConfigError) as caught:
        byway.Data(X, Y, **options)
    assert given in caught.value.given


def test_settings_of_another_kind_of_data_are_refused(tmp_path):
    """Given and ignored is worse than refused."""
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    _write_csv(tmp_path / "t.csv")
    (tmp_path / "images").mkdir()
    _write_images(tmp_path / "images", PIXELS, Y[:12])
    for name, options in (
        ("a.npz", {"target": "y"}),
        ("a.npz", {"side": 8}),
        ("t.csv", {"side": 8}),
        ("t.csv", {"background": "red"}),
        ("images", {"target": "y"}),
    ):
        with pytest.raises(ConfigError, match=next(iter(options))):
            byway.Data(path=tmp_path / name, **options)
    with pytest.raises(ConfigError, match="side or background, and samples that are arrays"):
        byway.Data.from_dataset([([1], 0), ([2], 1)] * 9, side=8)
    with pytest.raises(ConfigError, match="channels_first and images"):
        byway.Data.from_dataset([(Image.new("RGB", (2, 2)), 0)], channels_first=True)


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
        ("a,b\n1,u\n1_0,v\n", "'1_0' in line 3, column 'a'"),
        ("a,b,c\n1,2,u\n3\n", "line 3 of"),
        ('a,b\n1,u\n2,"v\n3,w\n', "cannot be read"),
        ("a,b\n1,u\ntrue,v\n", "'true' in line 3, column 'a'"),
        ("a,b\n1,u\n0x1,v\n", "'0x1' in line 3, column 'a'"),
        ("kind,b\nu,1\nv,x\n", "'x' in line 3, column 'b'"),
        ("a,b\nnan,u\n2,v\n", "sample 0 holds nan"),
    ],
)
@pytest.mark.usefixtures("either_reader")
def test_tables_that_will_not_do_are_refused(tmp_path, text, given):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        byway.Data(
            path=tmp_path / "t.csv",
            target=text.partition(",")[0] if text.startswith("kind") else "",
        )
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
    verb = Verb("test", "For a test.", [Flag("rule", str, "bp", "rule")])
    argv = [
        "--task",
        "data",
        "--data.path",
        str(tmp_path / "t.csv"),
        "--data.target",
        "kind",
        "--data.test",
        "0.25",
        "--batch",
        "9",
    ]
    asked = verb.read(argv)
    experiment = made(["bp"], asked)
    assert [experiment.data[name].size for name in ("train", "validation", "test")] == [26, 4, 10]
    assert (experiment.entries[0].net["input"].size, experiment.entries[0].net["output"].size) == (
        3,
        3,
    )
    (tmp_path / "config.toml").write_text(to_toml(asked))
    assert plain(verb.read(["--config", str(tmp_path / "config.toml")])) == plain(asked)
    assert main(["train", "--task", "data", "--data.path", str(tmp_path / "none.csv")]) == 2
    assert "none.csv is not there" in capsys.readouterr().err
    assert main(["train", "--task", "data"]) == 2
    assert "--data.path" in capsys.readouterr().err
