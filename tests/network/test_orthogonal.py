"""Orthogonal projections and networks of them: W by its angles, the way back, and what becomes of
errors over many steps.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from byway.core.errors import ConfigError, RuleError, ShapeError
from byway.core.signal import Signal, SquaredError
from byway.network.activations import leaky_relu
from byway.network.back import step_back
from byway.network.blueprint import arrays_of, blueprint, built
from byway.network.builders import orthogonal, rnn
from byway.network.orthogonal import Orthogonal
from byway.network.projections import Skip
from byway.rules.time.bptt import BPTT
from byway.rules.time.reversible import Reversible
from byway.rules.time.rtrl import RTRL
from byway.verify.oracle import drawn, gap, taught


def _rotation(units, stages=None, seed=0, bias=False):
    """One with angles of any size, of which NumPy draws the bias, too."""
    net = orthogonal(2, units, 1)
    p = Orthogonal.between(net["hidden1"], net["hidden1"], stages, bias=bias)
    draw = np.random.default_rng(seed)
    return p.with_theta({k: jnp.asarray(5 * draw.normal(size=a.shape)) for k, a in p.theta.items()})


def _by_hand(angles):
    """W of x -> x W, one plane rotation after the other, by NumPy."""
    units = 2 * angles.shape[1]
    w = np.eye(units)
    for stage in np.asarray(angles):
        turn = np.eye(units)
        for j, a in enumerate(stage):
            p, q = 2 * j, 2 * j + 1
            turn[p, p], turn[p, q], turn[q, p], turn[q, q] = np.cos([a] * 4)
            turn[p, q], turn[q, p] = np.sin(a), -np.sin(a)
        w = w @ turn[:, [*range(0, units, 2), *range(1, units, 2)]]
    return w


@pytest.mark.parametrize(("units", "stages"), [(2, None), (6, None), (8, None), (10, 7)])
def test_it_is_orthogonal_whatever_the_angles(units, stages):
    """And mixes every unit with every other, by as few stages as it has by default."""
    p = _rotation(units, stages)
    w = np.asarray(jax.jit(lambda p: p.forward(jnp.eye(units)))(p))
    assert np.abs(w @ w.T - np.eye(units)).max() < 1e-12
    assert np.abs(w - _by_hand(p.weight)).max() < 1e-12
    assert np.abs(w).min() > 1e-9
    assert len(p.weight) == (stages or int(np.ceil(np.log2(units))))


def test_its_three_operations_and_its_inverse():
    """The update by angles is autodiff's of the dense product."""
    p, draw = _rotation(6, bias=True), np.random.default_rng(1)
    pre, delta = (jnp.asarray(draw.normal(size=(4, 6))) for _ in range(2))

    @jax.jit
    def both(p):
        loss = lambda theta: jnp.sum(p.with_theta(theta).forward(pre) * delta) / 4
        there = p.forward(pre)
        return p.outer(pre, delta), jax.grad(loss)(p.theta), p.inverse(there), p.backward(delta)

    update, true, again, back = both(p)
    assert gap({"": update}, {"": true}) < 1e-12
    assert np.abs(again - pre).max() < 1e-12
    assert np.abs(back - delta @ _by_hand(p.weight).T).max() < 1e-12
    with pytest.raises(NotImplementedError, match="Dense"):
        rnn(2, 4, 1).projections[0].inverse(pre)


def test_some_units_of_a_population_are_read_and_others_are_not():
    part, pre = Skip(src="a", dst="b", src_shape=(2, 3), units=4), np.arange(12.0).reshape(2, 2, 3)
    assert part.dst_shape == (4,)
    assert np.array_equal(part.forward(jnp.asarray(pre)), pre.reshape(2, 6)[:, :4])
    back = np.asarray(part.backward(jnp.ones((2, 4))))
    assert back.shape == (2, 2, 3)
    assert np.array_equal(back.reshape(2, 6), [[1, 1, 1, 1, 0, 0]] * 2)


def _data(steps, inputs=3, outputs=2, batch=3):
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(batch, steps, inputs)))
    target = jnp.asarray(draw.normal(size=(batch, steps, outputs)))
    return x, Signal(target, SquaredError(), jnp.full((batch, steps), 1 / steps))


@pytest.mark.parametrize("activation", ["identity", leaky_relu(0.5)])
def test_going_back_has_the_gradient_of_a_stored_run(activation):
    """Two layers, and units that nothing but the layer itself reads."""
    net = drawn(orthogonal, 3, 6, 4, 2, dummies=2, activation=activation)
    Reversible().accepts(net)
    mine, true = (taught(rule, net, *_data(12)) for rule in (Reversible(), BPTT()))
    assert gap(mine, true) < 1e-10


def _missed(activation, steps):
    """By how much a sequence taken back misses rest, for each step on the way."""
    net, x = drawn(orthogonal, 3, 8, 2, activation=activation), _data(steps)[0]

    @jax.jit
    def run():
        there = lambda state, x: (net.step(x, state)[0], None)

        def home(state, x):
            before, phase = step_back(net, x, state)
            return before, jnp.max(jnp.abs(phase.post["hidden1"]))

        last, _ = jax.lax.scan(there, net.rest(len(x)), jnp.moveaxis(x, 1, 0))
        start, _ = jax.lax.scan(home, last, jnp.moveaxis(x, 1, 0), reverse=True)
        return jnp.max(jnp.abs(start.due["hidden1"][1]))

    return float(run())


def test_a_thousand_steps_of_an_isometry_are_taken_back():
    """The identity; and a slope of 1/2 below zero loses half a bit of each unit and step: what
    rounding missed is as much larger at the start, by no more than 2^steps.
    """
    assert _missed("identity", 1000) < 1e-10
    few, many = _missed(leaky_relu(0.5), 20), _missed(leaky_relu(0.5), 60)
    assert few < 1e-10
    assert 2**10 * few < many < 2**60 * 1e-15


def test_an_error_neither_fades_nor_grows_over_a_thousand_steps():
    """Where that of Elman's network is gone."""

    def left(net):
        """How long the error of the last state is at the first, of one that was 1 long."""
        x = _data(1000, batch=1)[0]

        @jax.jit
        def run(state):
            there = lambda state, x: (net.step(x, state)[0], None)
            last, back = jax.vjp(lambda s: jax.lax.scan(there, s, jnp.moveaxis(x, 1, 0))[0], state)
            error = jax.tree.map(lambda a: jnp.ones_like(a) / jnp.sqrt(a.size), last)
            return jnp.linalg.norm(back(error)[0].due["hidden1"][1])

        return float(run(net.rest(1)))

    assert left(drawn(orthogonal, 3, 8, 2, activation="identity")) == pytest.approx(1, rel=1e-10)
    assert left(drawn(rnn, 3, 8, 2)) < 1e-12


def test_a_leaky_relu_and_its_inverse():
    u, phi = jnp.asarray([-2.0, -0.5, 0.0, 3.0]), leaky_relu(0.25)
    assert np.array_equal(phi.phi(u), [-0.5, -0.125, 0, 3])
    assert np.array_equal(phi.slope(u), [0.25, 0.25, 0.25, 1])
    assert np.array_equal(phi.inverse(phi.phi(u)), u)
    assert phi.gain == 2 / (1 + 1 / 16)
    assert leaky_relu().phi(u)[0] == -0.02


def test_a_network_of_rotations_is_written_down_and_built_again():
    net = orthogonal(2, 4, 1, dummies=2, activation=leaky_relu(0.5), key=3)
    again = built(json.loads(json.dumps(blueprint(net))), arrays_of(net))
    assert jax.tree.structure(again) == jax.tree.structure(net.as_learnt())
    both = zip(jax.tree.leaves(again), jax.tree.leaves(net), strict=True)
    assert all(np.array_equal(a, b) for a, b in both)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: orthogonal(2, 5, 1), ShapeError),
        (lambda: orthogonal(2, 4, 1, dummies=1), ShapeError),
        (lambda: orthogonal(2, 1), ShapeError),
        (lambda: orthogonal(2, 4, 1, dummies=-1), ConfigError),
        (lambda: orthogonal(2, 4, 1, stages=0), ConfigError),
        (lambda: leaky_relu(0.0), ConfigError),
        (lambda: leaky_relu(1.5), ConfigError),
        (lambda: Skip(src="a", dst="b", src_shape=(4,), units=5), ShapeError),
        (lambda: RTRL().accepts(orthogonal(2, 4, 1)), RuleError),
        (lambda: Reversible().accepts(orthogonal(2, 4, 1, activation="tanh")), RuleError),
        (lambda: Reversible().accepts(orthogonal(2, 4, 1, norm=True)), RuleError),
    ],
)
def test_what_cannot_be_is_refused(make, error):
    with pytest.raises(error):
        make()
