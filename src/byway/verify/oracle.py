"""Forward passes and losses written out again, apart from the networks and rules under test, for
autodiff to differentiate.

Of Byway a problem takes the shapes and the names of its weights, and nothing else. What need not be
differentiated is NumPy's: each operation of JAX outside a compiled program costs a compilation, and
that is what these checks would spend their time on.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.core.check import Check
from byway.core.record import Record
from byway.core.signal import LOSSES, Signal
from byway.learning.rule import Carry, Rule, Update
from byway.network.builders import convnet, mlp, ode, rnn
from byway.network.network import NOTHING, Network

Theta = dict[str, dict[str, Array]]

EXACT = 1e-12
PHI: dict[str, Callable[[Array], Array]] = {
    "identity": lambda u: u,
    "relu": lambda u: jnp.maximum(u, 0),
    "tanh": jnp.tanh,
}


class Problem(NamedTuple):
    """A small network with a batch, and its loss by the weights, written out here.

    Attributes:
        net: the network.
        x: the inputs.
        signal: their signal.
        loss: the batch mean of the loss, of weights by projection name.
    """

    net: Network
    x: Array
    signal: Signal
    loss: Callable[[Theta], Array]

    def gradient(self) -> Theta:
        """Autodiff's."""
        return jax.jit(jax.grad(self.loss))(self.net.theta)


def cross_entropy(output: Array, target: Array) -> Array:
    """-log p of the target, of each sample: "*batch out" -> "*batch"."""
    return -jnp.sum(target * (output - jnp.log(jnp.sum(jnp.exp(output), -1, keepdims=True))), -1)


def squared_error(output: Array, target: Array) -> Array:
    """Half the squared distance of each sample: "*batch out" -> "*batch"."""
    return jnp.sum((output - target) ** 2, -1) / 2


BY_EYE = {"cross_entropy": cross_entropy, "squared_error": squared_error}


def normalised(h: Array) -> Array:
    """Each sample divided by its root mean square."""
    axes = tuple(range(1, h.ndim))
    return h / (jnp.sqrt(jnp.sum(h**2, axes, keepdims=True) / h[0].size) + 1e-8)


def current(h: Array, w: dict[str, Array], pool: int = 2) -> Array:
    """What a projection with the weights `w` makes of `h`: a convolution with mean pooling, or a
    product.
    """
    bias = w.get("bias", jnp.zeros(1))
    if w["weight"].ndim == 2:
        return h.reshape(len(h), -1) @ w["weight"] + bias[None, :]
    u = jax.lax.conv_general_dilated(
        h, w["weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    batch, height, width, out = u.shape
    within = u.reshape(batch, height // pool, pool, width // pool, pool, out)
    return within.mean((2, 4)) + bias[None, None, None, :]


def activity(
    theta: Theta,
    order: Sequence[str],
    x: Array,
    phi: str = "tanh",
    norm: bool = False,
    before: Mapping[str, Array] = NOTHING,
) -> dict[str, Array]:
    """The activity of every population, run in `order`; the first is the input, the last is linear.

    A projection that points backwards in the order, or to its own population, carries the activity
    `before`.
    """
    send = normalised if norm else PHI["identity"]
    now = {order[0]: x}
    for i, name in enumerate(order[1:], 1):
        u: Any = 0.0
        for j, src in enumerate(order):
            if w := theta.get(f"{src}-{name}"):
                u = u + current(send((now if j < i else before)[src]), w)
        now[name] = u if name == order[-1] else PHI[phi](u)
    return now


def layers(hidden: int, name: str = "hidden") -> tuple[str, ...]:
    """The names of the populations of a chain."""
    return ("input", *(f"{name}{i}" for i in range(1, hidden + 1)), "output")


def layered(
    *sizes: int,
    phi: str = "tanh",
    loss: str = "cross_entropy",
    norm: bool = False,
    batch: int = 5,
    **options: Any,
) -> Problem:
    """A multi-layer perceptron on random samples."""
    net = drawn(mlp, *sizes, activation=phi, norm=norm, **options)
    x, target = samples((batch, sizes[0]), sizes[-1])
    order = layers(len(sizes) - 2)

    def value(theta):
        return jnp.mean(BY_EYE[loss](activity(theta, order, x, phi, norm)[order[-1]], target))

    return Problem(net, x, Signal(target, LOSSES[loss]), value)


def convolutional(norm: bool = False) -> Problem:
    """Two convolutions, each with pooling, and a readout."""
    net = drawn(convnet, (4, 4, 2), (2, 3), 3, activation="tanh", norm=norm)
    x, target = samples((5, 4, 4, 2), 3)
    order = layers(2, "conv")

    def value(theta):
        return jnp.mean(cross_entropy(activity(theta, order, x, "tanh", norm)["output"], target))

    return Problem(net, x, Signal(target, LOSSES["cross_entropy"]), value)


def in_time(*sizes: int, loss: str = "cross_entropy", steps: int = 3, batch: int = 4) -> Problem:
    """A recurrent tanh network on random sequences; each step's loss counts with a weight of its
    own.
    """
    net = drawn(rnn, *sizes, activation="tanh")
    x, target = samples((batch, steps, sizes[0]), sizes[-1])
    weight = np.random.default_rng(2).uniform(size=(batch, steps))
    weight = jnp.asarray(weight / weight.sum(1, keepdims=True))
    order = layers(len(sizes) - 2)

    def value(theta):
        now = {name: jnp.zeros((batch, n)) for name, n in zip(order, sizes, strict=True)}
        total = jnp.zeros(())
        for t in range(steps):
            now = activity(theta, order, x[:, t], before=now)
            total = (
                total + jnp.sum(BY_EYE[loss](now["output"], target[:, t]) * weight[:, t]) / batch
            )
        return total

    return Problem(net, x, Signal(target, LOSSES[loss], weight), value)


# The rate at a value; a value, a step size and a number of steps: the value after them.
Rate = Callable[[Array], Array]
Solve = Callable[[Rate, Array, float, int], Array]


def by_rk4(f: Rate, s: Array, h: float, steps: int) -> Array:
    """The classical method of order 4."""

    def step(s, _):
        one = f(s)
        two = f(s + h / 2 * one)
        three = f(s + h / 2 * two)
        return s + h / 6 * (one + 2 * two + 2 * three + f(s + h * three)), None

    return jax.lax.scan(step, s, None, steps)[0]


def by_midpoint(f: Rate, s: Array, h: float, steps: int) -> Array:
    """The explicit midpoint method, of order 2."""
    return jax.lax.scan(lambda s, _: (s + h * f(s + h / 2 * f(s)), None), s, None, steps)[0]


def flowing(
    *sizes: int, solve: Solve = by_rk4, steps: int = 7, decay: float = 0.5, **options: Any
) -> Problem:
    """A neural ODE on random samples, over a time of 1."""
    net = drawn(ode, *sizes, steps=steps, decay=decay, **options)
    x, target = samples((4, sizes[0]), sizes[-1])
    around = ("flow", *(p.name for p in net.hidden if p.name != "flow"), "flow")
    send = normalised if options.get("norm") else PHI["identity"]

    def value(theta):
        drive = current(send(x), theta["input-flow"])

        def rate(s):
            h = s
            for src, dst in pairwise(around):
                h = current(send(h), theta[f"{src}-{dst}"])
                h = h if dst == "flow" else jnp.tanh(h)
            return drive + h - decay * s

        s = solve(rate, jnp.zeros((len(x), sizes[1])), 1 / steps, steps)
        return jnp.mean(cross_entropy(current(send(s), theta["flow-output"]), target))

    return Problem(net, x, Signal(target, LOSSES["cross_entropy"]), value)


def samples(shape: tuple[int, ...], outputs: int, seed: int = 0) -> tuple[Array, Array]:
    """Normal inputs "batch *inputs" and one-hot targets; with three axes, "batch time inputs", a
    target for each step.
    """
    draw = np.random.default_rng(seed)
    kinds = draw.integers(0, outputs, shape[:2] if len(shape) == 3 else shape[:1])
    return jnp.asarray(draw.normal(size=shape)), jnp.asarray(np.eye(outputs)[kinds])


def drawn(build: Callable[..., Network], *sizes: Any, **options: Any) -> Network:
    """A network of a builder's shapes, with weights from NumPy: normal, the biases too, so that a
    forgotten one shows.
    """
    draw = np.random.default_rng(1)
    shapes = eqx.filter_eval_shape(build, *sizes, **options)
    net = jax.tree.map(lambda a: jnp.asarray(np.zeros(a.shape, a.dtype)), shapes)

    def scale(part, a):
        return 0.3 if part == "bias" else 1 / math.sqrt(a.size / a.shape[-1])

    return net.with_theta(
        {
            name: {
                part: jnp.asarray(scale(part, a) * draw.normal(size=a.shape))
                for part, a in w.items()
            }
            for name, w in net.theta.items()
        }
    )


@eqx.filter_jit
def recorded(
    rule: Rule, net: Network, x: Array, signal: Signal | None, gamma: Any = None, key: Any = 0
) -> Record:
    """One f from rest: the record."""
    gamma = rule.init(net, jax.random.key(7)) if gamma is None else gamma
    state, _ = rule.start(gamma, net, x.shape[0])
    return rule.f(gamma, net, state, x, signal, jax.random.key(key))[1]


@eqx.filter_jit
def learned(
    rule: Rule, net: Network, record: Record, signal: Signal, gamma: Any = None, memory: Any = None
) -> Update:
    """One g: the update."""
    gamma = rule.init(net, jax.random.key(7)) if gamma is None else gamma
    memory = rule.start(gamma, net, record.output.shape[0])[1] if memory is None else memory
    return rule.g(gamma, net, memory, record, signal)[1]


@eqx.filter_jit
def taught(
    rule: Rule, net: Network, x: Array, signal: Signal, gamma: Any = None, key: Any = 0
) -> Theta:
    """One f and one g: the update of the weights. In time, over whole sequences, all on the same
    weights.
    """
    gamma = rule.init(net, jax.random.key(7)) if gamma is None else gamma
    carry = Carry(*rule.start(gamma, net, x.shape[0]), ())
    return rule.teach(rule, gamma, net, carry, x, signal, jax.random.key(key))[1].net


def apart(mine: Any, true: Any) -> float:
    """The relative distance of two arrays; of zero, everything but zero is infinitely far."""
    distance, size = (float(np.linalg.norm(a)) for a in (np.asarray(mine) - np.asarray(true), true))
    return distance / size if size > 0 else 0.0 if distance == 0 else math.inf


def gap(update: Mapping[str, Mapping[str, Any]], true: Mapping[str, Mapping[str, Any]]) -> float:
    """The largest relative distance over all weights and biases; what only one of the two names
    counts as zero in the other.
    """
    named = {
        (name, part): a
        for tree in (update, true)
        for name, w in tree.items()
        for part, a in w.items()
    }
    none: dict[str, Any] = {}
    return max(
        apart(*(tree.get(name, none).get(part, np.zeros(a.shape)) for tree in (update, true)))
        for (name, part), a in named.items()
    )


def owed(
    problem: Problem, phi: str = "tanh", loss: str = "cross_entropy"
) -> tuple[dict[str, Array], dict[str, Array]]:
    """What each hidden layer of a multi-layer perceptron sends, and what the loss of each sample
    owes to it, dC/dh: both by layer, "batch units".
    """
    net, x, signal, _ = problem
    order = layers(len(net.hidden))

    def run(added):
        now = {order[0]: x}
        for src, name in pairwise(order):
            u = current(now[src], net.theta[f"{src}-{name}"])
            now[name] = u if name == order[-1] else PHI[phi](u) + added[name]
        return now

    def total(added):
        return jnp.sum(BY_EYE[loss](run(added)[order[-1]], signal.target))

    added = {h.name: jnp.zeros((len(x), h.size)) for h in net.hidden}
    sent = jax.jit(run)(added)
    return {name: sent[name] for name in added}, jax.jit(jax.grad(total))(added)


def least_squares(seen: Array, wanted: Array) -> dict[str, Array]:
    """The linear map of what was seen, and a one, that comes closest to what is wanted; of all
    such the smallest.
    """
    z = np.concatenate([np.asarray(seen), np.ones((len(seen), 1))], 1)
    solved = np.linalg.lstsq(z, np.asarray(wanted), rcond=None)[0]
    return {"weight": jnp.asarray(solved[:-1]), "bias": jnp.asarray(solved[-1])}


def from_autodiff(rule: Rule, problem: Problem, gamma: Any = None) -> float:
    """How far a rule's update is from the gradient of the loss."""
    return gap(taught(rule, problem.net, problem.x, problem.signal, gamma), problem.gradient())


def flat_memory(rule: Rule, source: str, build: Callable[..., Network] = rnn) -> Check:
    """That a step more of a sequence takes no memory, by the compiled program: what that needs
    besides its arguments, for 64 steps and for 256.

    Args:
        rule: the rule.
        source: who says so.
        build: makes the network of an input, a hidden layer and an output.
    """

    def growth() -> float:
        net, needed = build(3, 6, 2, **rule.network_options), []
        for steps in (64, 256):
            x, target = samples((2, steps, 3), 2)
            weight = jnp.full((2, steps), 1 / steps)
            signal = Signal(target, LOSSES["cross_entropy"], weight)
            needed.append(memory_of(rule, net, x, signal))
        return (needed[1] - needed[0]) / 192

    return Check("memory of a step more [bytes]", growth, 1.0, source)


def memory_of(rule: Rule, net: Network, x: Array, signal: Signal) -> float:
    """What the compiled program of an update needs besides its arguments [bytes]."""
    program = jax.jit(lambda net, x, signal: taught(rule, net, x, signal))
    memory = program.lower(net, x, signal).compile().memory_analysis()
    return math.nan if memory is None else memory.temp_size_in_bytes


def memory_of_a_step(rule: Rule, few: int, many: int) -> float:
    """What a step more of the solver of a small neural ODE needs, in states of six units."""
    problems = [flowing(3, 6, 2, steps=n, method="euler") for n in (few, many)]
    less, more = (memory_of(rule, p.net, p.x, p.signal) for p in problems)
    return (more - less) / (many - few) / problems[0].x.shape[0] / 6 / 8


def from_differences(rule: Rule, problem: Problem, count: int = 20, step: float = 1e-5) -> float:
    """How far a rule's update is from central differences of the loss, by some of the weights: no
    autodiff at all.
    """
    flat, unflatten = ravel(problem.net.theta)
    chosen = np.random.default_rng(0).choice(flat.size, count, replace=False)
    moved = flat + step * np.concatenate([np.eye(flat.size)[chosen], -np.eye(flat.size)[chosen]])
    up, down = np.split(
        np.asarray(jax.jit(jax.vmap(lambda flat: problem.loss(unflatten(flat))))(moved)), 2
    )
    mine, _ = ravel(taught(rule, problem.net, problem.x, problem.signal))
    return apart(mine[chosen], (up - down) / (2 * step))


def ravel(tree: Any) -> tuple[np.ndarray, Callable[[Array], Any]]:
    """A tree as one vector, and the way back."""
    leaves, structure = jax.tree.flatten(tree)
    ends = np.cumsum([a.size for a in leaves])[:-1]

    def back(flat):
        return jax.tree.unflatten(
            structure,
            [part.reshape(a.shape) for part, a in zip(jnp.split(flat, ends), leaves, strict=True)],
        )

    return np.concatenate([np.ravel(a) for a in leaves]), back
