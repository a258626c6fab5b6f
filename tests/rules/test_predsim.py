"""Local error signals: each layer against a loss of its own, by autodiff, by finite differences,
and alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.part import some

import by_hand
from byway.core.errors import RuleError
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.network.builders import convnet, graph, mlp
from byway.rules.local.predsim import Predsim
from byway.training.step import Optimisers, learn, new_learner

EVEN = Predsim(beta=0.6)


def _likeness(a):
    """Cosines of centred rows, one pair at a time."""
    a = np.asarray(a).reshape(len(a), -1)
    return np.array([[np.corrcoef(one, other)[0, 1] for other in a] for one in a])


def _loss_of(layer, rule, gamma, post, target, criterion):
    """The loss of one layer in NumPy, of what it sends."""
    heads = jax.tree.map(np.asarray, gamma[layer])
    out = post.reshape(len(post), -1) @ heads["pred"]["weight"] + heads["pred"]["bias"]
    if criterion == "cross_entropy":
        prediction = np.mean(np.log(np.sum(np.exp(out), 1)) - np.sum(out * target, 1))
    else:
        prediction = np.mean(np.sum((out - target) ** 2, 1)) / 2
    if post.ndim == 2:
        z = post @ heads["sim"]["weight"] + heads["sim"]["bias"]
    else:
        w, (batch, height, width, _) = heads["sim"]["weight"], post.shape
        padded = np.pad(post, ((0, 0), (1, 1), (1, 1), (0, 0)))
        z = np.sum(
            [
                padded[:, i : i + height, j : j + width] @ w[i, j]
                for i in range(3)
                for j in range(3)
            ],
            axis=0,
        )
        z = z.std((1, 2)) if z.shape[-1] > 3 else z.reshape(batch, -1)
    return (
        rule.beta * np.mean((_likeness(z) - _likeness(target)) ** 2) + (1 - rule.beta) * prediction
    )


NETS = {
    "mlp": lambda: (by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh")), 6, {}),
    "mlp, squared error": lambda: (
        by_hand.with_biases(mlp(6, 5, 4, 3, activation="softplus")),
        6,
        {"criterion": SquaredError()},
    ),
    "convnet": lambda: (
        by_hand.with_biases(convnet((8, 8, 2), (5, 2), 3, hidden=(4,), activation="tanh")),
        (8, 8, 2),
        {},
    ),
}
PHI = {name: f for name, f in by_hand.PHI.items() if name in ("tanh", "softplus")}


@pytest.mark.parametrize("name", some(list(NETS), 1))
def test_every_layer_and_its_heads_descend_the_loss_of_that_layer(name):
    """Central differences of each layer's loss by some of its own weights and of its heads', what
    arrives taken as given.
    """
    net, inputs, options = NETS[name]()
    x, target = by_hand.sample(inputs, 3, batch=7)
    gamma = EVEN.init(net, jax.random.key(7))
    _, update, record = by_hand.taught(EVEN, net, x, target, gamma=gamma, **options)
    free, kind = record["free"], "squared_error" if options else "cross_entropy"
    draw, step, target = np.random.default_rng(0), 1e-6, np.asarray(target)
    for p in net.projections:
        if p.dst == "output":
            continue
        phi = PHI[net[p.dst].cell.name]

        def loss(theta, heads, p=p, phi=phi):
            post = np.asarray(phi(p.with_theta(theta).forward(free.pre[p.name])))
            return _loss_of(p.dst, EVEN, {p.dst: heads}, post, target, kind)

        trees = (
            {"theta": p.theta, **gamma[p.dst]},
            {"theta": update.net[p.name], **update.gamma[p.dst]},
        )
        for group in trees[0]:
            for part, a in trees[0][group].items():
                for _ in range(3):
                    at = tuple(draw.integers(0, n) for n in a.shape)
                    slopes = []
                    for sign in (1, -1):
                        moved = {k: dict(w) for k, w in trees[0].items()}
                        moved[group][part] = a.at[at].add(sign * step)
                        slopes.append(loss(moved.pop("theta"), moved))
                    expected = (slopes[0] - slopes[1]) / (2 * step)
                    np.testing.assert_allclose(
                        trees[1][group][part][at], expected, rtol=1e-5, atol=1e-8
                    )


def test_one_hidden_layer_that_predicts_by_the_readout_learns_as_backprop_does():
    net, (x, target) = (
        by_hand.with_biases(mlp(6, 5, 3, activation="tanh")),
        by_hand.sample(6, 3, batch=7),
    )
    gamma = Predsim().init(net, jax.random.key(7))
    gamma["hidden1"]["pred"] = net.theta["hidden1-output"]
    _, mine, _ = by_hand.taught(Predsim(beta=0.0), net, x, target, gamma=gamma)
    true = jax.grad(
        lambda theta: by_hand.cross_entropy(by_hand.mlp_output(theta, x, "tanh"), target)
    )(net.theta)
    assert by_hand.largest_gap(mine.net, true) < 1e-12


def test_the_order_of_samples_changes_nothing():
    net, inputs, _ = NETS["mlp"]()
    x, target = by_hand.sample(inputs, 3, batch=7)
    order = np.random.default_rng(1).permutation(7)
    (_, mine, _), (_, other, _) = (
        by_hand.taught(EVEN, net, *pair) for pair in ((x, target), (x[order], target[order]))
    )
    assert by_hand.largest_gap(mine.net, other.net) < 1e-12


def test_nothing_above_a_layer_reaches_it():
    net, inputs, _ = NETS["mlp"]()
    x, target = by_hand.sample(inputs, 3, batch=7)
    moved = net.with_theta(
        {
            name: jax.tree.map(lambda a: 2 * a + 1, net.theta[name])
            for name in ("hidden1-hidden2", "hidden2-output")
        }
    )
    (_, mine, _), (_, other, _) = (by_hand.taught(EVEN, n, x, target) for n in (net, moved))
    for part in ("weight", "bias"):
        assert np.array_equal(mine.net["input-hidden1"][part], other.net["input-hidden1"][part])


def test_a_layer_that_is_silent_leaves_no_nan():
    net, inputs, _ = NETS["mlp"]()
    dead = net.with_theta(
        {"input-hidden1": jax.tree.map(jnp.zeros_like, net.theta["input-hidden1"])}
    )
    x, target = by_hand.sample(inputs, 3)
    gamma = EVEN.init(dead, jax.random.key(0))
    _, update, _ = by_hand.taught(EVEN, dead, jnp.zeros_like(x), target, gamma=gamma)
    assert all(np.all(np.isfinite(a)) for a in jax.tree.leaves((update.net, update.gamma)))


def test_one_output_says_nothing_of_likeness():
    with pytest.raises(RuleError, match="predsim was given a network with 1 output"):
        Predsim().accepts(
            graph({"input": 2, "a": 3, "output": 1}, [("input", "a"), ("a", "output")])
        )


def test_heads_learn_with_the_weights():
    net, inputs, _ = NETS["mlp"]()
    x, target = by_hand.sample(inputs, 3, batch=7)
    rule, optimisers = EVEN, Optimisers(optax.sgd(0.1), optax.sgd(0.2))
    learner = new_learner(
        rule, net, optimisers, x, Signal(target, CrossEntropy()), jax.random.key(0)
    )
    _, update, _ = by_hand.taught(rule, learner.net, x, target, gamma=learner.gamma)
    after, _ = jax.jit(lambda one: learn(rule, optimisers, one, x, Signal(target, CrossEntropy())))(
        learner
    )
    for mine, before, slope in zip(
        *(jax.tree.leaves(t) for t in (after.gamma, learner.gamma, update.gamma)), strict=True
    ):
        np.testing.assert_allclose(mine, before - 0.2 * slope, rtol=1e-12, atol=1e-14)
