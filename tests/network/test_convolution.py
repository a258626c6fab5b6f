"""Convolutions and their transposes, by numpy's own sum of products and by autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from byway.network.convolution import Convolution

# Space, sides, channels of a group, units of a group, and how the kernel is laid.
KINDS = {
    "plain": ((6, 5), (3, 3), 2, 4, Convolution((1, 1), "SAME", (1, 1))),
    "an even kernel": ((6, 5), (2, 4), 2, 3, Convolution((1, 1), "SAME", (1, 1))),
    "strides that leave units unseen": ((8, 7), (2, 3), 2, 3, Convolution((3, 2), "VALID", (1, 1))),
    "strides with zeros around": ((7, 8), (3, 5), 1, 3, Convolution((2, 3), "SAME", (1, 1))),
    "zeros on the other side": ((6, 5), (2, 4), 2, 3, Convolution((1, 1), "SAME_LOWER", (1, 1))),
    "holes": ((9, 8), (2, 3), 2, 3, Convolution((1, 2), "SAME", (3, 2))),
    "groups": ((6, 5), (3, 2), 2, 3, Convolution((1, 2), "VALID", (1, 1), groups=3)),
    "a group for each channel": ((5, 5), (3, 3), 1, 1, Convolution((1, 1), "SAME", (1, 1), 4)),
    "zeros of one's own": ((5, 6), (3, 2), 2, 2, Convolution((2, 1), ((4, 0), (1, 3)), (1, 2), 2)),
    "an image cropped": ((7, 7), (3, 3), 2, 2, Convolution((2, 1), ((-1, 1), (0, -2)), (1, 1))),
    "a kernel larger than the image": ((2, 3), (3, 4), 2, 3, Convolution((1, 2), "SAME", (1, 1))),
    "zeros that outnumber the image": (
        (2, 2),
        (2, 2),
        3,
        2,
        Convolution((1, 1), ((3, 2), (4, 1)), (1, 2)),
    ),
    "one dimension": ((11,), (3,), 2, 3, Convolution((2,), ((2, 1),), (2,))),
    "three": ((4, 5, 6), (2, 3, 2), 2, 3, Convolution((1, 2, 1), "SAME", (1, 1, 2), 2)),
}


def _made(space, sides, fan, units, convolution):
    draw = np.random.default_rng(0)
    image = jnp.asarray(draw.normal(size=(3, *space, fan * convolution.groups)))
    kernel = jnp.asarray(draw.normal(size=(*sides, fan, units * convolution.groups)))
    return convolution, image, kernel


every_kind = pytest.mark.parametrize("kind", [_made(*k) for k in KINDS.values()], ids=KINDS)


def _by_hand(convolution, image, kernel):
    """Each place one after another, by equation 9.6 of Goodfellow et al. 2016, Deep Learning."""
    *sides, fan, out = kernel.shape
    space, units = image.shape[1:-1], out // convolution.groups
    reach = [(n - 1) * hole + 1 for n, hole in zip(sides, convolution.dilation, strict=True)]
    pads = convolution.padding
    if isinstance(pads, str):
        pads = jax.lax.padtype_to_pads(space, reach, convolution.strides, pads)
    counts = [
        (size + before + after - far) // step + 1
        for size, (before, after), far, step in zip(
            space, pads, reach, convolution.strides, strict=True
        )
    ]
    image, kernel = np.asarray(image), np.asarray(kernel)
    made = np.zeros((len(image), *counts, out))
    for place in np.ndindex(*counts):
        for entry in np.ndindex(*sides):
            at = tuple(
                p * step + e * hole - before
                for p, step, e, hole, (before, _) in zip(
                    place, convolution.strides, entry, convolution.dilation, pads, strict=True
                )
            )
            if any(i < 0 or i >= size for i, size in zip(at, space, strict=True)):
                continue
            for g in range(convolution.groups):
                seen = image[(slice(None), *at, slice(g * fan, (g + 1) * fan))]
                ours = slice(g * units, (g + 1) * units)
                made[(slice(None), *place, ours)] += seen @ kernel[entry][:, ours]
    return made


@every_kind
def test_forward_is_a_sum_over_what_a_place_sees(kind):
    convolution, image, kernel = kind
    made = convolution.forward(image, kernel)
    np.testing.assert_allclose(made, _by_hand(*kind), rtol=1e-12, atol=1e-12)


@every_kind
def test_backward_and_outer_are_the_transposes_that_autodiff_finds(kind):
    convolution, image, kernel = kind
    made, back = jax.vjp(convolution.forward, image, kernel)
    delta = jnp.asarray(np.random.default_rng(1).normal(size=made.shape))
    found = (
        convolution.backward(delta, kernel, image.shape[1:-1]),
        convolution.outer(image, delta, kernel.shape[:-2]),
    )
    for ours, expected in zip(found, back(delta), strict=True):
        assert ours.shape == expected.shape
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere convolutions are fast")
@pytest.mark.parametrize(
    "name", [name for name, (_, _, fan, _, c) in KINDS.items() if fan > 1 and c.groups == 1]
)
def test_in_a_loop_all_three_come_in_the_order_of_axes_that_a_cpu_is_fast_at(name):
    """Any other takes many times as long there. Of groups and of a single channel XLA makes
    something of its own.
    """
    convolution, image, kernel = _made(*KINDS[name])

    def turn(carry, _):
        image, kernel = carry
        current = convolution.forward(image, kernel)
        back = convolution.backward(current, kernel, image.shape[1:-1])
        return (back, convolution.outer(image, current, kernel.shape[:-2])), None

    run = jax.jit(lambda *carry: jax.lax.scan(turn, carry, None, length=3))
    text = run.lower(image, kernel).compile().as_text()
    assert "while(" in text
    convolutions = [line for line in text.splitlines() if " convolution(" in line]
    assert len(convolutions) == 3
    inner = "0123"[: image.ndim - 2]
    for line in convolutions:
        assert f"dim_labels=b{inner}f_{inner}io->b{inner}f" in line
        assert "reversal" not in line
