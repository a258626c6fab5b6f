"""Backprop over two devices, written by hand: a batch in micro-batches, as GPipe schedules them
(Huang et al. 2019).

The lower layers run forwards on one micro-batch after another and go backwards on each when its
error has come back; the upper ones go forwards and backwards on each as it comes. Gradients are
added up, and there is one step of Adam for a batch: the same update as without micro-batches.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks import floor
from benchmarks.contestants import floor_start, make_loop
from benchmarks.job import Job
from benchmarks.worker import Contestant


class GPipe:
    """Backprop in two stages.

    Args:
        job: what is trained, a network of relu layers and a softmax.
        micro: how many micro-batches a batch is cut into.

    Attributes:
        states: of each stage, weights and moments.
    """

    def __init__(self, job: Job, micro: int):
        loop = make_loop(job)
        state, (_, pixels, labels) = floor_start(loop)
        self._devices = jax.local_devices()[:2]
        border = len(state.theta) // 2
        self.states = [
            jax.device_put(floor.start(theta, [], state.key), device)
            for theta, device in zip(
                (state.theta[:border], state.theta[border:]), self._devices, strict=True
            )
        ]
        # A copy, as the state is used up.
        self._key = jax.random.wrap_key_data(np.asarray(jax.random.key_data(state.key)))
        self._step = 0
        white, size = loop.task.white, job.batch // micro
        self._pixels, self._labels = np.asarray(pixels), np.asarray(labels)
        self._micro, self._size, self._batch = micro, size, job.batch

        @jax.jit
        def below(theta: list, x: Array) -> tuple[list, Array]:
            pre = [x.astype(float) / white]
            for weight, bias in theta:
                pre.append(jax.nn.relu(pre[-1] @ weight + bias))
            return pre, pre[-1]

        @jax.jit
        def above(theta: list, h: Array, y: Array, gradient: list) -> tuple[list, Array]:
            pre, (*hidden, (last, shift)) = [h], theta
            for weight, bias in hidden:
                pre.append(jax.nn.relu(pre[-1] @ weight + bias))
            output = pre[-1] @ last + shift
            delta = jax.nn.softmax(output) - jax.nn.one_hot(y, floor.CLASSES, dtype=h.dtype)
            return _back(theta, pre, delta, gradient)

        @jax.jit
        def back(theta: list, pre: list, error: Array, gradient: list) -> list:
            return _back(theta, pre[:-1], error * (pre[-1] > 0), gradient)[0]

        def _back(theta, pre, delta, gradient):
            made: list[Any] = []
            for (weight, _), z in zip(reversed(theta), reversed(pre), strict=True):
                made.append((z.T @ delta / job.batch, delta.sum(0) / job.batch))
                error = delta @ weight.T
                delta = error * (z > 0)
            return jax.tree.map(jnp.add, gradient, made[::-1]), error

        self._below, self._above, self._back = below, above, back
        self._adam = jax.jit(floor.adam, donate_argnums=(0, 1))
        self._zeros = jax.jit(lambda theta: jax.tree.map(jnp.zeros_like, theta))

    def epoch(self) -> None:
        """Train on as many batches as there are samples for."""
        steps = len(self._labels) // self._batch
        key = jax.random.fold_in(jax.random.fold_in(self._key, floor.ORDER), self._step)
        order = np.asarray(jax.random.permutation(key, len(self._labels)))
        for index in order[: steps * self._batch].reshape(steps, self._micro, self._size):
            self._update(index)
        jax.block_until_ready(self.states)
        self._step += steps

    def _update(self, batch: np.ndarray) -> None:
        (one, other), (low, high) = self._devices, (state.theta for state in self.states)
        gradients = [self._zeros(low), self._zeros(high)]
        kept = [self._below(low, jax.device_put(self._pixels[some], one)) for some in batch]
        for some, (pre, h) in zip(batch, kept, strict=True):
            y = jax.device_put(self._labels[some], other)
            gradients[1], error = self._above(high, jax.device_put(h, other), y, gradients[1])
            gradients[0] = self._back(low, pre, jax.device_put(error, one), gradients[0])
        self.states = [
            self._adam(state, gradient)
            for state, gradient in zip(self.states, gradients, strict=True)
        ]


def gpipe(job: dict, micro: int) -> Contestant:
    """An epoch of backprop over two devices."""
    return Contestant(GPipe(Job(**job), micro).epoch)
