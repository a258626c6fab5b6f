"""Forward passes, losses and samples written out again, apart from byway, for the oracles to differentiate."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from byway.core.signal import CrossEntropy, Signal, SquaredError

PHI = {
    "identity": lambda u: u,
    "relu": lambda u: jnp.maximum(u, 0),
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


LOSSES = {"cross_entropy": (CrossEntropy(), cross_entropy), "squared_error": (SquaredError(), squared_error)}


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


def convolution(x, weight, bias, stride=1, padding="SAME", pool=1):
    """A convolution, then the mean over windows that fit whole."""
    u = jax.lax.conv_general_dilated(x, weight, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    batch, height, width, out = u.shape
    height, width = height // pool, width // pool
    u = u[:, : height * pool, : width * pool].reshape(batch, height, pool, width, pool, out).mean((2, 4))
    return u + bias[None, None, None, :]


def sample(inputs, outputs, batch=5, seed=0):
    """Normal inputs and one-hot targets; any class may repeat."""
    draw = np.random.default_rng(seed)
    shape = inputs if isinstance(inputs, tuple) else (inputs,)
    target = np.eye(outputs)[draw.integers(0, outputs, batch)]
    return jnp.asarray(draw.normal(size=(batch, *shape))), jnp.asarray(target)


def with_biases(net, seed=1):
    """The network with biases that are not zero, so that a forgotten one shows."""
    draw = np.random.default_rng(seed)
    theta = net.theta
    for w in theta.values():
        if "bias" in w:
            w["bias"] = jnp.asarray(draw.normal(scale=0.3, size=w["bias"].shape))
    return net.with_theta(theta)


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
def recorded(rule, net, x, signal, key=None):
    """f alone, without state: the record."""
    return rule.f(rule.init(net, jax.random.key(7)), net, (), x, signal, jax.random.key(0) if key is None else key)[1]


@eqx.filter_jit
def learned(rule, net, record, signal):
    """g alone, from a fresh memory: the update."""
    gamma = rule.init(net, jax.random.key(7))
    _, memory = rule.start(gamma, net, record.output.shape[0])
    return rule.g(gamma, net, memory, record, signal)[1]


def apart(mine, true):
    """The relative distance of two arrays."""
    return float(jnp.linalg.norm((mine - true).ravel()) / jnp.linalg.norm(true.ravel()))


def largest_gap(update, gradient):
    """The largest relative distance over all weights and biases; both must name the same ones."""
    assert update.keys() == gradient.keys()
    gaps = []
    for name, weights in gradient.items():
        assert update[name].keys() == weights.keys()
        gaps += [apart(update[name][k], weights[k]) for k in weights]
    return max(gaps)
