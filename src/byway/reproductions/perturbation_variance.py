"""The variance of a rule that perturbs grows with the numbers that one answer has to speak for.

Where A numbers are moved by noise xi ~ N(0, 1), and one answer comes back, the estimate of a
gradient g by these numbers is, to first order in the noise, (g . xi) xi, so

    E |estimate|^2 = (A + 2) |g|^2

and the variance is A + 1 times what is to be estimated; of random signs it is A - 1 times, as their
fourth power is 1 in place of 3. What A counts tells the rules apart: for `node_perturbation` units,
whatever the number of weights; for `forward_gradient` and `weight_perturbation` weights; for
`activity_forward_gradient` the units of one group, whatever the number of groups. Here it is
measured for one sample of tanh networks, in float64, with sigma so small that higher orders vanish;
g is autodiff's.

Source   Werfel, Xie and Seung, Learning curves for stochastic gradient descent in linear
         feedforward networks, Neural Comput. 17:2699, 2005, which shows that the time to learn
         grows with the number of perturbed units; for weights in place of units: Baydin,
         Pearlmutter, Syme, Wood and Torr, Gradients without backpropagation, 2022 (arXiv
         2202.08587); for groups: Ren, Kornblith, Liao and Hinton, Scaling forward gradient with
         local losses, 2022 (arXiv 2210.03310)
Verified derived: it is the fourth moment of a normal distribution (Isserlis), and no number of a
         table
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.learning.rule import Rule
from byway.reproductions._claims import Measured, Quantity, Reaches
from byway.reproductions._reproduction import Law
from byway.rules.perturbation.activity_forward_gradient import ActivityForwardGradient
from byway.rules.perturbation.forward_gradient import ForwardGradient
from byway.rules.perturbation.node_perturbation import NodePerturbation
from byway.rules.perturbation.weight_perturbation import WeightPerturbation
from byway.verify.oracle import Problem, layered, taught

INPUTS, OUTPUTS, SIGMA = 16, 4, 1e-4
UNITS, HIDDEN, GROUPS = (8, 32, 128, 512), (16, 64), (8, 32, 128)
WIDE = 128  # the hidden layer that has groups
# The standard error of 5 x 2^17 draws is below 0.3 %.
TOLERANCE = 0.03


def weights(hidden: int) -> int:
    """How many there are, biases included."""
    return (INPUTS + 1) * hidden + (hidden + 1) * OUTPUTS


WANTED = {
    **{f"node_perturbation, {n} units": n + 2 for n in UNITS},
    **{f"forward_gradient, {weights(n)} weights": weights(n) + 2 for n in HIDDEN},
    f"forward_gradient, {weights(16)} random signs": weights(16),
    f"weight_perturbation, {weights(16)} weights": weights(16) + 2,
    **{f"activity_forward_gradient, groups of {n}": n + 2 for n in GROUPS},
}


class PerturbationVariance(Law):
    """Werfel, Xie and Seung 2005; Baydin et al. 2022; Ren et al. 2022."""

    quantity = Quantity("mean squared estimate / squared gradient", higher=False, digits=1)
    claims = tuple(Reaches(name, n, within=TOLERANCE * n) for name, n in WANTED.items())
    repeats, draws, quick_draws, minutes = 5, 2**17, 2**10, 3.0
    measured = Measured(
        values={
            "node_perturbation, 8 units": [9.9087, 9.9153, 10.0332, 9.9108, 10.0929],
            "node_perturbation, 32 units": [33.7255, 34.0126, 33.9614, 33.7061, 34.1729],
            "node_perturbation, 128 units": [128.3802, 129.5375, 128.951, 129.4258, 130.356],
            "node_perturbation, 512 units": [511.9933, 516.1934, 510.4624, 510.9609, 516.6292],
            "forward_gradient, 340 weights": [341.546, 341.7299, 343.9654, 339.3259, 339.1714],
            "forward_gradient, 1348 weights": [1349.768, 1347.7241, 1343.0712, 1341.729, 1340.5439],
            "forward_gradient, 340 random signs": [
                338.9115,
                339.7139,
                340.5971,
                337.1335,
                337.4504,
            ],
            "weight_perturbation, 340 weights": [341.5459, 341.7298, 343.9654, 339.3259, 339.1714],
            "activity_forward_gradient, groups of 8": [9.9787, 9.9887, 10.0054, 9.9745, 10.0394],
            "activity_forward_gradient, groups of 32": [34.0505, 33.9198, 33.992, 33.8479, 34.2696],
            "activity_forward_gradient, groups of 128": [
                129.9929,
                129.9504,
                129.6726,
                129.2332,
                130.9811,
            ],
        },
        machine="2 cores",
        when="2026-11",
    )

    @override
    def settings(self):
        return {
            "rules": f"each as it stands, with one draw; sigma {SIGMA:g} where there is one",
            "network": f"{INPUTS}-hidden-{OUTPUTS}, tanh, float64",
            "units": "hidden and output together: " + ", ".join(map(str, UNITS)),
            "weights": "biases included; hidden units: " + ", ".join(map(str, HIDDEN)),
            "groups": f"of {WIDE} hidden units, whose head is the readout",
            "samples": "1",
            "draws": f"{self.draws:,}, {self.repeats} times",
        }

    @override
    def law(self, draws, seed):
        with jax.enable_x64(True):
            return {
                **{f"node_perturbation, {n} units": of_units(n, draws, seed) for n in UNITS},
                **{
                    f"forward_gradient, {weights(n)} weights": of_weights(
                        ForwardGradient(), n, draws, seed
                    )
                    for n in HIDDEN
                },
                f"forward_gradient, {weights(16)} random signs": of_weights(
                    ForwardGradient(signs=True), 16, draws, seed
                ),
                f"weight_perturbation, {weights(16)} weights": of_weights(
                    WeightPerturbation(sigma=SIGMA), 16, draws, seed
                ),
                **{
                    f"activity_forward_gradient, groups of {n}": of_groups(n, draws, seed)
                    for n in GROUPS
                },
            }


def of_units(units: int, draws: int, seed: int) -> float:
    """For noise on units: of one sample, what is estimated are the updates of the biases."""
    problem = layered(INPUTS, units - OUTPUTS, OUTPUTS, batch=1)
    biases = dict.fromkeys(problem.net.theta, ("bias",))
    return _second_moment(NodePerturbation(sigma=SIGMA), problem, biases, draws, seed)


def of_weights(rule: Rule, hidden: int, draws: int, seed: int) -> float:
    """For noise on weights."""
    problem = layered(INPUTS, hidden, OUTPUTS, batch=1)
    every = {name: tuple(w) for name, w in problem.net.theta.items()}
    return _second_moment(rule, problem, every, draws, seed)


def of_groups(group: int, draws: int, seed: int) -> float:
    """For noise on units in groups: with the readout as its head, a layer's own loss is the
    loss.
    """
    problem = layered(INPUTS, WIDE, OUTPUTS, batch=1)
    rule = ActivityForwardGradient(group=group)
    head = {"hidden1": problem.net.theta["hidden1-output"]}
    return _second_moment(rule, problem, {"input-hidden1": ("bias",)}, draws, seed, head)


def _second_moment(
    rule: Rule,
    problem: Problem,
    parts: Mapping[str, tuple[str, ...]],
    draws: int,
    seed: int,
    gamma: Any = None,
) -> float:
    """The mean squared length of some parts of an update over that of the same parts of the
    gradient.
    """

    def squared(tree):
        return sum(jnp.sum(tree[name][k] ** 2) for name, some in parts.items() for k in some)

    def one(key):
        return squared(taught(rule, problem.net, problem.x, problem.signal, gamma, key))

    keys = np.arange(draws) + draws * seed
    found = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=256).mean())(keys)
    return float(found / squared(problem.gradient()))
