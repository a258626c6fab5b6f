"""Difference target propagation against targets written out here, Gauss-Newton steps, and the loss
of the inverses by autodiff.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.rules.targets.dtp import DTP
from byway.training.step import Optimisers, learn, new_learner

EXACT = 1e-12
SIZES = {"input": 8, "a": 7, "b": 6, "output": 4}
SKIPS = [
    ("input", "a"),
    ("input", "b"),
    ("a", "b"),
    ("a", "output"),
    ("b", "output"),
    ("input", "output"),
]
NETS = {
    "mlp": lambda **o: byway.mlp(4, 5, 6, 3, **o),
    "convnet": lambda **o: byway.convnet((8, 8, 2), (2, 3), 3, hidden=(5,), **o),
    "skips": lambda **o: byway.graph(SIZES, SKIPS, **o),
    "bent output": lambda **o: byway.graph(
        {"input": 4, "a": 5, "output": 3},
        [("input", "a"), ("a", "output")],
        activation={"a": "tanh", "output": "sigmoid"},
    ),
}


def network(kind, **options):
    return by_hand.with_biases(NETS[kind](**({"activation": "tanh"} | options)))


def sample(net):
    return by_hand.sample(net["input"].shape, net["output"].size)


def drawn_feedback(net, seed=4):
    """Feedback with biases that are not zero."""
    draw = np.random.default_rng(seed)
    gamma = jax.eval_shape(lambda: DTP().init(net, jax.random.key(0)))
    return jax.tree.map(lambda a: jnp.asarray(draw.normal(scale=0.4, size=a.shape)), gamma)


def current(sent, w):
    """What weights do to what is sent; a convolution pools by 2."""
    if w["weight"].ndim == 4:
        return by_hand.convolution(sent, w["weight"], w["bias"], pool=2)
    return sent.reshape(len(sent), -1) @ w["weight"] + w.get("bias", jnp.zeros(1))[None]


def guesses(gamma, activity, phi="tanh"):
    """What the feedback takes each hidden population for, from the activity of those that it
    projects to.
    """
    totals = {}
    for name, weight in gamma["V"].items():
        src, dst = name.split("-")
        w = {"weight": weight, "bias": jnp.zeros(weight.shape[-1])}
        like, told = jnp.zeros_like(activity[src]), activity[dst]
        (back,) = jax.vjp(lambda h, w=w, told=told: current(h, w).reshape(told.shape), like)[1](
            told
        )
        totals[src] = totals.get(src, 0.0) + back
    return {
        name: by_hand.PHI[phi](total + gamma["c"][name][None]) for name, total in totals.items()
    }


@pytest.mark.parametrize("loss", by_hand.LOSSES)
@pytest.mark.parametrize("kind", ["mlp", "convnet", "skips"])
def test_targets_and_update_are_those_of_the_equations(kind, loss):
    net = network(kind)
    x, target = sample(net)
    criterion, by_eye = by_hand.LOSSES[loss]
    gamma, rule = drawn_feedback(net), DTP(step=0.3)
    _, update, record = by_hand.taught(rule, net, x, target, criterion, gamma)
    h = record["free"].post

    @jax.jit
    def by_hand_update(theta, h):
        error = jax.grad(lambda y: len(x) * by_eye(y, target))(h["output"])
        targets = h | {"output": h["output"] - 0.3 * error}
        for population in reversed(net.hidden):  # its target needs those of all that it projects to
            name = population.name
            targets[name] = h[name] + guesses(gamma, targets)[name] - guesses(gamma, h)[name]

        def loss_of_layers(theta):
            """Half the distance of every layer from its target, each as it is made from the
            activity below.
            """
            total = 0.0
            for population in net.populations[1:]:
                name = population.name
                u = sum(
                    current(h[p.src], theta[p.name]).reshape(h[name].shape)
                    for p in net.incoming(name)
                )
                made = u if name == "output" else jnp.tanh(u)
                total = total + jnp.sum((made - targets[name]) ** 2) / 2
            return total / (0.3 * len(x))

        return jax.grad(loss_of_layers)(theta)

    assert by_hand.largest_gap(update.net, by_hand_update(net.theta, h)) < 1e-10


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("kind", ["mlp", "convnet", "skips"])
def test_feedback_learns_by_the_slope_of_how_badly_it_guesses_and_the_weights_by_nothing_of_it(
    kind, norm
):
    net = network(kind, norm=norm)
    x, target = sample(net)
    gamma = drawn_feedback(net)
    _, update, record = by_hand.taught(DTP(sigma=0.2), net, x, target, gamma=gamma)
    free, noisy = record["free"], record["noisy"]

    @jax.jit
    def slope(gamma):
        def loss(gamma):
            found = guesses(gamma, free.post | noisy.post)
            return sum(
                jnp.sum((a - free.post[name] - noisy.injected[name]) ** 2)
                for name, a in found.items()
            ) / (2 * len(x))

        return jax.grad(loss)(gamma)

    true = slope(gamma)
    for part in ("V", "c"):
        assert update.gamma[part].keys() == true[part].keys() == gamma[part].keys()
        assert (
            max(by_hand.apart(update.gamma[part][name], a) for name, a in true[part].items())
            < EXACT
        )
    louder = by_hand.taught(DTP(sigma=2.0), net, x, target, gamma=gamma)[1]
    other = by_hand.taught(DTP(sigma=0.2), net, x, jnp.roll(target, 1, 1), gamma=gamma)[1]
    for name, w in update.net.items():
        np.testing.assert_array_equal(louder.net[name]["weight"], w["weight"])
    jax.tree.map(np.testing.assert_array_equal, other.gamma, update.gamma)


def test_with_exact_inverses_each_layer_is_told_the_gauss_newton_step():
    """Linear, square, V = W^-1: t_l - h_l = -step e (W_{l+1} ... W_L)^-1, so that h_l + t_l - h_l
    alone would take the step.
    """
    net = by_hand.with_biases(byway.mlp(4, 4, 4, 4, activation="identity"))
    x, target = by_hand.sample(4, 4)
    inverse = {
        p.name: jnp.asarray(np.linalg.inv(np.asarray(p.weight)).T)
        for p in net.projections
        if p.src != "input"
    }
    gamma = {"V": inverse, "c": {"hidden1": jnp.ones(4), "hidden2": jnp.zeros(4)}}
    rule = DTP(step=0.5)
    _, update, record = by_hand.taught(rule, net, x, target, SquaredError(), gamma)
    error = np.asarray(record.output) - np.asarray(target)
    w2, w3 = (np.asarray(p.weight) for p in net.projections[1:])
    for name, product in (("hidden1-hidden2", w3), ("input-hidden1", w2 @ w3)):
        delta = np.linalg.solve(product.T, error.T).T
        np.testing.assert_allclose(delta @ product, error, rtol=1e-9)
        pre = np.asarray(record["free"].pre[name])
        assert by_hand.apart(update.net[name]["weight"], pre.T @ delta / len(pre)) < 1e-9
        assert by_hand.apart(update.net[name]["bias"], delta.mean(0)) < 1e-9


def test_as_the_step_tends_to_zero_the_feedback_acts_by_its_slope():
    """An error of the order of the step is left; the output's delta is the error at any step."""
    net = network("mlp")
    x, target = sample(net)
    gamma = drawn_feedback(net)
    h = by_hand.recorded(DTP(), net, x, Signal(target, CrossEntropy()))["free"].post
    (v2, v3), c = gamma["V"].values(), gamma["c"]
    e = np.asarray(jax.nn.softmax(h["output"]) - target)
    slope = lambda a: 1 - np.tanh(np.asarray(a)) ** 2
    back3 = e @ np.asarray(v3).T * slope(h["output"] @ v3.T + c["hidden2"][None])
    back2 = back3 @ np.asarray(v2).T * slope(h["hidden2"] @ v2.T + c["hidden1"][None])
    deltas = {
        "hidden2": back3 * (1 - np.asarray(h["hidden2"]) ** 2),
        "hidden1": back2 * (1 - np.asarray(h["hidden1"]) ** 2),
    }
    off = []
    for step in (1e-2, 1e-3):
        update = by_hand.taught(DTP(step=step), net, x, target, gamma=gamma)[1].net
        assert by_hand.apart(update["hidden2-output"]["bias"], e.mean(0)) < EXACT
        off.append(
            by_hand.apart(
                update["input-hidden1"]["weight"], np.asarray(x).T @ deltas["hidden1"] / len(x)
            )
        )
        assert (
            by_hand.apart(update["hidden1-hidden2"]["bias"], deltas["hidden2"].mean(0)) < 10 * step
        )
    assert off[0] / off[1] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("kind", NETS)
def test_without_an_error_no_weight_moves_whatever_the_feedback(kind):
    """The difference: what the inverse gets wrong is taken off again, to the last bit."""
    net = network(kind)
    x, target = sample(net)
    record = by_hand.recorded(DTP(), net, x, Signal(target, SquaredError()))
    update = by_hand.learned(DTP(), net, record, Signal(record.output, SquaredError()))
    assert not any(np.any(a) for a in jax.tree.leaves(update.net))
    assert any(np.any(a) for a in jax.tree.leaves(update.gamma))


def test_an_output_with_an_activation_learns_by_its_own_slope_once():
    net = network("bent output")
    x, target = sample(net)
    _, update, record = by_hand.taught(DTP(), net, x, target, SquaredError())
    y = np.asarray(record.output)
    delta = (y - np.asarray(target)) * y * (1 - y)
    assert (
        by_hand.apart(
            update.net["a-output"]["weight"],
            np.asarray(record["free"].post["a"]).T @ delta / len(y),
        )
        < EXACT
    )


def test_noise_is_drawn_for_every_unit_and_sample_and_goes_one_layer_far():
    net = network("skips")
    x, target = by_hand.sample(8, 4, batch=4000)
    record = by_hand.recorded(DTP(sigma=0.2), net, x, Signal(target, CrossEntropy()))
    free, noisy = record["free"], record["noisy"]
    noise = np.concatenate([np.asarray(noisy.injected[name]) for name in ("a", "b")], 1)
    assert noisy.injected.keys() == {"a", "b"}
    covariance = np.cov(noise.T)
    # The deviation of a variance of n samples is sigma^2 sqrt(2 / n), that of a covariance sigma^2
    # / sqrt(n).
    np.testing.assert_allclose(covariance, 0.04 * np.eye(13), atol=5 * 0.04 * np.sqrt(2 / 4000))
    np.testing.assert_allclose(noise.mean(0), 0, atol=5 * 0.2 / np.sqrt(4000))
    theta = jax.tree.map(np.asarray, net.theta)
    a, b = (np.asarray(free.post[name]) + np.asarray(noisy.injected[name]) for name in ("a", "b"))
    np.testing.assert_allclose(noisy.post["a"], free.post["a"], rtol=EXACT)
    u_b = (
        np.asarray(x) @ theta["input-b"]["weight"]
        + a @ theta["a-b"]["weight"]
        + theta["input-b"].get("bias", 0)
        + theta["a-b"].get("bias", 0)
    )
    np.testing.assert_allclose(noisy.post["b"], np.tanh(u_b), rtol=1e-10)
    u = sum(
        h @ theta[f"{n}-output"]["weight"] + theta[f"{n}-output"].get("bias", 0)
        for n, h in (("input", np.asarray(x)), ("a", a), ("b", b))
    )
    np.testing.assert_allclose(noisy.post["output"], u, rtol=1e-10)


def test_feedback_that_is_trained_comes_to_the_best_linear_guess():
    """On a linear net, of h + xi from W (h + xi) + b, over the noise too: least squares with the
    covariance of both.
    """
    net, sigma = by_hand.with_biases(byway.mlp(3, 4, 2, activation="identity")), 0.5
    x, target = by_hand.sample(3, 2, batch=400)
    x = x + 1.0  # so that the means count
    signal, rule = Signal(target, SquaredError()), DTP(sigma=sigma)
    optimisers = Optimisers(optax.sgd(0.0), optax.sgd(optax.exponential_decay(0.2, 100, 0.6)))
    learner = new_learner(rule, net, optimisers, x, signal, jax.random.key(0))

    @jax.jit
    def trained(learner):
        return jax.lax.scan(
            lambda learner, _: (learn(rule, optimisers, learner, x, signal)[0], None),
            learner,
            length=1500,
        )[0]

    before, after = learner.gamma, trained(learner).gamma
    w1, w2 = (np.asarray(p.weight) for p in learner.net.projections)
    h = np.asarray(x) @ w1 + np.asarray(learner.net.projections[0].bias)
    scatter = np.cov(h.T, bias=True) + sigma**2 * np.eye(4)
    # "hidden2 hidden1": guess = (k - mean k) best + mean h.
    best = np.linalg.solve(w2.T @ scatter @ w2, w2.T @ scatter)
    assert by_hand.apart(after["V"]["hidden1-output"].T, best) < 0.05
    assert by_hand.apart(before["V"]["hidden1-output"].T, best) > 0.5
    mean = h.mean(0) - (h.mean(0) @ w2 + np.asarray(learner.net.projections[1].bias)) @ best
    assert by_hand.apart(after["c"]["hidden1"], mean) < 0.05


def test_feedback_is_drawn_apart_from_the_weights_even_from_one_key():
    net = byway.mlp(10, 30, 20, 10, key=0)
    for name, v in DTP().init(net, jax.random.key(0))["V"].items():
        w = np.ravel(net.theta[name]["weight"])
        cosine = abs(np.ravel(v) @ w) / (np.linalg.norm(v) * np.linalg.norm(w))
        assert cosine < 4 / np.sqrt(w.size)


def test_a_population_that_leads_nowhere_has_no_feedback_and_does_not_learn():
    edges = [("input", "a"), ("a", "output"), ("input", "b")]
    net = by_hand.with_biases(
        byway.graph({"input": 3, "a": 4, "b": 2, "output": 2}, edges, activation="tanh")
    )
    x, target = by_hand.sample(3, 2)
    gamma = DTP().init(net, jax.random.key(0))
    assert gamma["V"].keys() == {"a-output"} and gamma["c"].keys() == {"a"}
    update = by_hand.taught(DTP(), net, x, target)[1].net
    assert not np.any(update["input-b"]["weight"]) and np.any(update["input-a"]["weight"])


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (lambda: byway.graph(SIZES, [*SKIPS, ("b", "a")], activation="tanh"), "cycle"),
        (lambda: byway.mlp(4, 5, 3, activation="quantised"), "black box"),
    ],
)
def test_what_it_cannot_train_is_refused(net, said):
    with pytest.raises(RuleError, match=f"dtp was given a network with a {said}"):
        DTP().accepts(net())
