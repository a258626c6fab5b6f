"""Backpropagation through time against autodiff of the unrolled loop, finite differences and
backpropagation.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import by_hand
from byway.core.signal import Signal, SquaredError
from byway.network.builders import convnet, mlp, rnn
from byway.rules.backprop.bp import BP
from byway.rules.time.bptt import BPTT


@pytest.mark.parametrize("name", [*by_hand.STACKS, *by_hand.GRAPHS])
def test_update_is_autodiff_of_the_unrolled_loop(name):
    """Of stacks, and of graphs with every arrow there is; a weight into the clamped input has no
    update.
    """
    net, x, signal, _ = by_hand.in_time(name)
    assert (
        by_hand.largest_gap(
            by_hand.taught_in_time(BPTT(), net, x, signal).net, by_hand.gradient_in_time(name)
        )
        < 1e-12
    )


@pytest.mark.parametrize("name", ["one layer", "two layers"])
def test_update_is_the_finite_difference_of_twenty_weights(name):
    net, x, signal, _ = by_hand.in_time(name, seed=1)
    chosen, slopes = by_hand.differences_of_twenty(name, seed=1)
    mine = ravel_pytree(by_hand.taught_in_time(BPTT(), net, x, signal).net)[0][chosen]
    np.testing.assert_allclose(mine, slopes, rtol=1e-6, atol=1e-10)


def _flat(x, target):
    """Each step of each sequence as a sample of its own."""
    return x.reshape(-1, *x.shape[2:]), target.reshape(-1, target.shape[-1])


@pytest.mark.parametrize("kind", ["mlp", "convnet"])
def test_without_recurrent_projections_it_is_backprop_on_each_step(kind):
    """Weights of 1 / T make the sum over steps the mean over samples."""
    net = (
        mlp(6, 5, 4, 3, activation="tanh")
        if kind == "mlp"
        else convnet((4, 4, 1), (2,), 3, activation="tanh")
    )
    net = by_hand.with_biases(net)
    x, target, _ = by_hand.sequences(net["input"].size, 3)
    x = x.reshape(*x.shape[:2], *net["input"].shape)
    signal = Signal(target, SquaredError(), jnp.full(x.shape[:2], 1 / x.shape[1]))
    update = by_hand.taught_in_time(BPTT(), net, x, signal).net
    _, each, _ = by_hand.taught(BP(), net, *_flat(x, target), SquaredError())
    assert by_hand.largest_gap(update, each.net) < 1e-12


def test_recurrent_weights_of_zero_leave_backprop_on_each_step():
    """Nothing arrives from the step before; their own update is delta times the activity before,
    and not zero.
    """
    net = by_hand.with_biases(rnn(6, 5, 4, 3))
    silent = {
        name: {k: jnp.zeros_like(a) if name in net.recurrent else a for k, a in w.items()}
        for name, w in net.theta.items()
    }
    x, target, _ = by_hand.sequences(6, 3)
    update = by_hand.taught_in_time(
        BPTT(),
        net.with_theta(silent),
        x,
        Signal(target, SquaredError(), jnp.full(x.shape[:2], 1 / x.shape[1])),
    ).net
    forwards = {name: w for name, w in silent.items() if name not in net.recurrent}
    still = mlp(6, 5, 4, 3, activation="tanh").with_theta(forwards)
    _, each, _ = by_hand.taught(BP(), still, *_flat(x, target), SquaredError())
    assert by_hand.largest_gap({name: update[name] for name in forwards}, each.net) < 1e-12
    assert all(np.abs(update[name]["weight"]).max() > 1e-3 for name in net.recurrent)


def test_a_sequence_of_one_step_is_a_sample():
    net = by_hand.with_biases(rnn(6, 5, 3))
    x, target, weight = by_hand.sequences(6, 3, steps=1)
    update = by_hand.taught_in_time(BPTT(), net, x, Signal(target, SquaredError(), weight)).net
    true = jax.jit(
        jax.grad(
            lambda theta: by_hand.squared_error(
                by_hand.mlp_output(theta, x[:, 0], "tanh"), target[:, 0]
            )
        )
    )({name: w for name, w in net.theta.items() if name not in net.recurrent})
    assert by_hand.largest_gap({name: update[name] for name in true}, true) < 1e-12
    assert not np.any(update["hidden1-hidden1"]["weight"])
