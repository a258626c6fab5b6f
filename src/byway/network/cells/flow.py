"""Units whose state flows (flow): the state of an ordinary differential equation, a neural ODE.

    ds/dt = u - decay s,   s(0) = 0,   post = s(duration)

The drive u is one pass of the network, through populations without a state, which follow at once:
where flow projects to a hidden layer and that to flow, ds/dt = W' phi(W s + b) + U x - decay s.
What the input drives is constant while a sample is integrated.

Shapes   s, u "batch *units"
Units    time in those of duration; s dimensionless
Limits   a fixed number of steps of one size, by an explicit method: a step longer than about
         2 / decay (2.8 for rk4) diverges. All such units of a network have the same time, steps and
         method
Source   Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations, NeurIPS
         2018; a state that starts at zero and is driven by the input: Dupont, Doucet and Teh,
         Augmented neural ODEs, NeurIPS 2019; differs in: the input is a drive and no initial state
"""

from typing import ClassVar

from typing_extensions import override

from byway.core.errors import RuleError, look_up
from byway.core.hyper import hyper
from byway.network.cell import Local, StatefulCell
from byway.network.solvers import METHODS, RungeKutta


class Flow(StatefulCell):
    """A unit whose state follows a differential equation."""

    flows: ClassVar[bool] = True

    duration: float = hyper(1.0, "how long a sample is integrated", unit="time", low=1e-6)
    steps: int = hyper(16, "steps of the solver in that time", low=1, high=10_000_000)
    decay: float = hyper(0.0, "rate at which the state decays by itself", unit="1/time", low=0.0)
    method: str = hyper("rk4", "explicit method of each step: euler, midpoint, rk4")

    @override
    def __check_init__(self):
        super().__check_init__()
        look_up("method", self.method, METHODS)

    @property
    def solver(self) -> RungeKutta:
        """The method."""
        return METHODS[self.method]

    @property
    def h(self) -> float:
        """The size of a step."""
        return self.duration / self.steps

    @override
    def step(self, state, u):
        raise RuleError(
            "a time step of flow units",
            "continuous time: their equation is integrated from one end to the other",
            "use reversible_ode, backsolve, checkpointed, bp or frozen; or units that step, such "
            "as leaky",
        )

    @override
    def local(self, state, u):
        return Local({}, {}, {}, 1.0)
