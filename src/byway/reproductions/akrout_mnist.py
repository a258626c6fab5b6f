"""Feedback alignment beside backprop after ten epochs of MNIST.

One hidden layer of 500 sigmoid units, plain gradient descent: early on, random feedback is behind
the transposed weights. The paper's other rules are weight mirrors and `kolen_pollack`.

Loss and feedback are those of the authors' program, and matter: with a softmax in place of ten
logistic outputs backprop is slower, and with the feedback that `fa` draws by itself, seven times
as large, it is ahead of backprop, as the hidden layer then learns at seven times the rate.

Source   Akrout, Wilson, Humphreys, Lillicrap and Tweed, Deep learning without weight transport,
         NeurIPS 2019 (arXiv 1904.05391); the logs in the authors' repository
         (makrout/Deep-Learning-without-Weight-Transport, experiments/mnist), tenth epoch
Verified read in the authors' logs, which hold one seed
Differs  59,999 training images, in an order of their own each epoch, where the authors' order never
         changes; biases learn at the rate of the weights, where the authors' learn at 1/128 of it
"""

import math

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.signal import Loss, Signal
from byway.experiment.networks import NetSettings
from byway.named import rule
from byway.reproductions._claims import TEST_ERROR, Measured, Reaches
from byway.reproductions._reproduction import Budget, Comparison
from byway.rules.feedback.fa import FA
from byway.tasks.mnist import MNIST

HIDDEN, CLASSES = 500, 10


class Logistic(Loss):
    """Ten logistic outputs, each with its own cross-entropy."""

    @override
    def value(self, output, target):
        return jnp.sum(jax.nn.softplus(output) - target * output, axis=-1)

    @override
    def link(self, output):
        return jax.nn.sigmoid(output)


class LogisticMNIST(MNIST):
    """MNIST with logistic outputs."""

    @override
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        return x, Signal(signal.target, Logistic(), payoff=signal.payoff)


class SmallFA(FA):
    """Feedback alignment with feedback of variance 1 / (units of both layers), as the authors draw
    it; `fa` by itself has 1 / fan-out.
    """

    @override
    def init(self, net, key):
        scale = math.sqrt(CLASSES / (HIDDEN + CLASSES))
        return jax.tree.map(lambda feedback: scale * feedback, super().init(net, key))


class AkroutMnist(Comparison):
    """Akrout et al. 2019, MNIST, tenth epoch."""

    quantity = TEST_ERROR
    claims = (Reaches("bp", 5.88, within=0.5), Reaches("fa", 9.14, within=0.5))
    budget = Budget(epochs=10, seeds=5, minutes=2)
    quick = Budget(epochs=1, seeds=1, minutes=0.3)
    measured = Measured(
        values={"bp": [5.76, 5.9, 5.61, 5.63, 5.69], "fa": [8.48, 9.12, 8.66, 8.61, 8.63]},
        machine="2 cores",
        when="2026-11",
        minutes=1.5,
    )

    @override
    def task(self):
        return LogisticMNIST(validation=1)

    @override
    def rules(self):
        return {"bp": rule("bp"), "fa": SmallFA()}

    @override
    def net(self):
        return NetSettings(hidden=(HIDDEN,), activation="sigmoid")

    @override
    def options(self, epochs):
        return {"batch": 128, "optimiser": "sgd", "lr": 0.2, "schedule": "constant", "looks": 0}
