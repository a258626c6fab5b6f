"""One rule on one tiny network, with batches and learners made when they are first asked for."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from typing_extensions import override

from byway.audit.networks import tiny
from byway.core.signal import CrossEntropy, Right, Signal, SquaredError
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.learning.time import SequenceRule, StepRule, step_of
from byway.network.network import Network
from byway.training.step import Optimisers, learn, new_learner

# Where layers run on guesses of each other, news takes a batch to each.
BATCH, STEPS, UPDATES = 4, 3, 4
Batches = tuple[Array, Array, Array | None]


def optimisers(rule: Rule) -> Optimisers:
    """Of weights and of gamma. A rule that acts many times on a batch is given a rate that takes it
    as far, in all, as one that acts once.
    """
    acts = sum(times for _, times in rule.turns)
    return Optimisers(optax.sgd(0.1 / acts, momentum=0.9), optax.sgd(0.01))


class Case:
    """A rule on a tiny network of one kind, in the precision that JAX is set to.

    Attributes:
        rule: the rule.
        kind: the kind of network, a key of `audit.networks.KINDS`; or any name for the network that
            `build` makes.
        net: the network.
        in_time: whether a batch is one of sequences: always where f sees them whole, and where
            steps are carried to the next.
        optimisers: of the weights and of gamma.
    """

    def __init__(self, rule: Rule, kind: str, build: Callable[[], Network] | None = None):
        self.rule, self.kind, self.net = (
            rule,
            kind,
            eqx.filter_jit(build or (lambda: tiny(kind, rule)))(),
        )
        self.optimisers = optimisers(rule)
        self.in_time = isinstance(rule, SequenceRule) or (
            isinstance(rule, StepRule) and not self.net.feedforward
        )

    @override
    def __str__(self) -> str:
        return f"{self.rule.id} on {self.kind}"

    @functools.cached_property
    def batches(self) -> Batches:
        """Inputs, targets and, in time, what each step counts; of each as many as there are
        updates.
        """
        draw, classes, time = (
            np.random.default_rng(0),
            self.net[self.net.output].size,
            (STEPS,) if self.in_time else (),
        )
        x = draw.normal(size=(UPDATES, BATCH, *time, *self.net[self.net.input].shape))
        target = np.eye(classes)[draw.integers(0, classes, (UPDATES, BATCH, *time))]
        weight = draw.uniform(size=(UPDATES, BATCH, *time))
        return (
            jnp.asarray(x),
            jnp.asarray(target),
            jnp.asarray(weight / weight.sum(2, keepdims=True)) if time else None,
        )

    def batch(self, number: int = 0) -> Batches:
        """One of the batches."""
        return jax.tree.map(lambda a: a[number], self.batches)

    def signal(self, target: Array, weight: Array | None) -> Signal:
        """The signal of a batch. An output that projects onwards has a value of its own, not a
        probability.
        """
        return Signal(
            target,
            SquaredError() if self.net.outgoing(self.net.output) else CrossEntropy(),
            weight,
            Right(),
        )

    def call(self, dtype: Any = None) -> tuple[Network, Array, Signal]:
        """The network, inputs and signal of one call of f, in a precision of choice; wiring stays
        whole numbers.
        """

        def cast(tree: Any) -> Any:
            brought = lambda a: a.astype(dtype) if eqx.is_inexact_array(a) else a
            return tree if dtype is None else jax.tree.map(brought, tree)

        x, target, weight = cast(self.batch())
        signal = self.signal(target, weight)
        if weight is not None and isinstance(self.rule, StepRule):
            x, signal = step_of(x, 0), signal.at(0)
        return cast(self.net), x, signal

    def start(self, seed: int = 0) -> Learner:
        """A learner at its start."""
        return self._starter(jax.random.key(seed))

    @functools.cached_property
    def _starter(self) -> Callable[[Array], Learner]:
        x, target, weight = self.batch()
        return jax.jit(
            lambda key: new_learner(
                self.rule, self.net, self.optimisers, x, self.signal(target, weight), key
            )
        )

    def step(self, learner: Learner, batch: Batches) -> tuple[Learner, dict[str, Array]]:
        """One batch learned, as training does it."""
        x, target, weight = batch
        return learn(self.rule, self.optimisers, learner, x, self.signal(target, weight), _score)

    @functools.cached_property
    def compiled_step(self) -> Callable[[Learner, Batches], tuple[Learner, dict[str, Array]]]:
        """The same, compiled."""
        return jax.jit(self.step)

    def looped(self, seed: int) -> tuple[Learner, list[dict[str, Array]]]:
        """All batches learned, one compiled call each; and the scores of each."""
        learner, scores = self.start(seed), []
        for i in range(UPDATES):
            learner, one = self.compiled_step(learner, self.batch(i))
            scores.append(one)
        return learner, scores

    def abreast(self, *seeds: int) -> list[Learner]:
        """All batches learned by several learners at once: a scan, under `vmap`."""
        stacked = jax.tree.map(lambda *a: jnp.stack(a), *(self.start(seed) for seed in seeds))
        ends = jax.jit(jax.vmap(lambda learner: jax.lax.scan(self.step, learner, self.batches)[0]))(
            stacked
        )
        return [jax.tree.map(lambda a, i=i: a[i], ends) for i in range(len(seeds))]


def with_calls_of_f(rule: Rule) -> tuple[Rule, list[int]]:
    """The same rule, and a list that grows whenever its f is traced."""
    cls, calls = type(rule), []

    def f(self, *args):
        calls.append(1)
        return cls.f(self, *args)

    counting = type(cls.__name__, (cls,), {"f": f, "id": rule.id})
    return counting(
        **{field.name: getattr(rule, field.name) for field in dataclasses.fields(rule)}
    ), calls


def _score(output, signal):
    return {"loss": signal.loss(output), "size": jnp.sum(output**2, -1)}
