"""What was forgotten is had back to the bit, for no more bits than it is worth; and the gradient is
that of the very states that were run.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.back import step_back
from byway.network.builders import coupled
from byway.network.cell import AffineCell, Local, StatefulCell
from byway.network.cells.gru import GRU
from byway.network.cells.rev_lstm import RevLSTM
from byway.network.fixed import STATE, Fixed, fixed, stored, with_buffers
from byway.verify.oracle import drawn, gap, squared_error, taught

SOURCE = "MacKay et al. 2018"


def checks(rule):
    return [
        *(
            Check(
                f"{name}, 1000 steps and back in single precision: numbers that differ",
                lambda cell=cell: round_trip(cell)[0],
                0.0,
                SOURCE,
            )
            for name, cell in (("RevGRU", GRU(keep=0.125)), ("RevLSTM", RevLSTM()))
        ),
        Check(
            "bits stored = sum of -log2 z: relative distance",
            lambda: round_trip(GRU(keep=0.125))[1],
            0.01,
            SOURCE,
        ),
        Check(
            "update = autodiff of the states as they were rounded",
            lambda: of_the_rounded(rule, GRU(keep=0.125)),
            1e-12,
            SOURCE,
        ),
    ]


def round_trip(cell: AffineCell, steps: int = 1000, batch: int = 2) -> tuple[float, float]:
    """How many numbers of all states differ on the way back, and how far the bits stored are from
    those forgotten.
    """
    plain = drawn(coupled, 3, 8, 2, activation=cell)
    # Half as large, so that nothing adds up to more than fits a fixed point.
    single = jax.tree.map(lambda a: a.astype(jnp.float32) / 2, plain)
    draw = np.random.default_rng(0)

    @jax.jit
    def run(plain, x):
        net = fixed(plain)
        numbers = lambda state: {
            name: {part: parts[part] for part in cell.carries} for name, parts in state.cell.items()
        }

        def there(state, x):
            after, phase = net.step(x, state)
            forgotten = jnp.zeros((), x.dtype)
            for name in state.cell:
                for part in cell.carries:
                    floats = jax.tree.map(
                        lambda a: a.astype(x.dtype) / 2.0**STATE, after.cell[name]
                    )
                    z, _ = cell.gate(part, phase.u[name], floats)
                    forgotten -= jnp.sum(jnp.log2(jnp.round(z * 1024) / 1024))
            return after, (numbers(state), forgotten)

        def home(state, now):
            x, then = now
            state, _ = step_back(net, x, state)
            wrong = jax.tree.map(lambda a, b: jnp.sum(a != b), numbers(state), then)
            return state, sum(jax.tree.leaves(wrong))

        start = with_buffers(net, net.rest(batch), steps)
        last, (states, forgotten) = jax.lax.scan(there, start, x)
        _, wrong = jax.lax.scan(home, last, (x, states), reverse=True)
        kept = jnp.asarray(sum(jnp.sum(bits) for bits in stored(net, last)), x.dtype)
        return jnp.sum(wrong), kept / jnp.sum(forgotten) - 1

    wrong, waste = run(single, jnp.asarray(draw.normal(size=(steps, batch, 3)), jnp.float32))
    return float(wrong), abs(float(waste))


class Through(StatefulCell):
    """A cell that steps in fixed point, and whose derivatives are those of the cell in floats."""

    fixed: Fixed

    ports = property(lambda self: self.fixed.ports)  # pyright: ignore[reportAssignmentType]
    carries = property(lambda self: self.fixed.carries)  # pyright: ignore[reportAssignmentType]

    @override
    def step(self, state, u):
        cell, whole = self.fixed.cell, jax.lax.stop_gradient(state["whole"])
        after, _ = self.fixed.step(whole, jax.lax.stop_gradient(u))
        rounded = self.fixed.floats(after)
        made = {}
        for part in cell.carries:
            z, w = cell.gate(part, u, made)
            exact = z * state[part] + w
            made[part] = exact + jax.lax.stop_gradient(rounded[part] - exact)
        return made | {"whole": after}, cell.read(made)

    @override
    def local(self, state, u):
        return Local({}, {}, {}, None)  # autodiff asks for none


def of_the_rounded(rule, cell: AffineCell, steps: int = 12, batch: int = 2) -> float:
    """How far an update is from the gradient of the loss of its own rounded states, where rounding
    has the derivative one.
    """
    net = drawn(coupled, 3, 6, 2, activation=cell)
    draw = np.random.default_rng(0)
    x, target = (jnp.asarray(draw.normal(size=(batch, steps, n))) for n in (3, 2))
    signal = Signal(target, SquaredError(), jnp.full((batch, steps), 1 / steps))

    @jax.jit
    @jax.grad
    def gradient(theta):
        whole = fixed(net.with_theta(theta))
        state = with_buffers(whole, whole.rest(batch), steps)
        cells = {p.name: Through(p.cell) for p in whole.stateful if isinstance(p.cell, Fixed)}
        populations = tuple(
            dataclasses.replace(p, cell=cells.get(p.name, p.cell)) for p in whole.populations
        )
        through = eqx.tree_at(lambda net: net.populations, whole, populations)
        state = state._replace(
            cell={
                name: cells[name].fixed.floats(parts) | {"whole": parts}
                for name, parts in state.cell.items()
            }
        )

        def step(state, now):
            x, target = now
            state, phase = through.step(x, state)
            return state, jnp.sum(squared_error(phase.post["output"], target))

        _, each = jax.lax.scan(step, state, (jnp.moveaxis(x, 1, 0), jnp.moveaxis(target, 1, 0)))
        return jnp.sum(each) / (steps * batch)

    return gap(taught(rule, net, x, signal), gradient(net.theta))
