"""Rules of a neural ODE: the equation of a network is run once, and gone back through once."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from byway.core.record import Record
from byway.core.signal import Signal
from byway.learning.rule import Pair, Rule, Update
from byway.network.flows import Flowing
from byway.network.network import Network
from byway.network.solvers import Values, largest, mixed

# What is kept of a way, by what it is, each by population.
Kept = dict[str, Values]


class FlowRule(Rule):
    """Abstract: a rule that trains networks with units whose state follows a differential equation,
    and no others.
    """

    in_flow: ClassVar[bool] = True

    @abstractmethod
    def there(self, field: Flowing) -> tuple[Values, Kept]:
        """Where the way ends, and what is kept of it."""

    @abstractmethod
    def home(self, field: Flowing, end: Values, kept: Kept, owed: Values) -> tuple[Any, Values]:
        """The way back.

        Args:
            field: the equation.
            end: where the way ends.
            kept: what `there` kept.
            owed: dC/ds there.

        Returns:
            What is learnt, in sum, and where the way back ended.
        """

    def measures(self, end: Values, kept: Kept) -> Mapping[str, Array]:
        """What a person should know of the way there; by default nothing."""
        return {}

    @override
    def f(self, gamma, net, state, x, signal, key):
        field = net.field({net.input: net.place(x)})
        end, kept = self.there(field)
        by_name = {name: {what: s[name] for what, s in kept.items()} for name in end}
        free = field.phase(end, by_name)
        measures = dict(self.measures(end, kept))
        return state, Record({"free": free}, free.post[net.output], {}, measures)

    @override
    def g(self, gamma, net, memory, record, signal):
        return memory, self.learnt(net, record, signal)[0]

    def learnt(self, net: Network, record: Record, signal: Signal) -> tuple[Update, Array]:
        """The update, and how far the way back missed the start, as a share of the largest number
        at the end.
        """
        free = record["free"]
        field = net.field(free.post)
        error = signal.error(record.output) * free.slope[net.output]
        owed, at_end = field.error(free, error)
        end = {name: free.post[name] for name in field.start}
        whats = next(iter(free.cell.values()), {})
        kept = {what: {name: free.cell[name][what] for name in end} for what in whats}
        on_way, start = self.home(field, end, kept, owed)
        return Update(field.update(free, at_end, on_way)), apart(start, field.start, end)

    @override
    def teach(self, pair, gamma, net, carry, *args, **options):
        """As any rule; one more measure, "drift", says by how much the way back missed the
        start.
        """
        after, update, scores = super().teach(_Measured(self), gamma, net, carry, *args, **options)
        drift = {"drift": after.memory}
        return after._replace(memory=carry.memory), update, scores | drift


class _Measured(Pair):
    """The f and g of a rule, where g hands out how far it missed the start in place of memory."""

    rule: FlowRule

    @override
    def f(self, gamma, net, state, x, signal, key):
        return self.rule.f(gamma, net, state, x, signal, key)

    @override
    def g(self, gamma, net, memory, record, signal):
        update, missed = self.rule.learnt(net, record, signal)
        return missed, update


def apart(one: Values, other: Values, scale: Values) -> Array:
    """The largest difference of two values, as a share of the largest number of a third."""
    size = largest(scale)
    return largest(mixed((1.0, one), (-1.0, other))) / jnp.where(size > 0, size, 1)
