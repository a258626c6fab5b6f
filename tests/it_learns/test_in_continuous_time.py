"""In continuous time units whose weights learn beat the same ones with a readout alone: spikes on
yin and yang, a neural ODE on digits.
"""

import numpy as np
import pytest

import byway

SEEDS = 2


@pytest.mark.slow
def test_eventprop_beats_frozen_layers_on_every_seed():
    task = byway.task("yin_yang", samples=2_000)
    net = byway.mlp(4, 40, 3, activation="event_lif")
    result, frozen = (
        byway.fit(
            net, byway.rule(name), task, epochs=20, batch=50, lr=0.01, seeds=SEEDS, progress=False
        )
        for name in ("eventprop", "frozen")
    )
    assert result.failures == {} == frozen.failures
    assert np.all(result.accuracy > frozen.accuracy), f"{result.accuracy}, {frozen.accuracy}"
    assert np.all(result.accuracy > 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bp", "checkpointed", "backsolve", "reversible_ode"])
def test_a_neural_ode_that_learns_beats_one_whose_readout_does_on_every_seed(name):
    task = byway.task("digits")
    net = byway.ode(task.input_shape, 32, task.outputs, steps=8)
    result, frozen = (
        byway.fit(net, byway.rule(rule), task, epochs=10, batch=32, seeds=SEEDS, progress=False)
        for rule in (name, "frozen")
    )
    assert result.failures == {} == frozen.failures
    assert np.all(result.accuracy > frozen.accuracy), f"{result.accuracy}, {frozen.accuracy}"
