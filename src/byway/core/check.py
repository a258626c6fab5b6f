"""An exact test of a rule: a number that can be measured anywhere, what it has to be, and who says
so.
"""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Check:
    """One exact test. It is run in float64, by `byway verify` and by `byway.check_rule`.

    Attributes:
        name: what is measured, in a few words.
        measure: measures it. An error is wanted to be 0, a fitted slope -0.5, a cosine 1.
        bound: how far from what is wanted it may be.
        source: where the equality comes from.
        wanted: what is wanted.
        least: the other way round: it has to be as far from `wanted` as `bound`, or further. For
            what must not be equal.
    """

    name: str
    measure: Callable[[], float]
    bound: float
    source: str
    wanted: float = 0.0
    least: bool = False

    def holds(self, measured: float) -> bool:
        """Whether a measured value will do; one that is not a number will not."""
        distance = abs(measured - self.wanted)
        return distance >= self.bound if self.least else distance <= self.bound
