"""Trainings side by side: of one rule, each with numbers of its own, in one compiled program."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from byway.core.errors import ConfigError
from byway.core.hyper import Mould, numbers_of
from byway.core.task import Split, Task
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.training.course import Course
from byway.training.history import History
from byway.training.loop import Loop
from byway.training.optimisers import Optimiser
from byway.training.plan import Plan
from byway.training.result import judged
from byway.training.step import Optimisers


def validated(
    net: Network,
    rules: Sequence[Rule],
    rates: Sequence[float],
    task: Task,
    data: dict[str, Split],
    plan: Plan,
) -> list[float]:
    """How runs score on validation, each on average over its seeds, as `Result.validated` of
    `fit` would say.

    Those whose rules differ in live numbers alone share a program. Where the network has black
    boxes, which may remember what they were asked, each is trained by itself, one after another.

    Args:
        net: the network; each learner draws its own weights.
        rules: the rule of each training.
        rates: the learning rate of each.
        task: what they learn.
        data: its splits; only those for training and validation are read.
        plan: all else, the same for all. The microscope does not look.

    Raises:
        ConfigError: an optimiser that was not given by name, which has no rate to choose.
    """
    splits = {name: data[name] for name in ("train", "validation")}
    optimisers, scores = plan.prepare(net, rules[0], task, splits)[0], np.zeros(len(rules))
    seeds_each = len(plan.all_seeds)
    for numbers in _alike(rules) if net.differentiable else [[i] for i in range(len(rules))]:
        for i in numbers:
            rules[i].accepts(net)
        seeds = len(numbers) * plan.all_seeds
        each = [
            (rules[i], _at(optimisers, rates[i], rules[i].gamma_rate, plan.lr_gamma))
            for i in numbers
            for _ in plan.all_seeds
        ]
        loop = Loop(
            [rule for rule, _ in each],
            net,
            task,
            splits,
            [pair for _, pair in each],
            plan.batch,
            seeds,
            plan.probe,
            plan.every,
            plan.growth,
            plan.rests(splits),
        )
        main = task.scores[0]
        history = History(Course(loop).run(plan.epochs).readings)
        values = history[f"validation/{main.name}"].values.reshape(len(numbers), seeds_each, -1)
        first, last = values[..., 0], values[..., -1]
        scores[numbers] = [judged(main, *both) for both in zip(first, last, strict=True)]
    return scores.tolist()


def _alike(rules: Sequence[Rule]) -> list[list[int]]:
    """Which rules can share a program."""
    groups: list[tuple[Mould, list[int]]] = []
    for i, rule in enumerate(rules):
        mould = numbers_of(rule)[1]
        mine = next((those for other, those in groups if other == mould), None)
        if mine is None:
            groups.append((mould, [i]))
        else:
            mine.append(i)
    return [those for _, those in groups]


def _at(optimisers: Optimisers, rate: float, share: float, rate_gamma: float | None) -> Optimisers:
    theta, gamma = optimisers
    if not isinstance(theta, Optimiser) or not isinstance(gamma, Optimiser):
        raise ConfigError(
            "a learning rate beside an optax transformation",
            "an optimiser given by name",
            "for example 'adam'",
        )
    return Optimisers(
        dataclasses.replace(theta, rate=rate),
        dataclasses.replace(gamma, rate=rate * share if rate_gamma is None else rate_gamma),
    )
