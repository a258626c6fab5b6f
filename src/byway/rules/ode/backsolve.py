"""Neural ODEs by the continuous adjoint (BACKSOLVE): the equation is solved backwards beside its
adjoint, and nothing is kept.

Optimise, then discretise: the gradient of the equation, solved with an error of its own. On the way
back a solver meets the equation turned round, where what contracted expands.

    f:  ds/dt = u(s, x) - decay s,   s(0) = 0,   by the method of the units
    g:  from T back to 0, in steps of the same size and by the same method,
        ds/dt = u - decay s,   da/dt = -(du/ds)^T a + decay a,   a(T) = dC/ds(T)
        dW = integral of (du/dW)^T a

Shapes   s, a "batch *units"; W "pre post"
Units    time in that of the units; s dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   approximate: its error falls with the step as that of the method. Where the equation
         contracts by e^(rate T), an error of s grows so on the way back: with rate T beyond about
         16 in single precision, 37 in double, the way back is lost, and the gradient with it
         wherever it depends on s. That the way back misses the start is measured ("drift") and
         warned of
Source   Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations, NeurIPS
         2018, algorithm 1; differs in: fixed steps
"""

from typing import ClassVar

import jax
from typing_extensions import override

from byway.learning.rule import Claims
from byway.network.flows import way
from byway.network.solvers import mixed
from byway.rules._flow import ByFlow


class Backsolve(ByFlow):
    """The continuous adjoint, solved backwards beside the equation."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none")

    @override
    def there(self, field):
        return way(field, field.start, field.steps)[0], {}

    @override
    def home(self, field, end, kept, owed):
        def step(held, _):
            s, owed, learnt = held
            s, owed, new = field.solver.adjoint(field, s, field.h, owed)
            return (s, owed, mixed((1.0, learnt), (1.0, new))), None

        held = (end, owed, field.nothing_learnt)
        (start, _, learnt), _ = jax.lax.scan(step, held, None, field.steps)
        return learnt, start
