"""Neural ODEs by a reversible solver (REVERSIBLE_ODE): every step of the solver is undone, and the
error goes back with it.

Two values are carried in place of one, and each is changed by the other alone, so each change can
be taken back, whatever the equation. It is the gradient of what this solver computed, as if all of
it had been kept, for one more run of the equation and memory that does not grow with the steps.

    f:  ds/dt = u(s, x) - decay s,   s(0) = 0;   by `mccallum_foster`, with z_0 = s_0 and Psi_h the
        increment of the units' method,
        s' = c s + (1 - c) z + Psi_h(z),   z' = z - Psi_{-h}(s');   or by `reversible_heun`,
        q' = 2 p - q,   p' = p + h f(q'),   s = p - h/2 f(q)
    g:  from the end back: z = z' + Psi_{-h}(s'),   s = (s' - (1 - c) z - Psi_h(z)) / c;   with a, b
        owed to s', z':   a += -(dPsi_{-h}/ds)^T b at s',   b += (1 - c) a + (dPsi_h/dz)^T a at z,
        a *= c;   dW = sum of (dPsi/dW)^T a or b

Shapes   s, z, p, q, a, b "batch *units"; W "pre post"
Units    time in that of the units; s dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   up to rounding, which on the way back grows by 1/c a step between the two values, and as
         the equation contracts. Neither solver damps: on what decays at a rate r the difference of
         the two values grows by about 1 + h r a step, of mccallum_foster unless h r < 1 - c, so a
         stiff equation is neither solved nor gone back through. Both are measured, how far the two
         values come apart ("apart") and by how much the start is missed ("drift"), and warned of.
         mccallum_foster has the order of the units' method, for twice its evaluations;
         reversible_heun order 2, for one evaluation a step
Source   McCallum and Foster, Efficient, accurate and stable gradients for neural ODEs, 2024, arXiv
         2410.11648; Kidger, Foster, Li and Lyons, Efficient and accurate gradients for neural SDEs,
         NeurIPS 2021
"""

from typing import ClassVar

import jax
from typing_extensions import override

from byway.core.errors import look_up
from byway.core.hyper import hyper
from byway.learning.flow import apart
from byway.learning.rule import Claims
from byway.network.flows import Flowing
from byway.network.solvers import Reversible, mccallum_foster, mixed, reversible_heun
from byway.rules._flow import DRIFT, ByFlow

# By name, a solver made of the method of the units and the coupling.
SOLVERS = {
    "mccallum_foster": mccallum_foster,
    "reversible_heun": lambda method, coupling: reversible_heun(),
}


class ReversibleODE(ByFlow):
    """The gradient of a reversible solver, with each step undone in place of kept."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none")

    solver: str = hyper("mccallum_foster", "the solver: mccallum_foster or reversible_heun")
    coupling: float = hyper(
        0.999,
        "share of s that is kept in a step, of mccallum_foster; the rest is drawn to the other "
        "value",
        low=0.5,
        high=1.0,
    )

    @override
    def __check_init__(self):
        super().__check_init__()
        look_up("solver", self.solver, SOLVERS)

    @override
    def advice(self, measures):
        """What to do where the solver left its solution, or the way back missed the start."""
        gap = measures.get("apart", 0.0)
        if gap <= DRIFT:  # not so of NaN
            return super().advice(measures)
        return (
            f"{self.id}: the two values of {self.solver} came apart by {gap:.2g} of the largest "
            "state, so what they say is not the solution: they are not stable where the equation "
            "contracts. Use checkpointed or bp, or more steps (--net.steps, or steps of flow)"
        )

    @override
    def measures(self, end, kept):
        return {"apart": apart(end, kept["second"], end)}

    def _made(self, field: Flowing) -> Reversible:
        return SOLVERS[self.solver](field.solver, self.coupling)

    @override
    def there(self, field):
        solver = self._made(field)
        two = solver.depart(field, field.start, field.h)
        two, _ = jax.lax.scan(
            lambda two, _: (solver.step(field, two, field.h), None), two, None, field.steps
        )
        return solver.arrive(field, two, field.h), {"first": two[0], "second": two[1]}

    @override
    def home(self, field, end, kept, owed):
        solver = self._made(field)

        def undo(held, _):
            two, owed, learnt = held
            two, owed, new = solver.step_back(field, two, field.h, owed)
            return (two, owed, mixed((1.0, learnt), (1.0, new))), None

        two = (kept["first"], kept["second"])
        held = two, *solver.arrive_back(field, two, field.h, owed, field.nothing_learnt)
        (two, owed, learnt), _ = jax.lax.scan(undo, held, None, field.steps)
        learnt = solver.depart_back(field, field.start, field.h, owed, learnt)
        return learnt, solver.arrive(field, two, field.h)
