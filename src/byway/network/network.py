"""A network: populations joined by projections. A pytree; its topology is static, cycles are
allowed.
"""

import functools
import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from byway.core.display import html
from byway.core.errors import RuleError, ShapeError, unknown_name
from byway.core.record import Phase
from byway.network import events, flows
from byway.network.cell import CellState
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.network.sparse import FixedFanIn, redrawn
from byway.network.topology import Edge, Topology

NOTHING: Mapping[str, Array] = MappingProxyType({})


class State(NamedTuple):
    """What a network carries from one time step to the next; every array has an axis of samples.

    Attributes:
        due: by population that a recurrent projection leaves and by delay, what that projection is
            about to receive.
        past: by population with a delay of more than a step, what it sent, "steps batch *units": a
            ring as long as its longest delay.
        cell: by population whose cell has a state, that state.
        clock: how many steps were taken, where there is a ring; else nothing.
        window: by population whose synapses have delays of their own, what it sent in the last
            steps, newest first, "batch steps *units".
    """

    due: dict[str, dict[int, Array]]
    past: dict[str, Array]
    cell: dict[str, CellState]
    clock: Any
    window: dict[str, Array]


class Network(eqx.Module):
    """A directed graph of populations and projections.

    Attributes:
        populations: the nodes. In a network without cycles they stand upstream first.
        projections: the edges. In a network without cycles they stand in the order of what they
            feed.
        input: the population that inputs are clamped to.
        output: the population that predictions are read from.
        topology: what is connected to what, and what follows from it.
        learnt: whether its weights were learnt, or read from a file: `fit` begins with such, and
            draws the weights of all others.
    """

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    input: str = eqx.field(static=True)
    output: str = eqx.field(static=True)
    topology: Topology = eqx.field(static=True, repr=False)
    learnt: bool = eqx.field(static=True, repr=False)

    def __init__(
        self,
        populations: Sequence[Population],
        projections: Sequence[Projection],
        input: str,
        output: str,
        learnt: bool = False,
    ):
        named = {p.name: p for p in populations}
        if len(named) < len(populations):
            raise ShapeError(
                f"populations {[p.name for p in populations]}",
                "each name once",
                "rename the doubles",
            )
        for end in (input, output):
            if end not in named:
                raise unknown_name("population", end, named)
        if input == output:
            raise ShapeError(
                f"{input!r} as input and as output", "two populations", "name another output"
            )
        _check_ends(named, projections)
        _check_fed(named, projections, input)
        self.topology = Topology(
            list(named),
            [Edge(p.name, p.src, p.dst, p.delay, p.window) for p in projections],
            [p.name for p in populations if p.cell.flows],
        )
        _check_potentials(named, projections, input, self.topology)
        by_name = {p.name: p for p in projections}
        self.populations = tuple(named[name] for name in self.topology.order)
        self.projections = tuple(by_name[edge.name] for edge in self.topology.edges)
        self.input, self.output, self.learnt = input, output, learnt

    def _repr_html_(self) -> str:
        return html(self)

    def __getitem__(self, population: str) -> Population:
        """The population called `population`."""
        return self.populations[self.topology.place[population]]

    # Properties and no methods: looking up a method of a module goes through all of its arrays,
    # which in a loop makes any rule quadratic.

    @property
    def incoming(self) -> Callable[[str], tuple[Projection, ...]]:
        """The projections that end at a population, of its name."""
        return lambda population: tuple(
            self.projections[i] for i in self.topology.incoming[population]
        )

    @property
    def outgoing(self) -> Callable[[str], tuple[Projection, ...]]:
        """The projections that start at a population, of its name."""
        return lambda population: tuple(
            self.projections[i] for i in self.topology.outgoing[population]
        )

    @property
    def hidden(self) -> tuple[Population, ...]:
        """Every population but the input and the output."""
        return tuple(p for p in self.populations if p.name not in (self.input, self.output))

    @property
    def cyclic(self) -> bool:
        """Whether some population can be reached from itself."""
        return self.topology.cyclic

    @property
    def upstream(self) -> Callable[..., frozenset[str]]:
        """The populations that reach one, of its name: itself too, and along recurrent projections
        unless `recurrent=False` is added.
        """
        return self.topology.upstream

    @property
    def recurrent(self) -> Mapping[str, int]:
        """The projections that carry the past, by name, and how many time steps what they carry
        takes.

        They are those with a delay, and those that point backwards in the order of the populations,
        or from a population to itself: one step. All others carry the activity of the same step.
        """
        return self.topology.delays

    @property
    def stateful(self) -> tuple[Population, ...]:
        """The populations whose cell has a state."""
        return tuple(p for p in self.populations if p.cell.carries)

    @property
    def unrunnable(self) -> str | None:
        """Why units in continuous time cannot be run as they are connected; None where they can, or
        where there are none.
        """
        parts = self.populations, self.projections, self.input, self.output
        return events.unrunnable(*parts) or flows.unrunnable(*parts)

    @property
    def in_flow(self) -> bool:
        """Whether it has units whose state follows a differential equation."""
        return any(p.cell.flows for p in self.populations)

    def field(self, post: Mapping[str, Array]) -> flows.Flowing:
        """The equation of its flowing units on one batch.

        Args:
            post: the activity of the input, or of all populations, by name.
        """
        return flows.Flowing(self.populations, self.projections, self.output, post)

    @property
    def in_events(self) -> bool:
        """Whether it has units in continuous time, which send the times of their spikes."""
        return any(p.cell.in_events for p in self.populations)

    @property
    def dtype(self) -> jnp.dtype:
        """The type of its weights."""
        return next(a.dtype for p in self.projections for a in p.theta.values())

    def rest(self, batch: int) -> State:
        """The silence before the first time step."""
        zeros = lambda shape, *front: jnp.zeros((*front, batch, *shape), self.dtype)
        due = {
            name: {delay: zeros(self[name].sent) for delay in delays}
            for name, delays in self.topology.horizon.items()
        }
        past = {
            name: zeros(self[name].sent, max(delays))
            for name, delays in self.topology.horizon.items()
            if max(delays) > 1
        }
        cell = {p.name: p.cell.rest(zeros(p.shape)) for p in self.stateful if p.name != self.input}
        window = {
            name: jnp.zeros((batch, steps, *self[name].sent), self.dtype)
            for name, steps in self.topology.windows.items()
        }
        return State(due, past, cell, jnp.int32(0) if past else (), window)

    @property
    def theta(self) -> dict[str, dict[str, Array]]:
        """What a rule may train, by projection name."""
        return {p.name: p.theta for p in self.projections}

    def with_theta(self, theta: dict[str, dict[str, Array]]) -> "Network":
        """The same network with other weights; projections that `theta` leaves out keep theirs."""
        projections = tuple(
            p.with_theta(theta[p.name]) if p.name in theta else p for p in self.projections
        )
        return eqx.tree_at(lambda n: n.projections, self, projections)

    def redraw(self, key: Key[Array, ""]) -> "Network":
        """The same network with fresh random weights, and wiring where that is drawn."""
        keys = jax.random.split(key, len(self.projections))
        sparse = [i for i, p in enumerate(self.projections) if isinstance(p, FixedFanIn)]
        some = [cast(FixedFanIn, self.projections[i]) for i in sparse]
        ends = [(self[p.src], self[p.dst]) for p in some]
        wired = dict(zip(sparse, redrawn(some, keys[jnp.asarray(sparse, int)], ends), strict=True))
        drawn: list[Projection] = []
        for i, (p, k) in enumerate(zip(self.projections, keys, strict=True)):
            ends = self[p.src], self[p.dst]
            new = wired[i] if i in wired else p.redraw(k, *ends)
            if all(end.cell.opposed for end in ends):
                back = [q for q in drawn if (q.src, q.dst) == (p.dst, p.src)]
                new = new.opposing(back[0]) if back else new
            drawn.append(new)
        return eqx.tree_at(lambda n: n.projections, self.as_learnt(False), tuple(drawn))

    def as_learnt(self, learnt: bool = True) -> "Network":
        """The same network, with the word that its weights were learnt, or were not."""
        return (
            self
            if learnt == self.learnt
            else Network(self.populations, self.projections, self.input, self.output, learnt)
        )

    @property
    def structure(self) -> dict[str, dict[str, Array]]:
        """What is wired to what, by projection name, where that is not given by shapes alone."""
        return {p.name: p.structure for p in self.projections if p.structure}

    def with_structure(self, structure: Mapping[str, Mapping[str, Array]]) -> "Network":
        """The same network with other wiring; projections that `structure` leaves out keep
        theirs. Delays of synapses follow their lengths, unless it says what they are.
        """
        projections = tuple(
            self._timed(p.with_structure(structure[p.name]), structure[p.name])
            if p.name in structure
            else p
            for p in self.projections
        )
        return eqx.tree_at(lambda n: n.projections, self, projections)

    def with_positions(self, positions: Mapping[str, Float[Array, "units 3"]]) -> "Network":
        """The same network with units elsewhere; populations that `positions` leaves out stay where
        they are. Delays of synapses follow their lengths.
        """
        populations = tuple(
            eqx.tree_at(lambda p: p.position, p, positions[p.name]) if p.name in positions else p
            for p in self.populations
        )
        moved = eqx.tree_at(lambda n: n.populations, self, populations)
        if not self.topology.windows:
            return moved
        projections = tuple(moved._timed(p) for p in self.projections)
        return eqx.tree_at(lambda n: n.projections, moved, projections)

    def _timed(self, p: Projection, given: Collection[str] = ()) -> Projection:
        """A projection whose synapses are as late as they are long, unless their delays were
        given.
        """
        if not isinstance(p, FixedFanIn) or p.late is None or "late" in given:
            return p
        return p.timed(self[p.src], self[p.dst])

    def by_source(self) -> "Network":
        """The same network, to be run and not trained: the synapses of a fixed fan-in out of units
        that are mostly silent lie by where they come from, so a step costs what was sent.
        """
        projections = tuple(
            p.by_source() if self[p.src].cell.silent else p for p in self.projections
        )
        return eqx.tree_at(lambda n: n.projections, self, projections)

    def alive(self, name: str) -> Bool[Array, " units"]:
        """Which units of a population there are, counted flat: those that read something, by a
        projection at least.
        """
        into = self.incoming(name)
        if not into:
            return jnp.ones(self[name].size, bool)
        return functools.reduce(operator.or_, (p.reached for p in into))

    @property
    def feedforward(self) -> bool:
        """Whether one pass tells all: no cycle, no delay, and no cell with a state."""
        return not (self.cyclic or self.recurrent or self.stateful)

    def require_stateless(
        self, rule_id: str, instead: Callable[["Network"], Collection[str]] = lambda net: ()
    ) -> None:
        """Raise `RuleError` if this network has a cell with a state, a projection with a delay, or
        units in continuous time.

        Args:
            rule_id: the rule that knows no time.
            instead: of a network, the rules that can train it nevertheless; asked only where this
                one cannot.
        """
        self.require_steps(rule_id, instead)
        cells = [f"{p.name} ({p.cell.name})" for p in self.stateful]
        late = [p.name for p in self.projections if p.delay]
        if not cells and not late:
            return
        if cells:
            given, wanted, fix = (
                "cells with a state",
                "cells without a state",
                "take activations, such as relu",
            )
        else:
            given, wanted, fix = "a delay", "projections without a delay", "take the delay out"
        named = ", ".join(instead(self))
        raise RuleError(
            f"{rule_id} was given a network with {given} in {', '.join(cells or late)}",
            f"{wanted}: this rule knows no time",
            f"use a rule that runs in time{': ' if named else ''}{named}; or {fix}",
        )

    def require_steps(
        self, rule_id: str, instead: Callable[["Network"], Collection[str]] = lambda net: ()
    ) -> None:
        """Raise `RuleError` if this network has units in continuous time.

        Args:
            rule_id: the rule that knows time steps alone.
            instead: of a network, the rules that can train it nevertheless.
        """
        timed = [
            f"{p.name} ({p.cell.name})"
            for p in self.populations
            if p.cell.in_events or p.cell.flows
        ]
        if timed:
            named = ", ".join(instead(self))
            raise RuleError(
                f"{rule_id} was given a network with units in continuous time: {', '.join(timed)}",
                "units that take one step after another: this rule knows no other time",
                f"use a rule for such units{': ' if named else ''}{named}; or units that step: "
                f"{'lif' if self.in_events else 'leaky'}",
            )

    def require_feedforward(
        self, rule_id: str, instead: Callable[["Network"], Collection[str]] = lambda net: ()
    ) -> None:
        """Raise `RuleError` if one step of this network does not tell all: if it has a cycle, a
        delay, a cell with a state or units in continuous time; arguments
        as `require_stateless`.
        """
        self.require_stateless(rule_id, instead)
        if self.cyclic:
            named = ", ".join(instead(self))
            raise RuleError(
                f"{rule_id} was given a network with a cycle",
                "a network without cycles: this rule runs it once, from input to output",
                f"use a rule that settles or runs in time{': ' if named else ''}{named}; or take "
                "the cycle out",
            )

    def require_activity(self, rule_id: str, instead: str) -> None:
        """Raise `RuleError` if a projection carries a potential.

        Args:
            rule_id: the rule to which a network is activities and nothing else.
            instead: a rule that takes potentials as well.
        """
        if found := [p.name for p in self.projections if p.carries == "u"]:
            raise RuleError(
                f"{rule_id} was given a network with a potential carried by {', '.join(found)}",
                "projections that carry activity: to this rule a unit is its activity alone",
                f"let them carry the activity, or use {instead}",
            )

    @property
    def differentiable(self) -> bool:
        """Whether the output has a derivative by every weight: no population is a black box."""
        return not any(p.black_box for p in self.populations)

    def require_slopes(
        self,
        rule_id: str,
        instead: Callable[["Network"], Collection[str]] = lambda net: (),
        populations: Collection[str] | None = None,
    ) -> None:
        """Raise `RuleError` if a population that a rule needs the slope of is a black box.

        Args:
            rule_id: the rule that needs them.
            instead: of a network, the rules that can train it nevertheless; asked only where this
                one cannot.
            populations: whose slopes it needs; by default those of all but the input.
        """
        if populations is None:
            self.require_steps(rule_id, instead)
        needed = (
            [p.name for p in self.populations if p.name != self.input]
            if populations is None
            else populations
        )
        if boxes := [f"{name} ({self[name].cell.name})" for name in needed if self[name].black_box]:
            named = ", ".join(instead(self))
            raise RuleError(
                f"{rule_id} was given a network with a black box in {', '.join(boxes)}",
                "units whose activation has a slope: this rule's updates are computed from it",
                f"use a rule that needs no slope there{': ' if named else ''}{named}; or another "
                "activation",
            )

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether samples of this shape can be reshaped to the input population's without changing
        the order of two axes.
        """
        own = self[self.input].shape
        long, own_long = ([n for n in axes if n > 1] for axes in (shape, own))
        return math.prod(shape) == math.prod(own) and (
            long == own_long or min(len(long), len(own_long)) < 2
        )

    def place(self, x: Float[Array, "batch *inputs"]) -> Float[Array, "batch *units"]:
        """The input, shaped like the input population; only reshaping is allowed."""
        own = self[self.input].shape
        if not self.takes(x.shape[1:]):
            raise ShapeError(
                f"inputs of shape {x.shape[1:]}",
                f"{own}, as the network's input",
                "build the network for this task",
            )
        return x.reshape(x.shape[0], *own)

    def potential(
        self, population: str, pre: Mapping[str, Array], known: Mapping[str, Array] = NOTHING
    ) -> Float[Array, "batch *units"]:
        """The summed current into `population`, given what arrives at its projections, or the
        current itself where it is `known`.
        """
        return _potential(self.incoming(population), pre, known)

    def forward(
        self,
        x: Float[Array, "batch *inputs"],
        inject: Mapping[str, Array] = NOTHING,
        known: Mapping[str, Array] = NOTHING,
    ) -> Phase:
        """One pass, upstream first, from rest; see `step`."""
        return self.step(x, self.rest(x.shape[0]), inject, known)[1]

    def step(
        self,
        x: Float[Array, "batch *inputs"],
        state: State,
        inject: Mapping[str, Array] = NOTHING,
        known: Mapping[str, Array] = NOTHING,
    ) -> tuple[State, Phase]:
        """One time step: u = sum of currents, (state, post) = cell(state, u), upstream first.

        Args:
            x: the input, clamped to the input population.
            state: what the step before left; `rest` at first.
            inject: added to the potential of a population, by name: noise or a probe that a rule
                puts in.
            known: currents of projections that need not be computed again, by name.

        Returns:
            The state after it, and the phase.
        """
        if self.in_events or self.in_flow:
            if inject or known:
                raise RuleError(
                    "something put into a network with units in continuous time",
                    "a network whose units take one step after another",
                    "in `accepts`, call `net.require_steps`",
                )
            if self.in_flow:
                return state, flows.run(self.field({self.input: self.place(x)}))
            return state, events.run(self.populations, self.incoming, self.place(x))
        pre, u, post, slopes, sent, cell = {}, {}, {}, {}, {}, {}
        recurrent, incoming, outgoing = self.recurrent, self.incoming, self.outgoing
        for p in self.projections:
            if p.window is not None:
                pre[p.name] = state.window[p.src][:, : p.window]
            elif (delay := recurrent.get(p.name)) is not None:
                pre[p.name] = state.due[p.src][delay]
        post[self.input] = self.place(x)
        for population in self.populations:
            name = population.name
            if name != self.input:
                u[name] = _potential(incoming(name), pre, known)
                if name in inject:
                    u[name] = u[name] + inject[name]
                before = state.cell.get(name, {})
                after, post[name] = population.cell.step(before, u[name])
                if after:
                    cell[name] = after
                if (slope := population.local(before, u[name]).slope) is not None:
                    slopes[name] = slope
            sent[name] = population.send(post[name])
            pre |= {
                p.name: u[name] if p.carries == "u" else sent[name]
                for p in outgoing(name)
                if p.name not in recurrent
            }
        # What is due next is read after what was sent is written: the other way round XLA copies
        # the whole ring.
        clock, past = (
            state.clock,
            {name: pushed(ring, state.clock, sent[name]) for name, ring in state.past.items()},
        )
        due = {
            name: {
                delay: at(past[name], clock + 1 - delay) if name in past else sent[name]
                for delay in delays
            }
            for name, delays in state.due.items()
        }
        window = {
            name: jnp.concatenate([sent[name][:, None], held[:, :-1]], 1)
            for name, held in state.window.items()
        }
        return State(due, past, cell, clock + 1 if past else (), window), Phase(
            pre, u, post, slopes, dict(inject), dict(state.cell)
        )


def _potential(
    projections: Collection[Projection], pre: Mapping[str, Array], known: Mapping[str, Array]
) -> Float[Array, "batch *drive"]:
    return functools.reduce(
        operator.add,
        [known[p.name] if p.name in known else p.forward(pre[p.name]) for p in projections],
    )


def at(ring: Float[Array, "steps *one"], step: Int[Array, ""]) -> Float[Array, "*one"]:
    """What a ring holds for a step."""
    return jax.lax.dynamic_index_in_dim(ring, step % len(ring), keepdims=False)


def pushed(
    ring: Float[Array, "steps *one"], step: Int[Array, ""], new: Float[Array, "*one"]
) -> Float[Array, "steps *one"]:
    """A ring with something new for a step, in the place of what is as many steps older as it is
    long.
    """
    return jax.lax.dynamic_update_index_in_dim(ring, new, step % len(ring), 0)


def _check_ends(named: Mapping[str, Population], projections: Collection[Projection]) -> None:
    """Each projection joins two populations of its shapes, and has a name of its own."""
    for p in projections:
        for end in (p.src, p.dst):
            if end not in named:
                raise unknown_name("population", end, named)
        for end, given, wanted in (
            (p.src, p.src_shape, named[p.src].sent),
            (p.dst, p.dst_shape, named[p.dst].drive),
        ):
            if given != wanted:
                raise ShapeError(
                    f"projection {p.name!r} takes {end!r} to have shape {given}",
                    f"{wanted}",
                    "make the two agree",
                )
    if len({p.name for p in projections}) < len(projections):
        raise ShapeError(
            "two projections between the same two populations",
            "a label of its own for each",
            "label them, or join them",
        )


def _check_fed(
    named: Mapping[str, Population], projections: Collection[Projection], input: str
) -> None:
    """Something arrives at each population, and at each port of its cells."""
    fed: dict[str, set[int]] = {name: set() for name in named}
    for p in projections:
        fed[p.dst].update(range(named[p.dst].cell.ports) if p.ports is None else p.ports)
    for name, ports in fed.items():
        if name == input:
            continue
        if not ports:
            raise ShapeError(
                f"nothing projects to the population {name!r}",
                "at least one projection into it",
                "connect it, or leave it out",
            )
        if idle := sorted(set(range(named[name].cell.ports)) - ports):
            raise ShapeError(
                f"nothing feeds the ports {idle} of {name!r} ({named[name].cell.name})",
                "a projection into each port",
                "let a projection within the layer feed them: GRUs, for example, need one from "
                "the layer to itself",
            )


def _check_potentials(
    named: Mapping[str, Population],
    projections: Collection[Projection],
    input: str,
    topology: Topology,
) -> None:
    """What carries a potential leaves units that have one, and arrives in the same step."""
    for p in projections:
        if p.carries == "u" and (
            p.src == input or named[p.src].drive != named[p.src].shape or p.name in topology.delays
        ):
            raise ShapeError(
                f"{p.name!r} carries the potential of {p.src!r}",
                "units with one potential each, and a projection forwards and without a delay",
                "let it carry the activity",
            )
