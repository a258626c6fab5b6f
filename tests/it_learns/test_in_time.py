"""On a delayed exclusive or every rule that trains a recurrent network beats the reservoir that is
only read.
"""

import numpy as np
import pytest

import byway
from byway.network.builders import rnn

pytestmark = pytest.mark.slow
SEEDS, EPOCHS = 4, 2


def _trained(name, activation="tanh", seeds=SEEDS, epochs=EPOCHS):
    task = byway.task("delayed_xor", gap=4, wait=1, samples=2_000)
    net = rnn(task.input_shape, 16, task.outputs, activation=activation)
    return byway.fit(
        net, byway.rule(name), task, epochs=epochs, batch=32, lr=5e-3, seeds=seeds, progress=False
    )


@pytest.fixture(scope="module")
def frozen():
    return _trained("frozen")


@pytest.mark.parametrize("name", ["eprop", "ottt"])
def test_rule_beats_the_reservoir_of_spiking_units_on_every_seed(name):
    """A reservoir of leaky units that spike is a good one (57 to 98 % after two epochs), so both
    train until they have settled.
    """
    seeds = 8
    frozen, result = (_trained(name, "lif", seeds, 12) for name in ("frozen", name))
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{name}: {result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(seeds)
    assert np.all(result.accuracy > 0.98)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        *((name, 0.95) for name in ("bptt", "rtrl", "tbptt", "ostl")),
        # Of noise around the gradient, and of one step of influence in place of all.
        ("uoro", 0.85),
        ("snap", 0.65),
        ("rollback", 0.95),
    ],
)
def test_rule_beats_the_reservoir_on_every_seed(name, least, frozen):
    """By more than three standard errors of the paired difference, too: the spread over seeds sets
    the tolerance.
    """
    result = _trained(name)
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{name}: {result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(SEEDS)
    assert np.all(result.accuracy > least)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("reversible", byway.cell("integrator", h=0.5)),
        ("reversible_exact", byway.cell("gru", keep=0.125)),
    ],
)
def test_rules_that_go_back_beat_the_reservoir_of_coupled_halves_on_every_seed(name, cell):
    """Against the very same network with frozen recurrent weights; what was gone back is checked
    by the loop itself.
    """
    task = byway.task("delayed_xor", gap=4, wait=1, samples=2_000)
    net = byway.coupled(task.input_shape, 16, task.outputs, activation=cell)
    frozen, result = (
        byway.fit(
            net, byway.rule(rule), task, epochs=4, batch=32, lr=5e-3, seeds=SEEDS, progress=False
        )
        for rule in ("frozen", name)
    )
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{name}: {result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(SEEDS)
    assert np.all(result.accuracy > 0.95)


def test_a_layer_that_cannot_forget_learns_with_room_beside_what_is_read():
    """Two units are read, and fourteen are there for what the answer does not depend on: against
    the same rotations, frozen.
    """
    task = byway.task("delayed_xor", gap=4, wait=1, samples=2_000)
    net = byway.orthogonal(
        task.input_shape, 2, task.outputs, dummies=14, activation=byway.leaky_relu(0.5)
    )
    frozen, result = (
        byway.fit(
            net, byway.rule(rule), task, epochs=8, batch=32, lr=1e-2, seeds=SEEDS, progress=False
        )
        for rule in ("frozen", "reversible")
    )
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(SEEDS)
    assert np.all(result.accuracy > 0.95)
