"""Forward passes, losses and samples written out again, apart from byway, for the oracles to
differentiate.
"""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.learning.rule import Carry
from byway.network.builders import graph, rnn

PHI = {
    "identity": lambda u: u,
    "code": lambda u: u,
    "relu": lambda u: jnp.maximum(u, 0),
    "long_relu": lambda u: jnp.maximum(u, 0),
    "leaky_relu": lambda u: jnp.where(u > 0, u, 0.01 * u),
    "tanh": lambda u: (jnp.exp(u) - jnp.exp(-u)) / (jnp.exp(u) + jnp.exp(-u)),
    "sigmoid": lambda u: 1 / (1 + jnp.exp(-u)),
    "hard_sigmoid": lambda u: jnp.where(u < 0, 0.0, jnp.where(u > 1, 1.0, u)),
    "softplus": lambda u: jnp.log(1 + jnp.exp(u)),
}


def cross_entropy(output, target):
    """Batch mean of -log p of the right class."""
    p = jnp.exp(output) / jnp.sum(jnp.exp(output), 1, keepdims=True)
    return -jnp.mean(jnp.sum(target * jnp.log(p), 1))


def squared_error(output, target):
    """Batch mean of half the squared distance."""
    return jnp.mean(jnp.sum((output - target) ** 2, 1)) / 2


LOSSES = {
    "cross_entropy": (CrossEntropy(), cross_entropy),
    "squared_error": (SquaredError(), squared_error),
}


def rms_normalised(h):
    """Each sample divided by its root mean square, as forward-forward's networks send it."""
    axes = tuple(range(1, h.ndim))
    return h / (jnp.sqrt(jnp.sum(h**2, axes, keepdims=True) / h[0].size) + 1e-8)


def mlp_output(theta, x, phi="relu", norm=False, readout_from=(-1,)):
    """The output of a multi-layer perceptron with the weights `theta` by projection name."""
    send = rms_normalised if norm else lambda h: h
    h, sent, layer = x.reshape(x.shape[0], -1), [], 1
    below = "input"
    while f"{below}-hidden{layer}" in theta:
        w = theta[f"{below}-hidden{layer}"]
        h = PHI[phi](send(h) @ w["weight"] + w["bias"][None, :])
        below, layer = f"hidden{layer}", layer + 1
        sent.append((below, send(h)))
    output = 0.0
    for i in readout_from:
        name, h = sent[i]
        w = theta[f"{name}-output"]
        output = output + h @ w["weight"] + w.get("bias", jnp.zeros(1))[None, :]
    return output


def unrolled(theta, order, x, phi="tanh", norm=False):
    """The outputs "batch time out" of a network in time, step by step: populations in `order`, the
    first one clamped to x.

    What points forwards in the order carries the activity of the same step, everything else that of
    the step before.
    """
    send = rms_normalised if norm else lambda h: h
    batch, steps = x.shape[:2]
    sizes = {
        dst: theta[f"{src}-{dst}"]["weight"].shape[1]
        for src in order
        for dst in order
        if f"{src}-{dst}" in theta
    }
    before, outputs = {name: jnp.zeros((batch, sizes.get(name, 1))) for name in order}, []
    for t in range(steps):
        now = {order[0]: x[:, t]}
        for i, name in enumerate(order[1:], 1):
            u = 0.0
            for j, src in enumerate(order):
                if w := theta.get(f"{src}-{name}"):
                    u = (
                        u
                        + send((now if j < i else before)[src]) @ w["weight"]
                        + w.get("bias", jnp.zeros(1))[None]
                    )
            now[name] = u if name == order[-1] else PHI[phi](u)
        outputs.append(now[order[-1]])
        before = now
    return jnp.stack(outputs, 1)


def convolution(x, weight, bias, stride=1, padding="SAME", pool=1):
    """A convolution, then the mean over windows that fit whole."""
    u = jax.lax.conv_general_dilated(
        x, weight, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    batch, height, width, out = u.shape
    height, width = height // pool, width // pool
    u = (
        u[:, : height * pool, : width * pool]
        .reshape(batch, height, pool, width, pool, out)
        .mean((2, 4))
    )
    return u + bias[None, None, None, :]


def sample(inputs, outputs, batch=5, seed=0):
    """Normal inputs and one-hot targets; any class may repeat."""
    draw = np.random.default_rng(seed)
    shape = inputs if isinstance(inputs, tuple) else (inputs,)
    target = np.eye(outputs)[draw.integers(0, outputs, batch)]
    return jnp.asarray(draw.normal(size=(batch, *shape))), jnp.asarray(target)


def sequences(inputs, outputs, steps=4, batch=4, seed=0, last=False):
    """Normal inputs, one-hot targets of every step, and weights that sum to one: drawn, or all on
    the last step.
    """
    draw = np.random.default_rng(seed)
    x, target = (
        draw.normal(size=(batch, steps, inputs)),
        np.eye(outputs)[draw.integers(0, outputs, (batch, steps))],
    )
    weight = (
        np.zeros((batch, steps)) + (np.arange(steps) == steps - 1)
        if last
        else draw.uniform(size=(batch, steps))
    )
    return jnp.asarray(x), jnp.asarray(target), jnp.asarray(weight / weight.sum(1, keepdims=True))


def loss_in_time(outputs, target, weight, loss):
    """The weighted sum over time of one of the losses above, each step's a mean over the batch;
    `loss` takes "batch out".
    """
    each = jax.vmap(jax.vmap(lambda output, target: loss(output[None], target[None])))(
        outputs, target
    )
    return jnp.sum(each * weight) / len(outputs)


def with_biases(net, seed=1):
    """The network with biases that are not zero, so that a forgotten one shows."""
    draw = np.random.default_rng(seed)
    theta = net.theta
    for w in theta.values():
        if "bias" in w:
            w["bias"] = jnp.asarray(draw.normal(scale=0.3, size=w["bias"].shape))
    return net.with_theta(theta)


# Recurrent networks: sizes, activation, options, whether the last step alone counts, loss.
STACKS = {
    "one layer": ((3, 5, 4), "tanh", {}, True, "cross_entropy"),
    "one linear layer, no bias": ((3, 5, 2), "identity", {"bias": False}, False, "squared_error"),
    "one unit, one output": ((1, 1, 1), "softplus", {}, True, "squared_error"),
    "two layers": ((3, 5, 4, 2), "tanh", {}, False, "cross_entropy"),
    "two layers, no bias": ((3, 5, 4, 2), "relu", {"bias": False}, True, "squared_error"),
    "three layers": ((2, 4, 3, 4, 2), "hard_sigmoid", {}, False, "cross_entropy"),
    "normalised": ((3, 5, 4, 2), "tanh", {"norm": True}, False, "cross_entropy"),
}
# Every arrow there is: forwards, backwards, from a population to itself, out of the output and into
# the clamped input.
NAMES = ("input", "a", "b", "output")
GRAPHS = {
    "skips and feedback": [
        ("input", "a"),
        ("input", "output"),
        ("a", "b"),
        ("b", "b"),
        ("b", "output"),
        ("output", "a"),
    ],
    "everything": [(src, dst) for src in NAMES for dst in NAMES],
}


@functools.cache
def in_time(name, seed=0):
    """A network of `STACKS` or `GRAPHS`, a batch of sequences with its signal, and the loss of the
    unrolled loop by theta.
    """
    if name in STACKS:
        sizes, phi, options, last, loss = STACKS[name]
        net = rnn(*sizes, activation=phi, key=seed + 3, **options)
        order = ("input", *(f"hidden{i}" for i in range(1, len(sizes) - 1)), "output")
    else:
        phi, options, last, loss, order = "tanh", {}, False, "squared_error", NAMES
        net = graph(
            dict(zip(NAMES, (3, 4, 3, 2), strict=True)), GRAPHS[name], activation=phi, key=seed + 3
        )
    net = with_biases(net)
    x, target, weight = sequences(net["input"].size, net["output"].size, last=last, seed=seed)
    criterion, by_eye = LOSSES[loss]

    def value(theta):
        return loss_in_time(
            unrolled(theta, order, x, phi, options.get("norm", False)), target, weight, by_eye
        )

    return net, x, Signal(target, criterion, weight), value


@functools.cache
def gradient_in_time(name, seed=0):
    """Autodiff's gradient of that loss; weights into the clamped input, which change nothing, are
    left out.
    """
    net, _, _, value = in_time(name, seed)
    gradient = jax.jit(jax.grad(value))(net.theta)
    return {p.name: gradient[p.name] for p in net.projections if p.dst != "input"}


def differences_of_twenty(name, seed=0, step=1e-5):
    """Central differences of that loss by twenty random weights: which of the flattened ones, and
    the slopes.
    """
    net, _, _, value = in_time(name, seed)
    flat, unflatten = ravel_pytree(net.theta)
    chosen = np.random.default_rng(0).choice(len(flat), 20, replace=False)
    moved = flat[None] + step * np.concatenate(
        [np.eye(len(flat))[chosen], -np.eye(len(flat))[chosen]]
    )
    up, down = np.split(
        np.asarray(jax.jit(jax.vmap(lambda flat: value(unflatten(flat))))(moved)), 2
    )
    return chosen, (up - down) / (2 * step)


@eqx.filter_jit
def taught(rule, net, x, target, criterion=None, gamma=None, memory=None, key=None):
    """One f and one g: the memory, the update and the record it came from."""
    criterion = CrossEntropy() if criterion is None else criterion
    key = jax.random.key(0) if key is None else key
    gamma = rule.init(net, jax.random.key(7)) if gamma is None else gamma
    state, fresh = rule.start(gamma, net, x.shape[0])
    memory = fresh if memory is None else memory
    signal = Signal(target, criterion)
    _, record = rule.f(gamma, net, state, x, signal, key)
    memory, update = rule.g(gamma, net, memory, record, signal)
    return memory, update, record


@eqx.filter_jit
def taught_in_time(rule, net, x, signal):
    """The update of one batch of sequences, all on the same weights."""
    gamma, key = rule.init(net, jax.random.key(7)), jax.random.key(0)
    state, memory = rule.start(gamma, net, x.shape[0])
    return rule.teach(rule, gamma, net, Carry(state, memory, ()), x, signal, key)[1]


@eqx.filter_jit
def recorded(rule, net, x, signal, key=None):
    """f alone, without state: the record."""
    return rule.f(
        rule.init(net, jax.random.key(7)),
        net,
        (),
        x,
        signal,
        jax.random.key(0) if key is None else key,
    )[1]


@eqx.filter_jit
def learned(rule, net, record, signal):
    """g alone, from a fresh memory: the update."""
    gamma = rule.init(net, jax.random.key(7))
    _, memory = rule.start(gamma, net, record.output.shape[0])
    return rule.g(gamma, net, memory, record, signal)[1]


def apart(mine, true):
    """The relative distance of two arrays: none of two zeros, and infinite from a zero."""
    mine, true = np.asarray(mine), np.asarray(true)
    far, size = (float(np.linalg.norm(a.ravel())) for a in (mine - true, true))
    return 0.0 if far == 0 else far / size if size else math.inf


def largest_gap(update, gradient):
    """The largest relative distance over all weights and biases; both must name the same ones."""
    assert update.keys() == gradient.keys()
    gaps = []
    for name, weights in gradient.items():
        assert update[name].keys() == weights.keys()
        gaps += [apart(update[name][k], weights[k]) for k in weights]
    return max(gaps)
