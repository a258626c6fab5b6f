"""The comparison table of a run: a row a rule, the same for the terminal and for the page."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from byway.core.score import Score
from byway.report.run import Finished, Run

# Backprop, and what it is called in time: no run has both.
BASELINES, CONTROL = ("bp", "bptt"), "frozen"
NONE = "–"


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean paired difference and its 95 % interval, as the score is printed, from `n` pairs."""

    mean: float
    low: float
    high: float
    n: int


@dataclasses.dataclass(frozen=True)
class Wins:
    """On how many of the common seeds a rule scored better than the control; a seed that was lost
    is worse than any that was not.
    """

    won: int
    of: int


@dataclasses.dataclass(frozen=True)
class Spread:
    """A score over the seeds that finished, as it is printed: its mean and its standard deviation,
    NaN where too few are left.
    """

    mean: float
    deviation: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One rule's row.

    Attributes:
        rule: its name.
        score: by which rules are compared: the task's main score, or None where it has none.
        measured: by split and score, each score on the test split, the main one first, and that one
            on each further split.
        survived: how many seeds finished.
        seeds: how many began.
        difference: to backprop on the same seeds; None for backprop itself and with fewer than two
            common seeds.
        wins: against the frozen control; None for the control itself and with no common seed.
        seconds: training time of all seeds together, without compiling [s].
        step_bytes: memory of one compiled update of one learner [B].
        angle: to the true gradient at the last look, mean over hidden projections and seeds
            [degree]; None if never defined.
        transport: the audit's verdict, or None without an audit; so for `locking`, `derivative` and
            `signal`.
    """

    rule: str
    score: Score | None
    measured: dict[tuple[str, Score], Spread]
    survived: int
    seeds: int
    difference: Interval | None
    wins: Wins | None
    seconds: float
    step_bytes: int
    angle: float | None
    transport: str | None
    locking: str | None
    derivative: str | None
    signal: str | None

    @property
    def main(self) -> Spread:
        """The main score on the test split."""
        return next(iter(self.measured.values()), Spread(math.nan, math.nan))


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        name: what it holds.
        cell: a row's cell, in words.
        unit: of its numbers.
        words: whether it holds words, which are set to the left.
        alone: whether a rule that is compared with none can fill it.
    """

    name: str
    cell: Callable[[Comparison], str]
    unit: str = ""
    words: bool = False
    alone: bool = False

    @property
    def heading(self) -> str:
        """Its name and unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


def baseline(rules: Sequence[str]) -> str:
    """What backprop is called among these rules."""
    return next((rule for rule in rules if rule in BASELINES), BASELINES[0])


def columns(rows: Sequence[Comparison]) -> list[Column]:
    """The columns of the table, from the left."""
    verdict = lambda name: lambda row: getattr(row, name) or NONE
    return [
        Column("rule", lambda row: row.rule, words=True),
        *_scored(rows),
        Column("training time", lambda row: f"{row.seconds:.3g}", "s", alone=True),
        Column("memory of a step", lambda row: size(row.step_bytes), alone=True),
        Column(
            "angle to gradient",
            lambda row: NONE if row.angle is None else f"{row.angle:.0f}",
            "°",
            alone=True,
        ),
        *(
            Column(name, verdict(name), words=True)
            for name in ("transport", "locking", "derivative", "signal")
        ),
    ]


def _scored(rows: Sequence[Comparison]) -> list[Column]:
    """The main score and what it is compared with, then the others."""
    if not rows or rows[0].score is None:
        return []
    score, rules = rows[0].score, [row.rule for row in rows]
    made = []
    for split, one in dict.fromkeys(key for row in rows for key in row.measured):
        found = [row.measured[split, one].mean for row in rows if (split, one) in row.measured]
        # Of the others a figure less will do.
        digits = one.digits(found) if one == score else max(one.digits(found) - 1, 0)
        cell = partial(_measured, split=split, score=one, digits=digits)
        made.append(Column(f"{split} {one.title}", cell, one.unit, alone=True))
    digits = score.digits(row.main.mean for row in rows)
    compared = [
        Column(
            f"difference to {baseline(rules)}", lambda row: _difference(row, digits), score.step
        ),
        Column(f"beats {CONTROL}", _wins, "seeds"),
    ]
    return [made[0], *compared, *made[1:]]


def _measured(row: Comparison, split: str, score: Score, digits: int) -> str:
    main, found = (split, score) == next(iter(row.measured), None), row.measured.get((split, score))
    if not row.survived and main:
        return f"no seed of {row.seeds} finished"
    if found is None or not math.isfinite(found.mean):
        return NONE
    spread = f" ± {found.deviation:.{digits}f}" if math.isfinite(found.deviation) else ""
    lost = f" ({row.survived} of {row.seeds} seeds)" if main and row.survived < row.seeds else ""
    return f"{found.mean:.{digits}f}".replace("-", "−") + spread + lost


def _difference(row: Comparison, digits: int) -> str:
    d = row.difference
    if row.rule in BASELINES or d is None:
        return "baseline" if row.rule in BASELINES else NONE
    return f"{signed(d.mean, digits)} ({signed(d.low, digits)} to {signed(d.high, digits)})"


def _wins(row: Comparison) -> str:
    return (
        "control"
        if row.rule == CONTROL
        else NONE
        if row.wins is None
        else f"{row.wins.won} of {row.wins.of}"
    )


def compare(run: Run) -> list[Comparison]:
    """The comparison table: one row for each finished rule, in the order of the run."""
    return [_compare_one(run, rule) for rule in run.finished]


def paired(one: Finished, other: Finished, score: Score) -> dict[int, float]:
    """By seed, a test score of `one` minus that of `other`, as it is printed, where both are
    finite.
    """
    differences = {
        seed: score.scale * (mine - theirs)
        for seed, (mine, theirs) in _pairs(one, other, score).items()
    }
    return {seed: d for seed, d in differences.items() if math.isfinite(d)}


def wins(one: Finished, other: Finished, score: Score) -> Wins | None:
    """On how many common seeds `one` scored better than `other`; None with no common seed."""
    worst = -math.inf if score.higher else math.inf
    pairs = [
        [v if math.isfinite(v) else worst for v in pair]
        for pair in _pairs(one, other, score).values()
    ]
    return (
        Wins(
            sum(mine > theirs if score.higher else mine < theirs for mine, theirs in pairs),
            len(pairs),
        )
        if pairs
        else None
    )


def _pairs(one: Finished, other: Finished, score: Score) -> dict[int, tuple[float, float]]:
    mine, theirs = (
        dict(
            zip(
                f.seeds, f.test.get(score.name, np.full(len(f.seeds), np.nan)).tolist(), strict=True
            )
        )
        for f in (one, other)
    )
    return {seed: (value, theirs[seed]) for seed, value in mine.items() if seed in theirs}


def paired_interval(differences: Float[np.ndarray, " pairs"]) -> Interval | None:
    """Mean and 95 % Student t interval of paired differences; None with fewer than two pairs."""
    n = differences.size
    if n < 2:
        return None
    mean = differences.mean().item()
    half = (stdtrit(n - 1, 0.975) * differences.std(ddof=1) / np.sqrt(n)).item()
    return Interval(mean, mean - half, mean + half, n)


def mean_and_spread(
    values: Float[np.ndarray, "seeds *rest"],
) -> tuple[Float[np.ndarray, "*rest"], Float[np.ndarray, "*rest"]]:
    """Mean and standard deviation over the seeds that are finite; NaN with no such seed, and with
    fewer than two.
    """
    good = np.isfinite(values)
    n = good.sum(0)
    mean = np.where(n > 0, np.where(good, values, 0).sum(0) / np.maximum(n, 1), np.nan)
    squares = np.where(good, (values - mean[None]) ** 2, 0).sum(0)
    return mean, np.where(n > 1, np.sqrt(squares / np.maximum(n - 1, 1)), np.nan)


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, and a true minus."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text[1:] if float(f"{value:.{digits}f}") == 0 else text


def size(count: int) -> str:
    """A number of bytes in the largest unit that keeps it above one: 474228 -> "474 kB"."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def _compare_one(run: Run, rule: str) -> Comparison:
    mine = run.finished[rule]
    score = next(iter(mine.scores or ()), None)
    base = run.finished.get(baseline(run.rules))
    control = run.finished.get(CONTROL)
    verdict = run.audit.get(rule, {}).get("verdict", {})
    against = {} if score is None or base is None or base is mine else paired(mine, base, score)
    held = (
        np.full(len(mine.seeds), np.nan)
        if score is None
        else mine.test.get(score.name, np.full(len(mine.seeds), np.nan))
    )
    return Comparison(
        rule=rule,
        score=score,
        measured=_all_scores(mine),
        survived=len(mine.seeds) - len(mine.failures)
        if score is None
        else int(np.isfinite(held).sum()),
        seeds=len(mine.seeds),
        difference=paired_interval(np.array([*against.values()], float)),
        wins=None
        if score is None or control is None or control is mine
        else wins(mine, control, score),
        seconds=mine.seconds,
        step_bytes=mine.step_bytes,
        angle=_hidden_angle(run, rule),
        transport=verdict.get("transport"),
        locking=verdict.get("locking"),
        derivative=verdict.get("derivative"),
        signal=(", ".join(verdict["signal"]) or "none") if "signal" in verdict else None,
    )


def _all_scores(finished: Finished) -> dict[tuple[str, Score], Spread]:
    scores = finished.scores or ()
    found = {("test", score): _spread(finished.test, score) for score in scores}
    return found | {
        (split, score): _spread(held, score)
        for split, held in finished.others.items()
        for score in scores[:1]
    }


def _spread(held: Mapping[str, Float[np.ndarray, " seeds"]], score: Score) -> Spread:
    mean, deviation = (
        mean_and_spread(score.scale * held[score.name])
        if score.name in held
        else (math.nan, math.nan)
    )
    return Spread(float(mean), float(deviation))


def _hidden_angle(run: Run, rule: str) -> float | None:
    """The output projection is left out: nearly every rule gives it the true gradient."""
    angles = run.looks[rule].seen["angle"] if rule in run.looks else {}
    last = np.concatenate(
        [values[:, -1] for name, values in angles.items() if not name.endswith("-output")]
        or [np.zeros(0)]
    )
    last = last[np.isfinite(last)]
    return float(last.mean()) if last.size else None
