"""One rule that trains one network, in stretches of a few updates, with numbers that may change on
the way.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool
from typing_extensions import override

from byway.core.hyper import hypers
from byway.core.task import Split
from byway.experiment.controls import Entry
from byway.experiment.experiment import Experiment
from byway.learning.growth import Growth
from byway.network.network import Network
from byway.network.sparse import FixedFanIn
from byway.studio.silence import cut, silenced
from byway.studio.trained import Control, Trained
from byway.training.loop import Loop
from byway.training.step import Start

# Of a number without bounds of its own: how far below and above where it starts it may be set.
FAR = 100.0
RATE = "lr"


class Trainer(Trained):
    """Trains one entry of an experiment, one seed of it, by numbers that may be set.

    Args:
        experiment: what it is part of; the first seed is trained.
        entry: which.
        start: what it begins with; drawn by default.
    """

    def __init__(self, experiment: Experiment, entry: Entry, start: Start | None = None):
        plan, task = experiment.plan(entry), experiment.task
        optimisers, _ = plan.prepare(entry.net, entry.rule, task, experiment.data)
        loop = Loop(
            entry.rule,
            entry.net.as_learnt(False),
            task,
            experiment.data,
            optimisers,
            plan.batch,
            plan.all_seeds[:1],
            plan.probe,
            plan.every,
            plan.growth,
            plan.rests(experiment.data),
            None if start is None else [start],
        )
        super().__init__(loop, entry.label)
        self._rate = plan.rate(entry.rule)
        self._controls = self._declared()
        self._before: dict[str, dict[str, Array]] | None = None
        self._silent: Bool[Array, " units"] | None = None
        self._gone: Bool[Array, " units"] | None = None

    def advance(self, most: int) -> tuple[int, dict[str, np.ndarray]]:
        """Train some updates, of one epoch.

        Args:
            most: how many at most.

        Returns:
            How many were made, and the training scores of each, "seeds updates *parts".
        """
        first = self.update % self.loop.steps
        last = min(first + most, self.loop.steps)
        if self._silent is not None or self._gone is not None:
            # After each update, so that at each one the others hear nothing of these units.
            last = first + 1
        scores, _ = self.loop.train(first, last)
        if self._silent is not None:
            self._with_net(_silenced_all(self.loop.learners.net, self._silent))
        if self._gone is not None:
            self._with_net(_cut_all(self.loop.learners.net, self._gone))
        self.update += last - first
        return last - first, scores

    def follow(self, others: Mapping[str, Split]) -> None:
        """Let `scores` be those on other samples too, by their names."""
        self.loop.data |= {name: self.loop.layout.share(split) for name, split in others.items()}
        self._followed = tuple(others)

    @override
    def controls(self):
        return list(self._controls.values())

    def set(self, name: str, value: float) -> None:
        """Set a number, from the next update on; nothing where it is another rule's."""
        owner, _, field = name.partition(".")
        if name not in self._controls:
            return
        if name == RATE:
            self.loop.change(lr=value)
        elif owner == self.rule.id:
            self.loop.change(rule=dataclasses.replace(self.rule, **{field: value}))
        else:
            growth: list[Growth] = [
                dataclasses.replace(policy, **{field: value}) if policy.id == owner else policy
                for policy in self.loop.growth
            ]
            self.loop.change(growth=growth)
        self._controls[name] = self._controls[name]._replace(value=value)

    def silence(self, mask: Bool[np.ndarray, " units"]) -> None:
        """Let the others hear nothing of some units, until `restore`; those silenced before stay
        so.
        """
        before = self._before or self.loop.learners.net.theta
        old = jnp.zeros(mask.shape, bool) if self._silent is None else self._silent
        self._before = jax.tree.map(jnp.copy, before)
        self._silent = old | jnp.asarray(mask)
        self._with_net(_silenced_all(self.loop.learners.net, self._silent))

    def restore(self) -> None:
        """Let the units that were silenced send again, by the weights that they had."""
        if self._before is None or self._silent is None:
            return
        net = self.loop.learners.net
        self._with_net(_restored_all(net, net.with_theta(self._before), self._silent))
        self._before = self._silent = None

    def lesion(self, mask: Bool[np.ndarray, " units"]) -> None:
        """Cut some units off: no rule brings them back. Free slots of a fixed fan-in stay so by
        themselves; other weights are held at zero.
        """
        gone = jnp.asarray(mask)
        self._with_net(_cut_all(self.loop.learners.net, gone))
        if not all(isinstance(p, FixedFanIn) for p in self.loop.net.projections):
            self._gone = gone if self._gone is None else self._gone | gone

    def _with_net(self, net: Network) -> None:
        held = eqx.tree_at(lambda one: one.net, self.loop.learners, net)
        self.loop.learners = self.loop.layout.place(held)

    def _declared(self) -> dict[str, Control]:
        made = {}
        if self._rate is not None:
            made[RATE] = Control(
                RATE, "learning rate", "", self._rate, self._rate / FAR, self._rate * FAR, True
            )
        for owner in (self.rule, *self.loop.growth):
            for field in hypers(type(owner)):
                if field.metadata["live"] and np.isfinite(value := getattr(owner, field.name)):
                    low, high = _range(value, field.metadata)
                    log = low > 0 and high / low >= FAR
                    name = f"{owner.id}.{field.name}"
                    title, meaning = f"{owner.id} {field.name}", field.metadata["doc"]
                    made[name] = Control(name, title, meaning, value, low, high, log)
        return made


def _range(value: float, about: Mapping[str, Any]) -> tuple[float, float]:
    """Where a number may be set: as it declares, and else around where it starts."""
    search: Sequence[float] = about["search"] or (value / FAR, value * FAR or 1.0)
    low = about["low"] if about["low"] is not None else min(search[0], value)
    high = about["high"] if about["high"] is not None else max(search[1], value)
    return float(low), float(high)


@eqx.filter_jit
def _silenced_all(nets: Network, mask: Array) -> Network:
    return jax.vmap(lambda net: silenced(net, mask))(nets)


@eqx.filter_jit
def _cut_all(nets: Network, mask: Array) -> Network:
    return jax.vmap(lambda net: cut(net, mask))(nets)


@eqx.filter_jit
def _restored_all(nets: Network, before: Network, mask: Array) -> Network:
    """Networks whose weights out of some units are those of before."""

    def one(net: Network, old: Network) -> Network:
        zero, heard = silenced(old, mask), old
        theta = jax.tree.map(
            lambda now, with_, without: jnp.where(with_ != without, with_, now),
            net.theta,
            heard.theta,
            zero.theta,
        )
        return net.with_theta(theta)

    return jax.vmap(one)(nets, before)
