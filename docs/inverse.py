"""Measures how far a learned inverse reaches and draws it: `python docs/inverse.py` trains 32 units
of several kinds on delayed_xor by BPTT, teaches the inverse of each by `rollback`'s own turn, goes
back, and writes docs/images/inverse.svg; needs matplotlib and some minutes.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import byway
from byway.learning.rule import Carry
from byway.learning.time import step_of
from byway.rules.time._rollback import flat

CELLS: dict[str, Any] = {"tanh": "tanh", "leaky": byway.cell("leaky", tau=3.0)}
SEEDS, UNITS, TAUGHT, SHOWN = 3, 32, 1500, 256
STEPS = (1, 2, 4, 8, 16, 32)
BITS = (0, 2, 4, 8)
TASK = byway.task("delayed_xor", gap=24, wait=8, samples=5_000)


class Seen(NamedTuple):
    """What was measured of one network.

    Attributes:
        accuracy: of the network [%].
        error: root mean square of a state that was gone back to, in units of that of all states,
            by `STEPS`.
        cosine: with the gradient of BPTT, with a true state every so many steps, by `STEPS`.
        whole: the same, from the end to the start without one.
        bits: the same without one, by `BITS` that were kept.
        spilled: the share of residuals that did not fit, by `BITS`.
        stretch: the largest and the smallest singular value of a step's Jacobian, on average.
    """

    accuracy: float
    error: np.ndarray
    cosine: np.ndarray
    whole: float
    bits: np.ndarray
    spilled: np.ndarray
    stretch: np.ndarray


def trained(cell: Any) -> byway.Result:
    """The networks, of every seed."""
    net = byway.rnn(TASK.input_shape, UNITS, TASK.outputs, activation=cell)
    plan: dict[str, Any] = {
        "epochs": 10,
        "batch": 32,
        "lr": 3e-3,
        "clip": 1.0,
        "seeds": SEEDS,
        "looks": 0,
    }
    return byway.fit(net, byway.rule("bptt"), TASK, progress=False, **plan)


def measured(result: byway.Result, seed: int) -> Seen:
    """Teach the inverse of a network, and go back through it."""
    net, data = result.learner(seed).net, TASK.load()
    x, signal = TASK.batch(data["test"], jnp.arange(SHOWN), jax.random.key(0))
    true = _direction(byway.rule("bptt"), {}, net, x, signal)[0]

    def cosine(rule, gamma):
        mine, scores = _direction(rule, gamma, net, x, signal)
        alike = mine @ true / (np.linalg.norm(mine) * np.linalg.norm(true))
        return float(alike), scores

    plain = byway.rule("rollback")
    gamma = _taught(plain, net, data["train"], jax.random.key(seed))
    kept = [cosine(dataclasses.replace(plain, checkpoint=k), gamma)[0] for k in STEPS]
    coded = []
    for bits in BITS:
        rule = dataclasses.replace(plain, bits=bits)
        alike, scores = cosine(rule, gamma)
        coded.append((alike, float(scores.get("spilled", 0.0))))
    return Seen(
        100 * float(result.accuracy[seed]),
        np.asarray(_missed(plain, gamma, net, x))[[k - 1 for k in STEPS]],
        np.array(kept),
        coded[0][0],
        np.array([alike for alike, _ in coded]),
        np.array([spilled for _, spilled in coded]),
        _stretch(net, x),
    )


@eqx.filter_jit
def _updated(rule, gamma, net, x, signal):
    carry = Carry(*rule.start(gamma, net, len(x)), ())
    _, update, scores = rule.teach(rule, gamma, net, carry, x, signal, jax.random.key(0))
    return ravel_pytree({name: update.net[name] for name in sorted(update.net)})[0], scores


def _direction(rule, gamma, net, x, signal) -> tuple[np.ndarray, dict[str, Any]]:
    flat, scores = _updated(rule, gamma, net, x, signal)
    return np.asarray(flat, float), scores


@eqx.filter_jit
def _taught(rule, net, train, key):
    """The rule's own parameters for a network that stands still."""
    turn, adam = rule.turns[0][0], optax.adam(optax.cosine_decay_schedule(1e-2, TAUGHT))
    gamma = rule.init(net, key)
    own = {name: a for name, a in gamma.items() if name != "seen"}

    def update(held, key):
        own, moments = held
        one, other = jax.random.split(key)
        index = jax.random.randint(one, (32,), 0, train.size)
        x, signal = TASK.batch(train, index, key)
        carry = Carry(net.rest(len(x)), (), ())
        learnt = rule.teach(turn, gamma | own, net, carry, x, signal, other)[1].gamma
        change, moments = adam.update(learnt, moments)
        return (optax.apply_updates(own, change), moments), None

    held = jax.lax.scan(update, (own, adam.init(own)), jax.random.split(key, TAUGHT))[0]
    return gamma | held[0]


@eqx.filter_jit
def _missed(rule, gamma, net, x) -> jax.Array:
    """How far a state that was gone back to is from the true one, by the number of steps."""
    key, length = jax.random.key(0), x.shape[1]

    def there(way, t):
        return rule.f(gamma, net, way, step_of(x, t), None, key)[0], flat(way.now)

    def home(way, now):
        t, true = now
        way, _ = rule.back(gamma, net, way, step_of(x, t), key)
        return way, jnp.sqrt(jnp.mean((flat(way.now) - true) ** 2))

    start = rule.depart(gamma, net, net.rest(len(x)), length)
    way, true = jax.lax.scan(there, start, jnp.arange(length))
    _, gaps = jax.lax.scan(home, way, (jnp.arange(length), true), reverse=True)
    return gaps[::-1] / jnp.sqrt(jnp.mean(true**2))


def _stretch(net, x) -> np.ndarray:
    """The largest, middle and smallest singular value of a step, in the middle of sequences."""
    state = net.rest(8)
    for t in range(x.shape[1] // 2):
        state, _ = net.step(step_of(x[:8], t), state)
    name = next(iter(state.due))
    part = next(iter(state.cell.get(name, {"": None})))

    def after(h, x):
        """Of one sample, the state of the units: that of their cells, where they have one."""
        one = jax.tree.map(lambda a: a[:1], state)
        if part:
            one = one._replace(cell={name: {part: h[None]}})
        if not part or net[name].cell.name == "gru":
            one = one._replace(due={name: {1: h[None]}})
        elif net[name].cell.name == "leaky":
            one = one._replace(due={name: {1: jnp.tanh(h[None])}})
        made, _ = net.step(x[None], one)
        return (made.cell[name][part] if part else made.due[name][1])[0]

    now = state.cell[name][part] if part else state.due[name][1]
    each = jax.jit(jax.vmap(jax.jacfwd(after)))(now, step_of(x[:8], x.shape[1] // 2))
    values = np.linalg.svd(np.asarray(each), compute_uv=False).mean(0)
    return values[[0, len(values) // 2, -1]]


def draw(found: dict[str, list[Seen]], path: Path) -> None:
    """Error and cosine by k on one axis of steps, a line each for every kind of unit."""
    from matplotlib import pyplot as plt

    _, left = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    right = left.twinx()
    for number, (name, seen) in enumerate(found.items()):
        colour = f"C{number}"
        for axes, measured_by_seed, style in (
            (left, [one.error for one in seen], {"linestyle": "--", "marker": "x"}),
            (right, [one.cosine for one in seen], {"linestyle": "-", "marker": "o"}),
        ):
            rows = np.array(measured_by_seed)
            axes.plot(STEPS, rows.mean(0), color=colour, label=name, **style)
            axes.fill_between(STEPS, rows.min(0), rows.max(0), color=colour, alpha=0.15, lw=0)
    left.set(xscale="log", yscale="log", xlabel="k, steps back from a true state")
    left.set(ylabel="--x  error of the state, states = 1")
    right.set(ylim=(-0.05, 1.05), ylabel="-o  cosine with the gradient of BPTT")
    left.set_xticks(STEPS, [str(k) for k in STEPS])
    left.minorticks_off()
    right.axhline(0.99, color="0.6", linewidth=0.8, linestyle=":")
    right.legend(frameon=False, loc="center left")
    plt.savefig(path)


def main(*cells: str) -> None:
    """Measure, print a table, and draw."""
    found: dict[str, list[Seen]] = {}
    spread = lambda rows: [f"{a:.3f} ± {b:.3f}" for a, b in zip(*_spread(rows), strict=True)]
    for name in cells or CELLS:
        result = trained(CELLS[name])
        seen = found[name] = [measured(result, seed) for seed in range(SEEDS)]
        print(name, "accuracy", [round(one.accuracy, 1) for one in seen])
        print("  error by steps", STEPS, spread([one.error for one in seen]))
        print("  cosine by checkpoint", STEPS, spread([one.cosine for one in seen]))
        print("  cosine without", *spread([[one.whole] for one in seen]))
        print("  cosine by bits", BITS, spread([one.bits for one in seen]))
        print("  did not fit", BITS, spread([one.spilled for one in seen]))
        print("  singular values", spread([one.stretch for one in seen]), flush=True)
    draw(found, Path(__file__).parent / "images" / "inverse.svg")


def _spread(rows) -> tuple[np.ndarray, np.ndarray]:
    rows = np.array(rows)
    return rows.mean(0), rows.std(0, ddof=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
