"""Layers that run and learn on guesses learn in any order, each at a pace of its own, on news that
is late.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import byway
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import mlp
from byway.rules.synthetic.unlocked_dni import UnlockedDNI

pytestmark = pytest.mark.slow
LAYERS = ("hidden1", "hidden2", "output")
SEEDS, EPOCHS, BATCH, RATE = 4, 100, 32, 1e-3
# By layer: with which chance it learns from a batch, at which share of the rate, and from how many
# batches ago what it is told comes. News that is late asks for a small rate, as any delay does.
WAYS = {
    "all at once": ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0, 0, 0)),
    "in any order": ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (0, 0, 0)),
    "each at a pace of its own": ((0.4, 0.7, 1.0), (0.5, 1.0, 1.0), (0, 0, 0)),
    "news late by 4, 2 and 1 batches": ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (4, 2, 1)),
    "all of that": ((0.4, 0.7, 1.0), (0.5, 1.0, 1.0), (4, 2, 1)),
}


@functools.cache
def _samples():
    splits = byway.task("digits").load()
    return {
        name: (
            np.asarray(splits[name].x, float).reshape(-1, 64) / 16,
            np.asarray(splits[name].y),
        )
        for name in ("train", "test")
    }


@functools.cache
def _accuracies(way):
    """Test accuracy of each seed; a layer's predictors learn when it does, and on as late news."""
    return np.array([_trained(*WAYS[way], seed) for seed in range(SEEDS)])


def _layer(path):
    """Which layer a leaf of weights or predictors belongs to."""
    part, name = (key.key for key in path[:2])
    return LAYERS.index(name.split("-")[1] if part == "net" else path[2].key)


def _trained(chances, paces, delays, seed):
    rule, late = UnlockedDNI(), max(delays) + 1
    net = mlp(64, 32, 32, 10, norm=True, key=seed)
    parts = {"net": net.theta, "gamma": rule.init(net, jax.random.key(seed))}
    x, y = map(jnp.asarray, _samples()["train"])
    batches = len(x) // BATCH
    optimiser = optax.adam(RATE)

    def step(held, key):
        parts, moments, ring, count, order = held
        part = jax.lax.dynamic_slice(order, (count % batches * BATCH,), (BATCH,))
        signal = Signal(jax.nn.one_hot(y[part], 10, dtype=float), CrossEntropy())
        now = net.with_theta(parts["net"])
        _, record = rule.f(parts["gamma"], now, (), x[part], signal, key)
        _, update = rule.g(parts["gamma"], now, (), record, signal)
        told = {"net": update.net, "gamma": update.gamma}
        ring = jax.tree.map(lambda r, a: r.at[count % late].set(a), ring, told)
        heard = jax.tree_util.tree_map_with_path(
            lambda path, r: r[(count - delays[_layer(path)]) % late], ring
        )
        with jax.numpy_dtype_promotion("standard"):  # optax mixes its counts with floats
            change, after = optimiser.update(heard, moments, parts)
        draws = jax.random.uniform(key, (len(LAYERS),)) < jnp.asarray(chances)

        def either(path, new, old):
            return jnp.where(draws[_layer(path)] & (count >= delays[_layer(path)]), new, old)

        moved = jax.tree_util.tree_map_with_path(
            lambda path, a, d: either(path, a + paces[_layer(path)] * d, a), parts, change
        )
        return (moved, after, ring, count + 1, order), None

    @jax.jit
    def epoch(held, key):
        order = jax.random.permutation(key, len(x))
        held = (*held[:4], order)
        return jax.lax.scan(step, held, jax.random.split(jax.random.fold_in(key, 1), batches))[0]

    ring = jax.tree.map(lambda a: jnp.zeros((late, *a.shape), a.dtype), parts)
    held = (parts, optimiser.init(parts), ring, 0, jnp.arange(len(x)))
    for key in jax.random.split(jax.random.key(seed + 100), EPOCHS):
        held = epoch(held, key)
    inputs, wanted = _samples()["test"]
    output = rule.predict(
        held[0]["gamma"], net.with_theta(held[0]["net"]), jnp.asarray(inputs), key
    )
    return float(np.mean(np.argmax(np.asarray(output.output), 1) == wanted))


@pytest.fixture(scope="module")
def frozen():
    """The control: the same network, its readout taught on what hidden layers send as drawn."""
    net = mlp((8, 8, 1), 32, 32, 10, norm=True)
    options = {"epochs": EPOCHS, "batch": BATCH, "lr": RATE, "seeds": SEEDS, "progress": False}
    return byway.fit(net, byway.rule("frozen"), byway.task("digits"), **options).accuracy


@pytest.mark.parametrize("way", WAYS)
def test_it_learns_whatever_the_order_the_pace_and_the_delay(way, frozen):
    """Every seed is ahead of the best of the control."""
    reached = _accuracies(way)
    for name, a in ((way, reached), ("frozen", frozen)):
        print(f"\n{name}: {100 * a.mean():.2f} ± {100 * a.std(ddof=1):.2f} %")
    assert reached.min() > frozen.max()
