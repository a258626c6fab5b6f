"""A network: populations joined by projections. A pytree; its topology is static, cycles are allowed."""

import functools
import graphlib
import math
import operator
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from byway.core.errors import RuleError, ShapeError, unknown_name
from byway.core.record import Phase
from byway.network.populations import Population
from byway.network.projections import Projection

NOTHING: Mapping[str, Array] = MappingProxyType({})


class Network(eqx.Module):
    """A directed graph of populations and projections.

    Attributes:
        populations: the nodes. In a network without cycles they stand upstream first.
        projections: the edges. In a network without cycles they stand in the order of what they feed.
        input: the population that inputs are clamped to.
        output: the population that predictions are read from.
    """

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    input: str = eqx.field(static=True)
    output: str = eqx.field(static=True)

    def __init__(self, populations, projections, input, output):
        named = {p.name: p for p in populations}
        if len(named) < len(populations):
            raise ShapeError(f"populations {[p.name for p in populations]}", "each name once", "rename the doubles")
        for p in projections:
            for end, shape in ((p.src, p.src_shape), (p.dst, p.dst_shape)):
                if end not in named:
                    raise unknown_name("population", end, named)
                if shape != named[end].shape:
                    raise ShapeError(
                        f"projection {p.name!r} takes {end!r} to have shape {shape}", f"{named[end].shape}", "make the two agree"
                    )
        if len({p.name for p in projections}) < len(projections):
            raise ShapeError("two projections between the same two populations", "one for each ordered pair", "join them")
        for end in (input, output):
            if end not in named:
                raise unknown_name("population", end, named)
        if input == output:
            raise ShapeError(f"{input!r} as input and as output", "two populations", "name another output")
        for name in named:
            if name != input and not any(p.dst == name for p in projections):
                raise ShapeError(
                    f"nothing projects to the population {name!r}", "at least one projection into it", "connect it, or leave it out"
                )
        order = _upstream_first(list(named), projections)
        self.populations = tuple(named[name] for name in order)
        self.projections = tuple(sorted(projections, key=lambda p: order.index(p.dst)))
        self.input, self.output = input, output

    def _repr_html_(self) -> str:
        from byway.notebook import network_html  # noqa: PLC0415 - it draws what is below it, when asked

        return network_html(self)

    def __getitem__(self, population: str) -> Population:
        """The population called `population`."""
        return next(p for p in self.populations if p.name == population)

    def incoming(self, population: str) -> tuple[Projection, ...]:
        """The projections that end at `population`."""
        return tuple(p for p in self.projections if p.dst == population)

    def outgoing(self, population: str) -> tuple[Projection, ...]:
        """The projections that start at `population`."""
        return tuple(p for p in self.projections if p.src == population)

    @property
    def hidden(self) -> tuple[Population, ...]:
        """Every population but the input and the output."""
        return tuple(p for p in self.populations if p.name not in (self.input, self.output))

    @property
    def cyclic(self) -> bool:
        """Whether some population can be reached from itself."""
        return any(p.dst in self.upstream(p.src) for p in self.projections)

    def upstream(self, population: str, recurrent: bool = True) -> set[str]:
        """The populations that reach `population`, itself included; along recurrent projections too, unless told otherwise."""
        edges = [p for p in self.projections if recurrent or p.name not in self.recurrent]
        found = {population}
        while more := {p.src for p in edges if p.dst in found} - found:
            found |= more
        return found

    @property
    def recurrent(self) -> frozenset[str]:
        """The projections that point backwards in the order of the populations, or from a population to itself.

        In time they carry the activity of the step before; the others, that of the same step.
        """
        order = [p.name for p in self.populations]
        return frozenset(p.name for p in self.projections if order.index(p.src) >= order.index(p.dst))

    def rest(self, batch: int) -> dict[str, Float[Array, "batch *units"]]:
        """The silence before the first time step: zero activity for each population that a recurrent projection leaves."""
        sources = {p.src for p in self.projections if p.name in self.recurrent}
        return {s: jnp.zeros((batch, *self[s].shape), self.projections[0].weight.dtype) for s in sorted(sources)}

    @property
    def theta(self) -> dict[str, dict[str, Array]]:
        """What a rule may train, by projection name."""
        return {p.name: p.theta for p in self.projections}

    def with_theta(self, theta: dict[str, dict[str, Array]]) -> "Network":
        """The same network with other weights; projections that `theta` leaves out keep theirs."""
        projections = tuple(p.with_theta(theta[p.name]) if p.name in theta else p for p in self.projections)
        return eqx.tree_at(lambda n: n.projections, self, projections)

    def redraw(self, key: Key[Array, ""]) -> "Network":
        """The same network with fresh random weights."""
        keys = jax.random.split(key, len(self.projections))
        projections = tuple(p.redraw(k, self[p.dst].activation.gain) for p, k in zip(self.projections, keys, strict=True))
        return eqx.tree_at(lambda n: n.projections, self, projections)

    def require_acyclic(self, rule_id: str, instead: Callable[["Network"], Collection[str]] = lambda net: ()) -> None:
        """Raise `RuleError` if this network has a cycle.

        Args:
            rule_id: the rule that runs it once, from input to output.
            instead: of a network, the rules that can train it nevertheless; asked only where this one cannot.
        """
        if self.cyclic:
            named = ", ".join(instead(self))
            raise RuleError(
                f"{rule_id} was given a network with a cycle",
                "a network without cycles: this rule runs it once, from input to output",
                f"use a rule that settles or runs in time{': ' if named else ''}{named}; or take the cycle out",
            )

    @property
    def differentiable(self) -> bool:
        """Whether the output has a derivative by every weight: no population is a black box."""
        return not any(p.black_box for p in self.populations)

    def require_slopes(
        self, rule_id: str, instead: Callable[["Network"], Collection[str]], populations: Collection[str] | None = None
    ) -> None:
        """Raise `RuleError` if a population that a rule needs the slope of is a black box.

        Args:
            rule_id: the rule that needs them.
            instead: of a network, the rules that can train it nevertheless; asked only where this one cannot.
            populations: whose slopes it needs; by default those of all but the input.
        """
        needed = [p.name for p in self.populations if p.name != self.input] if populations is None else populations
        if boxes := [f"{name} ({self[name].activation.name})" for name in needed if self[name].black_box]:
            raise RuleError(
                f"{rule_id} was given a network with a black box in {', '.join(boxes)}",
                "units whose activation has a slope: this rule's updates are computed from it",
                f"use a rule that needs no slope there: {', '.join(instead(self)) or 'there is none'}; or another activation",
            )

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether samples of this shape can be reshaped to the input population's without changing the order of two axes."""
        own = self[self.input].shape
        long, own_long = ([n for n in axes if n > 1] for axes in (shape, own))
        return math.prod(shape) == math.prod(own) and (long == own_long or min(len(long), len(own_long)) < 2)

    def place(self, x: Float[Array, "batch *inputs"]) -> Float[Array, "batch *units"]:
        """The input, shaped like the input population; only reshaping is allowed."""
        own = self[self.input].shape
        if not self.takes(x.shape[1:]):
            raise ShapeError(f"inputs of shape {x.shape[1:]}", f"{own}, as the network's input", "build the network for this task")
        return x.reshape(x.shape[0], *own)

    def potential(self, population: str, pre: Mapping[str, Array], known: Mapping[str, Array] = NOTHING) -> Float[Array, "batch *units"]:
        """The summed current into `population`, given what arrives at its projections, or the current itself where it is `known`."""
        currents = [known[p.name] if p.name in known else p.forward(pre[p.name]) for p in self.incoming(population)]
        return functools.reduce(operator.add, currents)

    def forward(
        self,
        x: Float[Array, "batch *inputs"],
        inject: Mapping[str, Array] = NOTHING,
        known: Mapping[str, Array] = NOTHING,
        before: Mapping[str, Array] = NOTHING,
    ) -> Phase:
        """One pass: u = sum of currents, post = phi(u), upstream first.

        Args:
            x: the input, clamped to the input population.
            inject: added to the potential of a population, by name: noise or a probe that a rule puts in.
            known: currents of projections that need not be computed again, by name.
            before: the activity of the time step before, by population, for recurrent projections; `rest` at first.
        """
        pre, u, post, slopes = {}, {}, {}, {}
        for p in self.projections:
            if p.name in self.recurrent:
                pre[p.name] = self[p.src].send(before[p.src])
        post[self.input] = self.place(x)
        for population in self.populations:
            name = population.name
            if name != self.input:
                u[name] = self.potential(name, pre, known)
                if name in inject:
                    u[name] = u[name] + inject[name]
                post[name] = population.activation.phi(u[name])
                if (slope := population.slope(u[name])) is not None:
                    slopes[name] = slope
            sent = population.send(post[name])
            pre |= {p.name: sent for p in self.outgoing(name) if p.name not in self.recurrent}
        return Phase(pre, u, post, slopes, dict(inject))


def _upstream_first(names: list[str], projections) -> list[str]:
    """The names in topological order, or as given where there is a cycle."""
    try:
        return list(graphlib.TopologicalSorter({n: [p.src for p in projections if p.dst == n] for n in names}).static_order())
    except graphlib.CycleError:
        return names
