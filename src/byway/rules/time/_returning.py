"""What rules share that go back through time: the run, the step taken back, and the gradient of a
step.
"""

from abc import abstractmethod

from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.record import Record
from byway.learning.rule import Update
from byway.learning.time import RoundTripRule
from byway.network.back import require_reversible, step_back
from byway.network.cell import AffineCell
from byway.network.chain import deltas_in_time, nothing_owed
from byway.network.network import Network
from byway.rules import able


class Returning(RoundTripRule):
    """Abstract: backpropagation through time, with each step taken back in place of kept."""

    @abstractmethod
    def run(self, net: Network) -> Network:
        """The network as it is run."""

    @abstractmethod
    def accepts_cells(self, forgetful: list[str]) -> None:
        """Raise `RuleError` if units that forget are too many, or too few.

        Args:
            forgetful: the populations whose units forget.
        """

    @override
    def accepts(self, net):
        """A network that keeps something through time and can be gone back through."""
        net.require_slopes(self.id, able)
        if net.feedforward:
            raise RuleError(
                f"{self.id} was given a network that keeps nothing through time",
                "a state to go back through",
                "use bp there",
            )
        require_reversible(net, self.id)
        cells = {p.name: p.cell for p in net.stateful}
        self.accepts_cells(
            [
                f"{name} ({cell.name})"
                for name, cell in cells.items()
                if isinstance(cell, AffineCell) and cell.keeps < 1
            ]
        )

    @override
    def start(self, gamma, net, batch):
        """Rest, and nothing owed."""
        return self.run(net).rest(batch), nothing_owed(net, batch)

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = self.run(net).step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def back(self, gamma, net, state, x, key):
        state, free = step_back(self.run(net), x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free, back = record["free"], {p.name: p for p in net.projections}
        error = signal.error(record.output)
        delta, memory = deltas_in_time(self.run(net), free, error, back, memory)
        return memory, Update(
            {
                p.name: p.outer(free.pre[p.name], delta[p.dst])
                for p in net.projections
                if p.theta and p.dst != net.input
            }
        )
