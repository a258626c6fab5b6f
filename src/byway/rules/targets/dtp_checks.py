"""Difference target propagation: Gauss-Newton where the inverses are exact, and the inverse loss by
autodiff and least squares.
"""

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.network.builders import convnet, mlp
from byway.verify.oracle import (
    EXACT,
    apart,
    current,
    drawn,
    gap,
    layered,
    learned,
    recorded,
    samples,
    taught,
)

LEE, MEULEMANS = "Lee, Zhang, Fischer and Bengio 2015", "Meulemans et al. 2020: Gauss-Newton"


def checks(rule):
    return [
        Check(
            "square linear net, feedback = inverse: update = Gauss-Newton's",
            lambda: _gauss_newton(rule),
            1e-9,
            MEULEMANS,
        ),
        Check(
            "no error: targets = activities, whatever the feedback",
            lambda: _no_error(rule),
            0.0,
            LEE,
        ),
        Check(
            "convnet: update of the feedback = slope of the inverse loss",
            lambda: _inverse_loss(rule),
            EXACT,
            LEE,
        ),
        Check(
            "linear net: feedback by least squares stands still",
            lambda: _least_squares(rule),
            1e-10,
            "the normal equations",
        ),
        Check(
            "noise goes one layer far: noisy activity, in NumPy",
            lambda: _one_layer(rule),
            EXACT,
            LEE,
        ),
    ]


def _gauss_newton(rule) -> float:
    """With t = h - e (W_{l+1} ... W_L)^-1 each layer would make the output take the step by
    itself.
    """
    net, x, signal, _ = layered(4, 4, 4, 4, phi="identity", loss="squared_error")
    weights = [np.asarray(p.weight) for p in net.projections]
    inverse = {
        p.name: jnp.asarray(np.linalg.inv(np.asarray(p.weight)).T)
        for p in net.projections
        if p.src != net.input
    }
    gamma = {"V": inverse, "c": {h.name: jnp.zeros(h.shape) for h in net.hidden}}
    record = recorded(rule, net, x, signal, gamma)
    delta, true = np.asarray(record.output) - np.asarray(signal.target), {}
    for p, weight in zip(reversed(net.projections), reversed(weights), strict=True):
        pre = np.asarray(x if p.src == net.input else record["free"].post[p.src])
        true[p.name] = {"weight": pre.T @ delta / len(pre), "bias": delta.mean(0)}
        delta = delta @ np.linalg.inv(weight)
    return gap(taught(rule, net, x, signal, gamma), true)


def _no_error(rule) -> float:
    net, x, signal, _ = layered(5, 6, 4, 3)
    record = recorded(rule, net, x, signal)
    update = learned(rule, net, record, Signal(record.output, LOSSES["squared_error"]))
    return max(float(np.abs(a).max()) for a in jax.tree.leaves(update.net))


def _inverse_loss(rule) -> float:
    """V takes the activity of the next layer back: the transpose, by autodiff, of what its shape
    would do forwards.
    """
    net = drawn(convnet, (8, 8, 2), (2, 3), 3, activation="tanh")
    x, target = samples((5, 8, 8, 2), 3)
    signal = Signal(target, LOSSES["cross_entropy"])
    gamma = jax.jit(rule.init)(net, jax.random.key(3))
    record = recorded(rule, net, x, signal, gamma)
    pairs = [("conv1", "conv2"), ("conv2", "output")]

    @jax.jit
    def true(gamma, noisy, free):
        def loss(gamma):
            total = jnp.zeros(())
            for src, dst in pairs:
                w, told = (
                    {
                        "weight": gamma["V"][f"{src}-{dst}"],
                        "bias": jnp.zeros(noisy.post[dst].shape[-1]),
                    },
                    noisy.post[dst],
                )
                back = jax.vjp(lambda h, w=w: current(h, w), free.post[src])[1](told)[0]
                guess = jnp.tanh(back + gamma["c"][src][None])
                total = total + jnp.sum((guess - free.post[src] - noisy.injected[src]) ** 2) / 2
            return total / len(x)

        return jax.grad(loss)(gamma)

    found, wanted = (
        learned(rule, net, record, signal, gamma).gamma or {},
        true(gamma, record["noisy"], record["free"]),
    )
    return max(
        apart(found[part][name], a) for part in ("V", "c") for name, a in wanted[part].items()
    )


def _least_squares(rule) -> float:
    net = drawn(mlp, 5, 3, 4, 3, activation="identity")
    x, target = samples((50, 5), 3)
    signal = Signal(target, LOSSES["squared_error"])
    record = recorded(rule, net, x, signal)
    free, noisy = record["free"], record["noisy"]
    best = {"V": {}, "c": {}}
    for src, dst in (("hidden1", "hidden2"), ("hidden2", "output")):
        told = np.column_stack([np.asarray(noisy.post[dst]), np.ones(len(x))])
        solution = np.linalg.lstsq(
            told, np.asarray(free.post[src]) + np.asarray(noisy.injected[src]), rcond=None
        )[0]
        best["V"][f"{src}-{dst}"], best["c"][src] = (
            jnp.asarray(solution[:-1].T),
            jnp.asarray(solution[-1]),
        )
    update = learned(rule, net, record, signal, best).gamma
    return max(float(np.abs(a).max()) for a in jax.tree.leaves(update))


def _one_layer(rule) -> float:
    net, x, signal, _ = layered(5, 6, 4, 3)
    free, noisy = (recorded(rule, net, x, signal)[name] for name in ("free", "noisy"))
    off = []
    for p in net.projections[1:]:
        shaken = np.asarray(free.post[p.src]) + np.asarray(noisy.injected[p.src])
        u = shaken @ np.asarray(p.weight) + np.asarray(p.theta["bias"])
        off.append(apart(noisy.post[p.dst], u if p.dst == net.output else np.tanh(u)))
    return max(off)
