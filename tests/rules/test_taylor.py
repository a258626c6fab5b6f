"""The learnable polynomial: each of its terms in NumPy, the rules that it contains, and the slope
by its coefficients.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import by_hand
from byway.core.errors import ConfigError, RuleError, ShapeError
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.meta.learn import Episode, episode_loss
from byway.network.builders import convnet, graph, mlp
from byway.rules.meta.taylor import DELTA, OJA, POWERS, Taylor, coefficients
from byway.tasks.digits import Digits

FREE = Taylor(bound=1e6)
DFA_TANH = coefficients({(1, 0, 0, 1): -1.0, (1, 2, 0, 1): 1.0})


def gamma_of(rule, net, hidden, output, seed=7):
    drawn = rule.init(net, jax.random.key(seed))
    return drawn | {"theta": {"hidden": jnp.asarray(hidden), "output": jnp.asarray(output)}}


def run(net, x):
    """Activities of a chain of tanh layers with a linear output, in NumPy."""
    h = {"input": np.asarray(x)}
    for p in net.projections:
        u = h[p.src] @ np.asarray(p.weight) + (0 if p.bias is None else np.asarray(p.bias))
        h[p.dst] = u if p.dst == "output" else np.tanh(u)
    return h


def softmax_error(y, target):
    return np.exp(y) / np.exp(y).sum(1, keepdims=True) - np.asarray(target)


def polynomial(theta, pre, post, weight, error):
    """What is added to a weight "pre post", term by term; a bias is the weight of an input that is
    always 1.
    """
    total = np.zeros_like(weight)
    for a, b, c, d in np.ndindex(POWERS):
        total += (
            theta[a, b, c, d]
            * np.einsum("bi,bj,bj->ij", pre**a, post**b, error**d)
            / len(pre)
            * weight**c
        )
    return total


def test_every_term_of_the_polynomial():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    hidden, output = np.random.default_rng(8).normal(size=(2, *POWERS))
    gamma = gamma_of(FREE, net, hidden, output)
    h = run(net, x)
    e = softmax_error(h["output"], target)
    expected = {}
    for p in net.projections:
        theta, error = (
            (output, e) if p.dst == "output" else (hidden, e @ np.asarray(gamma["feedback"][p.dst]))
        )
        with_one = np.concatenate([h[p.src], np.ones((len(x), 1))], 1)
        both = np.concatenate([np.asarray(p.weight), np.asarray(p.bias)[None]])
        change = polynomial(theta, with_one, h[p.dst], both, error)
        expected[p.name] = {"weight": jnp.asarray(-change[:-1]), "bias": jnp.asarray(-change[-1])}
    _, update, _ = by_hand.taught(FREE, net, x, target, gamma=gamma)
    assert by_hand.largest_gap(update.net, expected) < 1e-12


def test_it_starts_as_the_delta_rule_which_is_gradient_descent_on_a_linear_net():
    net = by_hand.with_biases(mlp(6, 3))
    x, target = by_hand.sample(6, 3)
    _, update, _ = by_hand.taught(FREE, net, x, target, SquaredError())
    error = run(net, x)["output"] - np.asarray(target)
    expected = {
        "weight": jnp.asarray(np.asarray(x).T @ error / len(x)),
        "bias": jnp.asarray(error.mean(0)),
    }
    assert by_hand.largest_gap(update.net, {"input-output": expected}) < 1e-12


def test_with_ojas_coefficients_it_is_ojas_rule():
    net = mlp(6, 1, bias=False)
    x, target = by_hand.sample(6, 1)
    _, update, _ = by_hand.taught(
        FREE, net, x, target, SquaredError(), gamma=gamma_of(FREE, net, OJA, OJA)
    )
    w = np.asarray(net.projections[0].weight)[:, 0]
    each = [y * (row - y * w) for row, y in zip(np.asarray(x), np.asarray(x) @ w, strict=True)]
    np.testing.assert_allclose(
        update.net["input-output"]["weight"][:, 0], -np.mean(each, 0), rtol=1e-12
    )


def test_ojas_rule_finds_the_first_principal_component_and_hebbs_runs_away():
    draw = np.random.default_rng(1)
    x = (
        draw.normal(size=(300, 6))
        @ np.diag([1.8, 1.2, 1.0, 0.8, 0.5, 0.3])
        @ np.linalg.qr(draw.normal(size=(6, 6)))[0]
    )
    x -= x.mean(0)
    net, signal = mlp(6, 1, bias=False), Signal(jnp.zeros((300, 1)), SquaredError())

    def after(theta, steps=500):
        gamma = gamma_of(FREE, net, theta, theta)

        @jax.jit
        def many(w):
            def step(w, _):
                record = FREE.f(
                    gamma, net.with_theta(w), (), jnp.asarray(x), signal, jax.random.key(0)
                )[1]
                update = FREE.g(gamma, net.with_theta(w), (), record, signal)[1].net
                return jax.tree.map(lambda a, b: a - 0.05 * b, w, update), None

            return jax.lax.scan(step, w, length=steps)[0]

        return np.asarray(many(net.theta)["input-output"]["weight"])[:, 0]

    w = after(OJA)
    first = np.linalg.eigh(x.T @ x)[1][:, -1]
    assert abs(w @ first) / np.linalg.norm(w) > 0.999
    assert np.linalg.norm(w) == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(after(coefficients({(1, 1, 0, 0): 1.0}))) > 1e6


def test_with_two_coefficients_it_is_direct_feedback_alignment_for_tanh():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    gamma = gamma_of(FREE, net, DFA_TANH, DELTA)
    h = run(net, x)
    e = softmax_error(h["output"], target)
    deltas = {
        name: (e @ np.asarray(b)) * (1 - h[name] ** 2) for name, b in gamma["feedback"].items()
    } | {"output": e}
    expected = {
        p.name: {
            "weight": jnp.asarray(h[p.src].T @ deltas[p.dst] / len(x)),
            "bias": jnp.asarray(deltas[p.dst].mean(0)),
        }
        for p in net.projections
    }
    _, update, _ = by_hand.taught(FREE, net, x, target, gamma=gamma)
    assert by_hand.largest_gap(update.net, expected) < 1e-12


def test_a_convolution_shares_the_polynomial_over_space():
    """Each position of the map is another pairing of pre and post; with powers of one that is the
    gradient's own sum.
    """
    net = by_hand.with_biases(convnet((4, 4, 2), (3,), 3, activation="tanh"))
    x, target = by_hand.sample((4, 4, 2), 3)
    gamma = gamma_of(FREE, net, DELTA, DELTA)
    _, update, record = by_hand.taught(FREE, net, x, target, gamma=gamma)
    error = softmax_error(np.asarray(record.output), target) @ np.asarray(
        gamma["feedback"]["conv1"]
    )
    conv = net.theta["input-conv1"]
    slopes = jax.grad(
        lambda w: jnp.sum(by_hand.convolution(x, **w, pool=2) * error.reshape(5, 2, 2, 3)) / 5
    )(conv)
    assert by_hand.largest_gap({"": update.net["input-conv1"]}, {"": slopes}) < 1e-12


@pytest.mark.slow
def test_the_slope_by_the_coefficients_is_that_of_finite_differences():
    """Through a whole episode of 20 steps on fresh weights, as the outer loop takes it; no
    coefficient is at zero.
    """
    task = Digits()
    splits, net = task.load(), mlp((8, 8, 1), 5, 10, activation="tanh")
    drawn = {role: jnp.asarray(DELTA) for role in ("hidden", "output")}
    flat, unflatten = ravel_pytree(drawn)
    flat = flat + 0.01 * jnp.asarray(np.random.default_rng(4).normal(size=flat.shape))

    def loss(flat):
        episode = Episode(steps=20, batch=8, lr=0.1)
        return episode_loss(
            unflatten(flat),
            FREE,
            net,
            task,
            splits["train"],
            splits["validation"],
            episode,
            jax.random.key(2),
        )

    step = 1e-5
    moved = flat[None] + step * np.concatenate([np.eye(len(flat)), -np.eye(len(flat))])
    up, down = np.split(np.asarray(jax.jit(lambda flats: jax.lax.map(loss, flats))(moved)), 2)
    slopes = jnp.asarray((up - down) / (2 * step))
    assert float(jnp.linalg.norm(slopes)) > 1e-2
    assert by_hand.apart(jax.jit(jax.grad(loss))(flat), slopes) < 1e-6


def test_the_slope_is_finite_where_activity_is_exactly_zero():
    """`0 ** 0` is one, and its derivative is no number unless the power is written out."""
    net = mlp(4, 5, 3)
    signal = Signal(jnp.eye(3)[:2], CrossEntropy())
    x = jnp.zeros((2, 4))

    def size(theta, net):
        gamma = gamma_of(FREE, net, theta, theta)
        record = FREE.f(gamma, net, (), x, signal, jax.random.key(0))[1]
        return sum(
            jnp.sum(a**2) for a in jax.tree.leaves(FREE.g(gamma, net, (), record, signal)[1].net)
        )

    slopes = eqx.filter_jit(jax.grad(size, allow_int=True))(jnp.ones(POWERS), net)
    assert np.all(np.isfinite(slopes))


@pytest.mark.parametrize("seed", range(3))
def test_feedback_is_unrelated_to_the_weights_even_where_both_are_drawn_from_one_key(seed):
    """The cosine of two independent random matrices of n entries has a standard deviation of 1 /
    sqrt(n).
    """
    net = mlp(10, 30, 20, 12, key=seed)
    feedback = Taylor().init(net, jax.random.key(seed))["feedback"]
    assert {name: b.shape for name, b in feedback.items()} == {
        "hidden1": (12, 30),
        "hidden2": (12, 20),
    }
    b, w = (
        np.asarray(feedback["hidden2"]).ravel(),
        np.asarray(net.theta["hidden2-output"]["weight"]).T.ravel(),
    )
    assert abs(b @ w) / (np.linalg.norm(b) * np.linalg.norm(w)) < 4 / np.sqrt(b.size)
    one, two = (np.asarray(feedback[name])[:, :20].ravel() for name in ("hidden1", "hidden2"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(one.size)
    assert np.std(np.concatenate([one, two])) == pytest.approx(1 / np.sqrt(12), rel=0.15)


def test_no_weight_changes_by_more_than_the_bound():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    table = np.random.default_rng(9).normal(size=POWERS)
    gamma = gamma_of(FREE, net, table, table)
    _, free, _ = by_hand.taught(FREE, net, x, target, gamma=gamma)
    _, bounded, _ = by_hand.taught(Taylor(bound=0.2), net, x, target, gamma=gamma)
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(b, np.clip(a, -0.2, 0.2)), free.net, bounded.net
    )
    sizes = np.abs(np.concatenate([np.ravel(a) for a in jax.tree.leaves(free.net)]))
    assert sizes.min() < 0.2 < sizes.max()


@pytest.mark.parametrize(
    "powers", [(2, 0, 0, 0), (0, 3, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2), (-1, 0, 0, 0)]
)
def test_a_power_that_the_polynomial_does_not_have_is_refused(powers):
    with pytest.raises(ShapeError, match="the powers"):
        coefficients({powers: 1.0})


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ConfigError, match="bound"):
        Taylor(bound=0.0)
    with pytest.raises(RuleError, match="taylor was given a network with a cycle"):
        Taylor().accepts(
            graph({"input": 3, "a": 4, "output": 2}, [("input", "a"), ("a", "a"), ("a", "output")])
        )
