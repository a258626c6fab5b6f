"""How far back a rule assigns credit, and what that costs in memory.

An error comes at the last step of a sequence and at no other. A rule that begins k steps before it,
in the state that the network has there but with nothing of the rule's own in memory, can give
credit to these k steps and to none before. What the update changes by as k grows is the credit of
the steps that came into view.

The memory is that of a compiled update by itself: what XLA sets aside for activity and traces,
besides the samples, the weights and what is carried from batch to batch.
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
    """

    lags: tuple[int, ...]
    credit: Mapping[str, np.ndarray]
    lengths: tuple[int, ...]
    memory: Mapping[str, np.ndarray]

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
        }

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Reach":
        """What `to_json` gave."""

        def by_rule(part: str, width: int) -> dict[str, np.ndarray]:
            found = {str(rule): np.asarray(a, float) for rule, a in held[part].items()}
            if any(a.shape != (width,) for a in found.values()):
                raise ValueError(f"{part} of another length")
            return found

        lags, lengths = (tuple(int(n) for n in held[part]) for part in ("lags", "lengths"))
        return cls(lags, by_rule("credit", len(lags)), lengths, by_rule("memory", len(lengths)))

    def plot(self, axes: Any = None) -> Any:
        """Draw credit by lag, and memory by length.

        Args:
            axes: two axes of matplotlib; new ones by default.

        Returns:
            The two axes.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        try:
            from matplotlib import pyplot as plt
        except ImportError:
            raise not_installed("matplotlib", "plot") from None
        if axes is None:
            axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")[1]
        left, right = axes
        markers = itertools.cycle("osv^D<>P*Xhd")
        for rule, marker in zip(self.credit, markers, strict=False):
            seen = np.where(self.credit[rule] > 0, self.credit[rule], np.nan)
            style = {"marker": marker, "label": rule, "fillstyle": "none"}
            left.plot(self.lags, seen, **style)
            right.plot(self.lengths, self.memory[rule] / 1e6, **style)
        left.set(xscale="log", yscale="log", xlabel="steps before the error")
        left.set(ylabel="credit, last step = 1")
        right.set(xscale="log", yscale="log", xlabel="length of a sequence [steps]")
        right.set(ylabel="memory of an update [MB]")
        for ax, at in ((left, self.lags), (right, self.lengths)):
            ax.set_xticks(at, [f"{k:,}" for k in at])
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
    return Reach(lags, credit, tuple(lengths), memory)


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


def _example(net: Network, batch: int, steps: int, key: int) -> tuple[jax.Array, Signal]:
    """Noise to read, and noise to send at the last step."""
    one, other = jax.random.split(jax.random.key(key))
    x = jax.random.normal(one, (batch, steps, *net[net.input].shape), net.dtype)
    target = jax.random.normal(other, (batch, steps, *net[net.output].shape), net.dtype)
    weight = jnp.zeros((batch, steps), net.dtype).at[:, -1].set(1.0)
    return x, Signal(target, SquaredError(), weight)
