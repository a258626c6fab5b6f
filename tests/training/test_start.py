"""Where learners begin: with weights that are drawn, or with some that are there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError, RunError, ShapeError
from byway.network.builders import mlp
from byway.training.fit import fit

SEEDS = 3
NET = mlp(4, 6, 3)


def _fit(task, start=None, rule="bp", net=NET, **options):
    settings = {
        "epochs": 2,
        "batch": 6,
        "seeds": SEEDS,
        "looks": 0,
        "progress": False,
        "lr": 0.05,
    } | options
    return fit(net, byway.rule(rule), task, start=start, **settings)


def _loss(theta, split):
    """Cross-entropy over a split, in numpy."""
    (a, b), (c, d) = ((np.asarray(p["weight"]), np.asarray(p["bias"])) for p in theta.values())
    logits = np.maximum(np.asarray(split.x) @ a + b, 0) @ c + d
    top = logits.max(1, keepdims=True)
    chosen = (logits - top)[np.arange(len(logits)), np.asarray(split.y)]
    return (np.log(np.exp(logits - top).sum(1)) - chosen).mean()


def _first(result):
    return result.history["validation/loss"].values[:, 0]


def _weights(net):
    return [np.asarray(a) for a in jax.tree.leaves(net.theta)]


def _same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(_weights(one), _weights(other), strict=True))


@pytest.fixture(scope="module")
def trained(blobs):
    return _fit(blobs)


def test_a_network_that_learned_goes_on_from_what_it_learned(blobs, trained):
    """As one read from a file does. The first row is of the start."""
    learner = trained.learner(1)
    np.testing.assert_allclose(
        _first(_fit(blobs, net=learner.net)),
        _loss(learner.net.theta, blobs.load()["validation"]),
        rtol=1e-12,
    )


def test_a_network_from_a_file_does_too(blobs, trained, tmp_path):
    trained.save(tmp_path / "all.byway")
    again = _fit(blobs, net=byway.load(tmp_path / "all.byway", seed=trained.seeds[1]).net)
    np.testing.assert_array_equal(
        _first(again), [trained.history["validation/loss"].last[1]] * SEEDS
    )


def test_a_network_that_is_drawn_again_begins_anew(blobs, trained):
    """And so does one that was built: each seed draws its own weights."""
    anew = _fit(blobs, net=trained.learner(1).net.redraw(jax.random.key(5)))
    np.testing.assert_array_equal(_first(anew), _first(trained))
    assert len(set(_first(trained))) == SEEDS


def test_any_weights_can_be_begun_with(blobs):
    """Those of a model from elsewhere, say: a network as it was built counts when it is given as
    the start.
    """
    mine = mlp(4, 6, 3, key=9)
    np.testing.assert_allclose(
        _first(_fit(blobs, mine)), _loss(mine.theta, blobs.load()["validation"]), rtol=1e-12
    )


def test_of_a_result_each_seed_goes_on_from_its_own(blobs, trained):
    np.testing.assert_array_equal(
        _first(_fit(blobs, trained)), trained.history["validation/loss"].last
    )


def test_seeds_that_begin_alike_see_the_samples_in_their_own_order(blobs, trained):
    again = _fit(blobs, trained.learner(0))
    assert not _same(again.learner(0).net, again.learner(1).net)


def test_a_learner_brings_its_feedback_along(blobs):
    """Feedback alignment never changes its feedback, so it can be told where it came from; another
    rule draws its own.
    """
    first = _fit(blobs, rule="fa")
    again = _fit(blobs, first.learner(2), rule="fa")
    for one, own in zip(
        jax.tree.leaves(again.learners.gamma), jax.tree.leaves(first.learner(2).gamma), strict=True
    ):
        np.testing.assert_array_equal(one, np.broadcast_to(own, one.shape))
    drawn, other = _fit(blobs, rule="dfa"), _fit(blobs, first.learner(2), rule="dfa")
    for one, own in zip(
        jax.tree.leaves(other.learners.gamma), jax.tree.leaves(drawn.learners.gamma), strict=True
    ):
        np.testing.assert_array_equal(one, own)


def test_wiring_is_begun_with_too(blobs):
    sparse = mlp(4, 12, 3, fan_in=2)
    first = _fit(blobs, net=sparse)
    again = _fit(blobs, first, net=sparse)
    for one, own in zip(
        jax.tree.leaves(again.learners.net.structure),
        jax.tree.leaves(first.learners.net.structure),
        strict=True,
    ):
        np.testing.assert_array_equal(one, own)


def test_units_that_migrated_are_begun_with_where_they_went(blobs):
    """Each seed's its own way; without more growth they stay there."""
    net = byway.grownet(4, 12, 3, regions=1, fan_in=3)
    first = _fit(blobs, net=net, growth=byway.growth("migration", every=1))
    again = _fit(blobs, first, net=net)
    for seed in range(SEEDS):
        went = first.learner(seed).net["region1"].position
        assert not np.array_equal(went, net["region1"].position)
        np.testing.assert_array_equal(again.learner(seed).net["region1"].position, went)


def test_a_start_in_another_precision_is_brought_to_the_network_s(blobs, trained):
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), trained.learner(0).net)
    assert {a.dtype for a in _weights(_fit(blobs, half).learners.net)} == {np.dtype(np.float64)}


def test_a_checkpoint_is_of_one_start(blobs, trained, tmp_path):
    whole = _fit(blobs, trained, checkpoint=tmp_path)
    assert _same(_fit(blobs, trained, checkpoint=tmp_path).learners.net, whole.learners.net)
    with pytest.raises(RunError, match="another training"):
        _fit(blobs, checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("start", "error", "said"),
    [
        (lambda one: mlp(4, 7, 3), ShapeError, r"input-hidden1.weight': \(4, 7\)"),
        (lambda one: mlp(4, 12, 3, fan_in=2), ShapeError, "start with weights of"),
        (
            lambda one: one.learner(0).net.with_theta(
                {"hidden1-output": {"weight": jnp.full((6, 3), jnp.nan), "bias": jnp.zeros(3)}}
            ),
            ConfigError,
            "not finite",
        ),
    ],
)
def test_a_start_that_does_not_fit_is_refused(start, error, said, blobs, trained):
    with pytest.raises(error, match=said):
        _fit(blobs, start(trained))


def test_a_result_of_other_seeds_is_refused(blobs, trained):
    with pytest.raises(ConfigError, match="one of the seeds"):
        _fit(blobs, trained, seeds=2)
