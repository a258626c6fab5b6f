"""Each law of the contract of a task, and the task that breaks it."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import byway
from byway.core.score import Score
from byway.core.signal import CrossEntropy, Payoff, Signal
from byway.core.task import Split
from byway.tasks.delayed_xor import DelayedXOR
from byway.tasks.digits import Digits
from byway.tasks.slow_change import SlowChange
from byway.verify import task as contract
from byway.verify.held import ContractError

CALLS = itertools.count()


class Small(Digits):
    def check(self, part, split):
        pass

    def load(self):
        return {name: Split(s.x[:20], s.y[:20]) for name, s in super().load().items()}


class NoTest(Small):
    def load(self):
        return {k: v for k, v in super().load().items() if k != "test"}


class NotFinite(Small):
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x / jnp.max(jnp.zeros_like(x)), signal


class WrongShape(Small):
    def load(self):
        return Small().load()

    @property
    def input_shape(self):
        return (63,)


class WrongOutputs(Small):
    def load(self):
        return Small().load()

    @property
    def outputs(self):
        return 9

    def batch(self, split, index, key):
        x, _ = super().batch(split, index, key)
        return x, Signal(jnp.zeros((len(x), 10)), CrossEntropy())


class Single(Small):
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x.astype("float32"), signal


class LoadsOtherwise(Small):
    def load(self):
        shift = next(CALLS)
        return {name: Split(s.x + s.x.dtype.type(shift), s.y) for name, s in super().load().items()}


class Draws(Small):
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x + next(CALLS), signal


class Forgets(Small):
    def __init__(self):
        object.__setattr__(self, "validation", 180)
        object.__setattr__(self, "shift", 1.0)

    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x + getattr(self, "shift", 0.0), signal


class Unbalanced(DelayedXOR):
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x, eqx.tree_at(lambda s: s.weight, signal, 2 * signal.weight)


class NoWeights(DelayedXOR):
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x, Signal(signal.target, signal.criterion)


class Undeclared(Small):
    @property
    def scores(self):
        return (*super().scores, Score("f1"))


class Twice(Small):
    @property
    def scores(self):
        return super().scores * 2


class Divides(Small):
    def score(self, output, signal):
        scores = super().score(output, signal)
        return scores | {"loss": scores["loss"] / jnp.zeros(())}


class OneScore(Small):
    def score(self, output, signal):
        return {name: jnp.mean(values) for name, values in super().score(output, signal).items()}


class Unnamed(Small):
    @property
    def encoding(self):
        return dataclasses.replace(super().encoding, labels=("even", "odd"))


class Beyond(Small):
    def order(self, key, size):
        return jnp.arange(size) + 1


class Half(Payoff):
    def value(self, output, target):
        return jnp.mean(output)


class OneReward(Small):
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x, Signal(signal.target, signal.criterion, None, Half())


class Shrinks(Small):
    def drift(self, x, signal, step):
        return x[:-1], signal


BREAKS = {
    NoTest: "it_hands_out_splits_that_can_be_used",
    NotFinite: "a_batch_is_finite",
    WrongShape: "a_batch_has_the_shape_that_the_task_declares",
    WrongOutputs: "a_batch_has_the_shape_that_the_task_declares",
    Single: "a_batch_has_the_shape_that_the_task_declares",
    LoadsOtherwise: "loading_again_gives_the_same",
    Draws: "the_same_key_gives_the_same_batch_compiled_or_not",
    Unbalanced: "the_weights_of_a_sequence_sum_to_one",
    NoWeights: "the_weights_of_a_sequence_sum_to_one",
    Undeclared: "every_score_is_a_finite_number_of_each_sample",
    Twice: "its_scores_have_names_of_their_own",
    Divides: "every_score_is_a_finite_number_of_each_sample",
    OneScore: "every_score_is_a_finite_number_of_each_sample",
    Unnamed: "its_outputs_have_a_label_each",
    Beyond: "its_order_takes_samples_that_there_are",
    OneReward: "a_reward_is_a_finite_number_of_each_sample",
    Shrinks: "a_world_that_changes_keeps_its_shape",
    Forgets: "a_copy_hands_out_the_same",
}


@pytest.mark.parametrize("broken", some(list(BREAKS), 6, lambda cls: cls.__name__))
def test_a_task_that_breaks_a_law_is_told_so(broken):
    with pytest.raises(ContractError) as told:
        byway.check_task(broken())
    assert f"  no   {BREAKS[broken].replace('_', ' ')}\n" in f"{told.value}\n"


def test_every_law_is_broken_by_some_task():
    laws = {law.__name__ for law in (*contract.BY_ITSELF, *contract.ON_SPLITS)}
    assert laws - set(BREAKS.values()) == {"its_settings_are_declared"}


@pytest.mark.parametrize("task", [Small(), DelayedXOR(), SlowChange(samples=3_000)])
def test_a_task_that_keeps_them_all_is_said_to_conform(task):
    report = byway.check_task(task)
    assert report.problems == [] and str(report).startswith(f"{task.id}: conforms, with train ")


def test_own_data_conform_from_memory_and_from_disk(tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 4)), draw.integers(0, 3, 60)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r", allow_pickle=False)
    for held in (x, mapped):
        for kind in ("classification", "regression"):
            targets = y if kind == "classification" else y.astype(float) + x[:, 0]
            byway.check_task(byway.Data(x=held, y=targets, kind=kind))


def test_what_was_loaded_is_not_loaded_again(monkeypatch):
    data = Small().load()
    monkeypatch.setattr(Small, "load", lambda self: pytest.fail("it loads"))
    report = byway.check_task(Small(), data)
    assert report.sizes == {"train": 20, "validation": 20, "test": 20}
    assert jax.numpy.zeros(()).dtype == "float64"
