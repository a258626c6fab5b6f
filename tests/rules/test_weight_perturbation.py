"""Weight perturbation: the memory that an update takes, by its compiled program, and what it can
train.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.network.builders import mlp
from byway.network.orthogonal import Orthogonal
from byway.rules.perturbation._directions import drawn
from byway.rules.perturbation.weight_perturbation import WeightPerturbation
from byway.verify.oracle import recorded, taught


@pytest.mark.slow
def test_a_step_takes_room_for_a_layer_however_many_layers_and_draws():
    """By the compiled program of an update and a step along it, in place: what it sets aside, in
    arrays of one hidden layer.
    """
    x, signal = jnp.zeros((4, 256)), Signal(jnp.zeros((4, 10)), CrossEntropy())

    def needed(rule, depth):
        net = mlp(256, *[256] * depth, 10)

        def step(theta):
            update = taught(rule, net.with_theta(theta), x, signal)
            return jax.tree.map(lambda w, u: w - 0.1 * u, theta, update)

        compiled = jax.jit(step, donate_argnums=0).lower(net.theta).compile()
        return compiled.memory_analysis().temp_size_in_bytes / x.dtype.itemsize / 256**2

    one, few, many = (WeightPerturbation(draws=draws) for draws in (1, 3, 8))
    for rule in (one, few):
        assert needed(rule, 6) < needed(rule, 2) + 0.5
    assert needed(many, 2) < needed(few, 2) + 0.5
    assert (
        needed(few, 2) < 6
    )  # directions that are kept take three arrays a layer, and more by each


def test_a_step_takes_room_for_one_array_of_the_largest_layer():
    """No more than the update of a layer at a time, and some blocks of random numbers on their way:
    neither the weights on either side nor a whole direction. In arrays of the largest layer.
    """
    x, signal = jnp.zeros((4, 1024)), Signal(jnp.zeros((4, 10)), CrossEntropy())
    net, rule = mlp(1024, 1024, 1024, 10), WeightPerturbation()

    def step(theta):
        update = taught(rule, net.with_theta(theta), x, signal)
        return jax.tree.map(lambda w, u: w - 0.1 * u, theta, update)

    compiled = jax.jit(step, donate_argnums=0).lower(net.theta).compile()
    held = compiled.memory_analysis().temp_size_in_bytes
    assert held < 1.6 * x.dtype.itemsize * 1024**2


@pytest.mark.parametrize("kind", ["all to all", "turned"])
def test_outputs_are_those_of_weights_on_either_side(kind):
    """Also where the current is no linear function of the weights, which are angles there."""
    h = mlp(4, 8, 8, 3)
    turned = Orthogonal.between(h["hidden1"], h["hidden2"])
    between = {"all to all": ("hidden1", "hidden2"), "turned": turned}[kind]
    sizes = {"input": 4, "hidden1": 8, "hidden2": 8, "output": 3}
    net = byway.graph(sizes, [("input", "hidden1"), between, ("hidden2", "output")])
    net, x = net.redraw(jax.random.key(0)), jax.random.normal(jax.random.key(1), (6, 4))
    record = recorded(
        WeightPerturbation(sigma=0.3), net, x, Signal(jnp.eye(3)[jnp.arange(6) % 3], CrossEntropy())
    )
    v = drawn(net, record["up"].injected["key"][0])
    for phase, sigma in (("up", 0.3), ("down", -0.3)):
        moved = net.with_theta(jax.tree.map(lambda w, v, s=sigma: w + s * v, net.theta, v))
        wanted = moved.forward(x).post["output"]
        np.testing.assert_allclose(record[phase].post["output"][0], wanted, rtol=1e-10)


def test_draws_are_of_their_own_and_their_mean_is_the_update():
    """The estimates of single keys, each by a rule of one draw, averaged."""
    net, x = mlp(5, 4, 3, activation="tanh", key=7), jax.random.normal(jax.random.key(1), (6, 5))
    signal = Signal(jnp.eye(3)[jnp.arange(6) % 3], SquaredError())
    rule, one = WeightPerturbation(draws=3), WeightPerturbation()
    keys = recorded(rule, net, x, signal)["up"].injected["key"]
    assert len({str(jax.random.key_data(k)) for k in keys}) == 3
    update = taught(rule, net, x, signal)
    record = recorded(rule, net, x, signal)

    def alone(k):
        some = jax.tree.map(lambda a: a[k : k + 1], (record["up"], record["down"]))
        phases = {**record.phases, "up": some[0], "down": some[1]}
        return one.g({}, net, (), type(record)(phases, record.output), signal)[1].net

    each = [alone(k) for k in range(3)]
    for name, w in update.items():
        mean = np.mean([np.asarray(made[name]["weight"]) for made in each], 0)
        np.testing.assert_allclose(w["weight"], mean, rtol=1e-9)


def test_it_climbs_no_hill_through_a_black_box():
    """A step against the mean of many estimates lowers the loss of quantised units."""
    net = byway.graph(
        {"input": 6, "h": 16, "output": 3},
        [("input", "h"), ("h", "output")],
        activation={"h": "quantised"},
    ).redraw(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (64, 6))
    signal = Signal(jnp.eye(3)[jnp.arange(64) % 3], CrossEntropy())
    update = taught(WeightPerturbation(sigma=0.1, draws=500), net, x, signal)
    step = jax.tree.map(lambda w, u: w - 0.1 * u, net.theta, update)
    before, after = (
        signal.loss(n.forward(x).post["output"]).mean() for n in (net, net.with_theta(step))
    )
    assert after < before - 1e-3


@pytest.mark.parametrize(("name", "value"), [("draws", 0), ("sigma", 0.0), ("sigma", -0.1)])
def test_what_cannot_be_tried_is_refused(name, value):
    with pytest.raises(ConfigError, match=rf"WeightPerturbation\.{name}") as refused:
        WeightPerturbation(**{name: value})
    assert "\n  wanted: " in str(refused.value)
