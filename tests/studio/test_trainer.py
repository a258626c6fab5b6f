"""A training in stretches, with numbers that change and units that fall silent on the way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError
from byway.experiment.experiment import Experiment
from byway.studio.trainer import Trainer

HIDDEN = 7


@pytest.fixture(scope="module")
def task():
    return byway.task("digits")


@pytest.fixture(scope="module")
def net(task):
    return byway.mlp(task.input_shape, HIDDEN, task.outputs)


@pytest.fixture(scope="module")
def data(task):
    return {name: split.some(slice(160)) for name, split in task.load().items()}


@pytest.fixture
def trainer(net, task, data):
    return made(net, task, data)


def made(net, task, data, rule="dfa", **options):
    options = {"epochs": 3, "batch": 32, "lr": 0.01, **options}
    experiment = Experiment({rule: byway.rule(rule)}, lambda *_: net, task, options, data=data)
    return Trainer(experiment, experiment.entries[0])


def weights(trainer):
    return jax.tree.map(np.asarray, trainer.learner().net.theta)


def test_stretches_of_any_length_learn_what_fit_does_to_the_bit(trainer, net, task, data):
    lengths = [1, 3, 2, 4, 100, 100]
    counts = [trainer.advance(most)[0] for most in lengths]
    assert counts == [1, 3, 1, 4, 1, 5]  # five updates in an epoch
    assert trainer.update == 15
    result = byway.fit(
        net, byway.rule("dfa"), task, data=data, epochs=3, batch=32, lr=0.01, progress=False
    )
    jax.tree.map(np.testing.assert_array_equal, weights(trainer), result.learner().net.theta)


def test_what_was_handed_out_stays_as_it_was_while_training_goes_on(trainer):
    held = trainer.learner().net.theta
    before = jax.tree.map(lambda a: np.array(a, copy=True), held)
    trainer.advance(5)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, held), before)


def test_numbers_are_set_within_the_running_program(net, task, data):
    grown = byway.grownet(task.input_shape, 20, task.outputs, regions=1, fan_in=8, spare=2)
    policy = byway.growth("rigl", every=2)
    trainer = made(grown, task, data, growth=policy)
    controls = {one.name: one for one in trainer.controls()}
    assert controls["lr"].value == 0.01 and controls["lr"].low < 0.01 < controls["lr"].high
    assert any(name.startswith("rigl.") for name in controls)
    trainer.advance(5)
    program = trainer.loop._programs.train
    compiled = program._cache_size()
    for one in controls.values():
        assert one.low <= one.value <= one.high
        trainer.set(one.name, one.low)
    trainer.set("another.rule", 1.0)  # that of the other side
    trainer.advance(5)
    assert program._cache_size() == compiled
    assert {one.name: one.value for one in trainer.controls()} == {
        name: one.low for name, one in controls.items()
    }


def test_at_a_rate_of_nothing_nothing_is_learned(trainer):
    before = weights(trainer)
    trainer.set("lr", 0.0)
    trainer.advance(5)
    jax.tree.map(np.testing.assert_array_equal, weights(trainer), before)


def units(trainer, *chosen):
    """Some hidden units, as a mask over all."""
    mask = np.zeros(64 + HIDDEN + 10, bool)
    mask[[64 + one for one in chosen]] = True
    return mask


def test_of_silenced_units_nothing_is_heard_until_they_are_restored(trainer):
    trainer.advance(5)
    before = weights(trainer)
    trainer.silence(units(trainer, 2))
    trainer.silence(units(trainer, 5))
    rest = [one for one in range(HIDDEN) if one not in (2, 5)]
    for _ in range(3):
        now = weights(trainer)
        assert not now["hidden1-output"]["weight"][[2, 5]].any()
        assert trainer.advance(10)[0] == 1
    assert (
        np.abs(
            now["hidden1-output"]["weight"][rest] - before["hidden1-output"]["weight"][rest]
        ).min()
        > 0
    )
    trainer.restore()
    after = weights(trainer)["hidden1-output"]["weight"]
    np.testing.assert_array_equal(after[[2, 5]], before["hidden1-output"]["weight"][[2, 5]])
    assert trainer.advance(10)[0] > 1
    trainer.restore()  # nothing is silent: nothing happens


def test_a_lesion_cuts_what_a_unit_reads_and_what_reads_it(trainer):
    trainer.advance(5)
    before = weights(trainer)
    trainer.lesion(units(trainer, 3))
    now = weights(trainer)
    assert trainer.advance(5)[0] == 1
    later = weights(trainer)
    assert not later["hidden1-output"]["weight"][3].any()
    assert not later["input-hidden1"]["weight"][:, 3].any()
    assert (later["hidden1-output"]["weight"] != now["hidden1-output"]["weight"]).any()
    assert not now["hidden1-output"]["weight"][3].any()
    assert not now["input-hidden1"]["weight"][:, 3].any()
    rest = [one for one in range(HIDDEN) if one != 3]
    for name, axis in (("hidden1-output", 0), ("input-hidden1", 1)):
        kept = [np.take(one[name]["weight"], rest, axis) for one in (now, before)]
        np.testing.assert_array_equal(*kept)


def test_other_samples_are_learned_from_without_another_program(trainer, task, data):
    order = np.random.default_rng(0).permutation(64)
    mixed = {
        name: split._replace(x=np.asarray(split.x).reshape(-1, 64)[:, order].reshape(-1, 8, 8, 1))
        for name, split in data.items()
    }
    trainer.advance(5)
    compiled = trainer.loop._programs.train._cache_size()
    trainer.loop.teach(mixed)
    other = made(byway.mlp(task.input_shape, HIDDEN, task.outputs), task, mixed)
    other.loop.learners = jax.tree.map(jnp.copy, trainer.loop.learners)
    other.update = trainer.update
    for one in (trainer, other):
        one.advance(5)
    jax.tree.map(np.testing.assert_array_equal, weights(trainer), weights(other))
    assert trainer.loop._programs.train._cache_size() == compiled
    small = {"train": data["train"].some(slice(100))}
    for wrong in (small, {"more": data["train"]}):
        with pytest.raises(ConfigError, match="train it anew"):
            trainer.loop.teach(wrong)


def test_what_is_saved_answers_as_the_network_does(trainer, tmp_path, data):
    trainer.advance(5)
    trainer.save(tmp_path / "net.byway")
    held = byway.load(tmp_path / "net.byway")
    jax.tree.map(np.testing.assert_array_equal, held.net.theta, weights(trainer))
    assert dict(held.about)["updates"] == 5
    assert dataclasses.asdict(held.rule) == dataclasses.asdict(byway.rule("dfa"))
