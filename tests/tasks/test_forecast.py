"""A series of one's own: windows in the order of time, scaled by what is trained on, and what is
refused.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import byway
from byway.core.errors import BywayError
from byway.tasks._forecast import check_times

ROWS = 60
DRAW = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "day": pd.date_range("2026-01-30", periods=ROWS, freq="D"),
        "a": DRAW.normal(size=ROWS) + np.arange(ROWS),
        "b": 5 * DRAW.normal(size=ROWS),
        "c": DRAW.normal(size=ROWS) - 7,
    }
)
SHARES = {"validation": 0.2, "test": 0.3}  # rows 0 to 29, 30 to 41 and 42 to 59
BOUNDS = {"train": (0, 30), "validation": (30, 42), "test": (42, 60)}


def _batch(task, part):
    split = task.load()[part]
    return task.batch(split, jnp.arange(split.size), jax.random.key(0))


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("target", ["c", ["c", "a"]])
def test_windows_are_those_of_a_plain_loop(target, standardise):
    """In the order of time; what is asked lies in the part, and no value is asked in two."""
    task = byway.Data.from_frame(
        TABLE, target, time="day", history=4, horizon=3, standardise=standardise, **SHARES
    )
    targets = [target] if isinstance(target, str) else target
    others = [name for name in ("a", "b", "c") if name not in targets]
    rows, values = TABLE[others + targets].to_numpy(), TABLE[targets].to_numpy()
    if standardise:
        rows = (rows - rows[:30].mean(0)) / rows[:30].std(0)
        values = (values - values[:30].mean(0)) / values[:30].std(0)
    assert (task.input_shape, task.outputs, task.in_time) == ((3,), 3 * len(targets), True)
    for part, (first, last) in BOUNDS.items():
        seen, asked = [], []
        for t in range(ROWS):
            if t >= 4 and t >= first and t + 3 <= last:
                seen.append(rows[t - 4 : t])
                asked.append(values[t : t + 3].ravel())
        x, signal = _batch(task, part)
        np.testing.assert_allclose(x, seen, rtol=1e-9)
        np.testing.assert_allclose(np.asarray(signal.target)[:, -1], asked, rtol=1e-9)
        np.testing.assert_array_equal(signal.weight, np.eye(4)[[3] * len(seen)])


def test_what_comes_after_training_changes_nothing_of_what_is_trained_on():
    later = TABLE.copy()
    later.loc[30:, ["a", "b", "c"]] = 1e6
    one, other = (
        byway.Data.from_frame(t, "c", time="day", history=4, **SHARES) for t in (TABLE, later)
    )
    for a, b in zip(one.load()["train"], other.load()["train"], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.encoding.mean, other.encoding.mean)


def test_a_file_a_frame_and_arrays_are_one_series(tmp_path):
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    options = {"history": 5, "horizon": 2}
    made = [
        byway.Data(path=tmp_path / "t.csv", time="day", **options),
        byway.Data.from_frame(TABLE, "c", time="day", **options),
        byway.Data(TABLE[["a", "b"]].to_numpy(), TABLE["c"], times=np.arange(ROWS), **options),
    ]
    first = _batch(made[0], "test")
    for task in made[1:]:
        for one, other in zip(
            jax.tree.leaves(first), jax.tree.leaves(_batch(task, "test")), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-9)
    alone = byway.Data(None, TABLE["c"], times=np.arange(ROWS), **options)
    assert alone.input_shape == (1,)


def test_a_forecast_is_scored_and_answered_in_the_units_of_the_series():
    """Answering the last value that was seen has the RMSE and the NRMSE of a plain loop."""
    task = byway.Data.from_frame(TABLE, "a", time="day", history=4, horizon=2, **SHARES)
    x, signal = _batch(task, "test")
    last = jnp.repeat(x[..., -1:], 2, -1)  # the target is its last feature
    scores = {s.name: s for s in task.scores}
    values = TABLE["a"].to_numpy()
    begins = np.arange(42, 59)
    asked = np.stack([values[begins], values[begins + 1]], 1)
    error = np.sqrt(np.mean((values[begins - 1][:, None] - asked) ** 2, 0))
    found = {
        name: scores[name].of(np.asarray(part).sum(1).mean(0))
        for name, part in task.score(last, signal).items()
    }
    assert found["rmse"] == pytest.approx(error.mean(), rel=1e-9)
    assert found["nrmse"] == pytest.approx(np.mean(error / asked.std(0)), rel=1e-9)
    answers = task.encoding.answers(np.asarray(last)[:, -1])
    np.testing.assert_allclose(answers, values[begins - 1][:, None].repeat(2, 1), rtol=1e-9)


@pytest.mark.parametrize(
    "times",
    [
        np.arange(5) * 0.1,
        ["1", "2", "3"],
        pd.date_range("2025-11-30", periods=6, freq="ME").strftime("%Y-%m-%d").tolist(),
        pd.date_range("2025-10-01", periods=6, freq="MS").to_numpy(),
        ["2023-01-01", "2024-01-01", "2025-01-01"],
        ["2026-03-29T00:00+01:00", "2026-03-29T01:00Z", "2026-03-29T05:00+02:00"],
    ],
)
def test_times_that_go_forward_in_equal_steps_are_taken(times):
    check_times(np.asarray(times))


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0, 1, 1, 2], "row 3 of a series, with the time 1, after 1"),
        ([0, 2, 1, 3], "row 3 of a series, with the time 1, after 2"),
        ([0, 1, 2, 4, 5], r"a step of 2 from row 3 of a series \(2\) to the next \(4\)"),
        (["2026-01-01", "2026-01-02", "2026-01-04", "2026-01-05"], "a step of 172800 s"),
        (["2026-01-01", "2026-02-01", "2026-04-01"], "a step of"),
        (["2026-01-01", "2026-02-02", "2026-03-01"], "a step of"),
        (["2026-01-01", "soon", "2026-01-03"], "the time 'soon' in row 2"),
        ([0.0, np.nan, 2.0], "the time nan in row 2"),
        ([0, 1], "a series of 2 rows"),
    ],
)
def test_times_with_gaps_or_out_of_order_are_refused_by_row(times, said):
    with pytest.raises(BywayError, match=said):
        check_times(np.asarray(times))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"horizon": 20}, "horizon = 20 for a series of 60 rows, of which rows 43 to 48 are for v"),
        ({"history": 60}, "history = 60"),
        ({"history": 0}, "history = 0"),
        ({"test": 0.0}, "for test"),
        ({"fold": "1/3"}, "beside fold"),
        ({"sequences": True}, "beside sequences"),
        ({"group": "b"}, "beside group"),
        ({"at_end": True}, "beside at_end"),
        ({"kind": "classification"}, "beside kind"),
        ({"target": "day"}, "as time and as target"),
        ({"time": "hour"}, "no column 'hour'"),
        ({"time": "", "horizon": 3, "kind": "regression"}, "without time"),
    ],
)
def test_a_forecast_that_cannot_be_is_refused(tmp_path, options, said):
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    settings = {"time": "day", "history": 5, "validation": 0.1} | options
    with pytest.raises(BywayError, match=said):
        byway.Data(path=tmp_path / "t.csv", **settings)


def test_arrays_of_a_series_that_do_not_fit_are_refused():
    y = np.arange(30.0)
    with pytest.raises(BywayError, match="without times"):
        byway.Data(y[:, None], y, time="day")
    with pytest.raises(BywayError, match=r"times \(29,\)"):
        byway.Data(y[:, None], y, times=y[1:])
    with pytest.raises(BywayError, match="with parts of their own"):
        byway.Data(y[:, None], y, times=y, test_x=y[:, None], test_y=y)
    with pytest.raises(BywayError, match="in folds"):
        byway.Data(y[:, None], y, times=y, history=3).in_fold("1/3")
    with pytest.raises(BywayError, match=r"y of sample 3 is nan"):
        byway.Data(None, np.where(y == 3, np.nan, y), times=y)
