"""Online training through time: traces of what arrives against autodiff's gradient, BPTT and the
eligibility of e-prop.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.builders import convnet, mlp, rnn
from byway.rules.time.bptt import BPTT
from byway.rules.time.eprop import Eprop
from byway.rules.time.ottt import OTTT
from byway.training.step import Optimisers, learn, new_learner
from byway.verify.oracle import taught

STEPS = 8


def _problem(net, outputs=2):
    net = by_hand.with_biases(net)
    net = net.with_theta(jax.tree.map(lambda a: 3 * a, net.theta))
    x, target, weight = by_hand.sequences(net["input"].size, outputs, steps=STEPS)
    x = x.reshape(*x.shape[:2], *net["input"].shape)
    return net, x, Signal(target, SquaredError(), weight)


LAYERS = {
    "lif": lambda: mlp(3, 5, 2, activation="lif", key=3),
    "leaky, a leaky readout": lambda: mlp(3, 2, activation="leaky", key=3),
    "a convolution of lif": lambda: convnet((4, 4, 1), (2,), 2, activation="lif", key=3),
}


@pytest.mark.parametrize("name", LAYERS)
def test_one_layer_that_remembers_learns_by_bptt(name):
    problem = _problem(LAYERS[name]())
    expected = by_hand.taught_in_time(BPTT(), *problem).net
    assert all(np.abs(w["weight"]).max() > 1e-6 for w in expected.values()), "it has to be alive"
    assert by_hand.largest_gap(by_hand.taught_in_time(OTTT(), *problem).net, expected) < 1e-12


@pytest.mark.parametrize("layers", [1, 2])
def test_on_leaky_sums_it_is_eprop_with_symmetric_feedback(layers):
    """Whose traces are tested against a loop that is cut; and not BPTT, where units act on others
    that remember.
    """
    cell = byway.cell("lif", steepness=0.1)
    problem = _problem(rnn(*(3, 5, 4)[: layers + 1], 2, activation=cell, key=5))
    mine = by_hand.taught_in_time(OTTT(), *problem).net
    other = by_hand.taught_in_time(Eprop(symmetric=True), *problem).net
    assert all(np.abs(w["weight"]).max() > 1e-6 for w in other.values()), "it has to be alive"
    assert by_hand.largest_gap(mine, other) < 1e-12
    assert by_hand.largest_gap(mine, by_hand.taught_in_time(BPTT(), *problem).net) > 1e-3


def test_an_update_each_step_is_gradient_descent_along_the_way():
    """Variant O, in NumPy: one layer of leaky units, whose traces outlast the weights."""
    net, x, signal = _problem(mlp(3, 4, 2, activation="leaky", bias=False, key=3))
    sgd = Optimisers(optax.sgd(0.3), optax.sgd(0.3))
    learner = new_learner(OTTT(), net, sgd, x, signal, jax.random.key(0))
    theta = {name: np.array(w["weight"]) for name, w in learner.net.theta.items()}
    learnt = jax.jit(lambda learner: learn(OTTT(), sgd, learner, x, signal, every=1)[0].net.theta)(
        learner
    )
    alpha, v, a = np.exp(-1 / 5.0), np.zeros((len(x), 4)), np.zeros((len(x), 3))
    for t in range(STEPS):
        now = np.asarray(x[:, t])
        v = alpha * v + (1 - alpha) * now @ theta["input-hidden1"]
        a = alpha * a + now
        h = np.tanh(v)
        error = (h @ theta["hidden1-output"] - np.asarray(signal.target[:, t])) * np.asarray(
            signal.weight[:, t, None]
        )
        delta = error @ theta["hidden1-output"].T * (1 - alpha) * (1 - h**2)
        theta["hidden1-output"] = theta["hidden1-output"] - 0.3 * h.T @ error / len(x)
        theta["input-hidden1"] = theta["input-hidden1"] - 0.3 * a.T @ delta / len(x)
    expected = {name: {"weight": w} for name, w in theta.items()}
    assert by_hand.largest_gap(learnt, expected) < 1e-12


def test_memory_does_not_grow_with_the_length_of_a_sequence():
    net, held = rnn(3, 5, 2, activation="lif", key=1), []
    for steps in (64, 256, 1024):
        x, target = (jnp.zeros((4, steps, n)) for n in (3, 2))
        signal = Signal(target, SquaredError(), target[..., 0])
        compiled = jax.jit(lambda *args: taught(OTTT(), *args)).lower(net, x, signal).compile()
        held.append(compiled.memory_analysis().temp_size_in_bytes)
    assert len(set(held)) == 1, held


@pytest.mark.parametrize(
    "cell",
    [
        "alif",
        "gru",
        "lru",
        byway.cell("lif", hard=True),
        byway.cell("lif", detached=False),
    ],
    ids=str,
)
def test_what_is_more_than_a_leaky_sum_is_refused_and_rules_that_take_it_are_named(cell):
    net = rnn(3, 4, 2, activation=cell)
    with pytest.raises(RuleError, match="in hidden1, whose state is more than a leaky sum") as said:
        OTTT().accepts(net)
    assert "bptt" in said.value.fix
    with pytest.raises(RuleError, match="units without a state"):
        OTTT().accepts(rnn(3, 4, 2))
