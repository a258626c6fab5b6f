"""The floor: training epochs written out by hand in plain JAX, one scan each, with nothing of Byway
in them.

Theta is a list of (weight "pre post", bias "post" or None). Arithmetic, data order and random
numbers are those of Byway's own epoch, so both end at the same weights; `check` holds them to it
before anything is timed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
CLASSES = 10
ORDER, NOISE = 2, 3  # the branches of a learner's key
THRESHOLD, PEER, KEEP = 1.0, 0.03, 0.9  # forward-forward's
SETTLING, RATE = 20, 0.1  # predictive coding's
DRAWS, SIGMA, BLOCK = 4, 0.01, 2**15  # of rules that perturb weights


class State(NamedTuple):
    """What an epoch carries on: weights, Adam's two moments, forward-forward's running means,
    updates so far, the key.
    """

    theta: list
    first: list
    second: list
    means: list
    step: Array
    key: Array


def start(theta: list, means: list, key: Array) -> State:
    """A state with empty moments."""
    zeros = partial(jax.tree.map, jnp.zeros_like)
    return State(theta, zeros(theta), zeros(theta), means, jnp.int32(0), key)


def make_epoch(update: Callable, batch: int, white: int) -> Callable:
    """`epoch(state, feedback, pixels, labels) -> state`, to be jitted with the state donated.

    Args:
        update: one of the functions below.
        batch: samples in an update.
        white: the largest pixel value.
    """

    def epoch(state: State, feedback: Any, pixels: Array, labels: Array) -> State:
        steps = len(labels) // batch
        order = jax.random.permutation(_branch(state.key, ORDER, state.step), len(labels))[
            : steps * batch
        ].reshape(steps, batch)

        def step(state: State, index: Array):
            x = pixels.at[index].get(mode="promise_in_bounds").astype(float) / white
            target = jax.nn.one_hot(
                labels.at[index].get(mode="promise_in_bounds"), CLASSES, dtype=float
            )
            key = _branch(state.key, NOISE, state.step)
            gradient, means = update(state.theta, state.means, feedback, x, target, key)
            return adam(state._replace(means=means), gradient), None

        return jax.lax.scan(step, state, order)[0]

    return epoch


def bp(theta, means, feedback, x, target, key):
    """Backprop."""
    return _chained(theta, [weight for weight, _ in theta], x, target), means


def fa(theta, means, feedback, x, target, key):
    """Feedback alignment: `feedback` stands in for the weights on the way back."""
    return _chained(theta, feedback, x, target), means


def dfa(theta, means, feedback, x, target, key):
    """Direct feedback alignment: `feedback` takes the error straight to each hidden layer."""
    pre, output = _forward(theta, x)
    error = jax.nn.softmax(output) - target
    delta = [(error @ b) * (h > 0) for b, h in zip(feedback, pre[1:], strict=True)]
    return [_outer(*pair) for pair in zip(pre, [*delta, error], strict=True)], means


def ff(theta, means, feedback, x, target, key):
    """Forward-forward with hard negatives, peer normalisation and a softmax head on layers 2 and 3
    of three.
    """
    hidden, (head2, head3) = theta[:3], theta[3:]
    z0 = _with_label(x, jnp.full_like(target, 1 / CLASSES))
    pixels, rows = z0 @ hidden[0][0], hidden[0][0][:CLASSES]
    neutral = _forward_normed(hidden, z0, pixels)[0]
    output = neutral[2] @ head2[0] + neutral[3] @ head3[0] + head2[1]
    wrong = jax.random.categorical(key, jnp.where(target > 0, -jnp.inf, output))
    labels = jnp.concatenate([target, jax.nn.one_hot(wrong, CLASSES, dtype=x.dtype)])
    current = jnp.concatenate([pixels, pixels]) + (labels - 1 / CLASSES) @ rows
    pre, post = _forward_normed(hidden, _with_label(jnp.concatenate([x, x]), labels), current)
    gradient, new_means = [], []
    for n, h, old_mean in zip(pre, post, means, strict=False):
        up, down = jnp.split(h, 2)
        theta_l = THRESHOLD * h.shape[1]
        mean = KEEP * old_mean + (1 - KEEP) * up.mean(0)
        peers = 4 * PEER * (1 - KEEP) * (mean - mean.mean()) / h.shape[1]
        toward = -2 * up * jax.nn.sigmoid(theta_l - jnp.sum(up**2, 1, keepdims=True)) + peers
        away = 2 * down * jax.nn.sigmoid(jnp.sum(down**2, 1, keepdims=True) - theta_l)
        gradient.append(
            _outer_shared(n, toward, away)
            if n is pre[0]
            else _outer(n, jnp.concatenate([toward, away]))
        )
        new_means.append(mean)
    error = jax.nn.softmax(output) - target
    return [*gradient, _outer(neutral[2], error), (_outer(neutral[3], error)[0], None)], new_means


def pc(theta, means, feedback, x, target, key):
    """Predictive coding: values settle between the clamped input and target, tanh on what a value
    sends, squared error.
    """
    (weight, bias), *later = theta
    first = x @ weight + bias  # the input stands still, so what it predicts does too
    values = [first]
    for weight, bias in later[:-1]:
        values.append(jnp.tanh(values[-1]) @ weight + bias)

    def look(values):
        sent = [jnp.tanh(v) for v in values]
        predicted = [
            first,
            *(h @ weight + bias for h, (weight, bias) in zip(sent, later, strict=True)),
        ]
        return sent, [v - mu for v, mu in zip([*values, target], predicted, strict=True)]

    def settle(values, _):
        sent, errors = look(values)
        above = [error @ weight.T for error, (weight, _) in zip(errors[1:], later, strict=True)]
        return [
            v + RATE * ((1 - h**2) * up - error)
            for v, h, up, error in zip(values, sent, above, errors, strict=False)
        ], None

    sent, errors = look(jax.lax.scan(settle, values, length=SETTLING)[0])
    return [_outer(pre, -error) for pre, error in zip([x, *sent], errors, strict=True)], means


def forward_gradient(theta, means, feedback, x, target, key):
    """Forward gradient: how the output moves along a few directions of all weights."""
    directions = jax.vmap(partial(_direction, theta))(jax.random.split(key, DRAWS))
    h, moved = x, None
    for k, ((weight, bias), (dw, db)) in enumerate(zip(theta, directions, strict=True)):
        by_weights = jnp.einsum("bi,kio->kbo", h, dw) + db[:, None]
        moved = by_weights if moved is None else by_weights + moved @ weight
        h = h @ weight + bias
        if k < len(theta) - 1:
            moved, h = moved * (h > 0), jax.nn.relu(h)
    slopes = jnp.einsum("bo,kbo->k", jax.nn.softmax(h) - target, moved) / (len(x) * DRAWS)
    return jax.tree.map(lambda v: jnp.tensordot(slopes, v, 1), directions), means


def weight_perturbation(theta, means, feedback, x, target, key):
    """Weight perturbation: the loss on both sides along a few directions, drawn twice."""
    keys = jax.random.split(key, DRAWS)

    def loss(theta):
        return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(_forward(theta, x)[1]), 1))

    def slope(key):
        away = jax.tree.map(lambda v: SIGMA * v, _direction(theta, key))
        up, down = jax.tree.map(jnp.add, theta, away), jax.tree.map(jnp.subtract, theta, away)
        return (loss(up) - loss(down)) / (2 * SIGMA * DRAWS)

    def add(total, one):
        slope, key = one
        return jax.tree.map(lambda t, v: t + slope * v, total, _direction(theta, key)), None

    zeros = jax.tree.map(jnp.zeros_like, theta)
    return jax.lax.scan(add, zeros, (jax.lax.map(slope, keys), keys))[0], means


UPDATES = {
    **{"bp": bp, "fa": fa, "dfa": dfa, "ff": ff, "pc": pc},
    **{"forward_gradient": forward_gradient, "weight_perturbation": weight_perturbation},
}


def _branch(key, which, step):
    return jax.random.fold_in(jax.random.fold_in(key, which), step)


def _direction(theta, key):
    """A normal number for each weight. Byway draws arrays in the order of their names, of which
    that of the first layer, "input-hidden1", is the last, and biases before weights.
    """
    keys = jax.random.split(key, (len(theta), 2))
    drawn = [
        (_normal(of[1], w), jax.random.normal(of[0], b.shape, b.dtype))
        for (w, b), of in zip([*theta[1:], theta[0]], keys, strict=True)
    ]
    return [drawn[-1], *drawn[:-1]]


def _normal(key, like):
    """A normal number for each entry of a matrix, by blocks of rows."""
    most = BLOCK // like.shape[1]
    rows = next(n for n in range(min(most, len(like)), 0, -1) if len(like) % n == 0)
    if rows == len(like):
        return jax.random.normal(key, like.shape, like.dtype)
    one = lambda key: jax.random.normal(key, (rows, like.shape[1]), like.dtype)
    return jax.lax.map(one, jax.random.split(key, len(like) // rows)).reshape(like.shape)


def _forward(theta, x):
    pre = [x]
    for weight, bias in theta[:-1]:
        pre.append(jax.nn.relu(pre[-1] @ weight + bias))
    weight, bias = theta[-1]
    return pre, pre[-1] @ weight + bias


def _chained(theta, back, x, target):
    pre, output = _forward(theta, x)
    delta = jax.nn.softmax(output) - target
    gradient = [_outer(pre[-1], delta)]
    for h, n, b in zip(pre[:0:-1], pre[-2::-1], back[::-1], strict=False):
        delta = (delta @ b.T) * (h > 0)
        gradient.append(_outer(n, delta))
    return gradient[::-1]


def _outer(pre, delta):
    delta = delta / len(delta)
    return pre.T @ delta, delta.sum(0)


def _outer_shared(pre, toward, away):
    """The outer products of two passes whose inputs differ in the label alone."""
    positive, negative = jnp.split(pre, 2)
    weight, bias = _outer(positive, (toward + away) / 2)
    return weight.at[:CLASSES].add((negative - positive)[:, :CLASSES].T @ away / len(pre)), bias


def _forward_normed(hidden, x, current):
    """The passes of layers that send h / rms(h); `current` is that of the first layer before its
    input is normalised.
    """
    pre, post = [x / _scale(x)], [jax.nn.relu(current / _scale(x) + hidden[0][1])]
    for weight, bias in hidden[1:]:
        pre.append(post[-1] / _scale(post[-1]))
        post.append(jax.nn.relu(pre[-1] @ weight + bias))
    return [*pre, post[-1] / _scale(post[-1])], post


def _scale(h):
    return jnp.sqrt(jnp.mean(h**2, 1, keepdims=True)) + 1e-8


def _with_label(x, label):
    return jnp.concatenate([label, x[:, CLASSES:]], 1)


def adam(state: State, gradient: list) -> State:
    """The state after one update."""
    step = state.step + 1
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state.first, gradient)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g**2, state.second, gradient)
    c1, c2 = 1 - BETA1**step, 1 - BETA2**step

    def move(w, m, v):
        return w - LEARNING_RATE * (m / c1) / (jnp.sqrt(v / c2) + EPSILON)

    return State(
        jax.tree.map(move, state.theta, first, second), first, second, state.means, step, state.key
    )
