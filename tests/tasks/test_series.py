"""Series that are generated: against independent solvers, plain loops and what is known of the
equations.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import byway
from byway.core.errors import ConfigError
from byway.tasks.lorenz import BETA, RHO, lorenz, velocity
from byway.tasks.mackey_glass import mackey_glass
from byway.tasks.narma10 import narma10

SMALL = {"length": 12, "warmup": 5, "samples": 3}


def _delayed(history, tau, end):
    """The Mackey-Glass equation stretch by stretch of one delay, each from the dense solution of
    the one before.
    """
    late, x, values = lambda t: history, history, {0: history}
    for first in range(0, end, tau):
        stretch = solve_ivp(
            lambda t, x, late=late: 0.2 * late(t - tau) / (1 + late(t - tau) ** 10) - 0.1 * x,
            (first, first + tau),
            [x],
            "DOP853",
            rtol=1e-12,
            atol=1e-12,
            dense_output=True,
        )
        late, x = (lambda t, s=stretch.sol: s(t)[0]), stretch.y[0, -1]
        values |= {t: late(t) for t in range(first + 1, first + tau + 1)}
    return [values[t] for t in range(end)]


@pytest.mark.parametrize("tau", [17, 3])
def test_mackey_glass_is_that_of_an_independent_solver(tau):
    ours = mackey_glass(np.array([1.2, 0.5]), 70, tau)
    for one, history in zip(ours, (1.2, 0.5), strict=True):
        np.testing.assert_allclose(one, _delayed(history, tau, 70), atol=2e-6)


def test_mackey_glass_stays_at_its_fixed_point_and_goes_there_where_that_is_stable():
    """0.2 x / (1 + x^10) = 0.1 x at x = 1. There its slopes are -0.4 by the delayed value and
    -0.1 by the present one: stable for delays below arccos(-1/4) / sqrt(0.15) = 4.7.
    """
    np.testing.assert_allclose(mackey_glass(np.ones(1), 100, 17), 1, rtol=1e-12)
    np.testing.assert_allclose(mackey_glass(np.array([0.6]), 400, 2)[0, -1], 1, atol=1e-6)
    assert np.ptp(mackey_glass(np.array([0.6]), 400, 8)[0, -50:]) > 0.1


def test_lorenz_is_that_of_an_independent_solver():
    start = np.array([[1.0, 2.0, 20.0], [-3.0, 0.5, 30.0]])
    ours = lorenz(start, 101)
    for one, at in zip(ours, start, strict=True):
        theirs = solve_ivp(
            lambda t, s: [
                10 * (s[1] - s[0]),
                s[0] * (28 - s[2]) - s[1],
                s[0] * s[1] - 8 / 3 * s[2],
            ],
            (0, 2),
            at,
            "DOP853",
            t_eval=np.arange(101) * 0.02,
            rtol=1e-12,
            atol=1e-12,
        )
        np.testing.assert_allclose(one, theirs.y.T, atol=1e-4)


def test_lorenz_rests_at_its_three_fixed_points():
    out = np.sqrt(BETA * (RHO - 1))
    points = np.array([[0.0, 0.0, 0.0], [out, out, RHO - 1], [-out, -out, RHO - 1]])
    np.testing.assert_allclose(velocity(*points.T), 0, atol=1e-12)
    np.testing.assert_allclose(lorenz(points, 20)[:, -1], points, atol=1e-9)


def test_narma_is_that_of_a_plain_loop():
    draw = np.random.default_rng(0).uniform(0, 0.5, 40)
    u, y = [0.0] * 9 + draw.tolist(), [0.0] * 10  # both zero before t = 0
    for t in range(9, 49):
        y.append(0.3 * y[-1] + 0.05 * y[-1] * sum(y[-10:]) + 1.5 * u[t - 9] * u[t] + 0.1)
    np.testing.assert_allclose(narma10(draw[None])[0], y[10:], rtol=1e-12)


def test_a_narma_that_runs_away_is_drawn_anew():
    """Of 400 sequences of 2,100 steps some do; of those that are handed out none."""
    draw = np.random.default_rng([0, 0])
    assert not np.isfinite(narma10(draw.uniform(0, 0.5, (400, 2_100)))).all()
    u, y = byway.task("narma10", length=2_000).generate(np.random.default_rng([0, 0]), 400)
    assert y.min() > 0 and y.max() <= 1.3
    assert u.min() >= 0 and u.max() <= 0.5
    # What is handed out obeys the equation.
    now, after, sums = (
        y[:, 9:-1],
        y[:, 10:],
        np.stack([y[:, 9 - i : -1 - i] for i in range(10)]).sum(0),
    )
    expected = 0.3 * now + 0.05 * now * sums + 1.5 * u[:, 1:-9] * u[:, 10:] + 0.1
    np.testing.assert_allclose(after, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["mackey_glass", "lorenz"])
def test_a_forecast_asks_for_what_comes_some_steps_later(name):
    """What is asked at t is shown at t + h; the first steps do not count."""
    task = byway.task(name, horizon=4, **SMALL)
    x, signal = task.batch(task.load()["train"], jnp.arange(3), jax.random.key(0))
    np.testing.assert_allclose(signal.target[:, 5:-4], x[:, 9:], rtol=1e-12)
    assert np.all(np.asarray(signal.weight)[:, :5] == 0)
    np.testing.assert_allclose(np.asarray(signal.weight)[:, 5:], 1 / 7, rtol=1e-12)


@pytest.mark.parametrize("name", ["mackey_glass", "lorenz", "narma10"])
def test_series_are_scored_in_their_own_units(name):
    """Answering the mean scores an NRMSE of 1; an error of one of the network's units is an RMSE of
    the mean deviation.
    """
    task = byway.task(name, **SMALL)
    splits = task.load()
    assert {k: s.size for k, s in splits.items()} == {"train": 3, "validation": 10, "test": 10}
    _, signal = task.batch(splits["test"], jnp.arange(10), jax.random.key(0))
    counted = np.asarray(signal.target)[:, 5:]
    score = {s.name: s for s in task.scores}
    value = lambda output: {
        name: score[name].of(np.asarray(part).sum(1).mean(0))
        for name, part in task.score(output, signal).items()
    }
    mean = value(jnp.broadcast_to(counted.mean((0, 1)), signal.target.shape))
    assert mean["nrmse"] == pytest.approx(1, rel=1e-9) and mean["r2"] == pytest.approx(0, abs=1e-9)
    off = value(signal.target + 1.0)
    assert off["rmse"] == pytest.approx(np.mean(task.target_deviation), rel=1e-9)
    assert value(signal.target)["nrmse"] == 0


def test_splits_do_not_depend_on_each_others_size():
    few, more = (byway.task("narma10", **SMALL | {"samples": n}).load() for n in (3, 7))
    np.testing.assert_array_equal(few["test"].x, more["test"].x)
    whole = np.concatenate([np.asarray(split.x)[:, :, 0] for split in few.values()])
    assert len(np.unique(whole, axis=0)) == len(whole)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("narma10", {"length": 0}, "length = 0"),
        ("lorenz", {"length": 5, "warmup": 5}, "warmup = 5 and length = 5"),
        ("mackey_glass", {"horizon": 0}, "horizon = 0"),
        ("mackey_glass", {"samples": 10_000, "length": 1_000_000}, "10,000 sequences"),
        ("smnist", {"pixels": 5}, "5 pixels"),
    ],
)
def test_a_series_that_leaves_nothing_to_learn_is_refused(name, settings, said):
    with pytest.raises(ConfigError, match=said):
        byway.task(name, **settings)
