"""What rules share that go back through a learned inverse: the inverse and how it is learned, the
run with what it keeps, and the step taken back.

    g(s', x) = C tanh(A [s', x] + a) + D [s', x] + c,   s' the state after a step with the input x

A and a are drawn and stay; C, D and c learn by the delta rule, so no weight is used backwards. All
parts of a state are one vector here: what recurrent projections are about to receive, and the
states of cells.

"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from typing_extensions import override

from byway.core.errors import ConfigError, RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Pair, Update
from byway.learning.time import RoundTripRule
from byway.network.grid import on_grid
from byway.network.network import Network, State
from byway.rules import able

# Keeps the inverse apart from the weights, even where a caller draws both from one key.
INVERSE = 0x1
WORD = 16  # bits of a number in which residuals are kept
BITS = (0, 1, 2, 4, 8, 16)
# Beyond this distance of the states that were the gradient is not to be trusted; and beyond
# this share of residuals that did not fit.
DRIFT, SPILLED = 0.1, 1e-3


class Way(NamedTuple):
    """A state on its way, with what is kept to find back.

    Attributes:
        now: the network's state.
        clock: how many steps were taken.
        kept: states that some steps began from, "kept batch state".
        notes: what the inverse missed, some bits for each number of a state and step, "words batch
            state".
        least, most: of each number, the smallest and the largest that it was, "batch state": the
            inverse tells of none beyond.
        sum: the sum over all steps of the states that they began from, each number with a sign
            drawn for it and the step; on the way back that of the states told is taken off.
        steps: how many there are.
    """

    now: State
    clock: Int[Array, ""]
    kept: Float[Array, "kept batch state"]
    notes: Array
    least: Float[Array, "batch state"]
    most: Float[Array, "batch state"]
    sum: Float[Array, "batch state"]
    steps: Int[Array, ""]


class RollsBack(RoundTripRule):
    """Abstract: a rule that takes steps back through a learned inverse."""

    # What the inverse learns is linear in it: it can follow the network fast, and has to.
    gamma_rate: ClassVar[float] = 10.0

    checkpoint: int = hyper(
        0, "keep the state every so many steps; 0 for that at the start alone", unit="step", low=0
    )
    bits: int = hyper(
        0,
        "keep so many bits of what the inverse missed, of each number of a state and step: "
        f"{', '.join(map(str, BITS[:-1]))} or {BITS[-1]}",
        unit="bit",
        low=0,
        high=BITS[-1],
    )
    grid: int = hyper(
        8, "bits after the point of activity and states, where bits are kept", low=1, high=20
    )
    width: int = hyper(4, "hidden units of the inverse for each number of a state", low=0)
    noise: float = hyper(
        0.03, "standard deviation of the noise on states that the inverse learns to tell", low=0.0
    )
    blur: float = hyper(
        0.03, "standard deviation of the noise on what it has to tell them from", low=0.0
    )
    inner: int = hyper(2, "updates of the inverse for one of the network", low=0)

    @override
    def __check_init__(self):
        if self.bits not in BITS:
            raise ConfigError(
                f"bits = {self.bits}",
                f"one of {', '.join(map(str, BITS))}: so many fill a word",
                "take the next larger one",
            )

    @override
    def accepts(self, net):
        """A network whose units have slopes, that keeps nothing through time but numbers which its
        next step goes by.
        """
        net.require_slopes(self.id, able)
        if net.feedforward:
            raise RuleError(
                f"{self.id} was given a network that keeps nothing through time",
                "a state to go back through",
                "use bp there",
            )
        if late := [name for name, delay in net.recurrent.items() if delay > 1]:
            raise RuleError(
                f"{self.id} was given {', '.join(late)}, later than a step",
                "delays of one step: what is on its way for longer is no state of a unit",
                "take the delay out, or use bptt",
            )
        keep = {p.src for p in net.projections if p.name in net.recurrent}
        if normed := [p.name for p in net.populations if p.name in keep and p.norm]:
            raise RuleError(
                f"{self.id} was given {', '.join(normed)}, whose past is normalised",
                "activity that is sent as it is: how large it was is not in what was sent",
                "take the norm out, or use bptt",
            )

    @override
    def init(self, net, key):
        """An inverse that tells of each state its mean, and sees it through units drawn at
        random.
        """
        weights, biases = jax.random.split(jax.random.fold_in(key, INVERSE))
        state = state_size(net)
        told, units = state + net[net.input].size, self.width * state
        drawn = jax.random.normal(weights, (told, units), net.dtype) * (2 / np.sqrt(told).item())
        return {
            "seen": {"weight": drawn, "bias": jax.random.normal(biases, (units,), net.dtype) / 2},
            "inverse": {
                "hidden": jnp.zeros((units, state), net.dtype),
                "direct": jnp.zeros((told, state), net.dtype),
                "bias": jnp.zeros((state,), net.dtype),
            },
        }

    @property
    @override
    def claimed(self):
        """What is kept on the way grows with it."""
        grows = self.checkpoint or self.bits
        return dataclasses.replace(self.claims, past="grows") if grows else self.claims

    @property
    @override
    def turns(self):
        """First the inverse learns, then the network by it."""
        learning = ((Inverting(self), self.inner),) if self.inner else ()
        return (*learning, (self, 1))

    def told_beside(self, net: Network, free: Phase, key: Key[Array, ""]) -> dict[str, Array]:
        """What else is injected in the turn of the inverse, of a step; nothing by default."""
        return {}

    def learned_beside(self, gamma: Any, net: Network, told: Mapping[str, Array]) -> dict[str, Any]:
        """What else of gamma learns from that; nothing by default."""
        return {}

    def run(self, net: Network) -> Network:
        """The network as it is run: on a grid where bits are kept, so that few can say all."""
        return on_grid(net, self.grid) if self.bits else net

    @override
    def depart(self, gamma, net, state, steps):
        """With room for what is kept."""
        now = flat(state)
        batch, size = now.shape
        kept = -(-steps // self.checkpoint) if self.checkpoint else 1
        words = -(-steps * self.bits // WORD)
        return Way(
            state,
            jnp.int32(0),
            jnp.zeros((kept, batch, size), net.dtype),
            jnp.zeros((words, batch, size), jnp.uint16),
            now,
            now,
            jnp.zeros_like(now),
            jnp.int32(steps),
        )

    @override
    def arrive(self, gamma, net, state):
        return state.now

    @override
    def drift(self, gamma, net, again, start):
        """How far states were from those that they were told to be: root mean square, over all
        numbers and steps.

        Nothing is kept of the states but their sum, with random signs. The square of what is left
        of it is on average the sum of the squares of all differences.
        """
        return jnp.sqrt(jnp.mean(again.sum**2) / again.steps.astype(again.sum.dtype))

    @override
    def f(self, gamma, net, state, x, signal, key):
        """A step; on its way, with what is kept of it."""
        if not isinstance(state, Way):
            after, free = self.run(net).step(x, state)
            return after, Record({"free": free}, free.post[net.output])
        after, free = self.run(net).step(x, state.now)
        before, (keeps, slot) = flat(state.now), self._slot(state.clock)
        kept = state.kept.at[slot].set(jnp.where(keeps, before, state.kept[slot]))
        notes, measures = state.notes, {}
        if self.bits:
            left = jnp.round((before - self._guess(gamma, net, after, x)) * 2.0**self.grid)
            half = 1 << (self.bits - 1)
            fits = jnp.clip(left, -half, half - 1)
            word, shift = self._place(state.clock)
            code = (fits + half).astype(jnp.uint16) << shift
            notes = notes.at[word].set(notes[word] | code)
            measures["spilled"] = jnp.mean(left != fits, dtype=net.dtype)
        least, most = jnp.minimum(state.least, before), jnp.maximum(state.most, before)
        total = state.sum + _signs(key, before) * before
        way = Way(after, state.clock + 1, kept, notes, least, most, total, state.steps)
        return way, Record({"free": free}, free.post[net.output], {}, measures)

    @override
    def back(self, gamma, net, state, x, key):
        """The state before a step as it was kept, or as the inverse tells it and the bits correct
        it.
        """
        clock = state.clock - 1
        guess, (keeps, slot) = self._guess(gamma, net, state.now, x), self._slot(clock)
        if self.bits:
            word, shift = self._place(clock)
            code = (state.notes[word] >> shift) & jnp.uint16((1 << self.bits) - 1)
            half = 1 << (self.bits - 1)
            guess = guess + (code.astype(guess.dtype) - half) * 2.0**-self.grid
        guess = jnp.clip(guess, state.least, state.most)
        told = jnp.where(keeps, state.kept[slot], guess)
        before, total = shaped(told, state.now), state.sum - _signs(key, told) * told
        free = between(self.run(net), x, before, state.now)
        way = state._replace(now=before, clock=clock, sum=total)
        return way, Record({"free": free}, free.post[net.output])

    @override
    def advice(self, measures):
        drift, spilled = (measures.get(name, 0.0) for name in ("drift", "spilled"))
        if spilled > SPILLED:
            return (
                f"{self.id}: {spilled:.1%} of what the inverse missed did not fit into "
                f"{self.bits} bits, so states are not had back to the bit: keep more (--bits), or "
                "bits of a coarser state (--grid)"
            )
        if drift <= DRIFT:  # not so of NaN
            return None
        return (
            f"{self.id}: going back missed the states of a sequence by {drift:.2g}, root mean "
            "square, so its gradients are not those of the sequence: keep a state more often "
            "(--checkpoint), keep bits of what is missed (--bits), or use bptt"
        )

    def _guess(self, gamma: Any, net: Network, after: State, x: Array) -> Array:
        """What the inverse tells; on the grid, where that is of use: then the same bits on both
        ways.
        """
        told = gamma["seen"], gamma["inverse"], flat(after), flattened(x)
        if not self.bits:
            return inverse(*told)
        guess = jax.lax.optimization_barrier(inverse(*jax.lax.optimization_barrier(told)))
        return jnp.round(guess * 2.0**self.grid) * 2.0**-self.grid

    def _slot(self, step: Array) -> tuple[Array, Array]:
        """Whether the state that a step begins from is kept, and where."""
        if not self.checkpoint:
            return step == 0, jnp.int32(0)
        return step % self.checkpoint == 0, step // self.checkpoint

    def _place(self, step: Array) -> tuple[Array, Array]:
        """The word in which the bits of a step are, and how far up."""
        bit = step * self.bits
        return bit // WORD, (bit % WORD).astype(jnp.uint16)


class Inverting(Pair):
    """The turn in which the inverse learns: it is told what a step made of a state, and tells that
    state.

    Attributes:
        rule: whose inverse.
    """

    rule: RollsBack

    @override
    def f(self, gamma, net, state, x, signal, key):
        """The step of the sequence; and one from the same state with noise, with noise on what
        became of it.
        """
        run, (one, other, more) = self.rule.run(net), jax.random.split(key, 3)
        after, free = run.step(x, state)
        before = flat(state)
        before = before + self.rule.noise * jax.random.normal(one, before.shape, before.dtype)
        became, shaken = run.step(x, shaped(before, state))
        became = flat(became)
        became = became + self.rule.blur * jax.random.normal(other, became.shape, became.dtype)
        told = {"before": before, "after": became, "input": flattened(x)}
        told |= self.rule.told_beside(run, free, more)
        shaken = Phase(shaken.pre, shaken.u, shaken.post, shaken.slope, told, shaken.cell)
        return after, Record({"free": free, "shaken": shaken}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        told = record["shaken"].injected
        known = jnp.concatenate([told["after"], told["input"]], 1)
        wrong = inverse(gamma["seen"], gamma["inverse"], told["after"], told["input"])
        wrong = (wrong - told["before"]) / len(known)
        learned = {
            "hidden": seen(gamma["seen"], known).T @ wrong,
            "direct": known.T @ wrong,
            "bias": jnp.sum(wrong, 0),
        }
        more = self.rule.learned_beside(gamma, net, told)
        return memory, Update({}, {"inverse": learned, **more})


def inverse(
    drawn: Mapping[str, Array],
    learned: Mapping[str, Array],
    after: Float[Array, "batch state"],
    x: Float[Array, "batch inputs"],
) -> Float[Array, "batch state"]:
    """The state before a step, as the inverse tells it of the state after it and the input."""
    known = jnp.concatenate([after, x], 1)
    return (
        seen(drawn, known) @ learned["hidden"] + known @ learned["direct"] + learned["bias"][None]
    )


def seen(
    drawn: Mapping[str, Array], known: Float[Array, "batch told"]
) -> Float[Array, "batch units"]:
    """The hidden units of the inverse."""
    return jnp.tanh(known @ drawn["weight"] + drawn["bias"][None])


def between(net: Network, x: Float[Array, "batch *inputs"], before: State, after: State) -> Phase:
    """The phase of a step of which both ends are known, as well as may be: activity that the state
    after it holds is taken from there, all else follows from the state before it.
    """
    pre = {
        p.name: before.due[p.src][net.recurrent[p.name]]
        for p in net.projections
        if p.name in net.recurrent
    }
    post, u, slopes = {net.input: net.place(x)}, {}, {}
    for population in net.populations:
        name = population.name
        if name != net.input:
            u[name], cell = net.potential(name, pre), before.cell.get(name, {})
            post[name] = (
                after.due[name][1] if name in after.due else population.cell.step(cell, u[name])[1]
            )
            if (slope := population.local(cell, u[name]).slope) is not None:
                slopes[name] = slope
        sent = population.send(post[name])
        pre |= {
            p.name: u[name] if p.carries == "u" else sent
            for p in net.outgoing(name)
            if p.name not in net.recurrent
        }
    return Phase(pre, u, post, slopes, {}, dict(before.cell))


def flat(state: State) -> Float[Array, "batch state"]:
    """All parts of a state as one vector."""
    return jnp.concatenate([flattened(a) for a in jax.tree.leaves((state.due, state.cell))], 1)


def shaped(vector: Float[Array, "batch state"], like: State) -> State:
    """A vector as a state of the same parts."""
    parts, structure = jax.tree.flatten((like.due, like.cell))
    ends = np.cumsum([a[0].size for a in parts])[:-1].tolist()
    pieces = zip(jnp.split(vector, ends, 1), parts, strict=True)
    due, cell = jax.tree.unflatten(structure, [a.reshape(b.shape) for a, b in pieces])
    return like._replace(due=due, cell=cell)


def _signs(key: Key[Array, ""], of: Float[Array, "batch state"]) -> Float[Array, "1 state"]:
    return jax.random.rademacher(key, (1, of.shape[1]), of.dtype)


def flattened(a: Array) -> Float[Array, "batch numbers"]:
    """All numbers of each sample in a row."""
    return a.reshape(len(a), -1)


def state_size(net: Network) -> int:
    """How many numbers a state has."""
    return eqx.filter_eval_shape(lambda net: flat(net.rest(1)), net).shape[1]
