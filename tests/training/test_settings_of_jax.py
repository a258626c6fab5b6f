"""What a user sets in JAX, or brings from optax, works or is refused with advice."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.part import some

import byway
from byway.core.errors import ConfigError
from byway.network.builders import mlp
from byway.rules import RULES
from byway.training.fit import fit

QUIET = {"epochs": 1, "batch": 6, "looks": 0, "progress": False}


def _weights(result):
    return [np.asarray(a) for a in jax.tree.leaves(result.learners.net.theta)]


def test_learners_that_fill_up_devices_set_no_alarm_off(blobs):
    """One more seed than there are devices: the others' places hold no NaN that `jax_debug_nans`
    would find.
    """
    with jax.debug_nans(True):
        assert np.isfinite(
            fit(mlp(4, 5, 3), byway.rule("bp"), blobs, seeds=jax.device_count() + 1, **QUIET).test[
                "loss"
            ]
        ).all()


def test_a_failed_learner_leaves_no_number(blobs):
    lost = fit(
        mlp(4, 5, 3),
        byway.rule("bp"),
        blobs,
        seeds=2,
        optimiser="sgd",
        lr=1e300,
        **QUIET | {"epochs": 3},
    )
    assert sorted(lost.failures) == [0, 1]
    assert np.isnan(lost.test["loss"]).all()
    assert np.isnan(lost.history["train/loss"].values).all()


@pytest.mark.parametrize("kind", ["rbg", "unsafe_rbg"])
def test_draws_do_not_depend_on_the_generator_that_jax_is_set_to(kind, blobs):
    """With rbg, what vmap draws for one depends on its neighbours. Weights, order and noise are the
    same as ever.
    """
    run = lambda **seeds: fit(
        mlp(4, 5, 3), byway.rule("node_perturbation"), blobs, **seeds, **QUIET
    )
    usual = run(seeds=3)
    with jax.default_prng_impl(kind):
        abreast, alone = run(seeds=3), run(first_seed=1)
    for a, b, c in zip(_weights(usual), _weights(abreast), _weights(alone), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a[1:2], c)


@pytest.mark.parametrize(
    ("dtype", "optimiser"),
    some([("bfloat16", "adam"), ("float16", "momentum"), ("float32", "adam")], 1),
)
def test_a_network_trains_in_its_own_precision(dtype, optimiser, blobs):
    """Here samples and signal are in float64. In float16 the eps of optax's Adam is zero, and 0 / 0
    no number.
    """
    net = jax.tree.map(lambda a: a.astype(dtype), mlp(4, 16, 3))
    result = fit(
        net,
        byway.rule("bp"),
        blobs,
        seeds=2,
        lr=0.03,
        optimiser=optimiser,
        **QUIET | {"epochs": 30},
    )
    assert {a.dtype for a in _weights(result)} == {jnp.dtype(dtype)}
    assert (
        result.history["train/loss"].last.mean()
        < 0.5 * result.history["validation/loss"].values[:, 0].mean()
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RULES.ids() if not byway.rule(name).in_time])
def test_every_rule_trains_in_half_precision(name, blobs):
    rule = byway.rule(name)
    net, task = blobs.beside(rule, 16)
    net = jax.tree.map(lambda a: a.astype(jnp.bfloat16), net)
    assert {a.dtype for a in _weights(fit(net, rule, task, **QUIET))} == {jnp.dtype(jnp.bfloat16)}


def test_a_transformation_that_asks_for_the_loss_is_told_it(blobs):
    """Polyak's step, once over the whole split: the weights move by min(loss / |g|^2, most) of the
    gradient.
    """
    data, net, most = blobs.load(), mlp(4, 5, 3), 0.01
    x, y = data["train"]

    def loss(theta):
        (a, b), (c, d) = (
            (theta[name]["weight"], theta[name]["bias"])
            for name in ("input-hidden1", "hidden1-output")
        )
        return -jnp.mean(
            jax.nn.log_softmax(jax.nn.relu(x @ a + b[None]) @ c + d[None])[jnp.arange(len(y)), y]
        )

    result = fit(
        net,
        byway.rule("bp"),
        blobs,
        start=net,
        optimiser=optax.polyak_sgd(most),
        **QUIET | {"batch": 24},
    )
    value, slopes = jax.value_and_grad(loss)(net.theta)
    pace = min(value / sum(jnp.sum(g**2) for g in jax.tree.leaves(slopes)), most)
    for moved, w, g in zip(
        _weights(result), jax.tree.leaves(net.theta), jax.tree.leaves(slopes), strict=True
    ):
        np.testing.assert_allclose(moved[0], w - pace * g, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_a_plateau_is_seen_where_optax_sees_it(blobs):
    """One update an epoch, so that the curve holds what each was told."""
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=2, rtol=0.0, atol=0.02)
    how = QUIET | {"batch": 24, "epochs": 40}
    result = fit(
        mlp(4, 5, 3), byway.rule("bp"), blobs, optimiser=optax.chain(optax.sgd(0.3), plateau), **how
    )
    (theta, _), *_ = result.learner().moments
    state = plateau.init(jnp.zeros(()))
    with jax.numpy_dtype_promotion("standard"):
        for loss in result.history["train/loss"].values[0]:
            _, state = plateau.update(jnp.zeros(()), state, value=loss)
    assert theta[1].scale == state.scale < 1


@pytest.mark.parametrize(
    ("made", "said"),
    [(optax.lbfgs(), "value_fn"), (optax.lookahead(optax.sgd(0.1), 5, 0.5), "cannot make a step")],
)
def test_a_transformation_that_asks_for_more_is_refused(made, said, blobs):
    with pytest.raises(ConfigError, match=said):
        fit(mlp(4, 5, 3), byway.rule("bp"), blobs, optimiser=made, **QUIET)
