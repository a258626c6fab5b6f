"""The task `data` beyond labels: numbers to be predicted, sequences as long as they like, and no y
at all.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score, root_mean_squared_error
from tests.part import some

import byway
from byway.cli.experiment import made
from byway.cli.flags import Flag
from byway.cli.settings import Verb
from byway.core.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X @ [1.0, -2.0, 0.5] * 100 + 1000 + RNG.normal(size=40)
PAIR = np.stack([Y, 0.01 * Y + RNG.normal(size=40)], 1)
LENGTHS = RNG.integers(1, 7, 12)
RAGGED = [RNG.normal(size=(n, 2)) for n in LENGTHS]
LABELS = np.array(["no", "yes"])[np.arange(12) % 2]
STEPS = [RNG.integers(0, 3, n) for n in LENGTHS]
SHARES = {"validation": 0.25, "test": 0.25}


def everything(task):
    """Inputs, and targets with what each step counts, of all samples, in an order of their own."""
    rows = []
    for split in task.load().values():
        x, signal = task.batch(split, jnp.arange(split.size), jax.random.key(0))
        parts = [x, signal.target] + ([] if signal.weight is None else [signal.weight])
        rows += [np.column_stack([np.reshape(p, (split.size, -1)) for p in parts])]
    rows = np.concatenate(rows)
    return rows[np.lexsort(rows.T[::-1])]


def ordered(*parts):
    rows = np.column_stack([np.reshape(p, (len(parts[0]), -1)) for p in parts])
    return rows[np.lexsort(rows.T[::-1])]


def padded(arrays, time=6):
    return np.stack(
        [np.concatenate([a, np.zeros((time - len(a), *a.shape[1:]), a.dtype)]) for a in arrays]
    )


# Numbers to be predicted.


@pytest.mark.parametrize(
    "y",
    [Y, PAIR, Y.astype(int), Y.round().astype(np.float32), Y.round().astype(str)],
    ids=["one", "two", "int", "f4", "text"],
)
def test_targets_are_standardised_over_the_training_samples_and_answers_are_in_their_units(y):
    task, raw = (
        byway.Data(X, y, kind="regression"),
        byway.Data(X, y, kind="regression", standardise=False),
    )
    numbers = y.astype(float).reshape(40, -1)
    assert (task.outputs, task.classes) == (numbers.shape[1], ())
    train = np.asarray(raw.load()["train"].y)
    assert sorted(map(tuple, np.concatenate([s.y for s in raw.load().values()]))) == sorted(
        map(tuple, numbers)
    )
    for part, split in task.load().items():
        kept = np.asarray(raw.load()[part].y)
        np.testing.assert_allclose(
            split.y, (kept - train.mean(0)) / train.std(0), rtol=1e-9, atol=1e-9
        )
        np.testing.assert_allclose(
            task.answers(split.y), kept if y.ndim > 1 else kept[:, 0], rtol=1e-12
        )
    np.testing.assert_array_equal(raw.answers(train), train if y.ndim > 1 else train[:, 0])


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("y", [Y, PAIR], ids=["one", "two"])
def test_scores_of_a_fit_are_scikit_learns_of_its_answers(y, standardise):
    """In the units of y, also where those lie far from zero."""
    task = byway.Data(X, y, kind="regression", standardise=standardise)
    result = byway.fit(
        byway.mlp(3, 4, task.outputs),
        byway.rule("bp"),
        task,
        epochs=3,
        batch=7,
        lr=1e-2,
        looks=0,
        progress=False,
    )
    net, split = result.learner().net, task.load()["test"]
    answers, truth = task.answers(net.forward(split.x).post[net.output]), task.answers(split.y)
    assert result.rmse[0] == pytest.approx(root_mean_squared_error(truth, answers), rel=1e-9)
    assert result.r2[0] == pytest.approx(r2_score(truth, answers), rel=1e-9)
    np.testing.assert_array_equal(result.main, result.rmse)


def test_r2_of_numbers_far_from_zero_survives_single_precision():
    """Pressures in Pa: of a million they change by some hundreds."""
    y = 1e6 + 100 * Y
    with jax.enable_x64(False):
        task = byway.Data(X, y, kind="regression")
        result = byway.fit(
            byway.mlp(3, 8, 1),
            byway.rule("bp"),
            task,
            epochs=40,
            batch=7,
            lr=1e-2,
            looks=0,
            progress=False,
        )
        net, split = result.learner().net, task.load()["test"]
        answers, truth = task.answers(net.forward(split.x).post[net.output]), task.answers(split.y)
    assert result.r2[0] == pytest.approx(r2_score(truth, answers), abs=1e-5) and result.r2[0] > 0.5
    assert result.rmse[0] == pytest.approx(root_mean_squared_error(truth, answers), rel=1e-4)


def test_numbers_in_a_table_a_frame_and_a_file(tmp_path):
    table = pd.DataFrame(np.column_stack([X, PAIR]), columns=["a", "b", "c", "y1", "y2"])
    table.to_csv(tmp_path / "t.csv", index=False)
    np.savez(tmp_path / "t.npz", x=X, y=PAIR)
    expected = everything(byway.Data(X, PAIR, kind="regression"))
    for task in (
        byway.Data(path=tmp_path / "t.csv", target="y1,y2", kind="regression"),
        byway.Data(path=tmp_path / "t.npz", kind="regression"),
        byway.Data.from_frame(table, ["y1", "y2"], kind="regression"),
        byway.Data.from_dataset(list(zip(X, PAIR, strict=True)), kind="regression"),
    ):
        np.testing.assert_allclose(everything(task), expected, rtol=1e-9)
    one = byway.Data.from_frame(table.drop(columns="y2"), "y1", kind="regression")
    np.testing.assert_allclose(
        everything(one), everything(byway.Data(X, Y, kind="regression")), rtol=1e-9
    )


def test_a_held_part_of_numbers():
    task = byway.Data(X, Y, test_x=X[:5], test_y=Y[:5], kind="regression")
    np.testing.assert_allclose(task.answers(task.load()["test"].y), Y[:5], rtol=1e-12)
    assert [task.load()[k].size for k in ("train", "validation")] == [36, 4]


def test_numbers_to_be_predicted_from_pixels():
    pixels = RNG.integers(0, 256, (12, 4, 5), dtype=np.uint8)
    task = byway.Data(pixels, np.arange(12) / 10, kind="regression", **SHARES)
    assert task.input_shape == (4, 5, 1) and task.load()["train"].x.dtype == jnp.uint8
    np.testing.assert_allclose(
        np.sort(np.concatenate([task.answers(s.y) for s in task.load().values()])),
        np.arange(12) / 10,
        atol=1e-12,
    )


@pytest.mark.parametrize("written", ["{:.0f}", "{:.1f}", "{:g}"])
def test_whole_numbers_in_a_table_need_a_word_however_they_are_written(written, tmp_path):
    (tmp_path / "t.csv").write_text(
        "a,y\n" + "".join(f"{k},{written.format(k % 50)}\n" for k in range(200)), encoding="utf-8"
    )
    with pytest.raises(DataError, match="50 different whole numbers as y of 200 samples"):
        byway.Data(path=tmp_path / "t.csv")
    assert byway.Data(path=tmp_path / "t.csv", kind="classification").outputs == 50


def test_whole_numbers_that_may_be_either_need_a_word():
    """The progress of diabetes is 214 different whole numbers of 442 patients; of a hundred classes
    of ten somebody has to say it too.
    """
    x, y = load_diabetes(return_X_y=True)
    for given in (y, y.astype(int)):
        with pytest.raises(
            DataError, match="214 different whole numbers as y of 442 samples"
        ) as caught:
            byway.Data(x, given)
        assert 'kind="regression"' in caught.value.fix and "--data.kind" in caught.value.fix
    assert byway.Data(x, y, kind="regression").outputs == 1
    many = np.arange(1000) % 100
    with pytest.raises(DataError, match="100 different whole numbers"):
        byway.Data(np.zeros((1000, 2)) + many[:, None], many)
    assert (
        byway.Data(np.zeros((1000, 2)) + many[:, None], many, kind="classification").outputs == 100
    )
    # Text is no number to be predicted.
    assert byway.Data(np.zeros((1000, 2)) + many[:, None], many.astype(str)).outputs == 100


# Sequences.


def test_sequences_of_different_lengths_are_filled_up_and_asked_at_their_own_end():
    expected_x, last = padded(RAGGED), np.eye(6)[LENGTHS - 1]
    target = np.eye(2)[np.arange(12) % 2][:, None] * last[..., None]
    expected = ordered(expected_x, target, last)
    empty = expected_x.copy()
    empty[np.arange(6) >= LENGTHS[:, None]] = np.nan
    options = {"sequences": True, "standardise": False, **SHARES}
    for task in (
        byway.Data(RAGGED, LABELS, **options),
        byway.Data(expected_x, LABELS, mask=LENGTHS, **options),
        byway.Data(empty, LABELS, mask=np.arange(6) < LENGTHS[:, None], **options),
        byway.Data.from_dataset(list(zip(RAGGED, LABELS, strict=True)), **options),
    ):
        assert task.in_time and task.input_shape == (2,) and task.classes == ("no", "yes")
        np.testing.assert_allclose(everything(task), expected, atol=1e-12)


def test_numbers_of_sequences_have_mean_0_over_what_is_there_and_what_fills_up_is_0():
    task = byway.Data(RAGGED, LABELS, sequences=True, **SHARES)
    raw = byway.Data(RAGGED, LABELS, sequences=True, standardise=False, **SHARES)
    train, kept = np.asarray(task.load()["train"].x), np.asarray(raw.load()["train"].x)
    there = (kept != 0).any(-1)
    np.testing.assert_allclose(train[there].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(train[there].std(0), 1, rtol=1e-12)
    assert not train[~there].any()
    mean, deviation = kept[there].mean(0), kept[there].std(0)
    np.testing.assert_allclose(
        task.prepare(RAGGED[:3]),
        padded([(a - mean) / deviation for a in RAGGED[:3]], max(LENGTHS[:3])),
        atol=1e-12,
    )


def test_a_label_at_each_step_counts_as_much_as_its_sequence_lets_it():
    weight = (np.arange(6) < LENGTHS[:, None]) / LENGTHS[:, None]
    target = np.eye(3)[padded(STEPS)] * (weight > 0)[..., None]
    expected = ordered(padded(RAGGED), target, weight)
    options = {"sequences": True, "standardise": False, **SHARES}
    np.testing.assert_allclose(
        everything(byway.Data(RAGGED, STEPS, **options)), expected, atol=1e-12
    )
    np.testing.assert_allclose(
        everything(byway.Data(padded(RAGGED), padded(STEPS), mask=LENGTHS, **options)),
        expected,
        atol=1e-12,
    )


def test_steps_that_a_mask_leaves_out_count_nothing():
    mask = np.ones((12, 6), bool)
    mask[:, 1] = mask[3, 4:] = False
    labels = np.where(mask, RNG.integers(0, 2, (12, 6)), 77)  # a label that would be a third class
    task = byway.Data(RNG.normal(size=(12, 6, 2)), labels, mask=mask, sequences=True, **SHARES)
    assert task.classes == (0, 1)
    weights = np.concatenate(
        [
            task.batch(s, jnp.arange(s.size), jax.random.key(0))[1].weight
            for s in task.load().values()
        ]
    )
    assert sorted(map(tuple, weights)) == sorted(map(tuple, mask / mask.sum(1, keepdims=True)))


@pytest.mark.parametrize("outputs", [1, 2])
def test_numbers_at_each_step_are_scored_as_scikit_learn_would_with_weights(outputs):
    """Every sequence counts the same, however long; RMSE and R² are those of scikit-learn with
    these weights.
    """
    y = [RNG.normal(size=(n, outputs)) * [10, 0.1][:outputs] + 5 for n in LENGTHS]
    y = [a[:, 0] for a in y] if outputs == 1 else y
    task = byway.Data(RAGGED, y, sequences=True, kind="regression", **SHARES)
    net = byway.rnn(2, 4, outputs)
    result = byway.fit(net, byway.rule("bptt"), task, epochs=2, batch=3, looks=0, progress=False)
    x, signal = task.batch(split := task.load()["test"], jnp.arange(3), jax.random.key(0))
    output = result.rule.predict(
        result.learner().gamma, result.learner().net, x, jax.random.key(0), True
    ).output
    truth, answers = (np.reshape(task.answers(a), (-1, outputs)) for a in (signal.target, output))
    weight = np.asarray(signal.weight).ravel()
    assert split.size == 3 and weight.sum() == pytest.approx(3)
    assert result.rmse[0] == pytest.approx(
        root_mean_squared_error(truth, answers, sample_weight=weight), rel=1e-9
    )
    assert result.r2[0] == pytest.approx(r2_score(truth, answers, sample_weight=weight), rel=1e-9)


@pytest.mark.parametrize("rule", some(["bptt", "rtrl", "frozen"], 1))
def test_what_fills_sequences_up_changes_nothing_of_what_is_learnt(rule):
    """The same sequences, filled up to 6 and to 9 steps: the same weights, to the bit."""
    long = padded(RAGGED, 9)
    learned = []
    for x in (padded(RAGGED), long):
        task = byway.Data(x, LABELS, mask=LENGTHS, sequences=True, **SHARES)
        result = byway.fit(
            byway.rnn(2, 4, 2), byway.rule(rule), task, epochs=2, batch=3, looks=0, progress=False
        )
        learned.append(jax.tree.leaves(result.learner().net.theta))
    for a, b in zip(*learned, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_sequences_in_a_table_a_frame_and_a_file(tmp_path):
    """A row is a time step, and rows of one sequence need not stand together."""
    names = [f"s{i}" for i in range(12)]
    rows = [
        (names[i], *RAGGED[i][t], STEPS[i][t], LABELS[i], t)
        for i in range(12)
        for t in range(LENGTHS[i])
    ]
    table = (
        pd.DataFrame(rows, columns=["who", "a", "b", "step", "label", "t"])
        .sort_values("t", kind="stable")
        .drop(columns="t")
    )
    options = {"standardise": False, **SHARES}
    at_end, at_steps = (
        everything(byway.Data(RAGGED, y, sequences=True, **options)) for y in (LABELS, STEPS)
    )
    table.drop(columns="label").to_csv(tmp_path / "steps.csv", index=False)
    table.drop(columns="step").to_csv(tmp_path / "labels.csv", index=False)
    np.savez(tmp_path / "t.npz", x=padded(RAGGED), y=LABELS, lengths=LENGTHS)
    for task, expected in (
        (byway.Data(path=tmp_path / "steps.csv", group="who", **options), at_steps),
        (byway.Data(path=tmp_path / "labels.csv", group="who", at_end=True, **options), at_end),
        (byway.Data(path=tmp_path / "t.npz", sequences=True, **options), at_end),
        (
            byway.Data.from_frame(table.drop(columns="label"), "step", group="who", **options),
            at_steps,
        ),
        (
            byway.Data.from_frame(
                table.drop(columns="step"), "label", group="who", at_end=True, **options
            ),
            at_end,
        ),
    ):
        np.testing.assert_allclose(everything(task), expected, atol=1e-12)


def test_a_held_part_of_sequences():
    task = byway.Data(
        RAGGED,
        LABELS,
        test_x=padded(RAGGED[:3], 9),
        test_y=LABELS[:3],
        test_mask=LENGTHS[:3],
        sequences=True,
        standardise=False,
    )
    x, signal = task.batch(task.load()["test"], jnp.arange(3), jax.random.key(0))
    np.testing.assert_allclose(x, padded(RAGGED[:3], 9), atol=1e-12)
    np.testing.assert_array_equal(signal.weight, np.eye(9)[LENGTHS[:3] - 1])


# No y.


@pytest.mark.parametrize("features", [0, 5])
def test_without_y_there_are_inputs_and_no_target(tmp_path, features):
    pd.DataFrame(X, columns=["a", "b", "c"]).to_csv(tmp_path / "t.csv", index=False)
    np.savez(tmp_path / "t.npz", x=X, y=Y)
    options = {"kind": "unlabelled", "features": features}
    for task in (
        byway.Data(X, features=features),
        byway.Data(X, **options),
        byway.Data(path=tmp_path / "t.csv", **options),
        byway.Data(path=tmp_path / "t.npz", **options),
        byway.Data.from_frame(pd.DataFrame(X), **options),
    ):
        assert (task.outputs, task.scores, task.classes) == (features or 3, (), ())
        assert [task.load()[k].size for k in ("train", "validation", "test")] == [28, 4, 8]
        _, signal = task.batch(task.load()["train"], jnp.arange(4), jax.random.key(0))
        assert signal.target.shape == (4, 0) and not signal.taught
    np.testing.assert_array_equal(task.answers(X), X)
    sequences = byway.Data(RAGGED, sequences=True, **SHARES)
    _, signal = sequences.batch(sequences.load()["train"], jnp.arange(2), jax.random.key(0))
    assert signal.target.shape == (2, 6, 0) and np.allclose(signal.weight.sum(1), 1)


# What cannot be.


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: byway.Data(X, Y), "a label of "),
        (
            lambda: byway.Data(X, np.where(np.arange(40) == 7, np.nan, Y), kind="regression"),
            "y of sample 7 is nan",
        ),
        (lambda: byway.Data(X, ["a", "b"] * 20, kind="regression"), "for a regression"),
        (lambda: byway.Data(X, Y[:39], kind="regression"), "40 samples and y of shape (39,)"),
        (
            lambda: byway.Data(X, np.zeros((40, 2, 2)), kind="regression"),
            "40 samples and y of shape (40, 2, 2)",
        ),
        (lambda: byway.Data(RAGGED, LABELS), "data that make no array"),
        (
            lambda: byway.Data(
                padded(RAGGED) * np.where(np.arange(6) < 3, 1, np.nan)[:, None],
                LABELS,
                sequences=True,
            ),
            "holds nan",
        ),
        (
            lambda: byway.Data([*RAGGED[:-1], np.zeros((3, 5))], LABELS, sequences=True),
            "sequence 11: float64 of shape (3, 5) beside",
        ),
        (
            lambda: byway.Data([*RAGGED[:-1], np.array(["a"])], LABELS, sequences=True),
            "sequence 11: ",
        ),
        (
            lambda: byway.Data([*RAGGED[:-1], np.zeros((0, 2))], LABELS, sequences=True),
            "the sequence 11 has no step that counts",
        ),
        (
            lambda: byway.Data(padded(RAGGED), LABELS, mask=LENGTHS + 9, sequences=True),
            "a mask of type int64",
        ),
        (
            lambda: byway.Data(padded(RAGGED), LABELS, mask=np.ones((12, 5), bool), sequences=True),
            "a mask of type bool and shape (12, 5)",
        ),
        (lambda: byway.Data(RAGGED, LABELS[:5], sequences=True), "12 sequences and 5 y"),
        (
            lambda: byway.Data(RAGGED, [a[:1] for a in STEPS], sequences=True),
            "y of shape (12, 1) for sequences of 6 steps",
        ),
        (
            lambda: byway.Data(RAGGED, [np.append(a, [0, 0]) for a in STEPS], sequences=True),
            "y that are as long as",
        ),
        (
            lambda: byway.Data(
                padded(RAGGED), np.zeros((12, 6)), sequences=True, kind="regression"
            ),
            "y of shape (12, 6) for sequences of 6",
        ),
        (
            lambda: byway.Data(np.zeros((12, 6, 2, 2)), LABELS, sequences=True),
            "sequences of shape (12, 6, 2, 2)",
        ),
        (
            lambda: byway.Data(RAGGED, LABELS, sequences=True, **SHARES).prepare(
                np.zeros((2, 4, 3))
            ),
            "new samples that are numbers of shape (3,)",
        ),
        (
            lambda: byway.Data.from_frame(pd.DataFrame({"a": [1.0], "y": [1]}), "y", group="who"),
            "no column 'who'",
        ),
    ],
)
def test_data_that_will_not_do_are_refused(make, given):
    with pytest.raises(DataError) as caught:
        make()
    assert given in caught.value.given


def test_what_ragged_data_lack_is_said():
    with pytest.raises(DataError) as caught:
        byway.Data(RAGGED, LABELS)
    assert "sequences=True" in caught.value.fix
    x = padded(RAGGED) * np.where(np.arange(6) < 3, 1, np.nan)[:, None]
    with pytest.raises(DataError) as caught:
        byway.Data(x, LABELS, sequences=True)
    assert "mask=" in caught.value.fix


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: byway.Data(X, Y, kind="regresion"), "kind = 'regresion'"),
        (lambda: byway.Data(X, Y, kind="unlabelled"), "kind = 'unlabelled', and y"),
        (lambda: byway.Data(X, kind="regression"), "kind = 'regression', and no y"),
        (
            lambda: byway.Data(X, Y, kind="regression", loss="cross_entropy"),
            "loss = 'cross_entropy' for regression",
        ),
        (
            lambda: byway.Data(X, kind="unlabelled", loss="squared_error"),
            "loss = 'squared_error' for unlabelled",
        ),
        (lambda: byway.Data(X, Y, kind="regression", features=3), "features = 3 for data with y"),
        (
            lambda: byway.Data(X, Y, kind="regression", at_end=True),
            "at_end for samples without time",
        ),
        (
            lambda: byway.Data(X, Y, kind="regression", mask=np.ones(40, int)),
            "a mask for samples without time",
        ),
        (lambda: byway.Data(RAGGED, LABELS, sequences=True, room=2), "room = 2 for sequences"),
        (lambda: byway.Data(X, Y, kind="regression", group="a"), "or a group"),
        (lambda: byway.Data(X, Y, test_x=X, kind="regression"), "samples without labels"),
        (lambda: byway.Data(X, mask=np.ones(3)), "a mask for samples without time"),
    ],
)
def test_settings_that_will_not_do_are_refused(make, given):
    with pytest.raises(ConfigError) as caught:
        make()
    assert given in caught.value.given


def test_flags_reach_the_task(tmp_path):
    table = pd.DataFrame(np.column_stack([X, Y]), columns=["a", "b", "c", "y"])
    table["who"] = np.repeat(np.arange(10), 4)
    table.to_csv(tmp_path / "t.csv", index=False)
    verb = Verb("test", "For a test.", [Flag("rule", str, "bptt", "rule")])
    flags = [
        "--task",
        "data",
        "--data.kind",
        "regression",
        "--data.target",
        "y",
        "--data.group",
        "who",
        "--batch",
        "2",
        "--data.path",
    ]
    experiment = made(["bptt"], verb.read([*flags, str(tmp_path / "t.csv")]))
    assert (
        experiment.task.in_time
        and experiment.task.outputs == 1
        and experiment.entries[0].net.cyclic
    )
    assert [s.name for s in experiment.task.scores] == ["rmse", "nrmse", "r2", "loss"]


def test_numbers_at_each_step_that_are_taken_for_labels_are_refused_with_the_way_out():
    each = [np.cumsum(x[:, :1], 0) for x in RAGGED]
    with pytest.raises(DataError, match=r'label for each step\n.*add kind="regression"'):
        byway.Data(RAGGED, each, sequences=True).load()
