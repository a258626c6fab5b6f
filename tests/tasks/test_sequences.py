"""Tasks in time: what each sequence shows, asks and counts, in closed form, and what the scores of
its steps add up to.
"""

import functools
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import byway
from byway.core.encoding import Encoding
from byway.core.errors import ConfigError
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.core.task import Split
from byway.tasks import TASKS
from byway.tasks._encoded import encoded
from byway.tasks.adding import Adding
from byway.tasks.copy import Copy
from byway.tasks.delayed_xor import DelayedXOR
from byway.tasks.mnist import MNIST
from byway.tasks.mnist_rows import MNISTRows
from byway.tasks.psmnist import PSMNIST
from byway.tasks.smnist import SMNIST

DRAWN = {
    "adding": Adding(length=6, samples=2_000),
    "copy": Copy(pattern=4, delay=2, samples=2_000),
    "delayed_xor": DelayedXOR(gap=3, wait=1, samples=2_000),
}
# Of few steps: what holds of a task holds whatever its length.
EVIDENCE = {"cues": 3, "spacing": 4, "cue": 3, "delay": 2, "call": 3}
MORE = {
    "evidence": byway.task("evidence", samples=5, **EVIDENCE),
    "pattern_generation": byway.task("pattern_generation", length=20, samples=5),
}
# Looked at in test_series.py, and what they share with the others here.
SERIES = {
    name: byway.task(name, length=12, warmup=5, samples=5)
    for name in ("mackey_glass", "lorenz", "narma10")
}
# Those that read images.
SCANNED = {"mnist_rows": MNISTRows(), "smnist": SMNIST(pixels=98), "psmnist": PSMNIST(pixels=98)}
every_drawn = pytest.mark.parametrize("name", DRAWN)
in_time = [name for name in TASKS.ids() if byway.task(name).in_time]


_gather = eqx.filter_jit(
    lambda task, data, index, key: task.batch(data, index, jax.random.key(key))
)
_score = eqx.filter_jit(lambda task, output, signal: task.score(output, signal))


@functools.cache
def _drawn(task, split="train"):
    """A whole split: its inputs and its signal."""
    data = task.load()[split]
    return _gather(task, data, jnp.arange(data.size), 0)


def _batch(task, split="train"):
    x, signal = _drawn(task, split)
    return np.asarray(x), np.asarray(signal.target), np.asarray(signal.weight)


def _images(count=6, seed=0):
    draw = np.random.default_rng(seed)
    return Split(
        jnp.asarray(draw.integers(0, 256, (count, 28, 28, 1)), jnp.uint8),
        jnp.asarray(draw.integers(0, 10, count), jnp.uint8),
    )


def test_every_task_in_time_is_looked_at_here():
    spoken = {"fsdd", "fsdd_spikes", "shakespeare"}  # in test_spoken.py
    assert set(in_time) == {*DRAWN, *MORE, *SERIES, *SCANNED, *spoken}


@pytest.mark.parametrize("length", [2, 3, 30])
def test_adding_asks_for_the_sum_of_two_numbers_marked_one_in_each_half(length):
    x, target, weight = _batch(Adding(length=length, samples=300))
    assert x.shape == (300, length, 2)
    values, marks = x[..., 0], x[..., 1]
    assert 0 <= values.min() < values.max() < 1
    assert set(np.unique(marks)) <= {0, 1}
    half = length // 2
    np.testing.assert_array_equal(marks[:, :half].sum(1), np.ones(300))
    np.testing.assert_array_equal(marks[:, half:].sum(1), np.ones(300))
    assert np.all(marks.sum(0) > 0), "every step is marked in some sequence"
    for one, mark, wanted in zip(values, marks, target, strict=True):
        assert wanted[-1, 0] == pytest.approx(one[mark == 1].sum(), rel=1e-12)
    np.testing.assert_array_equal(weight, np.eye(length)[[length - 1] * 300])


def test_answering_one_in_adding_costs_a_twelfth():
    """Half the variance of a sum of two uniform numbers, 2 / 12. Its square deviation has variance
    1/15 - 1/36: (s - 1)^2 with s - 1 triangular on [-1, 1] has fourth moment 1/15; the bound below
    is four standard errors.
    """
    task = DRAWN["adding"]
    _, signal = _drawn(task)
    scores = _score(task, jnp.ones_like(signal.target), signal)
    cost = np.asarray(scores["loss"]).sum(1)
    assert abs(cost.mean() - 1 / 12) < 4 * np.sqrt((1 / 15 - 1 / 36) / 4 / 2_000)
    # right where the sum lies within 0.04 of one: the triangle's area there is 1 - 0.96^2
    chance = 1 - 0.96**2
    assert abs(np.asarray(scores["accuracy"]).sum(1).mean() - chance) < 4 * np.sqrt(
        chance * (1 - chance) / 2_000
    )


def test_an_answer_to_adding_is_right_within_four_hundredths():
    target, off = jnp.full((1, 4, 1), 0.7), jnp.array([0.039, -0.039, 0.041, -0.041])[None, :, None]
    np.testing.assert_array_equal(Adding().payoff.value(target + off, target), [[1, 1, 0, 0]])


@pytest.mark.parametrize(("pattern", "delay", "symbols"), [(4, 5, 4), (1, 0, 2), (3, 2, 7)])
def test_copy_shows_a_pattern_and_asks_for_it_from_the_cue_on(pattern, delay, symbols):
    task = Copy(pattern=pattern, delay=delay, symbols=symbols, samples=200)
    x, target, weight = _batch(task)
    length = 2 * pattern + delay
    assert (x.shape, target.shape, task.length) == (
        (200, length, symbols + 2),
        (200, length, symbols),
        length,
    )
    np.testing.assert_array_equal(x.sum(-1), np.ones((200, length)))
    shown, blank, cue = x.argmax(-1), symbols, symbols + 1
    assert set(np.unique(shown[:, :pattern])) == set(range(symbols))
    rest = np.full(length - pattern, blank)
    rest[delay] = cue
    np.testing.assert_array_equal(shown[:, pattern:], np.tile(rest, (200, 1)))
    np.testing.assert_array_equal(target[:, -pattern:].argmax(-1), shown[:, :pattern])
    np.testing.assert_array_equal(target.sum(-1), np.ones((200, length)))
    np.testing.assert_allclose(
        weight, np.tile(np.repeat([0, 1 / pattern], [pattern + delay, pattern]), (200, 1))
    )


def test_guessing_in_copy_costs_the_logarithm_of_the_symbols():
    task = DRAWN["copy"]
    _, signal = _drawn(task)
    scores = {
        name: np.asarray(v).sum(1)
        for name, v in _score(task, jnp.zeros_like(signal.target), signal).items()
    }
    np.testing.assert_allclose(scores["loss"], np.log(4), rtol=1e-12)
    # 8,000 independent symbols of four kinds: "the first" is right for one in four
    assert abs(scores["accuracy"].mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 8_000)


@pytest.mark.parametrize(("gap", "wait"), [(8, 4), (1, 0), (3, 2)])
def test_delayed_xor_asks_whether_two_bits_differ(gap, wait):
    x, target, weight = _batch(DelayedXOR(gap=gap, wait=wait, noise=0.0, samples=400))
    length = gap + wait + 1
    assert x.shape == (400, length, 2)
    when = np.zeros(length)
    when[[0, gap]] = 1
    np.testing.assert_array_equal(x[..., 1], np.tile(when, (400, 1)))
    np.testing.assert_array_equal(np.abs(x[..., 0]), np.tile(when, (400, 1)))
    first, second = x[:, 0, 0], x[:, gap, 0]
    np.testing.assert_array_equal(target[:, -1].argmax(-1), first != second)
    np.testing.assert_array_equal(weight, np.eye(length)[[length - 1] * 400])
    _, counts = np.unique(np.column_stack([first, second]), axis=0, return_counts=True)
    assert len(counts) == 4
    assert np.all(np.abs(counts - 100) < 4 * np.sqrt(400 * 3 / 16)), (
        "each pair of bits is as likely"
    )


def test_noise_of_delayed_xor_is_on_the_bits_alone_and_as_strong_as_it_says():
    quiet, _, _ = _batch(DelayedXOR(noise=0.0, samples=500))
    noisy, _, _ = _batch(DelayedXOR(noise=0.3, samples=500))
    noise = (noisy - quiet)[..., 0]
    np.testing.assert_array_equal(noisy[..., 1], quiet[..., 1])
    assert abs(noise.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * noise.size)
    assert abs(noise.mean()) < 4 * 0.3 / np.sqrt(noise.size)


def test_evidence_is_the_majority_of_cues_and_groups_fire_in_their_time_alone():
    """Channels of a cue at 40 Hz while it lasts, in one of two groups; the call at the end; noise
    all along. With rates divided by `scale` = 0.04 a spike in each step is certain.
    """
    task = byway.task("evidence", samples=400, **EVIDENCE | {"scale": 0.05})
    assert (task.steps(0), task.steps(1), task.steps(100)) == (0, 1, 5)
    task = byway.task(
        "evidence", samples=400, cues=3, spacing=80, cue=60, delay=40, call=60, scale=0.05
    )
    x, target, weight = _batch(task)
    assert x.shape == (400, 17, 40)
    groups = x.reshape(400, 17, 4, 10).mean(3)
    on = np.zeros(17, bool)
    on[[1, 2, 3, 5, 6, 7, 9, 10, 11]] = True
    assert not groups[:, ~on, :2].any() and not groups[:, :14, 2].any()
    left, right = (groups[:, on, side].reshape(400, 3, 3).sum(2) > 0 for side in (0, 1))
    np.testing.assert_array_equal(left ^ right, True)
    np.testing.assert_array_equal(target[..., 1], np.tile(right.sum(1)[:, None] > 1, (1, 17)))
    np.testing.assert_array_equal(target.sum(-1), 1)
    np.testing.assert_allclose(weight, np.tile(np.repeat([0, 1 / 3], [14, 3]), (400, 1)))
    for rate, part in (
        (0.8, groups[:, -3:, 2]),
        (0.8, groups[:, on, :2].sum(2)),
        (0.2, groups[..., 3]),
    ):
        deviation = np.sqrt(rate * (1 - rate) / (10 * part.size))
        assert abs(part.mean() - rate) < 4 * deviation
    # Each cue is on the likelier side with a chance of 0.7: all three on one with 0.37.
    same = np.mean(np.ptp(right.astype(int), 1) == 0)
    assert abs(same - (0.7**3 + 0.3**3)) < 4 * np.sqrt(0.37 * 0.63 / 400)


def test_evidence_is_as_long_and_as_loud_as_published():
    """7 cues 150 ms apart, and 1,200 ms; ten channels at 10 Hz all along, ten at 40 Hz in the last
    150 ms.
    """
    task = byway.task("evidence", samples=20)
    x, _, weight = _batch(task)
    assert x.shape == (20, 2250, 40) and task.length == 7 * 150 + 1200
    np.testing.assert_array_equal(np.flatnonzero(weight[0]), np.arange(2100, 2250))
    for rate, part in ((0.01, x[..., 30:]), (0.04, x[:, -150:, 20:30])):
        assert abs(part.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / part.size)
    starts = x[..., :20].any((0, 2)).argmax()
    assert 50 <= starts < 60 and not x[:, 1050:2100, :30].any()


def test_a_pattern_is_one_curve_from_one_pattern_of_spikes():
    """At 50 Hz, the same in every split; the curve holds four frequencies and no other."""
    task = byway.task("pattern_generation", length=1_000, samples=3)
    assert {name: split.size for name, split in task.load().items()} == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }
    x, target, weight = _batch(task)
    for split in ("validation", "test"):
        again, curve, _ = _batch(task, split)
        np.testing.assert_array_equal(again[0], x[2])
        np.testing.assert_array_equal(curve[0], target[2])
    assert set(np.unique(x)) == {0, 1}
    assert abs(x[0].mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / x[0].size)
    np.testing.assert_allclose(weight, 1e-3)
    curve = target[0, :, 0]
    assert curve[0] == 0 and np.abs(curve).max() == pytest.approx(1, rel=1e-12)
    # Its last point is its first again, so that 999 are whole periods.
    found = np.abs(np.fft.rfft(curve[:-1]))
    assert np.flatnonzero(found > 1e-9 * found.max()).tolist() == [0, 1, 2, 3, 5]
    other = _batch(byway.task("pattern_generation", length=1_000, samples=1, seed=1))
    assert np.any(other[0][0] != x[0]) and np.any(other[1][0] != target[0])


@every_drawn
def test_splits_are_ranges_of_numbers_without_overlap(name):
    splits = DRAWN[name].load()
    assert {k: s.size for k, s in splits.items()} == {
        "train": 2_000,
        "validation": 200,
        "test": 200,
    }
    numbers = np.concatenate([np.asarray(s.x) for s in splits.values()])
    assert len(np.unique(numbers)) == len(numbers)
    assert {k: s.size for k, s in byway.task(name, samples=30).load().items()} == {
        "train": 30,
        "validation": 200,
        "test": 200,
    }


@every_drawn
def test_a_number_gives_one_sequence_wherever_and_whenever_it_is_drawn(name):
    """In another batch, another place, another key, another process's order; and no two numbers the
    same.
    """
    task = DRAWN[name]
    data = task.load()["train"]
    three, others = (
        _gather(task, data, jnp.array(index), key)
        for index, key in (([7, 0, 7], 0), ([3, 7, 1999], 5))
    )
    for one, other, whole in zip(
        *(jax.tree.leaves(v) for v in (three, others, _drawn(task))), strict=True
    ):
        np.testing.assert_array_equal(one[0], other[1])
        np.testing.assert_array_equal(one[0], one[2])
        np.testing.assert_array_equal(one, whole[jnp.array([7, 0, 7])])
    if name != "copy":  # of 256 patterns some come twice
        assert len(np.unique(_batch(task)[0].reshape(2_000, -1), axis=0)) == 2_000


@pytest.mark.parametrize("name", ["adding", "delayed_xor"])
def test_no_test_sequence_is_trained_on(name):
    train, test = (_batch(DRAWN[name], split)[0] for split in ("train", "test"))
    assert not {one.tobytes() for one in train} & {one.tobytes() for one in test}


def test_mnist_by_rows_is_mnist_row_by_row():
    images, index = _images(), jnp.array([4, 0, 0])
    x, signal = MNISTRows().batch(images, index, jax.random.key(0))
    whole, once = MNIST().batch(images, index, jax.random.key(0))
    np.testing.assert_array_equal(x, np.asarray(whole)[..., 0])
    for row in (0, 13, 27):
        np.testing.assert_allclose(
            np.asarray(x)[:, row], np.asarray(images.x)[[4, 0, 0], row, :, 0] / 255, rtol=1e-12
        )
    np.testing.assert_array_equal(signal.target[:, -1], once.target)
    np.testing.assert_array_equal(signal.weight, np.eye(28)[[27] * 3])
    assert MNISTRows().files == MNIST().files


@pytest.mark.parametrize("pixels", [1, 7, 784])
def test_sequential_mnist_is_mnist_pixel_by_pixel(pixels):
    images, index = _images(), jnp.array([4, 0])
    flat = np.asarray(images.x)[[4, 0]].reshape(2, 784) / 255
    x, signal = SMNIST(pixels=pixels).batch(images, index, jax.random.key(0))
    np.testing.assert_allclose(np.asarray(x).reshape(2, 784), flat, rtol=1e-12)
    assert x.shape == (2, 784 // pixels, pixels)
    np.testing.assert_array_equal(
        signal.target[:, -1], np.eye(10)[np.asarray(images.y, int)[[4, 0]]]
    )
    np.testing.assert_array_equal(signal.weight, np.eye(784 // pixels)[[-1, -1]])
    # The same order for all images, and each pixel once.
    shuffled = PSMNIST(pixels=pixels, seed=3).batch(images, index, jax.random.key(0))[0]
    order = np.random.default_rng(3).permutation(784)
    np.testing.assert_allclose(np.asarray(shuffled).reshape(2, 784), flat[:, order], rtol=1e-12)


@pytest.mark.parametrize("name", SCANNED)
def test_an_encoding_takes_raw_images_as_the_task_does(name):
    """After a way through JSON, as in a file of a predictor."""
    images, task = _images(), SCANNED[name]
    held = json.loads(json.dumps(task.encoding.to_json()))
    x, _ = task.batch(images, jnp.arange(6), jax.random.key(0))
    np.testing.assert_allclose(encoded(Encoding.from_json(held), images.x)[0], x, rtol=1e-12)
    if held["order"] is not None:
        with pytest.raises(ValueError, match="each number once"):
            Encoding.from_json(held | {"order": [0, 0, *held["order"][2:]]})


@pytest.mark.parametrize(
    ("loss", "expected"), [("cross_entropy", np.log(10)), ("squared_error", 0.5)]
)
def test_mnist_by_rows_scores_the_last_row_alone(loss, expected):
    """An output of zero costs the logarithm of the classes, or half the square of the one; what
    came before does not count.
    """
    task, images = MNISTRows(loss=loss), _images()
    _, signal = task.batch(images, jnp.arange(6), jax.random.key(0))
    output = jnp.asarray(np.random.default_rng(0).normal(size=(6, 28, 10))).at[:, -1].set(0)
    scores = {name: np.asarray(v) for name, v in task.score(output, signal).items()}
    np.testing.assert_allclose(scores["loss"].sum(1), expected, rtol=1e-12)
    np.testing.assert_array_equal(scores["accuracy"].sum(1), np.asarray(images.y) == 0)
    assert not np.any(scores["loss"][:, :-1])


@pytest.mark.parametrize("name", some([*DRAWN, *MORE, *SERIES, *SCANNED], 4))
def test_scores_of_steps_add_up_to_the_score_of_the_sequence(name):
    """Each step scored by itself, as a rule that sees steps is, and summed; weights of a sequence
    sum to one.
    """
    task = {**DRAWN, **MORE, **SERIES, **SCANNED}[name]
    data = _images() if name in SCANNED else task.load()["train"]
    x, signal = _gather(task, data, jnp.arange(5), 0)
    assert x.shape == (5, signal.weight.shape[1], *task.input_shape)
    assert signal.target.shape == (*signal.weight.shape, task.outputs)
    np.testing.assert_allclose(np.asarray(signal.weight).sum(1), np.ones(5), rtol=1e-12)
    output = signal.target + jnp.asarray(np.random.default_rng(1).normal(size=signal.target.shape))
    whole = _score(task, output, signal)
    steps = [_score(task, output[:, t], signal.at(t)) for t in range(x.shape[1])]
    for metric, scores in whole.items():
        assert scores.shape[:2] == signal.weight.shape
        np.testing.assert_allclose(
            sum(one[metric] for one in steps), np.asarray(scores).sum(1), rtol=1e-12
        )
    by_hand = np.asarray(signal.criterion.value(output, signal.target)) * np.asarray(signal.weight)
    np.testing.assert_allclose(whole["loss"], by_hand, rtol=1e-12)
    perfect = _score(
        task,
        100 * signal.target if isinstance(signal.criterion, CrossEntropy) else signal.target,
        signal,
    )
    main = task.scores[0]
    best = main.of(np.asarray(perfect[main.name]).sum(1).mean(0))
    assert best == pytest.approx(main.best, abs=1e-12)


def test_a_signal_at_a_step_is_that_step_and_its_parts_add_up():
    """Loss and error of a sequence are those of its steps, each times what it counts."""
    draw = np.random.default_rng(0)
    output, target, weight = (
        draw.normal(size=(3, 4, 2)),
        draw.normal(size=(3, 4, 2)),
        draw.uniform(size=(3, 4)),
    )
    signal, squares = (
        Signal(jnp.asarray(target), SquaredError(), jnp.asarray(weight)),
        ((output - target) ** 2).sum(-1) / 2,
    )
    for t in range(4):
        at = signal.at(jnp.int32(t))
        np.testing.assert_array_equal(at.target, target[:, t])
        np.testing.assert_allclose(
            at.error(jnp.asarray(output[:, t])),
            (output - target)[:, t] * weight[:, t, None],
            rtol=1e-12,
        )
        np.testing.assert_allclose(
            at.loss(jnp.asarray(output[:, t])), squares[:, t] * weight[:, t], rtol=1e-12
        )
    np.testing.assert_allclose(
        signal.error(jnp.asarray(output)), (output - target) * weight[..., None], rtol=1e-12
    )
    np.testing.assert_allclose(signal.loss(jnp.asarray(output)), squares * weight, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("adding", "length", 1),
        ("adding", "samples", 0),
        ("copy", "pattern", 0),
        ("copy", "delay", -1),
        ("copy", "symbols", 1),
        ("delayed_xor", "gap", 0),
        ("delayed_xor", "wait", -1),
        ("delayed_xor", "noise", -0.1),
        ("mnist_rows", "validation", 0),
        ("evidence", "cues", 4),
        ("evidence", "cue", 151),
        ("evidence", "scale", 0.0),
        ("pattern_generation", "length", 0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(name, setting, value):
    with pytest.raises(ConfigError, match=f"{setting} = {value}"):
        byway.task(name, **{setting: value})
