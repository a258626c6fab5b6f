"""Linear recurrent units against complex arithmetic written out, and its gradient by all five kinds
of their parameters.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
import byway
from byway.core.errors import ConfigError, RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.blueprint import arrays_of, blueprint, built
from byway.network.builders import graph, lru
from byway.rules.time.bptt import BPTT
from byway.rules.time.eprop import Eprop
from byway.rules.time.rtrl import RTRL

STEPS, BATCH = 9, 3


def _problem(net, steps=slice(None)):
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(BATCH, STEPS, 3)))
    y = jnp.asarray(draw.normal(size=(BATCH, STEPS, 2)))
    weight = np.zeros((BATCH, STEPS))
    weight[:, steps] = draw.uniform(size=(BATCH, STEPS))[:, steps]
    weight = jnp.asarray(weight)

    @jax.numpy_dtype_promotion("standard")
    def run(theta):
        """Layers h = lambda h + gamma (B x + b), tanh(Re(C h) + D x + c), in complex numbers."""
        now = x
        for below, memory, hidden in zip(
            ["input", "hidden1"], ["memory1", "memory2"], ["hidden1", "hidden2"], strict=True
        ):
            if memory not in net.topology.order:
                break
            into = theta[f"{below}-{memory}"]
            nu, phase, gain = jnp.split(theta[f"{below}-{memory}:own"]["bias"], 3)
            B, b = (
                jax.lax.complex(*jnp.split(into[part], 2, axis=-1)) for part in ("weight", "bias")
            )
            C = jax.lax.complex(*jnp.split(theta[f"{memory}-{hidden}"]["weight"], 2)).conj()
            turn = jnp.exp(jax.lax.complex(-jnp.exp(nu), jnp.exp(phase)))
            h, after = jnp.zeros((BATCH, len(nu)), complex), []
            for t in range(STEPS):
                h = turn[None] * h + jnp.exp(gain)[None] * (now[:, t] @ B + b[None])
                read = (h @ C).real + now[:, t] @ theta[f"{below}-{hidden}"]["weight"]
                after.append(jnp.tanh(read + theta[f"{memory}-{hidden}"]["bias"][None]))
            now = jnp.stack(after, 1)
        last = theta[f"{net.hidden[-1].name}-output"]
        return now @ last["weight"] + last["bias"][None, None]

    def loss(theta):
        return jnp.sum(weight[:, :, None] * (run(theta) - y) ** 2) / 2 / BATCH

    return x, Signal(y, SquaredError(), weight), run, jax.jit(jax.grad(loss))(net.theta)


def _layers(*sizes, **options):
    return by_hand.with_biases(lru(3, *sizes, 2, activation="tanh", key=4, **options))


def _gaps(rule, net, x, signal, gradient):
    update = by_hand.taught_in_time(rule, net, x, signal).net
    return {
        name: max(float(jnp.abs(update[name][k] - g).max()) for k, g in parts.items())
        for name, parts in gradient.items()
    }


@pytest.mark.parametrize("rule", [BPTT(), RTRL(), Eprop(symmetric=True)], ids=lambda r: r.id)
def test_in_one_layer_traces_of_synapses_are_exact_for_all_five_kinds_of_parameters(rule):
    """B, C, D, and with them nu, theta and gamma of lambda = exp(-exp(nu) + i exp(theta))."""
    net = _layers(5, units=4)
    x, signal, run, gradient = _problem(net)
    np.testing.assert_allclose(
        rule.predict({}, net, x, jax.random.key(0), True).output, run(net.theta), atol=1e-13
    )
    assert min(float(jnp.abs(a).max()) for g in gradient.values() for a in g.values()) > 1e-4
    assert max(_gaps(rule, net, x, signal, gradient).values()) < 1e-12


@pytest.mark.slow
def test_below_the_last_layer_they_are_not_but_learn_from_a_loss_at_the_end():
    net = _layers(5, 4)
    x, signal, _, gradient = _problem(net, slice(-1, None))
    assert max(_gaps(BPTT(), net, x, signal, gradient).values()) < 1e-12
    assert max(_gaps(RTRL(), net, x, signal, gradient).values()) < 1e-12
    gaps = _gaps(Eprop(symmetric=True), net, x, signal, gradient)
    last = ("hidden1-memory2", "hidden1-memory2:own", "memory2-hidden2", "hidden2-output")
    assert max(gaps[name] for name in last) < 1e-12
    assert gaps["input-memory1"] > 1e-6
    update = by_hand.taught_in_time(Eprop(symmetric=True), net, x, signal).net
    mine, true = (
        np.concatenate([tree["input-memory1"][k].ravel() for k in ("weight", "bias")])
        for tree in (update, gradient)
    )
    cosine = mine @ true / np.linalg.norm(mine) / np.linalg.norm(true)
    assert 0.2 < cosine < 0.9999


def test_lambda_is_drawn_from_a_ring_and_what_comes_in_comes_out_as_strong():
    cell = byway.cell("lru", smallest=0.5, largest=0.9, phase=0.3)
    net = graph(
        {"input": 1, "memory": 20_000, "output": 1},
        [("input", "memory"), ("memory", "output")],
        activation=cell,
    )
    nu, theta, gain = np.split(np.asarray(net.theta["input-memory:own"]["bias"]), 3)
    size = np.exp(-np.exp(nu))
    assert 0.5 < size.min() < 0.51 and 0.89 < size.max() < 0.9
    # Uniform on the ring: half of them are on either side of the circle that halves its area.
    assert abs(np.mean(size**2 < (0.25 + 0.81) / 2) - 0.5) < 0.02
    assert abs(np.exp(theta).mean() - 0.15) < 0.003 and np.exp(theta).max() < 0.3
    np.testing.assert_allclose(np.exp(gain) ** 2 / (1 - size**2), 1, rtol=1e-10)


def test_a_network_of_them_is_built_again_from_its_file_and_bad_ones_are_refused():
    net = lru(2, 3, 1, units=4)
    again = built(blueprint(net), arrays_of(net))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 2)))
    one, other = (BPTT().predict({}, n, x, jax.random.key(0), True) for n in (net, again))
    assert jnp.array_equal(one.output, other.output)
    with pytest.raises(ConfigError, match="smallest"):
        byway.cell("lru", smallest=0.99, largest=0.9)
    with pytest.raises(ConfigError, match="nothing of the past but their own"):
        graph(
            {"input": 2, "a": 3, "output": 1},
            [("input", "a"), ("a", "a"), ("a", "output")],
            activation="lru",
        )
    leaky = graph(
        {"input": 2, "a": 3, "output": 1},
        [("input", "a"), ("a", "output")],
        activation={"a": "lru", "output": byway.cell("leaky", phi="identity")},
    )
    with pytest.raises(RuleError, match="several numbers sent by each unit of a"):
        Eprop().accepts(leaky)
