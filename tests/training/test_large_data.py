"""Many samples: the order of an epoch is drawn once, and what stays on disk teaches the same as
from memory, to the bit.
"""

import jax
import numpy as np
import pytest

import byway
from byway.cli.experiment import made
from byway.cli.flags import Flag
from byway.cli.settings import Verb
from byway.core.errors import ConfigError, DataError
from byway.core.task import Split
from byway.tasks._shards import Rows
from byway.training.loop import Loop

EPOCHS, BATCH = 3, 5
DRAW = np.random.default_rng(0)
X = (DRAW.normal(size=(83, 4)) * [1, 10, 0.1, 0] + [0, 100, -5, 14.62]).astype(np.float32)
PIXELS = DRAW.integers(0, 256, (83, 3, 4), dtype=np.uint8)
Y = np.array(["no", "yes", "perhaps"])[np.arange(83) % 3]
CUTS = {"1": slice(0, 20), "2": slice(20, 21), "10": slice(21, 83)}


def test_the_order_of_samples_is_drawn_once_an_epoch(blobs, monkeypatch):
    """Drawing it in every stretch kept a million samples from ever finishing an epoch."""
    drawn, ordered = [], Loop._ordered
    monkeypatch.setattr("byway.training.course.STRETCH", 0.0)  # every stretch is a single update
    monkeypatch.setattr(
        Loop, "_ordered", lambda self, first: drawn.append(first) or ordered(self, first)
    )
    byway.fit(
        byway.mlp(4, 5, 3), byway.rule("bp"), blobs, epochs=EPOCHS, batch=BATCH, progress=False
    )
    assert drawn == [0] * EPOCHS


def _on_disk(folder, x, y=Y, where=slice(None)):
    """The samples as an array on disk, as shards of it, and as a folder of either."""
    for name in ("one", "many"):
        (folder / name).mkdir(parents=True)
    np.save(folder / "one" / "x.npy", x[where])
    np.save(folder / "one" / "y.npy", y[where])
    for name, cut in CUTS.items():
        np.save(folder / "many" / f"x-{name}.npy", x[where][cut])
        np.save(folder / "many" / f"y-{name}.npy", y[where][cut])
    opened = [np.load(folder / "many" / f"x-{name}.npy", mmap_mode="r") for name in CUTS]
    return {
        "array": {"x": np.load(folder / "one" / "x.npy", mmap_mode="r"), "y": y[where]},
        "shards": {"x": byway.Shards(opened), "y": y[where]},
        "file": {"path": folder / "one" / "x.npy"},
        "folder": {"path": folder / "one"},
        "folder of shards": {"path": folder / "many"},
    }


def _everything(result):
    """All that a training leaves, in one list of arrays."""
    learners = [
        jax.random.key_data(a) if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key) else a
        for a in jax.tree.leaves(result.learners)
    ]
    measured = (
        {name: curve.values for name, curve in result.history.items()},
        (result.test, result.predictions.values, result.predictions.truth),
    )
    return [np.asarray(a) for a in (*learners, *jax.tree.leaves(measured))]


def _train(task, rule="bp", seeds=2, **options):
    net = byway.mlp(task.input_shape, 5, task.outputs)
    return byway.fit(
        net,
        byway.rule(rule),
        task,
        epochs=EPOCHS,
        batch=BATCH,
        seeds=seeds,
        progress=False,
        **options,
    )


def _assert_same(one, other):
    for a, b in zip(_everything(one), _everything(other), strict=True):
        np.testing.assert_array_equal(a, b)


FORMS = ("array", "shards", "file", "folder", "folder of shards")


@pytest.mark.parametrize(
    ("x", "most", "forms"),
    [
        (X, 37, FORMS[1:2]),
        pytest.param(X, 37, FORMS, marks=pytest.mark.slow),
        pytest.param(X, 2**16, FORMS[1:2], marks=pytest.mark.slow),
        (PIXELS, 1, FORMS[1:2]),
    ],
    ids=["some batches at a time", "in every form", "all at once", "images batch by batch"],
)
def test_what_stays_on_disk_teaches_the_same_to_the_bit(tmp_path, monkeypatch, x, most, forms):
    """However much of it is fetched at a time."""
    monkeypatch.setattr("byway.training.batches.MOST_SAMPLES", most)
    in_memory, on_disk = byway.Data(x, Y), _on_disk(tmp_path, x)
    wanted = _train(in_memory)
    for form in forms:
        task = byway.Data(**on_disk[form])
        for name, split in task.load().items():
            assert split.fetched and isinstance(split.x, Rows)
            np.testing.assert_array_equal(split.x[:], in_memory.load()[name].x)
        _assert_same(_train(task), wanted)


@pytest.mark.slow
def test_splits_too_large_for_one_look_of_the_scores(tmp_path, monkeypatch):
    """Scores are sums over chunks; they are added up in the same order, and what fills up the last
    counts for nothing.
    """
    monkeypatch.setattr("byway.training.loop.SCORE_BATCH", 4)
    monkeypatch.setattr("byway.training.batches.MOST_SAMPLES", 9)
    options = {"validation": 0.3, "test": 0.3, "room": 2}
    _assert_same(
        _train(byway.Data(**_on_disk(tmp_path, X)["shards"], **options)),
        _train(byway.Data(X, Y, **options)),
    )


@pytest.mark.slow
def test_a_batch_that_is_divided_among_cores_can_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr("byway.training.batches.MOST_SAMPLES", 37)
    _assert_same(
        _train(byway.Data(**_on_disk(tmp_path, X)["shards"]), "pc", 1),
        _train(byway.Data(X, Y), "pc", 1),
    )


@pytest.mark.slow
def test_parts_of_their_own_stay_on_disk_too(tmp_path):
    folder = tmp_path / "all"
    folder.mkdir()
    cuts = {"": slice(0, 60), "_test": slice(60, 72), "_validation": slice(72, 83)}
    for part, cut in cuts.items():
        np.save(folder / f"x{part}.npy", X[cut])
        np.save(folder / f"y{part}.npy", Y[cut])
    arrays = {
        f"{part[1:]}_{k}": a[cut]
        for part, cut in cuts.items()
        if part
        for k, a in (("x", X), ("y", Y))
    }
    _assert_same(_train(byway.Data(path=folder)), _train(byway.Data(X[:60], Y[:60], **arrays)))


@pytest.mark.slow
def test_stopped_and_gone_on_with(tmp_path, monkeypatch):
    """In the middle of an epoch, of a window, and of the order of its samples."""
    monkeypatch.setattr("byway.training.batches.MOST_SAMPLES", 37)
    monkeypatch.setattr("byway.training.course.STRETCH", 0.0)
    task = byway.Data(**_on_disk(tmp_path, X)["folder of shards"])

    def stop_at(step):
        def stop(look):
            if look.step == step:
                raise KeyboardInterrupt

        return stop

    options = {"checkpoint": tmp_path / "kept", "save_every": 0.0, "look_at": [0, 3, 5, 13, 25]}
    for at in (3, 13):
        with pytest.raises(KeyboardInterrupt):
            _train(task, on_look=stop_at(at), **options)
    assert (tmp_path / "kept" / "13").is_dir()  # whatever a callback raises, nothing is lost
    _assert_same(_train(task, **options), _train(byway.Data(X, Y), look_at=[0, 3, 5, 13, 25]))


class Spy:
    """Samples that are handed out as a dataset of h5py does it, few at a time: for a slice, or for
    rising numbers.
    """

    def __init__(self, x):
        self._x, self.shape, self.dtype, self.most = x, x.shape, x.dtype, 0

    def __len__(self):
        return len(self._x)

    def __getitem__(self, which):
        assert isinstance(which, slice) or (np.diff(which) > 0).all()
        found = self._x[which]
        self.most = max(self.most, len(found))
        return found


@pytest.mark.slow
def test_no_more_is_fetched_than_is_learned_from_soon(monkeypatch):
    monkeypatch.setattr("byway.training.batches.MOST_SAMPLES", 12)
    monkeypatch.setattr("byway.training.loop.SCORE_BATCH", 4)
    spies = [Spy(X[:40]), Spy(X[40:])]
    task = byway.Data(byway.Shards(spies), Y)
    for spy in spies:
        spy.most = 0
    _assert_same(_train(task, probe=4), _train(byway.Data(X, Y), probe=4))
    assert 0 < max(spy.most for spy in spies) <= 12


def test_a_task_of_ones_own_may_leave_its_samples_where_they_are(blobs):
    """Any splits whose x has a shape, a type and samples by number; of what is fetched only the
    form is checked beforehand.
    """
    whole = blobs.load()

    class Plain(Spy):
        def __getitem__(self, which):
            return self._x[which]

    splits = {name: Split(Plain(np.asarray(x)), np.asarray(y)) for name, (x, y) in whole.items()}
    options = {"epochs": EPOCHS, "batch": BATCH, "progress": False}
    net, rule = byway.mlp(4, 5, 3), byway.rule("bp")
    _assert_same(
        byway.fit(net, rule, blobs, data=splits, **options), byway.fit(net, rule, blobs, **options)
    )
    with pytest.raises(DataError, match="train with 24 x and 23 y"):
        byway.fit(
            net,
            rule,
            blobs,
            data=splits | {"train": Split(splits["train"].x, np.asarray(whole["train"].y)[:-1])},
            **options,
        )


def test_shards_are_one_array():
    whole = DRAW.normal(size=(50, 3))
    shards = byway.Shards([whole[:7], whole[7:7], whole[7:8], whole[8:]])
    assert (shards.shape, shards.dtype, len(shards)) == (whole.shape, whole.dtype, 50)
    for which in (
        slice(None),
        slice(3, 9),
        slice(49, 80),
        slice(5, 5),
        slice(0, 50, 7),
        np.array([49, 0, 7, 7, 8, 6]),
        DRAW.permutation(50),
    ):
        np.testing.assert_array_equal(shards[which], whole[which])
    np.testing.assert_array_equal(shards[np.array([0, 0, 2])], whole[[0, 0, 2]])


def test_from_the_command_line(tmp_path):
    _on_disk(tmp_path, X)
    verb = Verb("test", "For a test.", [Flag("rule", str, "bp", "rule")])
    for path, *more in (("many",), ("one/x.npy",), ("one/x.npy", "--data.target", "y.npy")):
        experiment = made(
            ["bp"], verb.read(["--task", "data", "--data.path", str(tmp_path / path), *more])
        )
        assert experiment.data["train"].fetched and experiment.entries[0].net["input"].size == 4


def _spoilt(folder, change):
    _on_disk(folder, X)
    change(folder / "many")
    return byway.Data(path=folder / "many")


@pytest.mark.parametrize(
    ("change", "given"),
    [
        (lambda folder: (folder / "y-2.npy").unlink(), "holds one of x and y for the shard '2'"),
        (lambda folder: [path.unlink() for path in folder.glob("y*")], "holds the arrays x"),
        (lambda folder: np.save(folder / "y-2.npy", Y[:5]), "x-2.npy has not as many samples"),
        (
            lambda folder: np.save(folder / "x-2.npy", X[:1, :3]),
            "shards of float32 of shape (3,) beside float32 of shape (4,)",
        ),
        (
            lambda folder: np.save(folder / "x-2.npy", X[:1].astype(int)),
            "shards of int64 of shape (4,) beside float32",
        ),
        (lambda folder: np.save(folder / "x-2.npy", np.array([None])), "x-2.npy cannot be read"),
        (
            lambda folder: (folder / "x-2.npy").write_bytes((folder / "x-2.npy").read_bytes()[:-3]),
            "x-2.npy cannot be read",
        ),
        (lambda folder: (folder / "x-2.npy").write_bytes(b"spam"), "x-2.npy cannot be read"),
        (
            lambda folder: np.save(folder / "x-2.npy", np.float32(3)),
            "x-2.npy holds a single number",
        ),
        (
            lambda folder: np.save(
                folder / "x-10.npy", np.where(np.arange(62)[:, None] == 7, np.nan, X[21:])
            ),
            "sample 28 holds nan at (0,)",
        ),
        (lambda folder: np.save(folder / "test_x.npy", X), "holds the arrays"),
    ],
)
def test_files_that_will_not_do_are_refused(tmp_path, change, given):
    with pytest.raises(DataError) as caught:
        _spoilt(tmp_path, change)
    assert given in caught.value.given


def test_settings_and_shapes_that_will_not_do_are_refused(tmp_path):
    _on_disk(tmp_path, X)
    with pytest.raises(ConfigError, match="target"):
        byway.Data(path=tmp_path / "many", target="y.npy")
    with pytest.raises(DataError, match=r"z\.npy cannot be read"):
        byway.Data(path=tmp_path / "one" / "x.npy", target="z.npy")
    with pytest.raises(DataError, match="0 shards"):
        byway.Shards([])
    with pytest.raises(DataError, match=r"samples of shape \(83,\)"):
        byway.Data(byway.Shards([X[:, 0]]), Y)


class Ending(Spy):
    """A source that has fewer samples than its shape says."""

    def __getitem__(self, which):
        there = np.arange(len(self._x))[which]
        return self._x[there[there < 17]]


class Broken(Spy):
    """One that says so itself."""

    def __getitem__(self, which):
        if np.max(np.arange(len(self._x))[which]) >= 17:
            raise EOFError("cut off")
        return self._x[which]


@pytest.mark.parametrize("source", [Ending, Broken])
def test_a_source_that_ends_early_is_said_and_what_was_saved_is_there(source, blobs, tmp_path):
    """And resumed from where it was, with all samples, it is the training that never stopped."""
    whole = {name: Split(np.asarray(x), np.asarray(y)) for name, (x, y) in blobs.load().items()}
    early = whole | {"train": Split(source(whole["train"].x), whole["train"].y)}
    options = {"epochs": EPOCHS, "batch": BATCH, "progress": False}
    net, rule = byway.mlp(4, 5, 3), byway.rule("bp")
    with pytest.raises(DataError, match="a source of samples that ends early: of x") as caught:
        byway.fit(net, rule, blobs, data=early, checkpoint=tmp_path, **options)
    assert "all 24 samples that its shape says there are" in str(caught.value)
    _assert_same(
        byway.fit(net, rule, blobs, data=whole, checkpoint=tmp_path, **options),
        byway.fit(net, rule, blobs, data=whole, **options),
    )


def test_a_shard_that_ends_early_is_named():
    shards = byway.Shards([X[:40], Ending(X[40:])])
    split = Split(shards, np.zeros(len(shards)))
    assert len(split.some(slice(50)).x) == 50
    with pytest.raises(DataError, match=r"IndexError: 17 of 20 samples in shard 2 where 60"):
        split.some(slice(60))
