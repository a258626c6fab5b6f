"""What a publication claims, what was measured of it, and whether the one bears out the other."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from typing_extensions import override

from byway.report.words import join
from byway.runs.statistics import mean_and_spread, paired_interval

# What was measured, as the publication prints it: by what it is of, such as a rule, a number for
# each seed. A seed that was lost is NaN.
Values = Mapping[str, Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What a figure is of, as the publication prints it.

    Attributes:
        title: in words.
        unit: of the numbers; empty if they have none.
        higher: whether more is better.
        digits: how many digits after the point are printed.
        complement: whether it is 100 minus a score that is printed in percent, as errors are.
    """

    title: str
    unit: str = ""
    higher: bool = True
    digits: int = 2
    complement: bool = False

    def printed(self, value: float, signed: bool = False) -> str:
        """A number in it, without its unit."""
        return f"{value:{'+' if signed else ''}.{self.digits}f}"

    def with_unit(self, value: float) -> str:
        """A number in it, with its unit."""
        return f"{self.printed(value)} {self.unit}".rstrip()

    def spread(self, values: Sequence[float]) -> str:
        """Mean ± standard deviation, without the unit; of one value no deviation."""
        mean, deviation = (float(one) for one in mean_and_spread(np.array(values, float)))
        if not math.isfinite(mean):
            return "nothing"
        spread = f" ± {self.printed(deviation)}" if math.isfinite(deviation) else ""
        return f"{self.printed(mean)}{spread}"


TEST_ERROR = Quantity("test error", "%", higher=False, complement=True)
TEST_ACCURACY = Quantity("test accuracy", "%")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One claim beside what was measured.

    Attributes:
        claimed: the claim, in words.
        measured: what was measured, in words.
        holds: whether that bears the claim out; None where it cannot be told.
        why: what the answer rests on, in words.
    """

    claimed: str
    measured: str
    holds: bool | None
    why: str


@dataclasses.dataclass(frozen=True)
class Claim(ABC):
    """One number of a publication, and how near to it is near enough.

    Attributes:
        name: what it is of: a rule by its label, or another name of what is measured.
    """

    name: str

    @abstractmethod
    def said(self, quantity: Quantity) -> str:
        """The claim in a few words."""

    @abstractmethod
    def judge(self, values: Values, quantity: Quantity) -> Finding:
        """The claim beside what was measured."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that has to be measured for it."""
        return (self.name,)


@dataclasses.dataclass(frozen=True)
class Reaches(Claim):
    """A mean lies at a number.

    Attributes:
        value: the number that was published.
        within: how far the mean over our seeds may lie from it, to either side.
    """

    value: float
    within: float

    @override
    def said(self, quantity):
        return f"{self.name} at {quantity.with_unit(self.value)}"

    @override
    def judge(self, values, quantity):
        held = np.array(values[self.name], float)
        lost, away = int(np.isnan(held).sum()), abs(float(held.mean()) - self.value)
        if lost:
            holds, why = False, f"{lost} of {held.size} seeds were lost"
        else:
            allowed = f"{quantity.printed(self.within)} allowed"
            holds, why = away <= self.within, f"{quantity.printed(away)} away, {allowed}"
        return Finding(self.said(quantity), quantity.spread(values[self.name]), holds, why)


@dataclasses.dataclass(frozen=True)
class Attains(Claim):
    """A mean is as good as a number or better: a mark that was to be met.

    Attributes:
        value: the number that was published.
    """

    value: float

    @override
    def said(self, quantity):
        return f"{self.name} {_bound(quantity)} {quantity.with_unit(self.value)}"

    @override
    def judge(self, values, quantity):
        held = np.array(values[self.name], float)
        lost = int(np.isnan(held).sum())
        ahead = (1 if quantity.higher else -1) * (float(held.mean()) - self.value)
        if lost:
            holds, why = False, f"{lost} of {held.size} seeds were lost"
        else:
            away = quantity.printed(abs(ahead))
            holds, why = ahead >= 0, f"{away} {'better' if ahead >= 0 else 'short of it'}"
        return Finding(self.said(quantity), quantity.spread(values[self.name]), holds, why)


@dataclasses.dataclass(frozen=True)
class Trails(Claim):
    """One falls behind another, seed by seed: also what fails as it was published to fail.

    Attributes:
        behind: what it falls behind.
        by: how far it was published to fall behind; None where that was said in words.
        least: how far it must at least, on average; the 95 % interval must not reach zero.
    """

    behind: str
    by: float | None
    least: float

    @property
    @override
    def names(self):
        return (self.name, self.behind)

    @override
    def said(self, quantity):
        by = "" if self.by is None else f" by {quantity.printed(self.by)}"
        return f"{self.name} behind {self.behind}{by}"

    @override
    def judge(self, values, quantity):
        gaps = _gaps(values, self.names, quantity)
        gaps = gaps[np.isfinite(gaps)]
        said = self.said(quantity)
        interval = paired_interval(gaps)
        if gaps.size == 0 or (interval is None and gaps.size < 2):
            why = "one seed shows nothing: it may be luck" if gaps.size else "every seed was lost"
            return Finding(said, quantity.spread(gaps.tolist()), None, why)
        mean = float(gaps.mean())
        low, high = (mean, mean) if interval is None else (interval.low, interval.high)
        measured = f"{quantity.printed(mean)} ({quantity.printed(low)} to {quantity.printed(high)})"
        why = f"at least {quantity.printed(self.least)} wanted, and an interval beyond zero"
        return Finding(said, measured, mean >= self.least and low > 0, why)


@dataclasses.dataclass(frozen=True)
class Keeps(Claim):
    """One keeps up with another, seed by seed, or is ahead of it.

    Attributes:
        up: what it keeps up with.
        within: how far it may fall behind on average.
    """

    up: str
    within: float

    @property
    @override
    def names(self):
        return (self.name, self.up)

    @override
    def said(self, quantity):
        return f"{self.name} not behind {self.up}"

    @override
    def judge(self, values, quantity):
        gaps = _gaps(values, self.names, quantity)
        said, lost = self.said(quantity), int(np.isnan(gaps).sum())
        measured = f"{quantity.spread(gaps.tolist())} behind"
        if lost:
            return Finding(said, measured, False, f"{lost} of {gaps.size} seeds were lost")
        why = f"{quantity.printed(self.within)} allowed"
        return Finding(said, measured, float(gaps.mean()) <= self.within, why)


def _gaps(values: Values, names: tuple[str, ...], quantity: Quantity) -> np.ndarray:
    """How far the first falls behind the second, of each seed."""
    ours, theirs = (np.array(values[name], float) for name in names)
    return (theirs - ours) if quantity.higher else (ours - theirs)


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured, where and when. Printed, it is what stands in the file of a reproduction.

    Attributes:
        values: by name, a number for each seed.
        machine: what it ran on.
        when: the month, such as "2026-11".
        minutes: how long it took, without compiling; None where that was not noted.
    """

    values: Values
    machine: str
    when: str
    minutes: float | None = None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """All claims of a reproduction beside what was measured.

    Attributes:
        findings: one for each claim.
    """

    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool | None:
        """Whether every claim holds; None where that cannot be told."""
        answers = [one.holds for one in self.findings]
        return False if False in answers else None if None in answers else True

    @property
    def word(self) -> str:
        """The answer in a word or two."""
        return {True: "holds", False: "does not hold", None: "cannot be told"}[self.holds]

    @override
    def __str__(self) -> str:
        """The answer in a sentence."""
        if self.holds:
            return "It holds: all that was claimed was measured."
        wanting = [one for one in self.findings if one.holds is self.holds]
        reasons = join([f"{one.claimed} ({one.why})" for one in wanting])
        head = "It does not hold" if self.holds is False else "It cannot be told"
        return f"{head}: {reasons}."


def _bound(quantity: Quantity) -> str:
    """To which side of a number what is good lies."""
    return "at least" if quantity.higher else "at most"
