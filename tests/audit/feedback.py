"""Feedback alignment as a rule that others are made of, for tests: each child changes one part of
it.
"""

from typing import ClassVar

import jax

import byway
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.chain import chained_deltas


class Feedback(Rule):
    """Feedback alignment, and claims to be; children hide something in it, or use it honestly."""

    claims: ClassVar[Claims] = type(byway.rule("fa")).claims

    def accepts(self, net):
        pass

    def init(self, net, key):
        return {p.name: jax.random.normal(key, p.weight.shape) for p in net.projections}

    def start(self, gamma, net, batch):
        return (), ()

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        return state, Record({"free": free}, free.post[net.output])

    def feedback(self, gamma, net, memory, record):
        return gamma

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta = chained_deltas(
            net, free, signal.error(record.output), self.feedback(gamma, net, memory, record)
        )
        return memory, Update(outers(net, free.pre, delta))


def outers(net, pre, post):
    """An update of every projection: what arrived at it times what its end has."""
    return {p.name: p.outer(pre[p.name], post[p.dst]) for p in net.projections}


def carrying(phase, **more):
    """A phase that carries more than its own: arrays, or weights and biases by projection (see
    `carried`).
    """
    flat = {
        "/".join(str(key.key) for key in path): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(more)[0]
    }
    return Phase(phase.pre, phase.u, phase.post, phase.slope, flat)


def carried(phase):
    """The weights and biases by projection that a phase carries."""
    found = {}
    for name, array in phase.injected.items():
        projection, part = name.split("/")
        found.setdefault(projection, {})[part] = array
    return found
