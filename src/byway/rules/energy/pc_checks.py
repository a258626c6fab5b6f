"""Predictive coding: the slopes of an energy written out here, backprop where the two must agree,
and a closed form.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.core.check import Check
from byway.core.record import Phase, Record
from byway.core.signal import LOSSES, Signal
from byway.network.builders import graph
from byway.rules.energy._predictive import Energy
from byway.verify.oracle import (
    EXACT,
    PHI,
    Problem,
    Theta,
    activity,
    apart,
    drawn,
    gap,
    layered,
    layers,
    learned,
    ravel,
    recorded,
    samples,
    taught,
)

WHITTINGTON, SONG, ROSENBAUM = (
    "Whittington and Bogacz 2017",
    "Song, Lukasiewicz, Xu and Bogacz 2020 (Z-IL)",
    "Rosenbaum 2022",
)
SIZES = {"input": 4, "a": 5, "b": 6, "output": 3}
CYCLES = [("input", "a"), ("a", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
DEEP = (6, 5, 4, 7, 3)


def checks(rule):
    plain = dataclasses.replace(rule, precision=1.0, tolerance=0.0)
    return [
        Check(
            "network with cycles: update = slope of the energy, by autodiff",
            lambda: _slope_of_energy(rule),
            EXACT,
            WHITTINGTON,
        ),
        Check(
            "rate 1, layer l read after L - l steps: update = autodiff",
            lambda: _z_il(plain),
            EXACT,
            SONG,
        ),
        Check(
            "predictions kept: update = autodiff",
            lambda: _fixed_predictions(plain),
            1e-10,
            ROSENBAUM,
        ),
        Check(
            "distance from autodiff: slope by precision, both in logs",
            lambda: _precision(plain),
            0.05,
            WHITTINGTON,
            1.0,
        ),
        Check(
            "with cycles: distance from autodiff through rest, slope by precision",
            lambda: _precision_with_cycles(plain),
            0.05,
            "Almeida 1987; Pineda 1987",
            1.0,
        ),
        Check(
            "precision 1: distance from autodiff",
            lambda: _from_backprop(plain, 1.0)[0],
            0.1,
            WHITTINGTON,
            least=True,
        ),
        Check(
            "deep linear net: settled energy = closed form",
            lambda: _closed_form(plain),
            1e-10,
            "r^T S^-1 r / 2, S = I + sum W W^T",
        ),
    ]


def _energy(v: dict[str, Array], theta: Theta, phi: str = "tanh", precision: float = 1.0) -> Array:
    """F, summed over the batch, of a network of dense projections with squared error."""
    return sum(
        (
            jnp.sum((v[k] - m) ** 2) * (precision if k == "output" else 1.0) / 2
            for k, m in _predictions(v, theta, phi).items()
        ),
        start=jnp.zeros(()),
    )


def _predictions(v: dict[str, Array], theta: Theta, phi: str = "tanh") -> dict[str, Array]:
    mu: dict[str, Array] = {}
    for name, w in theta.items():
        src, dst = name.split("-")
        sent = v[src] if src == "input" else PHI[phi](v[src])
        mu[dst] = (
            mu.get(dst, jnp.zeros_like(v[dst]))
            + sent @ w["weight"]
            + w.get("bias", jnp.zeros(1))[None, :]
        )
    return mu


def _values(phase: Phase, **held: Array) -> dict[str, Array]:
    return {
        name: jnp.asarray(np.asarray(phase.u[name]) + np.asarray(phase.injected[name]))
        for name in phase.u
    } | held


def _slope_of_energy(rule) -> float:
    net = drawn(graph, SIZES, CYCLES, activation="tanh")
    x, target = samples((5, 4), 3)
    signal = Signal(target, LOSSES["squared_error"])
    settled = recorded(rule, net, x, signal)["settled"]
    v = _values(settled, input=x, output=target)
    true = jax.jit(jax.grad(lambda theta: _energy(v, theta, precision=rule.precision) / len(x)))(
        net.theta
    )
    return gap(taught(rule, net, x, signal), true)


def _z_il(rule) -> float:
    """All layers but the last are read as the rule itself reads them; the last before anything has
    moved.
    """
    problem = layered(*DEEP)
    net, x, signal, _ = problem
    first = jax.jit(lambda net: _start(problem._replace(net=net))[1].injected)(net)
    eager = dataclasses.replace(rule, rate=1.0)
    update = {}
    for steps, p in enumerate(reversed(net.projections)):
        if steps:
            update[p.name] = taught(dataclasses.replace(eager, steps=steps), net, x, signal)[p.name]
        else:
            update[p.name] = _learned_from(rule, problem, first)[p.name]
    return gap(update, problem.gradient())


def _start(problem: Problem) -> tuple[Energy, Phase]:
    """The energy with input and target held, and its phase at the feed-forward values."""
    net, x, signal, _ = problem
    energy = Energy(net, {"input": x, "output": signal.target}, 1.0, link=signal.criterion.link)
    order = layers(len(net.hidden))
    h = activity(net.theta, order, x)
    return energy, energy.phase({name: jnp.arctanh(h[name]) for name in order[1:-1]})


def _learned_from(rule, problem: Problem, eps: dict[str, Array]) -> Theta:
    """What g learns from the feed-forward phase with other errors put in."""

    @jax.jit
    def update(net, eps):
        _, first = _start(problem._replace(net=net))
        phase = eqx.tree_at(lambda p: p.injected, first, eps)
        return learned(
            rule, net, Record({"settled": phase}, problem.signal.target), problem.signal
        ).net

    return update(problem.net, eps)


def _fixed_predictions(rule) -> float:
    problem = layered(*DEEP)

    @jax.jit
    def settled(net):
        energy, first = _start(problem._replace(net=net))

        def step(_, eps):
            force = energy.force(eqx.tree_at(lambda p: p.injected, first, eps))
            return {name: e + 0.5 * force[name] if name in force else e for name, e in eps.items()}

        return jax.lax.fori_loop(0, 100, step, first.injected)

    return gap(_learned_from(rule, problem, settled(problem.net)), problem.gradient())


def _from_backprop(rule, *precisions: float) -> list[float]:
    problem = layered(6, 5, 4, 3)
    true, _ = ravel(problem.gradient())
    settling = [dataclasses.replace(rule, precision=p, rate=0.2, steps=400) for p in precisions]
    return [
        apart(ravel(taught(one, problem.net, problem.x, problem.signal))[0] / one.precision, true)
        for one in settling
    ]


def _precision(rule) -> float:
    sizes = (1e-1, 1e-2, 1e-3)
    return float(np.polyfit(np.log(sizes), np.log(_from_backprop(rule, *sizes)), 1)[0])


def _precision_with_cycles(rule) -> float:
    """The true gradient goes through every step on the way to rest."""
    net = drawn(graph, SIZES, CYCLES, activation="tanh")
    x, target = samples((5, 4), 3)

    def loss(theta):
        def step(v, _):
            return {name: (v[name] + m) / 2 for name, m in _predictions(v, theta).items()}, None

        start = {name: jnp.zeros((len(x), n)) for name, n in SIZES.items() if name != "input"}
        v, _ = jax.lax.scan(lambda v, _: step(v | {"input": x}, None), start, None, length=300)
        return jnp.sum((v["output"] - target) ** 2) / 2 / len(x)

    true, _ = ravel(jax.jit(jax.grad(loss))(net.theta))
    sizes, signal = (1e-1, 1e-2, 1e-3), Signal(target, LOSSES["squared_error"])
    far = []
    for size in sizes:
        one = dataclasses.replace(rule, precision=size, rate=0.2, steps=2000)
        far.append(apart(ravel(taught(one, net, x, signal))[0] / size, true))
    return float(np.polyfit(np.log(sizes), np.log(far), 1)[0])


def _closed_form(rule) -> float:
    net, x, signal, _ = layered(*DEEP, phi="identity", loss="squared_error", bias=False)
    record = recorded(dataclasses.replace(rule, rate=0.1, steps=2000), net, x, signal)
    v = _values(record["settled"], input=x, output=signal.target)
    settled = float(jax.jit(lambda v: _energy(v, net.theta, "identity"))(v))
    product, s = np.eye(3), np.eye(3)
    for p in reversed(net.projections):
        product = product @ np.asarray(p.weight).T
        s = s + product @ product.T if p.src != "input" else s
    r = np.asarray(signal.target).T - product @ np.asarray(x).T
    closed = float(np.sum(r * np.linalg.solve(s, r)) / 2)
    return abs(settled - closed) / closed
