"""A convolution and its two transposes, in the image and in the kernel.

The transposes are convolutions too. They are written out for a CPU, where XLA is fast only at a
convolution whose axes come in the usual order, and in a loop takes up to 200 times as long for
those that autodiff makes (github.com/jax-ml/jax/issues/12868).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Convolution(NamedTuple):
    """How a kernel is laid on images, which may have any number of dimensions.

    Attributes:
        strides: steps of the kernel along each dimension.
        padding: "SAME", "VALID", or how many zeros come before and after along each dimension.
        dilation: how far apart its entries are along each dimension.
        groups: how many groups the channels fall into, each with a part of the output.
    """

    strides: Sequence[int]
    padding: str | Sequence[tuple[int, int]]
    dilation: Sequence[int]
    groups: int = 1

    def forward(
        self, image: Float[Array, "batch *space in"], kernel: Float[Array, "*sides fan out"]
    ) -> Float[Array, "batch *places out"]:
        """The image convolved, where `fan` counts the channels of a group."""
        pads = self._pads(image.shape[1:-1], kernel.shape[:-2])
        once = (1,) * len(pads)
        return self._run(image, kernel, pads, self.strides, once, self.dilation)

    def backward(
        self,
        delta: Float[Array, "batch *places out"],
        kernel: Float[Array, "*sides fan out"],
        space: Sequence[int],
    ) -> Float[Array, "batch *space in"]:
        """The transpose in an image of size `space`: deltas, a stride apart, convolved with the
        kernel turned round.
        """
        *sides, fan, out = kernel.shape
        if jax.default_backend() != "cpu":
            image = jax.ShapeDtypeStruct((delta.shape[0], *space, fan * self.groups), delta.dtype)
            return jax.linear_transpose(lambda image: self.forward(image, kernel), image)(delta)[0]
        pads = [
            (reach - before, size - 1 - last + before)
            for reach, before, size, last in self._along(space, sides, delta.shape[1:-1])
        ]
        once = (1,) * len(pads)
        apart = kernel.reshape(*sides, fan, self.groups, out // self.groups)
        turned = jnp.flip(jnp.swapaxes(apart, -3, -1), range(len(sides)))
        swapped = turned.reshape(*sides, out // self.groups, fan * self.groups)
        return self._run(delta, swapped, pads, once, self.strides, self.dilation)

    def outer(
        self,
        image: Float[Array, "batch *space in"],
        delta: Float[Array, "batch *places out"],
        sides: Sequence[int],
    ) -> Float[Array, "*sides fan out"]:
        """The transpose in a kernel with these sides: the image convolved with the deltas, whose
        channels are the samples.
        """
        batch, *space, channels = image.shape
        fan = channels // self.groups
        if jax.default_backend() != "cpu":
            kernel = jax.ShapeDtypeStruct((*sides, fan, delta.shape[-1]), image.dtype)
            given = lambda kernel: self.forward(image, kernel)
            return jax.linear_transpose(given, kernel)(delta)[0]
        pads = [
            (before, reach - (size - 1 - last + before))
            for reach, before, size, last in self._along(space, sides, delta.shape[1:-1])
        ]
        once = (1,) * len(pads)
        apart = image.reshape(batch, *space, self.groups, fan)
        seen = jnp.moveaxis(apart, (-1, 0), (0, -1)).reshape(fan, *space, self.groups * batch)
        by = jnp.moveaxis(delta, 0, -2)
        return jnp.moveaxis(self._run(seen, by, pads, self.dilation, once, self.strides), 0, -2)

    def _pads(self, space: Sequence[int], sides: Sequence[int]) -> Sequence[tuple[int, int]]:
        if not isinstance(self.padding, str):
            return self.padding
        reach = [(side - 1) * hole + 1 for side, hole in zip(sides, self.dilation, strict=True)]
        return jax.lax.padtype_to_pads(space, reach, self.strides, self.padding)

    def _along(
        self, space: Sequence[int], sides: Sequence[int], places: Sequence[int]
    ) -> Iterator[tuple[int, int, int, int]]:
        """For each dimension: how far the kernel reaches beyond its first entry, the zeros before
        the image, the size of that, and how far the last place is from the first.
        """
        pads = self._pads(space, sides)
        steps = zip(sides, self.dilation, pads, space, places, self.strides, strict=True)
        for side, hole, (before, _), size, count, stride in steps:
            yield (side - 1) * hole, before, size, (count - 1) * stride

    def _run(self, image, kernel, pads, strides, image_dilation, kernel_dilation):
        space, sides = image.shape[1:-1], kernel.shape[:-2]
        if jax.default_backend() == "cpu" and math.prod(sides) > math.prod(space):
            # Else XLA swaps the two, and is slow again.
            ends, holes = ((0, 0), *pads, (0, 0)), (1, *image_dilation, 1)
            zeros = [(lo, hi, hole - 1) for (lo, hi), hole in zip(ends, holes, strict=True)]
            nothing = jnp.zeros((), image.dtype)
            image = jax.lax.optimization_barrier(jax.lax.pad(image, nothing, zeros))
            pads, image_dilation = [(0, 0)] * len(sides), (1,) * len(sides)
        last = image.ndim - 1
        inner = range(1, last)
        axes = jax.lax.ConvDimensionNumbers(
            (0, last, *inner), (last, last - 1, *range(last - 1)), (0, last, *inner)
        )
        return jax.lax.conv_general_dilated(
            image,
            kernel,
            strides,
            pads,
            image_dilation,
            kernel_dilation,
            dimension_numbers=axes,
            feature_group_count=self.groups,
        )
