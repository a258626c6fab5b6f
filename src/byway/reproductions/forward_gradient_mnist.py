"""The forward gradient on MNIST: one random direction of all weights for each batch.

Two hidden layers of 1,024, 1.9 million weights, plain gradient descent. That it was ahead of
backprop says nothing for it: at this rate backprop is far from done, and noise makes the steps of
the forward gradient a thousand times as long.

Source   orobix/fwdgrad, an unofficial program for Baydin et al., Gradients without backpropagation,
         2022 (arXiv 2202.08587): the table of README.md, batches of 1,024, rate 0.0005: forward
         gradient 90.91, backprop 88.39 %
Verified read in that repository, as are network and course of the rate; it does not say how many
         seeds there were, and the paper itself gives no accuracy
Differs  weights are drawn from normal distributions, of the same variance in hidden layers and of
         three times that in the output, and biases begin at zero; 59,999 training images
"""

import dataclasses
import math

import numpy as np
import optax
from typing_extensions import override

from byway.network.activations import Activation, activation
from byway.network.builders import mlp
from byway.reproductions._claims import TEST_ACCURACY, Reaches
from byway.reproductions._reproduction import Budget, Comparison
from byway.tasks.mnist import MNIST

MEAN, DEVIATION = 0.1307, 0.3081
RATE, FALL = 5e-4, 1e-4


class StandardMNIST(MNIST):
    """MNIST whose pixels have mean 0 and deviation 1 over all images."""

    @property
    @override
    def encoding(self):
        mean, deviation = (
            np.full((1, *self.image_shape), self.white * a) for a in (MEAN, DEVIATION)
        )
        return dataclasses.replace(super().encoding, levels=None, mean=mean, deviation=deviation)

    @override
    def scaled(self, x):
        return (super().scaled(x) - MEAN) / DEVIATION


class ForwardGradientMnist(Comparison):
    """Belotti, Angioni and Orobix 2022, 784-1024-1024-10."""

    quantity = TEST_ACCURACY
    claims = (
        Reaches("forward_gradient", 90.91, within=1.0),
        Reaches("bp", 88.39, within=1.0),
    )
    budget = Budget(epochs=200, seeds=1, minutes=270)
    quick = Budget(epochs=2, seeds=1, minutes=2.7)

    @override
    def task(self):
        return StandardMNIST(validation=1)

    @override
    def rules(self):
        return ("bp", "frozen", "forward_gradient")

    @override
    def net(self):
        def build(task, rule):
            """784-1024-1024-10, relu, weights of variance 1 / (3 fan-in)."""
            return mlp(task.input_shape, 1024, 1024, task.outputs, activation=_small())

        return build

    @override
    def options(self, epochs):
        rate = optax.exponential_decay(RATE, 1, math.exp(-FALL))
        return {"batch": 1024, "optimiser": optax.sgd(rate), "looks": 0}

    @override
    def settings(self):
        said = f"plain gradient descent, rate {RATE:g} times exp(-{FALL:g} updates)"
        return super().settings() | {"optimiser": said}


def _small() -> Activation:
    """A relu whose weights are drawn with the variance of PyTorch's linear layers."""
    relu = activation("relu")
    return Activation("small_relu", relu.phi, relu.slope, gain=1 / 3)
