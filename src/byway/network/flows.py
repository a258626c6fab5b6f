"""Networks with units whose state flows: a differential equation whose right-hand side is one pass
of the network.

Populations without a state follow at once. Those that no flow reaches are computed once; those
between flows, whenever the equation asks for a rate; all others, at the end.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.record import Phase
from byway.network.cells.flow import Flow
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.network.solvers import Field, RungeKutta, Values, mixed

Deltas = dict[str, Array]


class Moment(NamedTuple):
    """What is known of a field at a value.

    Attributes:
        rate: ds/dt.
        phase: of the populations between flows, and of what arrives where anything changes.
    """

    rate: Values
    phase: Phase


class Flowing(Field):
    """The equation of a network on one batch.

    Args:
        populations: the network's, upstream first, where what projects to flowing units does not
            count.
        projections: the network's.
        output: the population that predictions are read from.
        post: by population, its activity: the input's at least, or all of a phase.

    Attributes:
        solver: what integrates it, in `steps` steps of size `h`.
        start: s(0).
    """

    def __init__(
        self,
        populations: Sequence[Population],
        projections: Sequence[Projection],
        output: str,
        post: Mapping[str, Array],
    ):
        self._output, self._projections = output, projections
        self._cells = {p.name: p.cell for p in populations if isinstance(p.cell, Flow)}
        self._named = {p.name: p for p in populations}
        cell = next(iter(self._cells.values()))
        self.solver: RungeKutta = cell.solver
        self.steps, self.h = cell.steps, cell.h
        driven = _reached(projections, self._cells, lambda p: (p.src, p.dst))
        inner = driven & _reached(projections, self._cells, lambda p: (p.dst, p.src))
        pick = lambda names: [p for p in populations if p.name in names]
        batch = next(iter(post.values())).shape[0]
        dtype = next(a.dtype for p in projections for a in p.theta.values())
        self.start: Values = {
            p.name: jnp.zeros((batch, *p.shape), dtype) for p in pick(self._cells)
        }
        self._between = pick(inner - self._cells.keys())
        self._late = pick(driven - self._cells.keys())
        self._moving = [p for p in projections if p.src in inner and p.dst in inner]
        self._at_end = [p for p in projections if p.dst in driven - self._cells.keys()]
        # What no flow reaches sends a current that stays.
        given = pick(self._named.keys() - driven)
        fed = {p.dst for p in projections}
        self._early = [p for p in given if p.name in fed]
        self._first = [p for p in projections if p.dst not in driven]
        self._constant = [p for p in projections if p.src not in driven and p.dst in inner]
        self.before = self._passed(
            Phase({}, {}, {p.name: post[p.name] for p in given if p.name in post}, {}),
            [p for p in self._early if p.name not in post],
            self._first,
        )
        drive = {p.dst: [] for p in self._constant}
        for p in self._constant:
            drive[p.dst].append(p.forward(self._sent(self.before, p.src)))
        self._drive = {name: _sum(currents) for name, currents in drive.items()}

    @override
    def at(self, s):
        phase = self._passed(Phase({}, {}, dict(s), {}), self._between, self._moving, self._drive)
        rate = {}
        for name, cell in self._cells.items():
            u = self._current(phase, name, self._moving, self._drive)
            rate[name] = u - cell.decay * s[name] if cell.decay else u
        return Moment(rate, phase)

    @override
    def back(self, moment, owed):
        """What is learnt is, summed over time, an update by projection where what arrives changes,
        and dC/du by population where some of what arrives does not.
        """
        delta = dict(owed)
        self._sent_back(moment.phase, self._between, self._moving, delta)
        by_s = {}
        for name, cell in self._cells.items():
            came = self._came(moment.phase, name, self._moving, delta)
            terms = [] if came is None else [(1.0, came)]
            by_s[name] = mixed(*terms, (-cell.decay, owed[name]))
        learnt = {
            p.name: p.outer(moment.phase.pre[p.name], delta[p.dst]) for p in self._moving if p.theta
        }
        return by_s, (learnt, {name: delta[name] for name in self._drive})

    @property
    def nothing_learnt(self) -> Any:
        """Zeros shaped as what is learnt."""
        shapes = jax.eval_shape(lambda s: self.back(self.at(s), s)[1], self.start)
        return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)

    def phase(self, s: Values, kept: Mapping[str, Mapping[str, Any]]) -> Phase:
        """The phase of the whole network at the end.

        Args:
            s: where the way ends.
            kept: by population, what a rule wants to have of the way, as its `cell`.
        """
        now = self.before
        cell = {name: dict(parts) for name, parts in kept.items()}
        begun = Phase(dict(now.pre), dict(now.u), now.post | s, dict(now.slope), {}, cell)
        phase = self._passed(begun, self._late, self._at_end)
        arrives = {p.name: self._sent(phase, p.src) for p in self._projections}
        return Phase(arrives, phase.u, phase.post, phase.slope, {}, phase.cell)

    def error(self, phase: Phase, error: Float[Array, "batch out"]) -> tuple[Values, Deltas]:
        """What the loss owes to s at the end.

        Args:
            phase: the phase of the whole network.
            error: dC/du of the output.

        Returns:
            dC/ds, and dC/du of the populations on the way to it, by name.
        """
        delta = {self._output: error}
        between = [p for p in self._late if p.name != self._output]
        self._sent_back(phase, between, self._at_end, delta)
        owed = {}
        for name in self._cells:
            came = self._came(phase, name, self._at_end, delta)
            owed[name] = jnp.zeros_like(phase.post[name]) if came is None else came
        return owed, delta

    def update(self, phase: Phase, at_end: Deltas, on_way: Any) -> dict[str, dict[str, Array]]:
        """What all projections learn.

        Args:
            phase: the phase of the whole network.
            at_end: what `error` returned.
            on_way: what is learnt, in sum.
        """
        moving, drive = on_way
        # What no flow reaches sends the same all the way and at the end.
        delta = {
            name: _sum([d[name] for d in (at_end, drive) if name in d])
            for name in at_end.keys() | drive.keys()
        }
        self._sent_back(phase, self._early, self._projections, delta)
        constant = {p.name for p in (*self._first, *self._constant)} | {
            p.name for p in self._at_end if p.src in self.before.post
        }
        found = {}
        for p in self._projections:
            owed = delta if p.name in constant else at_end
            terms = [moving[p.name]] if p.name in moving else []
            if p.theta and p.dst in owed:
                terms.append(p.outer(phase.pre[p.name], owed[p.dst]))
            if terms:
                found[p.name] = mixed(*((1.0, term) for term in terms))
        return found

    def _passed(
        self,
        phase: Phase,
        populations: Collection[Population],
        projections: Collection[Projection],
        drive: Values | None = None,
    ) -> Phase:
        """The phase with these populations added, upstream first."""
        pre, u, post, slope = dict(phase.pre), dict(phase.u), dict(phase.post), dict(phase.slope)
        added = Phase(pre, u, post, slope, {}, phase.cell)
        for population in populations:
            name = population.name
            u[name] = self._current(added, name, projections, drive or {})
            post[name] = population.activate(u[name])
            if (found := population.slope(u[name])) is not None:
                slope[name] = found
        return added

    def _current(
        self, phase: Phase, name: str, projections: Collection[Projection], drive: Values
    ) -> Array:
        """The summed current into a population; what arrives is noted in the phase."""
        terms = [drive[name]] if name in drive else []
        for p in projections:
            if p.dst == name:
                phase.pre[p.name] = self._sent(phase, p.src)
                terms.append(p.forward(phase.pre[p.name]))
        return _sum(terms)

    def _sent(self, phase: Phase, name: str) -> Array:
        return self._named[name].send(phase.post[name])

    def _sent_back(
        self,
        phase: Phase,
        populations: Sequence[Population],
        projections: Collection[Projection],
        delta: Deltas,
    ) -> None:
        """Add dC/du of these populations, downstream first; a population to which nothing comes
        back is left out.
        """
        for population in reversed(populations):
            came = self._came(phase, population.name, projections, delta)
            if came is not None:
                delta[population.name] = came * phase.slope[population.name]

    def _came(
        self, phase: Phase, name: str, projections: Collection[Projection], delta: Deltas
    ) -> Array | None:
        """dC/d(activity) of a population, by way of these projections."""
        terms = [p.backward(delta[p.dst]) for p in projections if p.src == name and p.dst in delta]
        return self._named[name].unsend(phase.post[name], _sum(terms)) if terms else None


def way(field: Flowing, s: Values, steps: int) -> tuple[Values, Values]:
    """The value after so many steps from s, and its course: s before each, "steps batch *units"."""
    return jax.lax.scan(lambda s, _: (field.solver.step(field, s, field.h), s), s, None, steps)


def run(field: Flowing) -> Phase:
    """One pass of a network: its equation integrated, and the phase at the end; in `cell` of each
    flowing population its "course".
    """
    end, course = way(field, field.start, field.steps)
    return field.phase(end, {name: {"course": a} for name, a in course.items()})


def way_back(field: Flowing, course: Values, owed: Values, learnt: Any) -> tuple[Values, Any]:
    """What the loss owes to the start of a part of the way, and what is learnt there and after it.

    Args:
        field: the equation.
        course: s before each step, "steps batch *units".
        owed: what the loss owes to s after the last.
        learnt: what is learnt after it.
    """

    def step(held, s):
        owed, learnt = held
        owed, new = field.solver.step_back(field, s, field.h, owed)
        return (owed, mixed((1.0, learnt), (1.0, new))), None

    return jax.lax.scan(step, (owed, learnt), course, reverse=True)[0]


def unrunnable(
    populations: Collection[Population],
    projections: Collection[Projection],
    input: str,
    output: str,
) -> str | None:
    """Why flowing units cannot be run; None where they can, or there are none."""
    flowing = {p.name: p.cell for p in populations if isinstance(p.cell, Flow)}
    if not flowing:
        return None
    if odd := sorted(flowing.keys() & {input, output}):
        return f"flowing units, and {odd[0]}, which are such"
    place = {p.name: k for k, p in enumerate(populations)}
    reasons: dict[str, Callable[[Projection], bool]] = {
        "carries the past": lambda p: (
            bool(p.delay) or (p.dst not in flowing and place[p.src] >= place[p.dst])
        ),
        "carries a potential": lambda p: p.carries == "u",
        "leaves the output": lambda p: p.src == output,
    }
    for reason, holds in reasons.items():
        if found := [p.name for p in projections if holds(p)]:
            return f"flowing units, and {found[0]}, which {reason}"
    if odd := [
        p.name
        for p in populations
        if p.name not in flowing and (p.cell.carries or p.cell.in_events)
    ]:
        return f"flowing units, and {odd[0]}, which cannot stand beside them"
    times = {(cell.duration, cell.steps, cell.method) for cell in flowing.values()}
    if len(times) > 1:
        return f"flowing units of {len(times)} different durations, steps or methods"
    return None


def _reached(
    projections: Collection[Projection],
    start: Collection[str],
    ends: Callable[[Projection], tuple[str, str]],
) -> set[str]:
    """All populations that can be reached from some, themselves included."""
    found, ahead = set(start), [*start]
    while ahead:
        name = ahead.pop()
        for p in projections:
            one, other = ends(p)
            if one == name and other not in found:
                found.add(other)
                ahead.append(other)
    return found


def _sum(terms: Sequence[Array]) -> Array:
    return mixed(*((1.0, term) for term in terms))
