"""How far back a rule assigns credit, and what that costs in memory.

An error comes at the last step of a sequence and at no other. A rule that begins k steps before it,
in the state that the network has there but with nothing of the rule's own in memory, can give
credit to these k steps and to none before. What the update changes by as k grows is the credit of
the steps that came into view.

The memory is that of a compiled update by itself: what XLA sets aside for activity and traces,
besides the samples, the weights and what is carried from batch to batch.

Some rules save memory by going back instead of storing. What they come back to is not quite what
was: the drift is the root mean square by which states are missed on the way back, over all steps,
in units of the states' own; of the part of the state that is missed most.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from byway.core.errors import not_installed
from byway.core.given import require_several, require_whole
from byway.core.signal import Signal, SquaredError
from byway.core.tree import PyTree
from byway.learning.rule import Carry, Rule
from byway.learning.time import RoundTripRule, step_of
from byway.network.network import Network
from byway.training.step import Optimisers, learn, new_learner

SGD = Optimisers(optax.sgd(0.1), optax.sgd(0.1))
# Credit below this share of that of the last step counts as none.
LEAST = 0.01
STEPS, LENGTHS, BATCH = 64, (64, 256, 1024, 4096), 4


@dataclasses.dataclass(frozen=True)
class Reach:
    """How far back rules assign credit on one network, and what that costs.

    Attributes:
        lags: steps back from the error, the last step counting as 1: credit number i is that of the
            steps from just beyond the lag before up to lag i.
        credit: by rule, the length of what a step adds to the update of the hidden layers, on
            average over these steps, in units of what the last step adds; "lags".
        lengths: of sequences [steps].
        memory: by rule, what one update needs for sequences so long [B]; "lengths".
        drift: by rule that goes back instead of storing, how far states are missed on the way back
            through sequences so long, in units of the states' own; "lengths".
    """

    lags: tuple[int, ...]
    credit: Mapping[str, np.ndarray]
    lengths: tuple[int, ...]
    memory: Mapping[str, np.ndarray]
    drift: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def furthest(self, rule: str) -> int:
        """The furthest lag that gets at least 1 % of the credit of the last step; 0 for none."""
        credit = zip(self.lags, self.credit[rule], strict=True)
        return max((lag for lag, share in credit if share >= LEAST), default=0)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "lags": list(self.lags),
            "credit": {rule: credit.tolist() for rule, credit in self.credit.items()},
            "lengths": list(self.lengths),
            "memory": {rule: held.tolist() for rule, held in self.memory.items()},
            "drift": {rule: missed.tolist() for rule, missed in self.drift.items()},
        }

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Reach":
        """What `to_json` gave."""

        def by_rule(given: Mapping[str, Any], part: str, width: int) -> dict[str, np.ndarray]:
            found = {str(rule): np.asarray(a, float) for rule, a in given.items()}
            if any(a.shape != (width,) for a in found.values()):
                raise ValueError(f"{part} of another length")
            return found

        lags, lengths = (tuple(int(n) for n in held[part]) for part in ("lags", "lengths"))
        drift = held.get("drift", {})  # a run that was measured before there was any has none
        return cls(
            lags,
            by_rule(held["credit"], "credit", len(lags)),
            lengths,
            by_rule(held["memory"], "memory", len(lengths)),
            by_rule(drift, "drift", len(lengths)),
        )

    def plot(self, axes: Any = None) -> Any:
        """Draw credit by lag, and memory by length; and drift by length, where a rule goes back.

        Args:
            axes: axes of matplotlib, two or three; new ones by default.

        Returns:
            The axes.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        try:
            from matplotlib import pyplot as plt
        except ImportError:
            raise not_installed("matplotlib", "plot") from None
        if axes is None:
            count = 3 if self.drift else 2
            axes = plt.subplots(1, count, figsize=(5 * count, 4), layout="constrained")[1]
        left, *others = axes
        megabytes = {rule: held / 1e6 for rule, held in self.memory.items()}
        by_length = [(megabytes, "memory of an update [MB]"), (self.drift, "drift, states = 1")]
        drawn = [(left, self.lags, self.credit, "steps before the error", "credit, last step = 1")]
        drawn += [
            (ax, self.lengths, values, "length of a sequence [steps]", title)
            for ax, (values, title) in zip(others, by_length, strict=False)
        ]
        markers = itertools.cycle("osv^D<>P*Xhd")
        for number, (rule, marker) in enumerate(zip(self.credit, markers, strict=False)):
            style = {"marker": marker, "label": rule, "fillstyle": "none", "color": f"C{number}"}
            for ax, across, values, _, _ in drawn:
                if rule in values:
                    seen = np.where(values[rule] > 0, values[rule], np.nan)
                    ax.plot(across, seen, **style)
        for ax, across, _, below, beside in drawn:
            ax.set(xscale="log", yscale="log", xlabel=below, ylabel=beside)
            ax.set_xticks(across, [f"{k:,}" for k in across])
            ax.minorticks_off()
        left.legend(frameon=False, fontsize="small")
        return axes


def checked(steps: int, lengths: Sequence[int], batch: int) -> tuple[int, tuple[int, ...], int]:
    """The same, or a `ConfigError`."""
    require_whole("steps", steps, 2)
    require_whole("batch", batch)
    require_several("lengths", lengths, "lengths of sequences", "for example (64, 256)")
    for length in lengths:
        require_whole("lengths", length)
    return steps, tuple(lengths), batch


# A rule, its network with weights, and its own parameters; None for those that it draws.
Learned = tuple[Rule, Network, PyTree | None]


def measured(
    learners: Mapping[str, Learned],
    steps: int = STEPS,
    lengths: Sequence[int] = LENGTHS,
    batch: int = BATCH,
    key: int = 0,
) -> Reach:
    """Measure rules in time, each on a network with its weights as they are; see
    `byway.experiment.reach.reach`.
    """
    lags = *(2**i for i in range((steps - 1).bit_length())), steps
    credit = {label: _credit(*one, lags, batch, key) for label, one in learners.items()}
    memory = {
        label: np.array([_memory(rule, net, length, batch) for length in lengths])
        for label, (rule, net, _) in learners.items()
    }
    drift = {
        label: np.array([_drift(rule, net, gamma, length, batch, key) for length in lengths], float)
        for label, (rule, net, gamma) in learners.items()
        if isinstance(rule, RoundTripRule)
    }
    return Reach(lags, credit, tuple(lengths), memory, drift)


def _credit(
    rule: Rule, net: Network, gamma: PyTree | None, lags: Sequence[int], batch: int, key: int
) -> np.ndarray:
    """The credit of steps at each lag, in float64: what is looked at are differences."""
    with jax.enable_x64(True):
        net, gamma = jax.tree.map(
            lambda a: jnp.asarray(a, jnp.float64) if eqx.is_inexact_array(a) else a, (net, gamma)
        )
        steps = lags[-1]
        x, signal = _example(net, batch, steps, key)
        noise = jax.random.key(key)

        @jax.jit
        def updates(net, gamma, x, signal):
            gamma = rule.init(net, noise) if gamma is None else gamma
            state, memory = rule.begin(
                gamma, net, batch, rule.end(rule.start(gamma, net, batch)[1])
            )
            seen = []
            for lag in lags:
                carry = Carry(state, memory, ())
                if lag < steps:
                    there = rule.teach(
                        rule, gamma, net, carry, x, signal, noise, first=0, steps=steps - lag
                    )[0]
                    carry = Carry(there.state, memory, ())
                update = rule.teach(
                    rule, gamma, net, carry, x, signal, noise, first=steps - lag, steps=lag
                )[1]
                hidden = {
                    p.name: update.net[p.name]
                    for p in net.projections
                    if p.name in update.net and p.dst != net.output
                }
                seen.append(ravel_pytree(hidden)[0])
            return jnp.stack(seen)

        found = np.asarray(updates(net, gamma, x, signal))
    if not found.size:  # a rule that leaves the hidden layers alone
        return np.zeros(len(lags))
    widths = np.diff([0, *lags])
    added = np.linalg.norm(np.diff(found, axis=0, prepend=0), axis=1) / widths
    return added / added[0] if added[0] > 0 else np.zeros(len(lags))


def _memory(rule: Rule, net: Network, length: int, batch: int) -> int:
    """Memory of one compiled update on sequences of a length [B]; nothing is run."""
    x, signal = jax.eval_shape(lambda: _example(net, batch, length, 0))

    def fresh(x, signal):
        return new_learner(rule, net, SGD, x, signal, jax.random.key(0))

    def step(learner, x, signal):
        return learn(rule, SGD, learner, x, signal)[0]

    learner = jax.eval_shape(fresh, x, signal)
    used = jax.jit(step).lower(learner, x, signal).compile().memory_analysis()
    return 0 if used is None else used.temp_size_in_bytes


def _drift(
    rule: RoundTripRule, net: Network, gamma: PyTree | None, length: int, batch: int, key: int
) -> float:
    """By how much states are missed on the way back, in the network's own precision."""
    x, signal = _example(net, batch, length, key)
    noise = jax.random.key(key)

    def parts(way):
        """All numbers of the state, without the notes of the way."""
        held = jax.tree.leaves(rule.arrive(gamma, net, way))
        return [a.astype(net.dtype) for a in held if a.ndim]

    @jax.jit
    def missed(gamma, net, x, signal):
        start = rule.begin(gamma, net, batch, rule.end(rule.start(gamma, net, batch)[1]))[0]

        def forth(way, t):
            key = jax.random.fold_in(noise, t)
            return rule.f(gamma, net, way, step_of(x, t), signal.at(t), key)[0], parts(way)

        def home(way, seen):
            t, true = seen
            way, _ = rule.back(gamma, net, way, step_of(x, t), jax.random.fold_in(noise, t))
            apart = [jnp.sum((a - b) ** 2) for a, b in zip(parts(way), true, strict=True)]
            return way, (apart, [jnp.sum(b**2) for b in true])

        times = jnp.arange(length)
        there, states = jax.lax.scan(forth, rule.depart(gamma, net, start, length), times)
        _, (apart, whole) = jax.lax.scan(home, there, (times, states), reverse=True)
        shares = [
            jnp.sqrt(a.sum() / jnp.where(b.sum() > 0, b.sum(), 1))
            for a, b in zip(apart, whole, strict=True)
        ]
        return jnp.max(jnp.stack(shares))

    gamma = rule.init(net, noise) if gamma is None else gamma
    return float(missed(gamma, net, x, signal))


def _example(net: Network, batch: int, steps: int, key: int) -> tuple[jax.Array, Signal]:
    """Noise to read, and noise to send at the last step."""
    one, other = jax.random.split(jax.random.key(key))
    x = jax.random.normal(one, (batch, steps, *net[net.input].shape), net.dtype)
    target = jax.random.normal(other, (batch, steps, *net[net.output].shape), net.dtype)
    weight = jnp.zeros((batch, steps), net.dtype).at[:, -1].set(1.0)
    return x, Signal(target, SquaredError(), weight)
