"""EventProp is the gradient of what units in continuous time do, spike times and all."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError, RuleError
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import graph, mlp
from byway.network.cells.event_lif import EventLIF
from byway.rules.time.eventprop import Eventprop
from byway.rules.time.eventprop_checks import off, simulated, small
from byway.verify.oracle import apart, gap, recorded, taught

RULE = Eventprop()
# One layer in closed form, two by Newton's method; the two that `byway verify` runs, too.
PROBLEMS = {
    "one hidden layer": small(4, 5, 3, strength=20.0, mean=0.5),
    "two hidden layers": small(4, 5, 4, 3, tau_mem=3.0, strength=12.0, mean=1.0),
}
each = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def _record(problem, x=None):
    return recorded(RULE, problem.net, jnp.asarray(problem.x if x is None else x), None)


@each
def test_spikes_and_outputs_are_those_of_a_simulation_by_kernels(problem):
    record, counts = _record(problem), set()
    for k, x in enumerate(problem.x):
        trains, output = simulated(problem.cell, problem.net.theta, x)
        assert apart(record.output[k], output) < 1e-12
        for layer, units in enumerate(trains, 1):
            times = np.asarray(record["free"].cell[f"hidden{layer}"]["times"][k])
            for j, wanted in enumerate(units):
                mine = times[times[:, j] < problem.cell.duration, j]
                counts.add(len(wanted))
                assert len(mine) == len(wanted)
                assert np.allclose(mine, wanted, rtol=0, atol=1e-12)
    assert {0, 1, 2} <= counts, "some are silent, and some spike more than once"
    assert record.measures["lost"] == 0


@each
def test_the_update_is_the_gradient_by_every_weight(problem):
    """By autodiff through the events, which keeps all that it passes; `off` is without any."""

    @jax.jit
    def loss(theta):
        _, record = RULE.f({}, problem.net.with_theta(theta), (), x, problem.signal, None)
        return jnp.mean(problem.signal.loss(record.output))

    x = jnp.asarray(problem.x)
    true = jax.jit(jax.grad(loss))(problem.net.theta)
    assert gap(taught(RULE, problem.net, x, problem.signal), true) < 1e-12
    assert off(RULE, problem) < 1e-6


def test_what_is_no_time_within_a_sample_is_silence():
    problem = PROBLEMS["one hidden layer"]
    alike = [
        _record(problem, np.concatenate([problem.x[:, :3], np.full((3, 1), none)], 1)).output
        for none in (np.nan, np.inf, -0.1, 4.0, 7.5)
    ]
    assert all(np.array_equal(a, alike[0]) for a in alike)
    without = problem.net.theta["input-hidden1"]["weight"].at[3].set(0)
    theta = problem.net.theta | {
        "input-hidden1": problem.net.theta["input-hidden1"] | {"weight": without}
    }
    assert (
        apart(
            recorded(RULE, problem.net.with_theta(theta), jnp.asarray(problem.x), None).output,
            alike[0],
        )
        < 1e-14
    )


def test_silent_units_have_no_gradient_and_the_readout_learns_its_bias():
    problem = PROBLEMS["one hidden layer"]
    quiet = problem.net.with_theta(jax.tree.map(lambda a: 0.01 * a, problem.net.theta))
    update = taught(RULE, quiet, jnp.asarray(problem.x), problem.signal)
    assert all(np.all(np.asarray(a) == 0) for a in update["input-hidden1"].values())
    assert np.all(np.asarray(update["hidden1-output"]["weight"]) == 0)
    assert np.any(np.asarray(update["hidden1-output"]["bias"]) != 0)


def test_spikes_that_there_is_no_room_for_are_counted_and_warned_of():
    problem = small(4, 5, 3, spikes=1, strength=20.0, mean=0.5)
    record = _record(problem)
    more = [
        [len(train) > 1 for train in simulated(problem.cell, problem.net.theta, x)[0][0]]
        for x in problem.x
    ]
    assert 0 < float(record.measures["lost"]) == np.mean(more) < 1
    assert np.array_equal(record["free"].cell["hidden1"]["lost"], more)
    said = RULE.advice({"lost": 0.25})
    assert said is not None and said.startswith("25 % of the units would have spiked once more")
    assert RULE.advice({"lost": 0.0}) is None is RULE.advice({})


def test_a_potential_that_only_just_comes_to_the_threshold_has_a_bounded_gradient():
    """v = w (y - y^2) has its top, w / 4, at the threshold 1: there dt/dv has no bound."""
    theta = {
        "input-hidden1": {"weight": jnp.full((1, 1), 4 + 1e-9), "bias": jnp.zeros(1)},
        "hidden1-output": {"weight": jnp.array([[1.0, -1.0]]), "bias": jnp.zeros(2)},
    }
    net = small(1, 1, 2).net.with_theta(theta)
    signal, x = Signal(jnp.array([[1.0, 0.0]]), CrossEntropy()), jnp.full((1, 1), 0.3)
    # From where the bound acts the gradient is that of the bound.
    graze = [0.01, 0.001]
    update = [taught(Eventprop(graze=g), net, x, signal)["input-hidden1"]["weight"] for g in graze]
    assert apart(update[1], 10 * update[0]) < 1e-9 and abs(float(update[0][0, 0])) < 100


def test_memory_is_that_of_spikes_and_not_of_time():
    """What is kept from f to g has no part that grows with the duration, and an array of as many
    numbers as there is room for spikes.
    """

    def kept(**numbers):
        net = mlp(4, 50, 3, activation=EventLIF(**numbers))
        shapes = eqx.filter_eval_shape(lambda: recorded(RULE, net, jnp.zeros((2, 4)), None))
        return sum(
            a.size * a.dtype.itemsize
            for a in jax.tree.leaves(eqx.filter(shapes, lambda a: hasattr(a, "dtype")))
        )

    assert kept(duration=400.0, tau_mem=200.0) == kept()
    assert kept(spikes=16) - kept(spikes=8) == kept(spikes=24) - kept(spikes=16) > 0


REFUSED = {
    "other units": (lambda: mlp(4, 5, 3), "units that are not event_lif: hidden1 (relu)"),
    "a cycle": (
        lambda: graph(
            {"input": 2, "a": 3, "output": 2},
            [("input", "a"), ("a", "a"), ("a", "output")],
            activation=EventLIF(),
        ),
        "a cycle",
    ),
    "norm": (
        lambda: mlp(4, 5, 3, activation="event_lif", norm=True),
        "input-hidden1, which carries something else than spikes",
    ),
    "few inputs": (
        lambda: mlp(4, 5, 3, activation="event_lif", fan_in=2),
        "input-hidden1, which is not dense",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_it_cannot_train_are_refused(name):
    build, said = REFUSED[name]
    with pytest.raises(RuleError, match="eventprop was given a network with ") as refused:
        RULE.accepts(build())
    assert said in refused.value.given


def test_units_in_continuous_time_are_refused_where_time_goes_in_steps():
    net = mlp(4, 5, 3, activation="event_lif")
    for name in ("bp", "bptt", "esn", "three_factor", "node_perturbation"):
        with pytest.raises(RuleError, match="units in continuous time") as refused:
            byway.rule(name).accepts(net)
        assert "eventprop, frozen" in refused.value.fix
    with pytest.raises(RuleError, match="a time step of event_lif units"):
        net["hidden1"].activate(jnp.zeros((1, 5)))
    with pytest.raises(RuleError, match="something put into"):
        net.forward(jnp.zeros((1, 4)), {"hidden1": jnp.ones((1, 5))})
    with pytest.raises(ConfigError, match="a current that decays faster"):
        byway.cell("event_lif", tau_syn=2.0)


def test_weights_into_such_units_have_a_mean_above_zero():
    weight = mlp(400, 500, 3, activation=EventLIF(strength=4.0, mean=2.0)).theta["input-hidden1"]
    deviation = np.std(weight["weight"])
    assert deviation == pytest.approx(0.1, rel=0.01)
    assert np.mean(weight["weight"]) == pytest.approx(2 * 0.1, rel=0.01)
