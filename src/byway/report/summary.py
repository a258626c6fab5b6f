"""The comparison table of a run: a row a rule, the same for the terminal and for the page."""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from byway.report.run import Finished, Run

# Backprop, and what it is called in time: no run has both.
BASELINES, CONTROL = ("bp", "bptt"), "frozen"
NONE = "–"
HEADINGS = [
    "rule",
    "test accuracy [%]",
    "difference to {baseline} [points]",
    f"beats {CONTROL} [seeds]",
    "training time [s]",
    "memory of a step",
    "angle to gradient [°]",
    "transport",
    "locking",
    "derivative",
    "signal",
]


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean paired difference and its 95 % interval [percentage points], from `n` pairs."""

    mean: float
    low: float
    high: float
    n: int


@dataclasses.dataclass(frozen=True)
class Wins:
    """On how many of the common seeds a rule scored higher than the control."""

    won: int
    of: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One rule's row.

    Attributes:
        rule: its name.
        accuracy: mean test accuracy over the seeds that finished [%]; NaN if none did.
        spread: standard deviation over those seeds [percentage points]; None with fewer than two.
        survived: how many seeds finished.
        seeds: how many began.
        difference: to backprop on the same seeds; None for backprop itself and with fewer than two common seeds.
        wins: against the frozen control; None for the control itself and with no common seed.
        seconds: training time of all seeds together, without compiling [s].
        step_bytes: memory of one compiled update of one learner [B].
        angle: to the true gradient at the last look, mean over hidden projections and seeds [degree]; None if never defined.
        transport: the audit's verdict, or None without an audit; so for `locking`, `derivative` and `signal`.
    """

    rule: str
    accuracy: float
    spread: float | None
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

    def cells(self) -> list[str]:
        """The row in words, in the order of `HEADINGS`."""
        d, wins = self.difference, self.wins
        verdicts = (self.transport, self.locking, self.derivative, self.signal)
        return [
            self.rule,
            _accuracy(self),
            "baseline" if self.rule in BASELINES else NONE if d is None else f"{signed(d.mean)} ({signed(d.low)} to {signed(d.high)})",
            "control" if self.rule == CONTROL else NONE if wins is None else f"{wins.won} of {wins.of}",
            f"{self.seconds:.3g}",
            size(self.step_bytes),
            NONE if self.angle is None else f"{self.angle:.0f}",
            *(NONE if verdict is None else verdict for verdict in verdicts),
        ]


def baseline(run: Run) -> str:
    """What backprop is called in this run."""
    return next((rule for rule in run.rules if rule in BASELINES), BASELINES[0])


def headings(run: Run) -> list[str]:
    """The table's headings."""
    return [heading.format(baseline=baseline(run)) for heading in HEADINGS]


def compare(run: Run) -> list[Comparison]:
    """The comparison table: one row for each finished rule, in the order of the run."""
    return [_compare_one(run, rule) for rule in run.finished]


def paired(one: Finished, other: Finished) -> dict[int, float]:
    """By seed, the test accuracy of `one` minus that of `other` [percentage points], where both are finite."""
    theirs = dict(zip(other.seeds, 100 * other.test["accuracy"], strict=True))
    mine = zip(one.seeds, 100 * one.test["accuracy"], strict=True)
    both = {seed: value - theirs[seed] for seed, value in mine if seed in theirs}
    return {seed: float(d) for seed, d in both.items() if np.isfinite(d)}


def paired_interval(differences: Float[np.ndarray, " pairs"]) -> Interval | None:
    """Mean and 95 % Student t interval of paired differences; None with fewer than two pairs."""
    n = differences.size
    if n < 2:
        return None
    mean = differences.mean().item()
    half = (stdtrit(n - 1, 0.975) * differences.std(ddof=1) / np.sqrt(n)).item()
    return Interval(mean, mean - half, mean + half, n)


def mean_and_spread(values: Float[np.ndarray, "seeds *rest"]) -> tuple[Float[np.ndarray, "*rest"], Float[np.ndarray, "*rest"]]:
    """Mean and standard deviation over the seeds that are finite; NaN with no such seed, and with fewer than two."""
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
    accuracy, spread = mean_and_spread(100 * mine.test["accuracy"])
    base = baseline(run)
    against = {other: paired(mine, run.finished[other]) for other in (base, CONTROL) if other in run.finished and other != rule}
    differences = np.array([*against.get(base, {}).values()], float)
    gains = [*against.get(CONTROL, {}).values()]
    verdict = run.audit.get(rule, {}).get("verdict", {})
    return Comparison(
        rule=rule,
        accuracy=float(accuracy),
        spread=float(spread) if np.isfinite(spread) else None,
        survived=int(np.isfinite(mine.test["accuracy"]).sum()),
        seeds=len(mine.seeds),
        difference=paired_interval(differences),
        wins=Wins(sum(gain > 0 for gain in gains), len(gains)) if gains else None,
        seconds=mine.seconds,
        step_bytes=mine.step_bytes,
        angle=_hidden_angle(run, rule),
        transport=verdict.get("transport"),
        locking=verdict.get("locking"),
        derivative=verdict.get("derivative"),
        signal=(", ".join(verdict["signal"]) or "none") if "signal" in verdict else None,
    )


def _hidden_angle(run: Run, rule: str) -> float | None:
    """The output projection is left out: nearly every rule gives it the true gradient."""
    angles = run.looks[rule].seen["angle"] if rule in run.looks else {}
    last = np.concatenate([values[:, -1] for name, values in angles.items() if not name.endswith("-output")] or [np.zeros(0)])
    last = last[np.isfinite(last)]
    return float(last.mean()) if last.size else None


def _accuracy(row: Comparison) -> str:
    if not row.survived:
        return f"no seed of {row.seeds} finished"
    spread = "" if row.spread is None else f" ± {row.spread:.2f}"
    lost = "" if row.survived == row.seeds else f" ({row.survived} of {row.seeds} seeds)"
    return f"{row.accuracy:.2f}{spread}{lost}"
