"""What the rules that settle have in common: how far, how long, and what to say where it did not
end as it should.
"""

import math
from typing import ClassVar

from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.learning.rule import Rule
from byway.network.settle import Settled, System, Values, settle


class Settling(Rule):
    """Abstract: f moves activity along a force until it rests."""

    settles: ClassVar[bool] = True

    steps: int = hyper(20, "settling steps at most", low=1, high=1_000_000, search=(5, 50))
    rate: float = hyper(0.05, "step size of settling", low=1e-6, high=1.0, search=(0.01, 0.2))
    tolerance: float = hyper(
        0.0,
        "share of the first force at which settling stops early; 0 takes every step",
        low=0.0,
        high=1.0,
        live=False,
    )

    @override
    def advice(self, measures):
        """What to do where settling did not end as it should, by the share of batches in which it
        did not.
        """
        unsettled = measures.get("unsettled", 0.0)
        if unsettled <= 0.0:
            return None
        if math.isnan(unsettled):  # a learner that failed: nothing is known of the epoch
            return f"settling may have diverged: lower {self.id}.rate, now {self.rate:g}"
        where = (
            f"in {100 * unsettled:.3g} % of the batches (the force that is left was "
            f"{measures['residual']:.2g} of the first on average)"
        )
        if self.tolerance == 0.0 or not measures["residual"] <= 1.0:
            return f"settling diverged {where}: lower {self.id}.rate, now {self.rate:g}"
        return (
            f"settling did not reach its tolerance of {self.tolerance:g} {where}: "
            f"raise {self.id}.steps, now {self.steps}, or {self.id}.rate, now {self.rate:g}"
        )

    def _settle(
        self,
        system: System,
        values: Values,
        differentiable: bool = False,
        beside: Float[Array, ""] | None = None,
    ) -> Settled:
        return settle(
            system,
            values,
            rate=self.rate,
            steps=self.steps,
            tolerance=self.tolerance,
            differentiable=differentiable,
            beside=beside,
        )
