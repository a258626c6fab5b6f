"""What the numbers say, in sentences."""

import math
from collections.abc import Sequence

from byway.core.words import MEANING
from byway.report.table import Row, Table
from byway.runs.outcomes import BASELINES, CONTROL
from byway.runs.statistics import sampling_error

VERDICTS = MEANING


def reading(table: Table) -> list[str]:
    """The table in a few sentences: who beats the frozen control, and how far each rule is from
    backprop.
    """
    rows = list(table.rows.values())
    return [
        _control(rows),
        *_matched(rows),
        *_baseline(rows),
        *_corrected(rows),
        *_sampled(rows),
        *_failed(rows),
    ]


def _matched(rows: Sequence[Row]) -> list[str]:
    """Which rules are held against frozen layers in a network, or at a rate, of their own."""
    own = [row for row in rows if row.control not in (None, CONTROL)]
    if not own:
        return []
    said = join([f"{row.label} against {row.control}" for row in own])
    rest = ", others against frozen" if any(row.control == CONTROL for row in rows) else ""
    how = "frozen layers in its own network, at no lower a rate"
    return [f"Each is held against {how}: {said}{rest}."]


def _sampled(rows: Sequence[Row]) -> list[str]:
    """How far the test split itself can be trusted."""
    found = [(sampling_error(row.outcome), row) for row in rows]
    errors = [(error, row) for error, row in found if error]
    if not errors:
        return []
    error, row = max(errors, key=lambda pair: pair[0])
    score = row.outcome.scores[0]
    return [
        f"The test split has {row.outcome.test_size:,} samples, so of its {score.title} one "
        f"standard error is up to {error:.1f} {score.step}, whatever the seeds."
    ]


def _corrected(rows: Sequence[Row]) -> list[str]:
    """Which interval it is that folds have."""
    n = max((row.difference.n for row in rows if row.difference), default=0)
    if not n or rows[0].each == "seed":
        return []
    return [
        f"The intervals are over {n} {rows[0].each}s, each a mean over its seeds: Student’s t, "
        "with the correction of Nadeau and Bengio for the training samples that they share."
    ]


def _failed(rows: Sequence[Row]) -> list[str]:
    failed = [
        f"{row.label} lost {row.seeds - row.survived} of {row.seeds} {row.each}s"
        for row in rows
        if row.survived < row.seeds
    ]
    if not failed:
        return []
    return [f"{join(failed)}: the means and intervals are of the {rows[0].each}s that finished."]


def join(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _control(rows: Sequence[Row]) -> str:
    judged = [(row.label, row.wins) for row in rows if row.wins]
    if not judged:
        return (
            "No rule can be held against the frozen control here, so nothing shows whether hidden "
            "layers learnt anything."
        )
    if all(wins.of == 1 for _, wins in judged):
        won = join([rule for rule, wins in judged if wins.won]) or "no rule"
        each = rows[0].each
        return (
            f"On the one {each} there is, {won} did better than the frozen control. One {each} "
            "shows nothing: it may be luck."
        )
    always = [rule for rule, wins in judged if wins.won == wins.of > 1]
    seldom = join(
        [f"{rule} on {wins.won} of {wins.of}" for rule, wins in judged if rule not in always]
    )
    if not always:
        return f"No rule beats the frozen control on every {rows[0].each}: {seldom}."
    verb = "beat" if len(always) > 1 else "beats"
    head = f"{join(always)} {verb} the frozen control on every {rows[0].each}"
    return f"{head}; {seldom}." if seldom else f"{head}."


def _baseline(rows: Sequence[Row]) -> list[str]:
    base = next((row for row in rows if row.outcome.rule_id in BASELINES), None)
    if base is None or base.score is None:
        return ["Backprop has no result here, so there is no distance to it."]
    score = base.score
    judged = [row for row in rows if row.difference and not row.added]
    head = (
        f"Backprop’s test {score.title} is {score.printed(base.main.mean)}."
        if base.survived
        else f"No {base.each} of backprop finished."
    )
    if not judged:
        return (
            [
                head,
                f"With fewer than two {base.each}s in common there is no interval: a difference "
                "may be luck.",
            ]
            if len(rows) > 1
            else [head]
        )
    gains = sorted(((_gain(row), row) for row in judged), key=lambda pair: abs(pair[0][1]))
    digits = score.digits([base.main.mean])
    far = lambda gain: "by {} ({} to {})".format(*_sizes(gain, digits, score.step))
    behind = [f"{_named(row)} {far(gain)}" for gain, row in gains if gain[2] < 0]
    ahead = [f"{_named(row)} {far(gain)}" for gain, row in gains if gain[0] > 0]
    level = [_named(row) for row in judged if (gain := _gain(row))[0] <= 0 <= gain[2]]
    parts = (
        ("Behind it, with 95 % intervals", behind),
        ("Ahead of it, with 95 % intervals", ahead),
        ("Not told apart from it", level),
    )
    return [head, *(f"{name}: {join(items)}." for name, items in parts if items)]


def _gain(row: Row) -> tuple[float, float, float]:
    """How much better than backprop a rule is: at least, on average and at most, with 95 %
    certainty.
    """
    d, score = row.difference, row.score
    if d is None or score is None:
        return math.nan, math.nan, math.nan
    return (d.low, d.mean, d.high) if score.higher else (-d.high, -d.mean, -d.low)


def _sizes(gain: tuple[float, float, float], digits: int, unit: str) -> tuple[str, str, str]:
    """The mean of a gain or of a loss with its unit, and the ends of its interval, from the nearest
    to zero on.
    """
    low, mean, high = gain if gain[1] > 0 else [-v for v in reversed(gain)]
    return f"{mean:.{digits}f} {unit}".rstrip(), f"{low:.{digits}f}", f"{high:.{digits}f}"


def _named(row: Row) -> str:
    """A rule, and on how many of its seeds it is judged where some were lost."""
    return (
        row.label
        if row.survived == row.seeds
        else f"{row.label} (on the {row.survived} of {row.seeds} {row.each}s that it finished)"
    )
