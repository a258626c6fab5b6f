"""A series whose future is to be forecast: its rows in the order of time, and windows of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.lib.stride_tricks import sliding_window_view

from byway.core.errors import ConfigError, DataError
from byway.tasks._read import array, check_samples
from byway.tasks._targets import numbers_in

# How far steps of time may differ, as a share of one, and still be rounding.
ROUNDING = 1e-3
MONTH = np.dtype("datetime64[M]")


class Series(NamedTuple):
    """A series.

    Attributes:
        rows: what is known at each time, "rows features": other columns, then the targets.
        targets: what is to be forecast, "rows targets".
    """

    rows: Float[np.ndarray, "rows features"]
    targets: Float[np.ndarray, "rows targets"]

    @classmethod
    def of(cls, x: Any, y: Any, times: Any) -> "Series":
        """A series in the order of time.

        Args:
            x: other columns, "rows features".
            y: what is to be forecast, "rows" or "rows targets".
            times: the time of each row.

        Raises:
            DataError: they do not fit together, are no finite numbers, or times do not go forward
                in steps of one length.
        """
        if y is None:
            raise DataError("a series without y", "the column to be forecast", "name it as target")
        targets = numbers_in("", array(y), None)
        targets = targets[:, None] if targets.ndim == 1 else targets
        others = array(x)
        others = others[:, None] if others.ndim == 1 else others
        when = array(times)
        sizes = len(others), len(targets), len(when)
        if others.ndim != 2 or targets.ndim != 2 or when.ndim != 1 or len(set(sizes)) > 1:
            raise DataError(
                f"a series of x {others.shape}, y {targets.shape} and times {when.shape}",
                "(rows, features), (rows, targets) and (rows,)",
                "check the arrays",
            )
        if others.shape[1]:
            check_samples("", others)
        check_times(when)
        return cls(np.concatenate([others.astype(float), targets], 1), targets)

    def bounds(self, shares: Mapping[str, float]) -> dict[str, tuple[int, int]]:
        """From which row to which each part reaches: first what is trained on, last the test.

        Args:
            shares: the share of "validation" and of "test".
        """
        rows = len(self.rows)
        test = rows - round(shares["test"] * rows)
        validation = max(test - round(shares["validation"] * rows), 0)
        return {"train": (0, validation), "validation": (validation, test), "test": (test, rows)}

    def train(self, shares: Mapping[str, float]) -> Bool[np.ndarray, " rows"]:
        """Which rows are trained on."""
        return np.arange(len(self.rows)) < self.bounds(shares)["train"][1]


def windows(
    series: Series, history: int, horizon: int, shares: Mapping[str, float]
) -> dict[str, tuple[Float[np.ndarray, "n history features"], Float[np.ndarray, "n out"]]]:
    """By part, each stretch of `history` rows beside the `horizon` values of the targets after it;
    with several targets, all of the first step, then all of the second. A window is in the part
    that has all it asks for; what it sees may lie before that.

    Raises:
        ConfigError: a part is too short for one window.
    """
    x = np.moveaxis(sliding_window_view(series.rows, min(history, len(series.rows)), 0), -1, 1)
    made = {}
    for part, (first, last) in series.bounds(shares).items():
        # The first of the values that are asked for.
        begins = np.arange(max(first, history), last - horizon + 1)
        if not len(begins):
            raise ConfigError(
                f"history = {history} and horizon = {horizon} for a series of {len(series.rows):,} "
                f"rows, of which rows {first + 1:,} to {last:,} are for {part}",
                "a window at least: so many rows of history, and a whole horizon in each part",
                "lower history or horizon, give the part a larger share, or bring more rows",
            )
        asked = begins[:, None] + np.arange(horizon)
        made[part] = x[begins - history], series.targets[asked].reshape(len(begins), -1)
    return made


def check_times(times: np.ndarray) -> None:
    """Raise `DataError` unless times go forward in steps of one length; months and years count as
    one each.
    """
    if len(times) < 3:
        raise DataError(f"a series of {len(times)} rows", "three at least", "bring more rows")
    dates, seconds = _read(times)
    steps = np.diff(seconds)
    if (back := np.flatnonzero(steps <= 0)).size:
        i = int(back[0])
        raise DataError(
            f"row {i + 2} of a series, with the time {times[i + 1]}, after {times[i]}",
            "times that go forward, each once",
            "sort the rows by time, and drop what is there twice",
        )
    usual = float(np.median(steps))
    if (apart := np.flatnonzero(np.abs(steps - usual) > ROUNDING * usual)).size:
        if dates is not None and _monthly(dates):
            return
        i, unit = int(apart[0]), "" if dates is None else " s"
        raise DataError(
            f"a step of {steps[i]:g}{unit} from row {i + 1} of a series ({times[i]}) to the next "
            f"({times[i + 1]})",
            f"{usual:g}{unit}, as most steps are: a forecast counts rows",
            "fill in the rows that are missing, or take means over equal steps",
        )


def _read(times: np.ndarray) -> tuple[np.ndarray | None, Float[np.ndarray, " rows"]]:
    """Dates, where times are such, and all as numbers; of dates in seconds."""
    if times.dtype.kind == "M":
        dates = times.astype("datetime64[us]")
    elif times.dtype.kind in "iuf":
        return None, _finite(times, times.astype(float))
    else:
        texts = [str(one).strip() for one in times]
        try:
            return None, _finite(times, np.array([float(one) for one in texts]))
        except ValueError:
            pass
        dates = np.array([_date(i, one) for i, one in enumerate(texts)], "datetime64[us]")
    return dates, _finite(
        times, np.where(np.isnat(dates), np.nan, (dates - dates[0]) / np.timedelta64(1, "s"))
    )


def _date(row: int, text: str) -> datetime:
    """A date as ISO 8601 writes it, without its zone: in that of Greenwich, where it has one."""
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(
            f"the time {text!r} in row {row + 1} of a series",
            "a number, or a date such as 2026-11-27 or 2026-11-27T14:30",
            "write times so",
        ) from None
    return date if date.tzinfo is None else date.astimezone(UTC).replace(tzinfo=None)


def _finite(times: np.ndarray, numbers: np.ndarray) -> Float[np.ndarray, " rows"]:
    if not (sound := np.isfinite(numbers)).all():
        i = int(np.argmin(sound))
        raise DataError(
            f"the time {times[i]} in row {i + 1} of a series", "a time", "fill it in, or drop it"
        )
    return numbers


def _monthly(dates: np.ndarray) -> bool:
    """Whether dates are so many months apart each, on the same day or on the last of the month."""
    months = dates.astype(MONTH)
    days = dates.astype("datetime64[D]")
    day = (days - months.astype("datetime64[D]")).astype(int)
    last = (days + np.timedelta64(1, "D")).astype(MONTH) > months
    same_day = np.ptp(day) == 0 or bool(last.all())
    return bool(same_day and np.ptp(np.diff(months.astype(int))) == 0)
