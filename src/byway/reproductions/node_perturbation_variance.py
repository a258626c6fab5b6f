"""The variance of node perturbation grows with the number of units that are perturbed.

Every unit gets noise of its own, and one number comes back. To first order in the noise the
estimate of delta, the gradient by all A potentials, is (delta . xi) xi with xi ~ N(0, 1), so

    E |estimate|^2 = (A + 2) |delta|^2

and the variance is A + 1 times what is to be estimated, whatever the number of weights. Here xi is
drawn for one sample of tanh networks, in float64, with sigma so small that higher orders vanish;
delta is autodiff's.

Source   Werfel, Xie and Seung, Learning curves for stochastic gradient descent in linear
         feedforward networks, Neural Comput. 17:2699, 2005, which shows that the time to learn
         grows with the number of perturbed units; for weights in place of units: Baydin,
         Pearlmutter, Syme, Wood and Torr, Gradients without backpropagation, 2022 (arXiv
         2202.08587)
Verified derived: it is the fourth moment of a normal distribution (Isserlis), and no number of a
         table
"""

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.reproductions._claims import Measured, Quantity, Reaches
from byway.reproductions._reproduction import Law
from byway.rules.perturbation.node_perturbation import NodePerturbation
from byway.verify.oracle import layered, taught

INPUTS, OUTPUTS, SIGMA = 16, 4, 1e-4
UNITS = (8, 32, 128, 512)
# The standard error of 5 x 2^17 draws is below 0.3 %.
TOLERANCE = 0.03


class NodePerturbationVariance(Law):
    """Werfel, Xie and Seung 2005."""

    quantity = Quantity("mean squared estimate / squared gradient", higher=False, digits=1)
    claims = tuple(Reaches(f"{n} units", n + 2, within=TOLERANCE * (n + 2)) for n in UNITS)
    repeats, draws, quick_draws, minutes = 5, 2**17, 2**10, 0.5
    measured = Measured(
        values={
            "8 units": [9.9087, 9.9153, 10.0332, 9.9108, 10.0929],
            "32 units": [33.7255, 34.0126, 33.9614, 33.7061, 34.1729],
            "128 units": [128.3802, 129.5375, 128.951, 129.4258, 130.356],
            "512 units": [511.9933, 516.1934, 510.4624, 510.9609, 516.6292],
        },
        machine="2 cores",
        when="2026-11",
    )

    @override
    def settings(self):
        return {
            "rule": f"node_perturbation, sigma {SIGMA:g}",
            "network": f"{INPUTS}-hidden-{OUTPUTS}, tanh, float64",
            "units": "hidden and output together: " + ", ".join(map(str, UNITS)),
            "samples": "1",
            "draws": f"{self.draws:,}, {self.repeats} times",
        }

    @override
    def law(self, draws, seed):
        with jax.enable_x64(True):
            return {f"{n} units": second_moment(n, draws, seed) for n in UNITS}


def second_moment(units: int, draws: int, seed: int) -> float:
    """The mean squared length of the estimate over that of the gradient, both by the potentials:
    of one sample, those are the updates of the biases.
    """
    rule = NodePerturbation(sigma=SIGMA)
    problem = layered(INPUTS, units - OUTPUTS, OUTPUTS, batch=1)

    def squared(tree):
        return sum(jnp.sum(w["bias"] ** 2) for w in tree.values())

    def one(key):
        return squared(taught(rule, problem.net, problem.x, problem.signal, None, key))

    keys = np.arange(draws) + draws * seed
    found = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=256).mean())(keys)
    return float(found / squared(problem.gradient()))
