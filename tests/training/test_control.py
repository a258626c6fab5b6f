"""Control over a run: what shapes the updates, held against optax, and what ends it early."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.part import some

import byway
from byway.core.errors import ConfigError, RunError, UnknownNameError
from byway.network.builders import convnet, mlp
from byway.rules.backprop.bp import BP
from byway.training.fit import fit
from byway.training.optimisers import OPTIMISERS, optimiser
from byway.training.width import width_scales

RATE, STEPS, EPOCHS = 0.3, 4, 3
PLAIN = {"epochs": EPOCHS, "batch": 6, "looks": 0, "progress": False}
WEIGHTS_ALONE = lambda params: jax.tree_util.tree_map_with_path(
    lambda path, _: path[-1].key != "bias", params
)


def _net():
    return mlp(4, 5, 3)


def _fit(task, **options):
    return fit(_net(), BP(), task, **PLAIN | options)


def _named(task, **options):
    return _fit(task, **{"optimiser": "sgd", "lr": RATE, "schedule": "constant"} | options)


def _scaled(updates, state, params=None):
    del params
    return updates | {
        "input-hidden1": jax.tree.map(lambda a: 0.1 * a, updates["input-hidden1"])
    }, state


def _by_width(updates, state, params=None):
    """Five hidden units are 2.5 times two."""
    del params
    rise = {"weight": 2.5, "bias": 2.5}, {"weight": 1 / 2.5, "bias": 1.0}
    return {
        name: {part: a * by[part] for part, a in updates[name].items()}
        for name, by in zip(("input-hidden1", "hidden1-output"), rise, strict=True)
    }, state


SHAPED = {
    "clip": ({"clip": 0.05}, optax.chain(optax.clip_by_global_norm(0.05), optax.sgd(RATE))),
    "decay": (
        {"decay": 0.1},
        optax.chain(optax.add_decayed_weights(0.1, WEIGHTS_ALONE), optax.sgd(RATE)),
    ),
    "decay of adam": (
        {"decay": 0.1, "optimiser": "adam", "lr": 0.01},
        optax.adamw(0.01, weight_decay=0.1, mask=WEIGHTS_ALONE),
    ),
    "warm-up": (
        {"warmup": 5},
        optax.sgd(lambda count: RATE * jnp.minimum((count.astype(float) + 1) / 5, 1.0)),
    ),
    "scales": (
        {"scales": {"input-hidden1": 0.1}},
        optax.chain(optax.sgd(RATE), optax.GradientTransformation(lambda params: (), _scaled)),
    ),
    "width": (
        {"base_width": 2},
        optax.chain(optax.sgd(RATE), optax.GradientTransformation(lambda params: (), _by_width)),
    ),
}


@pytest.mark.parametrize("case", some(list(SHAPED), 3))
def test_what_shapes_an_update_is_what_optax_makes_of_it(blobs, case):
    options, chosen = SHAPED[case]
    mine, theirs, plain = _named(blobs, **options), _fit(blobs, optimiser=chosen), _named(blobs)
    for a, b, c in zip(
        *(jax.tree.leaves(one.learner().net.theta) for one in (mine, theirs, plain)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
        assert np.abs(a - c).max() > 1e-4 or case == "decay of adam"


NAMED = {
    "sgd": optax.sgd(0.01),
    "momentum": optax.sgd(0.01, momentum=0.9),
    "adam": optax.adam(0.01),
    "adamw": optax.adamw(0.01),
    "rmsprop": optax.rmsprop(0.01),
    "adam_each": optax.adam(0.01),  # the same, where no weight begins anew
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_by_name_is_that_of_optax(name):
    draw = np.random.default_rng(0)
    theta = {"weight": jnp.asarray(draw.normal(size=(3, 2)))}
    mine, ours = optimiser(name, 0.01, "constant", 1), theta
    theirs, state, kept = theta, mine.init(theta), NAMED[name].init(theta)
    for _ in range(5):
        slope = {"weight": jnp.asarray(draw.normal(size=(3, 2)))}
        with jax.numpy_dtype_promotion("standard"):  # as optax wants it
            change, state = mine.update(slope, state, ours)
            ours = optax.apply_updates(ours, change)
            change, kept = NAMED[name].update(slope, kept, theirs)
            theirs = optax.apply_updates(theirs, change)
    np.testing.assert_allclose(ours["weight"], theirs["weight"], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"clip": 0}, "clip = 0"),
        ({"decay": -1.0}, r"decay = -1\.0"),
        ({"warmup": 1.5}, r"warmup = 1\.5"),
        ({"patience": 0}, "patience = 0"),
        ({"best": "yes"}, "best = 'yes'"),
        ({"scales": {"input-hidden1": -1}}, "input-hidden1"),
        ({"base_width": 0}, "base_width = 0"),
        ({"base_width": 2, "optimiser": optax.sgd(0.1)}, "base_width = 2 beside an optax"),
        ({"clip": 1.0, "optimiser": optax.sgd(0.1)}, "beside an optax transformation"),
    ],
)
def test_what_cannot_be_is_refused(blobs, options, said):
    with pytest.raises(ConfigError, match=said):
        _fit(blobs, **options)


def test_rates_go_with_the_width_as_mup_says():
    """Table 3 of Yang et al. 2022: of Adam, 1 / fan_in for weights that leave hidden units; of SGD
    fan_out for those into them and for their biases, and 1 / fan_in into the output.
    """
    net = mlp(3, 8, 4, 2)  # four and two times two
    adam = width_scales(net, 2, "adam")
    assert [one["weight"] for one in adam.values()] == [1, 1 / 4, 1 / 2]
    assert {one["bias"] for one in adam.values()} == {1}
    assert adam == width_scales(net, 2, "rmsprop")
    sgd = width_scales(net, 2, "sgd")
    assert [one["weight"] for one in sgd.values()] == [4, 2 / 4, 1 / 2]
    assert [one["bias"] for one in sgd.values()] == [4, 2, 1]
    assert sgd == width_scales(net, 2, "momentum")
    images = width_scales(convnet((6, 6, 1), (4, 8), 3), 2, "adam")  # by channels
    assert [one["weight"] for one in images.values()] == [1, 1 / 2, 1 / 4]


@pytest.mark.parametrize(
    ("net", "said"),
    [(mlp(4, 3), "without hidden layers"), (mlp(4, 5, 5, 3, fan_in=2), "read 2 others")],
)
def test_a_width_that_says_nothing_is_refused(net, said):
    with pytest.raises(ConfigError, match=said):
        width_scales(net, 2, "adam")


def test_a_scale_of_no_projection_names_the_nearest(blobs):
    with pytest.raises(UnknownNameError, match="did you mean 'input-hidden1'"):
        _named(blobs, scales={"input-hiden1": 0.1})


def _after(task, epochs, **options):
    return _named(task, epochs=epochs, seeds=2, **options).learners.net.theta


def _same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_callback_that_stops_leaves_what_so_many_epochs_leave(blobs, tmp_path):
    def stop(reading):
        if reading.epoch == 2:
            raise byway.Stop("good enough")

    result = _named(blobs, seeds=2, epochs=5, on_epoch=stop, checkpoint=tmp_path)
    assert result.stopped == "good enough" and result.epochs == 2
    _same(result.learners.net.theta, _after(blobs, 2))
    again = _named(blobs, seeds=2, epochs=5, checkpoint=tmp_path)  # it had come to its end
    _same(again.learners.net.theta, result.learners.net.theta)


def test_patience_counts_epochs_without_a_better_score(blobs, tmp_path):
    """At a rate of 1e-30 nothing gets better than it was at the start."""
    result = _named(blobs, lr=1e-30, epochs=9, patience=3)
    assert result.epochs == 3
    assert result.stopped == "no better accuracy on validation for 3 epochs"
    free = _named(blobs, epochs=9, patience=9)
    assert free.epochs == 9 and free.stopped is None


def test_the_best_epoch_of_each_seed_is_handed_back(blobs, tmp_path):
    """At a constant rate what k epochs leave is on the way of every longer run."""
    long = _named(blobs, seeds=2, epochs=6, lr=3.0)
    curve = long.history["validation/accuracy"].values
    best = curve.argmax(1)  # the first of equals
    assert best.min() < 6, "the last epoch was the best of every seed: nothing is shown"
    kept = _named(blobs, seeds=2, epochs=6, lr=3.0, best=True, checkpoint=tmp_path)
    np.testing.assert_array_equal(kept.history["validation/accuracy"].values, curve)
    for seed, epochs in enumerate(best):
        if epochs:
            wanted = jax.tree.map(lambda a, i=seed: a[i], _after(blobs, int(epochs), lr=3.0))
            _same(kept.learner(seed).net.theta, wanted)
        phase = kept.learner(seed).net.forward(blobs.load()["test"].x)
        said = np.argmax(phase.post["output"], 1)
        np.testing.assert_array_equal(kept.predictions.values[seed], said)
    again = _named(blobs, seeds=2, epochs=6, lr=3.0, best=True, checkpoint=tmp_path)
    _same(again.learners.net.theta, kept.learners.net.theta)
    _same(again.predictions.values, kept.predictions.values)


@pytest.mark.slow
def test_a_run_of_python_is_resumed_by_the_same_call_alone(blobs, tmp_path):
    def stop(label, reading):
        if (label, reading.epoch) == ("frozen", 1):
            raise KeyboardInterrupt

    how = PLAIN | {"seeds": 2, "out": tmp_path / "run"}
    call = lambda **change: byway.compare(["bp", "frozen"], _net(), blobs, **how | change)
    with pytest.raises(KeyboardInterrupt, match="resume"):
        call(on_epoch=stop)
    assert byway.open(tmp_path / "run").finished.keys() == {"bp"}
    with pytest.raises(RunError, match="exists"):
        call()
    with pytest.raises(RunError, match="bp trained otherwise: settings"):
        call(resume=True, lr=0.5)
    run, straight = call(resume=True), call(out=tmp_path / "straight", resume=True)
    for label, outcome in straight.items():
        for name, curve in outcome.history.items():
            _same(run[label].history[name].values, curve.values)
        _same(run[label].test, outcome.test)
