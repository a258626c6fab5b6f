"""What a growth policy reads to change a network: traced as rules are, through all that it
remembers.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from byway.audit.flow import NOTHING, Flow, whole
from byway.audit.reader import Reader
from byway.audit.steps import leaves, part
from byway.core.record import Record
from byway.core.signal import CrossEntropy, Signal
from byway.learning.growth import Growth, Source
from byway.learning.rule import Update
from byway.network.network import Network

# What stands for what, by the first word of a name. The wiring is its own business, as chance is.
SOURCES: dict[str, Source] = {
    "net": "weights",
    "record": "activity",
    "update": "update",
    "loss": "loss",
    "signal": "signal",
}


def growth_reads(growth: Growth, net: Network, batch: int = 3) -> frozenset[Source]:
    """What `growth` reads, in the terms of its claims.

    Args:
        growth: the policy.
        net: a network without cycles that it accepts.
        batch: samples in the traced batch.

    Raises:
        RuleError: nothing in this network could grow so.
    """
    growth.accepts(net)

    def once() -> Record:
        free = net.forward(jnp.zeros((batch, *net[net.input].shape), net.dtype))
        return Record({"free": free}, free.post[net.output])

    record, fixed = eqx.partition(
        eqx.filter_eval_shape(once), lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)
    )

    def grown(memory, net, record, update, loss, signal, key):
        record = eqx.combine(record, fixed)
        memory = growth.watch(memory, net, record, Update(update))
        memory = growth.heard(memory, net, record, Signal(signal, CrossEntropy()))
        memory = growth.scored(memory, loss)
        memory, net, fresh = growth.grow(memory, net, key, jnp.float32(0.5))
        places = {p.name: p.position for p in net.populations}
        return {"memory": memory, "net": net, "fresh": fresh, "places": places}

    memory, key = growth.start(net), jax.eval_shape(lambda: jax.random.key(0))
    traced = part(
        grown,
        {
            "memory": memory,
            "net": net,
            "record": record,
            "update": net.theta,
            "loss": jnp.zeros((), net.dtype),
            "signal": jnp.zeros((batch, *net[net.output].shape), net.dtype),
            "key": key,
        },
    )
    remembered = dict.fromkeys(leaves("memory", memory), NOTHING)
    while True:
        flows = [remembered.get(name, Flow(frozenset({name}))) for name in traced.arguments]
        results = dict(
            zip(
                traced.results,
                map(whole, Reader(plastic=True).read(traced.program, flows)),
                strict=True,
            )
        )
        grew = {name: before | results[name] for name, before in remembered.items()}
        if grew == remembered:
            break
        remembered = grew
    grown_anew = zip(traced.results, traced.program.outs, strict=True)
    changes = [
        results[name]
        for name, slot in grown_anew
        if not name.startswith("memory.") and slot not in traced.program.ins
    ]
    return frozenset(
        SOURCES[word]
        for flow in changes
        for name in flow.reads
        if (word := name.partition(".")[0]) in SOURCES
    )
