"""What the numbers say, in sentences."""

import math
from collections.abc import Sequence

from byway.core.words import MEANING
from byway.report.summary import BASELINES, Comparison

VERDICTS = MEANING

MICROSCOPE = {
    "angle": (
        "Angle to the true gradient",
        "Which way the update points. At 0° the rule is gradient descent; below 90° (dotted) a "
        "small step still lowers the loss; at 90° "
        "the update has nothing to do with the gradient.",
    ),
    "norm_ratio": (
        "Norm ratio",
        "How long the update is beside the gradient, |update| / |gradient|: 1 (dotted) in "
        "backprop. A ratio that drifts acts like a "
        "learning rate that drifts; Adam evens it out, plain gradient descent does not.",
    ),
    "sign_agreement": (
        "Sign agreement",
        "The share of weights that the update pushes the same way as the gradient, where there is "
        "one. By chance it is 50 % (dotted).",
    ),
    "descent": (
        "Descent per unit of update",
        "How much the loss falls, to first order, for a step of length one along this update: "
        "⟨update, gradient⟩ / |update|. Never more "
        "than |gradient|, which backprop reaches; below zero (dotted) the loss rises. It shrinks "
        "as learning levels off. Each rule is "
        "measured at its own weights and on its own loss: that of forward-forward’s goodness has "
        "another scale.",
    ),
}


def reading(rows: Sequence[Comparison]) -> list[str]:
    """The table in a few sentences: who beats the frozen control, and how far each rule is from
    backprop.
    """
    return [_control(rows), *_baseline(rows), *_failed(rows)]


def _failed(rows: Sequence[Comparison]) -> list[str]:
    failed = [
        f"{row.rule} lost {row.seeds - row.survived} of {row.seeds} seeds"
        for row in rows
        if row.survived < row.seeds
    ]
    return (
        [f"{join(failed)}: the means and intervals are of the seeds that finished."]
        if failed
        else []
    )


def join(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _control(rows: Sequence[Comparison]) -> str:
    judged = [(row.rule, row.wins) for row in rows if row.wins]
    if not judged:
        return (
            "No rule can be held against the frozen control here, so nothing shows whether hidden "
            "layers learnt anything."
        )
    if all(wins.of == 1 for _, wins in judged):
        won = join([rule for rule, wins in judged if wins.won]) or "no rule"
        return (
            f"On the one seed there is, {won} did better than the frozen control. One seed shows "
            "nothing: it may be luck."
        )
    always = [rule for rule, wins in judged if wins.won == wins.of > 1]
    seldom = join(
        [f"{rule} on {wins.won} of {wins.of}" for rule, wins in judged if rule not in always]
    )
    if not always:
        return f"No rule beats the frozen control on every seed: {seldom}."
    head = (
        f"{join(always)} {'beat' if len(always) > 1 else 'beats'} the frozen control on every seed"
    )
    return f"{head}; {seldom}." if seldom else f"{head}."


def _baseline(rows: Sequence[Comparison]) -> list[str]:
    base = next((row for row in rows if row.rule in BASELINES), None)
    if base is None or base.score is None:
        return ["Backprop has no result here, so there is no distance to it."]
    score, judged = base.score, [row for row in rows if row.difference]
    head = (
        f"Backprop’s test {score.title} is {score.printed(base.main.mean)}."
        if base.survived
        else "No seed of backprop finished."
    )
    if not judged:
        return (
            [
                head,
                "With fewer than two seeds in common there is no interval: a difference may be "
                "luck.",
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


def _gain(row: Comparison) -> tuple[float, float, float]:
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


def _named(row: Comparison) -> str:
    """A rule, and on how many of its seeds it is judged where some were lost."""
    return (
        row.rule
        if row.survived == row.seeds
        else f"{row.rule} (on the {row.survived} of {row.seeds} seeds that it finished)"
    )
