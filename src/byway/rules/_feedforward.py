"""What the rules that run the network once have in common: everything but gamma and g."""

from typing_extensions import override

from byway.core.record import Record
from byway.learning.rule import Rule
from byway.rules import able


class FeedForward(Rule):
    """Abstract: one phase, "free", from input to output, on a network without cycles; nothing is
    carried along.
    """

    @override
    def accepts(self, net):
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able)

    @override
    def f(self, gamma, net, state, x, signal, key):
        """One pass: u = W h + b and h = phi(u), population by population."""
        free = net.forward(x)
        return state, Record({"free": free}, free.post[net.output])
