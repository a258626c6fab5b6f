"""What seeds and samples allow to be said of a difference."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from byway.core.score import Score
from byway.training.outcome import Outcome


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


def paired(one: Outcome, other: Outcome, score: Score) -> dict[int, float]:
    """By seed, a test score of `one` minus that of `other`, as it is printed, where both are
    finite.
    """
    pairs = _pairs(one, other, score).items()
    differences = {seed: score.scale * (mine - theirs) for seed, (mine, theirs) in pairs}
    return {seed: d for seed, d in differences.items() if math.isfinite(d)}


def difference(one: Outcome, other: Outcome, score: Score) -> Interval | None:
    """The mean of `paired` with its interval; None with fewer than two pairs."""
    grain = score.scale * score.grain(min(one.test_size, other.test_size))
    differences = np.array([*paired(one, other, score).values()], float)
    return paired_interval(differences, grain, one.overlap)


def wins(one: Outcome, other: Outcome, score: Score) -> Wins | None:
    """On how many common seeds `one` scored better than `other`; None with no common seed."""
    worst = -math.inf if score.higher else math.inf
    pairs = [
        [v if math.isfinite(v) else worst for v in pair]
        for pair in _pairs(one, other, score).values()
    ]
    won = sum(mine > theirs if score.higher else mine < theirs for mine, theirs in pairs)
    return Wins(won, len(pairs)) if pairs else None


def paired_interval(
    differences: Float[np.ndarray, " pairs"], grain: float = 0.0, overlap: float = 0.0
) -> Interval | None:
    """Mean and 95 % Student t interval of paired differences.

    A score that moves in steps hides differences smaller than a step. The two roundings of a
    difference have the variance grain²/6, which is added, so that seeds that happen to agree leave
    no interval of width zero.

    Folds of one data set are trained on samples that they share, so the variance of a mean over
    them is not a part 1/n of that of one, but 1/n + tested/trained, as C. Nadeau and Y. Bengio
    found (Inference for the Generalization Error, Machine Learning 52, 2003).

    Args:
        differences: one for each seed, or for each fold.
        grain: the smallest step of the score; 0 of one that is continuous.
        overlap: of folds, tested samples for each that is trained on; 0 of seeds.

    Returns:
        None with fewer than two pairs, and where differences of a continuous score are all the
        same: then there is no telling how far others would lie.
    """
    n = differences.size
    if n < 2:
        return None
    mean = differences.mean().item()
    variance = differences.var(ddof=1).item() + grain**2 / 6
    half = float(stdtrit(n - 1, 0.975)) * math.sqrt(variance * (1 / n + overlap))
    return Interval(mean, mean - half, mean + half, n) if half > 0 else None


def sampling_error(outcome: Outcome) -> float | None:
    """How far the main score on this test split is from that on all samples there could be: one
    standard error, as it is printed. None where that does not follow from the score alone, and of
    folds, which differ in what they test: their spread has it in it.
    """
    score, size = outcome.score, 0 if outcome.overlap else outcome.test_size
    good = outcome.main[np.isfinite(outcome.main)]
    if score is None or not size or not good.size:
        return None
    error = score.error(float(good.mean()), size)
    return None if error is None else score.scale * error


def critical_difference(rules: int, tasks: int) -> float:
    """How far average ranks of some rules lie apart by chance at most, in 95 % of cases: the
    critical difference of Nemenyi's test, as in J. Demšar (Statistical Comparisons of Classifiers
    over Multiple Data Sets, JMLR 7, 2006).
    """
    from scipy.stats import studentized_range  # noqa: PLC0415  it takes a second to import

    quantile = float(studentized_range.ppf(0.95, rules, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(rules * (rules + 1) / (6 * tasks))


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


def spread(held: dict[str, Float[np.ndarray, " seeds"]], score: Score) -> Spread:
    """A score of those that were measured, over seeds."""
    if score.name not in held:
        return Spread(math.nan, math.nan)
    mean, deviation = mean_and_spread(score.scale * held[score.name])
    return Spread(float(mean), float(deviation))


def _pairs(one: Outcome, other: Outcome, score: Score) -> dict[int, tuple[float, float]]:
    def by_seed(outcome: Outcome) -> dict[int, float]:
        nothing = np.full(len(outcome.seeds), np.nan)
        values = outcome.test.get(score.name, nothing).tolist()
        return dict(zip(outcome.seeds, values, strict=True))

    mine, theirs = by_seed(one), by_seed(other)
    return {seed: (value, theirs[seed]) for seed, value in mine.items() if seed in theirs}
