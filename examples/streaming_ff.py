"""Forward-forward while data stream in: a new example each tick, and every layer busy with another
one.

A layer of forward-forward waits for nothing above it. So while the second layer learns from an
example, the first one learns from the next: what a layer made is handed on at the next tick, and
nothing else is kept. The updates are those of `ff_unsupervised`, whose g is given, in place of a
record of one pass, what each layer has just seen. In the end the weights are those of a network
that takes one example after another through all of its layers.

    python examples/streaming_ff.py            # digits: both ways, and how far apart they end

Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022, arXiv
         2212.13345, section 1: learning while data are pipelined through the network
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import byway
from byway import Network, Phase, Record, Signal
from byway.core.signal import CrossEntropy
from byway.rules.local.ff_unsupervised import FFUnsupervised

RATE, PASSES = 0.005, 10


class Stream(NamedTuple):
    """What comes in, tick by tick.

    Attributes:
        pair: an example and its negative, "ticks 2 *inputs".
        target: its label, which the readout alone is told, "ticks 1 classes".
    """

    pair: Array
    target: Array


def stream(rule: FFUnsupervised, net: Network, x: Array, target: Array) -> Stream:
    """Examples with negatives, each made with the one after it."""
    other = jnp.roll(x, 1, 0)
    return Stream(
        jnp.stack([x, rule.negatives(net, x, other, jax.random.key(0))], 1), target[:, None]
    )


def one_after_another(rule: FFUnsupervised, net: Network, given: Stream) -> Network:
    """Each example through all layers, then the next."""

    def tick(carry, now):
        net, memory = carry
        phase = net.forward(now.pair)
        seen = [(phase.pre[p.name], phase.post[p.dst]) for p in net.projections]
        return _learned(rule, net, memory, seen, now.target, jnp.ones(len(seen), bool)), None

    memory = rule.start({}, net, 1)[1]
    return jax.lax.scan(tick, (net, memory), given)[0][0]


def all_at_once(rule: FFUnsupervised, net: Network, given: Stream) -> Network:
    """A new example at every tick, and layer l busy with the one that came l - 1 ticks ago."""
    ticks, layers = len(given.pair), net.projections
    later = len(layers) - 1
    # Until the last example has come through, anything may follow it: nobody learns from that.
    given = jax.tree.map(lambda a: jnp.concatenate([a, a[:later]]), given)
    labels = jnp.concatenate([given.target[:1]] * later + [given.target[:ticks]])
    below = {p.dst: net[p.src] for p in layers}

    def tick(carry, now):
        net, memory, handed = carry
        number, pair, target = now
        arrived = [below[net.projections[0].dst].send(net.place(pair)), *handed]
        made = [
            net[p.dst].activate(p.forward(pre))
            for p, pre in zip(net.projections, arrived, strict=True)
        ]
        example = number - jnp.arange(len(made))
        busy = (example >= 0) & (example < ticks)
        net, memory = _learned(
            rule, net, memory, list(zip(arrived, made, strict=True)), target, busy
        )
        handed = [net[p.dst].send(h) for p, h in zip(net.projections, made[:-1], strict=False)]
        return (net, memory, handed), None

    nothing = [jnp.zeros((2, *below[p.dst].sent), net.dtype) for p in layers[1:]]
    memory = rule.start({}, net, 1)[1]
    numbered = jnp.arange(len(labels)), given.pair, labels
    return jax.lax.scan(tick, (net, memory, nothing), numbered)[0][0]


def _learned(rule, net: Network, memory, seen, target, busy):
    """Each layer learns from what it has just seen, whichever example that was of.

    Args:
        rule: the rule.
        net: the network.
        memory: of the rule.
        seen: of each projection what arrived, and what its layer made of it, "2 *units".
        target: the label of what the readout has seen.
        busy: which layers have seen an example.
    """

    def phase(row: int) -> Phase:
        of = slice(row, row + 1)
        pre = {p.name: a[of] for p, (a, _) in zip(net.projections, seen, strict=True)}
        post = {p.dst: h[of] for p, (_, h) in zip(net.projections, seen, strict=True)}
        return Phase(pre, {}, post, {})

    record = Record({"positive": phase(0), "negative": phase(1)}, seen[-1][1][:1])
    means, update = rule.g({}, net, memory, record, Signal(target, CrossEntropy()))
    theta = {}
    for p, works in zip(net.projections, busy, strict=True):
        theta[p.name] = {
            k: jnp.where(works, a - RATE * update.net[p.name][k], a) for k, a in p.theta.items()
        }
        if p.dst in memory:
            means[p.dst] = jnp.where(works, means[p.dst], memory[p.dst])
    return net.with_theta(theta), means


def main() -> None:
    """Both ways, on digits in double precision."""
    jax.config.update("jax_enable_x64", True)
    task, rule = byway.task("digits"), byway.rule("ff_unsupervised")
    data = task.load()
    net = byway.mlp(task.input_shape, 64, 64, 64, task.outputs, norm=True)
    draw, size = np.random.default_rng(0), data["train"].size
    order = np.concatenate([draw.permutation(size) for _ in range(PASSES)])
    x, signal = task.batch(data["train"], jnp.asarray(order), jax.random.key(0))
    given = stream(rule, net, x, signal.target)
    ends = {
        way.__name__: jax.jit(way, static_argnums=0)(rule, net, given)
        for way in (one_after_another, all_at_once)
    }
    tested, asked = task.batch(data["test"], jnp.arange(data["test"].size), jax.random.key(0))
    for name, end in ends.items():
        output = end.forward(tested).post["output"]
        right = np.mean(np.argmax(output, 1) == np.argmax(asked.target, 1))
        print(f"{name.replace('_', ' ')}: test accuracy {100 * right:.2f} %")
    one, other = (jax.tree.leaves(end.theta) for end in ends.values())
    apart = max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(one, other, strict=True))
    print(f"largest difference of a weight: {apart:.1e}")


if __name__ == "__main__":
    main()
