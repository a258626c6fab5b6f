"""What the rules that run the network once have in common: everything but gamma and g."""

from byway.core.record import Record
from byway.core.rule import Rule
from byway.rules import with_cycles, without_slopes


class FeedForward(Rule):
    """Abstract: one phase, "free", from input to output, on a network without cycles; nothing is carried along."""

    def accepts(self, net):
        """See `Rule.accepts`."""
        net.require_acyclic(self.id, with_cycles)
        net.require_slopes(self.id, without_slopes)

    def f(self, gamma, net, state, x, signal, key):
        """One pass: u = W h + b and h = phi(u), population by population."""
        free = net.forward(x)
        return state, Record({"free": free}, free.post[net.output])
