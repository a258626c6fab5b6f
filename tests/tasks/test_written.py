"""Answers that are written down: what is drawn is what is written, and every symbol counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.tasks._written import Written
from byway.tasks.arithmetic import signs


def some(task, part="validation", count=200):
    split = task.load()[part]
    return np.asarray(split.x[:count]), np.asarray(split.y[:count])


def nearest(images, task):
    """What each image shows, by the nearest of that part's own images."""
    own = task.source.load()["validation"]
    flat = np.asarray(own.x, float).reshape(len(own.x), -1)
    off = ((images.reshape(len(images), 1, -1).astype(float) - flat[None]) ** 2).sum(-1)
    assert off.min(1).max() == 0
    return np.asarray(own.y)[off.argmin(1)]


def test_digits_side_by_side_are_images_of_their_part_and_what_they_show():
    task = byway.task("side_by_side", length=3, samples=1000)
    x, y = some(task, count=100)
    assert x.shape == (100, 8, 24, 1)
    for place in range(3):
        np.testing.assert_array_equal(
            nearest(x[:, :, 8 * place : 8 * place + 8], task), y[:, place]
        )


def test_no_image_is_in_two_splits():
    task = byway.task("side_by_side", length=1, samples=2000)
    parts = task.load()
    seen = {p: {a.tobytes() for a in np.asarray(s.x)} for p, s in parts.items()}
    source = {p: {a.tobytes() for a in np.asarray(s.x)} for p, s in task.source.load().items()}
    assert all(seen[p] <= source[p] for p in parts)


def test_names_are_spelled():
    task = byway.task("spelling")
    _, y = some(task)
    shown = np.asarray(task.source.load()["validation"].y)[: len(y)]
    words = ["".join(task.symbols[i] for i in row).rstrip() for row in y]
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert words == [names[d] for d in shown]


def test_results_are_those_of_python():
    task = byway.task("arithmetic", samples=2000)
    x, y = some(task)
    one, two = nearest(x[:, :, :8], task), nearest(x[:, :, 16:], task)
    drawn = signs(8, 16)
    moved = {
        (s, i, j): np.roll(drawn[s], (i, j), (0, 1)).tobytes()
        for s in range(3)
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    }
    assert len(set(moved.values())) == 27  # no sign looks like another
    sign = {image: s for (s, *_), image in moved.items()}
    for image, a, b, symbols in zip(x, one, two, y, strict=True):
        op = "+-*"[sign[np.ascontiguousarray(image[:, 8:16]).tobytes()]]
        wanted = f"{eval(f'{a}{op}{b}'):+03d}"  # noqa: S307
        assert "".join(task.symbols[i] for i in symbols) == wanted


def test_the_loss_is_that_of_each_symbol_and_its_error_is_autodiffs():
    draw = np.random.default_rng(0)
    output = jnp.asarray(draw.normal(size=(4, 6)))
    target = jnp.asarray(np.eye(3)[draw.integers(0, 3, (4, 2))].reshape(4, 6))
    loss = Written(2)
    by_hand = -sum(
        np.log(np.exp(o[t == 1]) / np.exp(o).sum()).item()
        for o, t in zip(
            np.asarray(output).reshape(8, 3), np.asarray(target).reshape(8, 3), strict=True
        )
    )
    np.testing.assert_allclose(loss.value(output, target).sum(), by_hand, rtol=1e-12)
    slope = jax.grad(lambda o: loss.value(o, target).sum())(output)
    np.testing.assert_allclose(loss.error(output, target), slope, rtol=1e-12, atol=1e-15)


def test_an_answer_is_right_where_every_symbol_is():
    task = byway.task("side_by_side", samples=100)
    split = task.load()["test"]
    _, signal = task.batch(split, jnp.arange(3), jax.random.key(0))
    output = signal.target.at[1, :10].set(jnp.roll(signal.target[1, :10], 1))
    scores = task.score(output, signal)
    np.testing.assert_array_equal(scores["accuracy"], [1, 0, 1])
    np.testing.assert_array_equal(scores["symbols"], [1, 0.5, 1])


@pytest.mark.parametrize("options", [{"images": "cats"}, {"loss": "hinge"}, {"samples": 0}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(byway.BywayError):
        byway.task("arithmetic", **options)
