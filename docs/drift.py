"""Measures what memory going back saves, and by how much it misses what was: `python docs/drift.py`
goes through sequences, neural ODEs and depth, and writes docs/images/drift.svg; needs matplotlib
and some minutes.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import optax

import byway
from byway.core.signal import CrossEntropy, Signal
from byway.learning.rule import Carry
from byway.training.reach import _drift, _example, _memory
from byway.training.step import Optimisers, learn, new_learner
from byway.verify.oracle import memory_of, samples

UNITS, BATCH, TAUGHT = 32, 4, 1_000
LENGTHS, STEPS, BLOCKS = (64, 256, 1024, 4096), (64, 256, 1024, 4096), (2, 8, 32)
SIZES = 4, UNITS, 2
LEAST = 1e-8  # where a drift of zero is drawn


class Line(NamedTuple):
    """What was measured of one rule on one kind of network.

    Attributes:
        memory: of an update [B], by length, steps or blocks.
        drift: by how much going back misses, states = 1; nothing of what stores.
    """

    memory: list[int]
    drift: list[float]


def in_time() -> dict[str, Line]:
    """Rules on sequences, by their length; a learned inverse is taught first, on a network that
    stands still.
    """
    halves, plain = byway.coupled(*SIZES), byway.rnn(*SIZES, activation="leaky")
    gated = byway.coupled(*SIZES, activation=byway.cell("gru", keep=0.125))
    inverse = byway.rule("rollback")
    gamma = taught(inverse, plain)
    kept = lambda **given: (dataclasses.replace(inverse, **given), plain, gamma)
    rotating = lambda phi: byway.orthogonal(*SIZES, activation=phi)
    learners: dict[str, tuple[Any, byway.Network, Any]] = {
        "bptt, halves": (byway.rule("bptt"), halves, None),
        "reversible, halves": (byway.rule("reversible"), halves, None),
        "reversible, rotations": (byway.rule("reversible"), rotating("identity"), None),
        "reversible, slope 0.9": (byway.rule("reversible"), rotating(byway.leaky_relu(0.9)), None),
        "reversible_exact, gru": (byway.rule("reversible_exact"), gated, None),
        "rollback": kept(),
        "rollback, a state in 16": kept(checkpoint=16),
        "rollback, 8 bits": kept(bits=8),
    }
    found = {}
    for name, (rule, net, own) in learners.items():
        memory = [_memory(rule, net, length, BATCH) for length in LENGTHS]
        goes = not name.startswith("bptt")
        drift = [_drift(rule, net, own, length, BATCH, 0) for length in LENGTHS] if goes else []
        found[name] = said(name, Line(memory, drift))
    return found


def taught(rule: byway.Rule, net: byway.Network) -> Any:
    """The inverse of a network, learned on noise."""
    rate = optax.cosine_decay_schedule(1e-2, 2 * TAUGHT)
    still = Optimisers(optax.sgd(0.0), optax.adam(rate))
    x, signal = _example(net, 32, 64, 1)
    learner = new_learner(rule, net, still, x, signal, jax.random.key(0))
    learner = dataclasses.replace(learner, net=net)

    @eqx.filter_jit
    def run(learner):
        def update(learner, number):
            return learn(rule, still, learner, *_example(net, 32, 64, number))[0], None

        return jax.lax.scan(update, learner, 2 + np.arange(TAUGHT))[0]

    return run(learner).gamma


def in_a_pass(names: dict[str, Any], nets: dict[int, byway.Network]) -> dict[str, Line]:
    """Rules on independent samples, by the steps of a solver or the blocks of a network."""
    found = {}
    for name, rule in names.items():
        memory, drift = [], []
        for net in nets.values():
            x, y = (a.astype("float32") for a in samples((BATCH, SIZES[0]), SIZES[2]))
            signal = Signal(y, CrossEntropy())
            memory.append(memory_of(rule, net, x, signal))
            gamma = rule.init(net, jax.random.key(0))
            state, held = rule.start(gamma, net, BATCH)
            carry, key = Carry(state, held, ()), jax.random.key(0)
            teach: Any = eqx.filter_jit(rule.teach)
            scores = teach(rule, gamma, net, carry, x, signal, key)[2]
            drift += [float(scores["drift"])] if "drift" in scores else []
        found[name] = said(name, Line(memory, drift))
    return found


def said(name: str, line: Line) -> Line:
    """The same, printed."""
    print(name, line.memory, [f"{a:.1e}" for a in line.drift], flush=True)
    return line


def draw(found: list[tuple[str, tuple[int, ...], dict[str, Line]]], path: Path) -> None:
    """Memory above, drift below; a column for what is gone back through."""
    from matplotlib import pyplot as plt

    axes = plt.subplots(2, len(found), figsize=(12, 7), layout="constrained")[1]
    for column, (title, across, lines) in enumerate(found):
        above, below = axes[:, column]
        for number, (name, line) in enumerate(lines.items()):
            style = {"color": f"C{number}", "marker": "os^v<>Dp"[number], "fillstyle": "none"}
            above.plot(across, np.array(line.memory) / 1e6, label=name, **style)
            if line.drift:
                drift = np.array(line.drift)
                drift = np.where(np.isfinite(drift), np.maximum(drift, LEAST), np.nan)
                below.plot(across, drift, **style)
        for ax in (above, below):
            ax.set(xscale="log", yscale="log", xlabel=title)
            ax.set_xticks(across, [f"{n:,}" for n in across])
            ax.minorticks_off()
        below.set_ylim(LEAST / 2, 20)
        below.axhline(LEAST, color="0.6", linewidth=0.8, linestyle=":")
        many = len(lines) > 4
        above.set_ylim(top=above.get_ylim()[1] * (100 if many else 5))
        small = {"fontsize": "x-small", "handlelength": 1.2, "columnspacing": 0.8}
        above.legend(frameon=False, loc="upper left", ncols=1 + many, **small)
    axes[0, 0].set_ylabel("memory of an update [MB]")
    axes[1, 0].set_ylabel("drift, states = 1; dotted: to the bit")
    plt.savefig(path)


def main() -> None:
    """Measure, print, and draw."""
    odes = {steps: byway.ode(*SIZES, steps=steps) for steps in STEPS}
    deep = {blocks: byway.revnet(*SIZES, blocks=blocks) for blocks in BLOCKS}
    solving = {name: byway.rule(name) for name in ("bp", "backsolve", "reversible_ode")}
    heun = {"reversible Heun": byway.rule("reversible_ode", solver="reversible_heun")}
    passing = {name: byway.rule(name) for name in ("bp", "reversible")}
    found = [
        ("length of a sequence [steps]", LENGTHS, in_time()),
        ("steps of the solver", STEPS, in_a_pass(solving | heun, odes)),
        ("blocks", BLOCKS, in_a_pass(passing, deep)),
    ]
    draw(found, Path(__file__).parent / "images" / "drift.svg")


if __name__ == "__main__":
    main()
