"""Both solvers come back to where they were, and the gradient is that of the solvers as they were
published, differentiated as they stand.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from byway.core.check import Check
from byway.network.network import Network
from byway.network.solvers import METHODS, Reversible, mccallum_foster, reversible_heun
from byway.verify.oracle import Rate, flowing, from_autodiff, memory_of_a_step

MCCALLUM, KIDGER = "McCallum and Foster 2024", "Kidger et al. 2021"


def checks(rule):
    coupling = rule.coupling if isinstance(rule.coupling, float) else 0.999
    by = lambda solver: type(rule)(solver=solver, coupling=coupling)
    return [
        Check(
            "mccallum_foster: update = autodiff of the solver",
            lambda: from_autodiff(
                by("mccallum_foster"), flowing(5, 4, 3, solve=published(coupling))
            ),
            1e-9,
            MCCALLUM,
        ),
        Check(
            "reversible_heun: update = autodiff of the solver",
            lambda: from_autodiff(
                by("reversible_heun"), flowing(5, 4, 6, 5, 3, solve=heun, norm=True)
            ),
            1e-9,
            KIDGER,
        ),
        Check(
            "mccallum_foster, 500 steps there and back",
            lambda: round_trip(mccallum_foster(METHODS["midpoint"], coupling)),
            1e-10,
            MCCALLUM,
        ),
        Check(
            "reversible_heun, 500 steps there and back",
            lambda: round_trip(reversible_heun()),
            1e-10,
            KIDGER,
        ),
        Check(
            "memory of a step more, between 64 and 256 [states]",
            lambda: memory_of_a_step(rule, 64, 256),
            0.0,
            MCCALLUM,
        ),
    ]


def published(coupling: float):
    """The solver of McCallum and Foster on the classical method of order 4, as they write it."""

    def moved(f: Rate, s: Array, h: float) -> Array:
        one = f(s)
        two = f(s + h / 2 * one)
        three = f(s + h / 2 * two)
        return h / 6 * (one + 2 * two + 2 * three + f(s + h * three))

    def solve(f: Rate, s: Array, h: float, steps: int) -> Array:
        def step(two, _):
            y, z = two
            y = coupling * y + (1 - coupling) * z + moved(f, z, h)
            return (y, z - moved(f, y, -h)), None

        return jax.lax.scan(step, (s, s), None, steps)[0][0]

    return solve


def heun(f: Rate, s: Array, h: float, steps: int) -> Array:
    """The reversible Heun method, as Kidger et al. write it."""

    def step(three, _):
        y, y_hat, v = three
        y_hat = 2 * y - y_hat + h * v
        after = f(y_hat)
        return (y + h * (v + after) / 2, y_hat, after), None

    return jax.lax.scan(step, (s, s, f(s)), None, steps)[0][0]


def round_trip(solver: Reversible, steps: int = 500) -> float:
    """How far both values are from the start after so many steps there and back."""
    problem = flowing(5, 4, 3, steps=steps)

    @jax.jit
    def apart(net: Network):
        field = net.field({"input": problem.x})
        start = {"flow": jax.random.normal(jax.random.key(0), (4, 4), problem.x.dtype)}
        two = solver.depart(field, start, field.h)
        step = lambda two, _: (solver.step(field, two, field.h), None)
        undo = lambda two, _: (solver.undo(field, two, field.h), None)
        there, _ = jax.lax.scan(step, two, None, steps)
        back, _ = jax.lax.scan(undo, there, None, steps)
        gaps = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), back, two)
        return jnp.max(jnp.stack(jax.tree.leaves(gaps)))

    return float(apart(problem.net))
