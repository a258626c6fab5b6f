"""Going back bit for bit: the buffer against the bits that were forgotten, whole batches, and what
memory it takes.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from byway.core.errors import RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.builders import coupled
from byway.network.cells.gru import GRU
from byway.network.cells.rev_lstm import RevLSTM
from byway.network.fixed import SPARE, empty, popped, pushed, size
from byway.rules.time.bptt import BPTT
from byway.rules.time.reversible_exact import ReversibleExact
from byway.training.step import Optimisers, learn, new_learner

STILL = Optimisers(optax.sgd(0.1), optax.sgd(0.1))


def test_what_is_pushed_is_popped_for_the_bits_it_is_worth():
    """Thousands of gates of every size: the same numbers come back, and the buffer holds the sum of
    -log2 z, to a bit. A gate of one costs nothing, one of 2^-10 ten bits.
    """
    steps, units, draw = 3000, 40, np.random.default_rng(0)
    z = draw.integers(1, 1025, (steps, units))
    z[:, 0], z[:, 1], z[:, 2] = 1024, 1, 1023
    low = draw.integers(0, 1024, (steps, units))

    @jax.jit
    def run(z, low):
        def there(buffer, now):
            buffer, rest = popped(pushed(buffer, now[1], 1024), now[0])
            return buffer, (rest, buffer.top)

        def home(buffer, now):
            return popped(pushed(buffer, now[1], now[0]), 1024)

        begun = empty(units, 10 * steps)
        last, (rest, top) = jax.lax.scan(there, begun, (z, low))
        again, found = jax.lax.scan(home, last, (z, rest), reverse=True)
        return begun, again, found, size(last), top, rest

    begun, again, found, bits, top, rest = run(*(jnp.asarray(a, jnp.uint32) for a in (z, low)))
    np.testing.assert_array_equal(found, low)
    np.testing.assert_array_equal(again.head, begun.head)
    np.testing.assert_array_equal(again.top, begun.top)
    assert np.all(np.asarray(rest) < z)
    assert int(top.min()) >= SPARE - 1
    assert int(top.max()) < begun.stack.shape[1]
    np.testing.assert_allclose(bits, -np.log2(z / 1024).sum(0), rtol=1e-3, atol=1.0)


def _data(steps, batch, dtype="float32"):
    draw = np.random.default_rng(0)
    x, y = (jnp.asarray(draw.normal(size=(batch, steps, n)), dtype) for n in (3, 2))
    return x, Signal(y, SquaredError(), jnp.full((batch, steps), 1 / steps, dtype))


def _step(rule, cell, steps, batch=2, units=8, every=None):
    """The compiled step of a learner in single precision, and its arguments."""
    net = coupled(3, units, 2, activation=cell, key=1)
    net, (x, signal) = jax.tree.map(lambda a: a.astype("float32"), net), _data(steps, batch)
    learner = new_learner(rule, net, STILL, x, signal, jax.random.key(0))
    score = lambda output, signal: {"loss": signal.loss(output)}
    step = jax.jit(
        lambda learner, x, signal: learn(rule, STILL, learner, x, signal, score, every=every)
    )
    return step, (learner, x, signal)


@pytest.mark.parametrize(
    "cell", [GRU(), pytest.param(RevLSTM(), marks=pytest.mark.slow)], ids=lambda cell: cell.name
)
def test_a_batch_meets_its_start_to_the_bit(cell):
    """As training runs it, scores, several updates a sequence and all; a buffer lasts as long as
    its piece.
    """
    step, arguments = _step(ReversibleExact(), cell, 600, every=200)
    _, scores = step(*arguments)
    assert float(scores["drift"]) == 0
    assert 0.5 < float(scores["bits"]) < 2
    assert np.isfinite(float(scores["loss"]))


@pytest.mark.slow
def test_memory_grows_by_a_tenth_of_what_bptt_stores():
    """Three bits and some spare for each unit and step, beside the outputs of nothing."""

    def slope(rule):
        held = []
        for steps in (64, 576):
            step, arguments = _step(rule, GRU(keep=0.125), steps, units=32)
            memory = step.lower(*arguments).compile().memory_analysis()
            held.append(memory.temp_size_in_bytes)
        return (held[1] - held[0]) / 512 / (32 * 2)

    mine = slope(ReversibleExact())
    assert mine < 2 * 3.1 / 8, f"{mine} bytes a unit and step"
    assert mine < slope(BPTT()) / 10


@pytest.mark.slow
def test_a_state_too_large_for_its_fixed_point_is_no_number():
    """A forget gate of one under a lasting drive: c would be 200 after as many steps."""
    step, (learner, x, signal) = _step(ReversibleExact(), RevLSTM(), 200)
    theta = jax.tree.map(jnp.zeros_like, learner.net.theta)
    half = jnp.full(5 * 4, 20.0, "float32")
    for name in ("input-hidden1a", "input-hidden1b"):
        theta[name]["bias"] = half
    learner = learner.__class__(**{**vars(learner), "net": learner.net.with_theta(theta)})
    assert np.isnan(float(step(learner, x, signal)[1]["loss"]))


def test_units_that_forget_nothing_are_left_to_reversible():
    with pytest.raises(RuleError, match="reversible_exact was given units that forget nothing"):
        ReversibleExact().accepts(coupled(3, 4, 2))


def test_a_start_that_was_missed_is_said_in_words():
    assert ReversibleExact().advice({"drift": 0.0}) is None
    assert "use bptt" in ReversibleExact().advice({"drift": 1e-7})
