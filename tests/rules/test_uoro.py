"""Unbiased online recurrent optimisation: exact on average, and noise around it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import by_hand
from byway.core.errors import RuleError
from byway.core.signal import Signal, SquaredError
from byway.learning.time import step_of
from byway.network.builders import convnet, mlp, rnn
from byway.network.network import Network
from byway.network.projections import Dense
from byway.rules.time.bptt import BPTT
from byway.rules.time.uoro import UORO
from byway.rules.time.uoro_checks import over_all_signs, slope
from byway.verify.oracle import in_time, taught


def _late(net):
    """The network with a projection to the output that takes two steps."""
    size = net["hidden1"].size
    late = Dense(
        "hidden1", "output", (size,), (2,), jnp.ones((size, 2)), None, label="late", delay=2
    )
    return Network(net.populations, (*net.projections, late), net.input, net.output)


NETS = {
    "tanh, two layers": lambda: rnn(2, 2, 1, 2, key=3),
    "tanh, normalised, a delay": lambda: _late(rnn(2, 2, 2, norm=True, key=3)),
    "gru": lambda: rnn(2, 1, 2, activation="gru", key=3),
    "lru": lambda: rnn(2, 1, 2, activation="lru", key=3),
    "alif": lambda: rnn(2, 2, 2, activation="alif", key=11),
}


@pytest.mark.parametrize("name", some(list(NETS), 2))
def test_the_mean_over_all_signs_is_the_gradient(name):
    net = by_hand.with_biases(NETS[name]())
    net = net.with_theta(jax.tree.map(lambda a: 3 * a, net.theta))
    x, target, weight = by_hand.sequences(2, 2, steps=3, batch=1)
    signal = Signal(target, SquaredError(), weight)
    expected = by_hand.taught_in_time(BPTT(), net, x, signal).net
    alive = [np.abs(w["weight"]).max() for w in expected.values() if "weight" in w]
    assert min(alive) > 1e-6, "it has to be alive"
    mean = over_all_signs(UORO(), net, x, signal)
    assert by_hand.largest_gap(mean, expected) < 1e-12


@pytest.mark.parametrize(
    ("counts", "times"),
    [
        ((30, 300, 3_000), 64),
        pytest.param((100, 1_000, 10_000, 100_000), 32, marks=pytest.mark.slow),
    ],
)
def test_the_error_of_a_mean_falls_with_the_root_of_the_number_of_draws(counts, times):
    """With signs of its own for each sample of a batch, or it would not fall at all."""
    assert slope(UORO(), counts, times) == pytest.approx(-0.5, abs=0.05)


def test_one_draw_is_noise_and_another_key_is_another_one():
    problem = in_time(2, 3, 2, steps=4)
    args = problem.net, problem.x, problem.signal
    one, again, other = (taught(UORO(), *args, key=key) for key in (0, 0, 1))
    assert by_hand.largest_gap(one, again) == 0
    assert by_hand.largest_gap(one, problem.gradient()) > 0.1
    for name in ("input-hidden1", "hidden1-hidden1"):
        assert by_hand.apart(one[name]["weight"], other[name]["weight"]) > 0.1
    assert (
        by_hand.largest_gap(
            {"hidden1-output": one["hidden1-output"]},
            {"hidden1-output": problem.gradient()["hidden1-output"]},
        )
        < 1e-12
    ), "what nothing remembers has no noise"


def test_signs_are_signs_and_of_each_step_and_sample():
    net, x, signal, _ = by_hand.in_time("one layer")
    state, _ = UORO().start({}, net, len(x))
    keys = jax.random.split(jax.random.key(0))
    drawn = [
        UORO().f({}, net, state, step_of(x, 0), signal.at(0), key)[1]["free"].injected
        for key in keys
    ]
    assert drawn[0].keys() == {"hidden1"}, "nothing remembers the output"
    first, second = (np.asarray(one["hidden1"]) for one in drawn)
    assert set(np.unique(first)) == {-1.0, 1.0}
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_memory_does_not_grow_with_the_length_of_a_sequence():
    held = []
    for steps in (64, 256, 1024):
        problem = in_time(3, 5, 2, steps=1)
        x, weight = (jnp.zeros((4, steps, n)) for n in (3, 2))
        signal = Signal(weight, SquaredError(), weight[..., 0])
        compiled = jax.jit(lambda *args: taught(UORO(), *args)).lower(problem.net, x, signal)
        held.append(compiled.compile().memory_analysis().temp_size_in_bytes)
    assert len(set(held)) == 1, held


def test_what_carries_nothing_is_refused():
    for net in (mlp(3, 4, 2), convnet((4, 4, 1), (2,), 3)):
        with pytest.raises(RuleError, match="uoro was given a network without recurrent"):
            UORO().accepts(net)
