"""Eligibility propagation: forward traces are autodiff of a loop that is cut where a unit sends,
and without recurrence they are BPTT.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.network.builders import rnn
from byway.network.cells.alif import ALIF
from byway.network.cells.leaky import Leaky
from byway.network.cells.lif import LIF
from byway.verify.oracle import EXACT, cross_entropy, drawn, flat_memory, gap, samples, taught

SOURCE = "Bellec et al. 2020"
LAST = "Bellec et al. 2020: what is left out is what units do to each other"
TAU, ADAPTATION, BETA, THETA, DAMPENING, LEAK = 6.0, 10.0, 0.4, 0.6, 0.3, 4.0
STEPS, BATCH, UNITS, CLASSES = 9, 4, 5, 3


def checks(rule):
    random, symmetric = (
        dataclasses.replace(rule, symmetric=on, adaptive=False, price=0.0) for on in (False, True)
    )
    priced = dataclasses.replace(random, price=0.3)
    return [
        Check(
            "lif, random feedback: update = autodiff, cut where units send",
            lambda: _off(random, "lif"),
            EXACT,
            SOURCE,
        ),
        Check("alif, random feedback: the same", lambda: _off(random, "alif"), EXACT, SOURCE),
        Check("alif, symmetric feedback: the same", lambda: _off(symmetric, "alif"), EXACT, SOURCE),
        Check(
            "alif, symmetric, a readout with a leak: the same",
            lambda: _off(symmetric, "alif", leak=True),
            EXACT,
            SOURCE,
        ),
        Check(
            "alif, symmetric, no recurrent weights: update = BPTT's, by autodiff",
            lambda: _off(symmetric, "alif", alone=True),
            EXACT,
            LAST,
        ),
        Check(
            "alif, a readout with a leak, a price of activity: update = autodiff of the same",
            lambda: _off(priced, "alif", leak=True),
            EXACT,
            f"{SOURCE}, Methods",
        ),
        flat_memory(rule, SOURCE),
    ]


@jax.custom_jvp
def _spike(above):
    return jnp.where(above > 0, 1.0, 0.0)


@_spike.defjvp
def _spike_jvp(primals, tangents):
    return _spike(primals[0]), DAMPENING / THETA * jnp.maximum(
        0, 1 - jnp.abs(primals[0] / THETA)
    ) * tangents[0]


def _problem(cell: str, leak: bool, alone: bool):
    adaptive = ALIF(tau=TAU, tau_adaptation=ADAPTATION, beta=BETA)
    units = adaptive if cell == "alif" else LIF(tau=TAU)
    readout = Leaky(phi="identity", tau=LEAK, scaled=False) if leak else "identity"
    net = drawn(rnn, 3, UNITS, CLASSES, activation=units, readout=readout)
    theta = {
        name: {part: a * (0 if alone and name == "hidden1-hidden1" else 3) for part, a in w.items()}
        for name, w in net.theta.items()
    }
    x, target = samples((BATCH, STEPS, 3), CLASSES)
    weight = np.random.default_rng(2).uniform(size=(BATCH, STEPS))
    return (
        net.with_theta(theta),
        x,
        Signal(target, LOSSES["cross_entropy"], jnp.asarray(weight / weight.sum(1, keepdims=True))),
    )


def _off(rule, cell: str, leak: bool = False, alone: bool = False) -> float:
    """How far the update is from the gradient of the loop: cut where a unit sends to others, or not
    cut where they do not listen.
    """
    net, x, signal = _problem(cell, leak, alone)
    gamma = rule.init(net, jax.random.key(7))
    still = (lambda z: z) if alone else jax.lax.stop_gradient
    alpha, rho, kappa = (
        math.exp(-1 / TAU),
        math.exp(-1 / ADAPTATION),
        math.exp(-1 / LEAK) if leak else 0.0,
    )
    beta = BETA if cell == "alif" else 0.0

    def loss(theta):
        into, again, out = (
            theta[name] for name in ("input-hidden1", "hidden1-hidden1", "hidden1-output")
        )
        back = out["weight"] if rule.symmetric else gamma["hidden1"].T

        def step(carry, now):
            (v, a, z, y, spikes, t), (x, target, weight) = carry, now
            v = (
                alpha * v
                + x @ into["weight"]
                + into["bias"][None]
                + still(z) @ again["weight"]
                - THETA * jax.lax.stop_gradient(z)
            )
            a = rho * a + z  # not cut: along this path an adaptive unit remembers
            z = _spike(v - THETA - beta * a)
            sent = jax.lax.stop_gradient(z)
            y = (
                kappa * y
                + sent @ out["weight"]
                + (z - sent) @ jax.lax.stop_gradient(back)
                + out["bias"][None]
            )
            spikes = spikes + sent
            cost = jnp.sum(rule.price * (spikes / t - rule.rate) * z, -1)
            error = cross_entropy(y, target) * weight
            return (v, a, z, y, spikes, t + 1), jnp.sum(error + cost) / BATCH

        none = jnp.zeros((BATCH, UNITS))
        rest = (none, none, none, jnp.zeros((BATCH, CLASSES)), none, 1.0)
        return jnp.sum(
            jax.lax.scan(
                step,
                rest,
                tuple(
                    jnp.moveaxis(jnp.asarray(a), 1, 0) for a in (x, signal.target, signal.weight)
                ),
            )[1]
        )

    return gap(taught(rule, net, x, signal), jax.jit(jax.grad(loss))(net.theta))
