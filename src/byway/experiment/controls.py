"""Which frozen layers each rule of an experiment is held against."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from byway.core.errors import BywayError
from byway.core.given import is_number
from byway.core.task import Task
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.runs.outcomes import CONTROL
from byway.training.plan import Plan


@dataclasses.dataclass(frozen=True)
class Entry:
    """One rule of an experiment.

    Attributes:
        label: what it is called.
        rule: the rule.
        net: the network that it trains.
        options: options of `fit`.
        control: the label of the frozen network that it is held against, if there is one.
        added: whether nobody asked for it, but for a rule that it is the control of.
    """

    label: str
    rule: Rule
    net: Network
    options: dict[str, Any]
    control: str | None = None
    added: bool = False


def controlled(task: Task, entries: Sequence[Entry]) -> list[Entry]:
    """Give each entry its matched control: frozen layers in its network, whose readout learns at no
    lower a rate than the rule.

    Args:
        task: what is learned.
        entries: what was asked for.

    Returns:
        The entries, and behind them the controls that were missing; all as they are where `frozen`
        is not among them. `frozen` is left out where it cannot run and others have controls without
        it.
    """
    asked = [entry for entry in entries if entry.rule.id == CONTROL]
    if not asked:
        return list(entries)
    able = [entry for entry in asked if _trains(entry.rule, entry.net, task)]
    made, added = [], []
    for entry in entries:
        control = None
        if entry not in asked:
            rate = matched_rate(task, entry.rule, entry.options, asked[0].rule, asked[0].options)
            options = asked[0].options | ({} if rate is None else {"lr": rate})
            known = (one for one in able[:1] + added if _holds(one, entry.net, options))
            control = next(known, None)
            if control is None:
                control = _frozen_in(task, entry, asked[0].rule, options)
                added += [] if control is None else [control]
        made.append(dataclasses.replace(entry, control=control and control.label))
    lost = [entry.label for entry in asked if added and entry not in able]
    return [entry for entry in made if entry.label not in lost] + added


def matched_rate(
    task: Task, rule: Rule, options: Mapping[str, Any], frozen: Rule, given: Mapping[str, Any]
) -> float | None:
    """The rate at which the readout of frozen layers has to learn beside a rule; None where their
    own will do: it is no lower, or somebody chose it, or rates of two optimisers do not compare.

    Args:
        task: what is learned.
        rule: the rule.
        options: its options of `fit`.
        frozen: frozen layers.
        given: their options.
    """
    rate, least = Plan(task, options).rate(rule), Plan(task, given).rate(frozen)
    if given.get("lr") is not None or rate is None or least is None or not is_number(rate):
        return None
    named = options.get("optimiser") or rule.optimiser, given.get("optimiser") or frozen.optimiser
    return rate if named[0] == named[1] and rate > least else None


def _frozen_in(task: Task, entry: Entry, frozen: Rule, options: dict[str, Any]) -> Entry | None:
    """Frozen layers in the network of a rule. Where its activity has to settle, which `frozen`
    does not do, the rule itself, of which all rates are 0 but those of the readout; None where
    neither can be.
    """
    label = f"{CONTROL}@{entry.label}"
    if _trains(frozen, entry.net, task):
        return Entry(label, frozen, entry.net, options, added=True)
    # Of a network that is built for one rule, the readout may not be what answers.
    if not entry.rule.settles or entry.rule.particular:
        return None
    if not isinstance(entry.options.get("optimiser"), str | None):
        return None  # an optax transformation has its rates within
    hidden = {p.name: 0.0 for p in entry.net.projections if p.dst != entry.net.output}
    options = entry.options | {"scales": entry.options.get("scales", {}) | hidden}
    return Entry(label, entry.rule, entry.net, options, added=True)


def _holds(control: Entry, net: Network, options: Mapping[str, Any]) -> bool:
    """Whether a control is frozen layers in such a network, at the rate of these options."""
    at_rate = control.options.get("lr") == options.get("lr")
    return at_rate and control.rule.id == CONTROL and _same(control.net, net)


def _trains(rule: Rule, net: Network, task: Task) -> bool:
    """Whether a rule trains such a network on such samples."""
    try:
        rule.accepts(net)
        rule.require_time(net, task.id, task.in_time)
    except BywayError:
        return False
    return True


def _same(one: Network, other: Network) -> bool:
    """Whether two networks differ in nothing but their weights."""
    shapes = lambda net: [(a.shape, a.dtype) for a in jax.tree.leaves(net)]
    return jax.tree.structure(one) == jax.tree.structure(other) and shapes(one) == shapes(other)
