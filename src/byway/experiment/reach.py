"""How far back rules assign credit, and what that costs in memory, on a network of your choice."""

from collections.abc import Mapping, Sequence

from byway.core.errors import ConfigError, RuleError, look_up
from byway.experiment.compare import rules_of
from byway.learning.rule import Rule
from byway.network.builders import coupled, lru, rnn
from byway.network.network import Network
from byway.training.reach import BATCH, LENGTHS, STEPS, Reach, checked, measured


def reach(
    rules: Sequence[str | Rule] | Mapping[str, Rule],
    net: Network | None = None,
    *,
    steps: int = STEPS,
    lengths: Sequence[int] = LENGTHS,
    batch: int = BATCH,
    key: int = 0,
) -> Reach:
    """Measure how far back rules assign credit, and what that costs in memory; of rules that go
    back instead of storing, by how much they miss what was.

    Args:
        rules: names or rules, or rules by labels of your own; they must run in time.
        net: the network, with its weights as they are; by default 32 leaky units
            with a time constant of 5 steps, which read 4 inputs.
        steps: how long the sequence is in which credit is looked for.
        lengths: of the sequences for which memory and drift are asked.
        batch: samples in a batch.
        key: draws the inputs, normal, the targets, normal, and what a rule has of its own.

    Returns:
        All of it, by rule.

    Raises:
        RuleError: a rule that does not run in time, or that does not take this network.
    """
    how = checked(steps, lengths, batch)
    chosen = rules_of(rules)
    if not chosen:
        raise ConfigError("no rule", "one rule at least", "see 'byway list rules'")
    if net is None:
        net = default_network()
    for label, rule in chosen.items():
        if not rule.in_time:
            raise RuleError(
                f"{label}, which does not run in time", "rules that do", "see 'byway list rules'"
            )
        rule.accepts(net)
    return measured({label: (rule, net, None) for label, rule in chosen.items()}, *how, key)


def default_network(*hidden: int, activation: str | None = None, kind: str = "rnn") -> Network:
    """A network that reads 4 inputs and answers with 2 numbers.

    Args:
        hidden: sizes of its hidden layers; one of 32 units by default.
        activation: what they do; leaky by default, integrator where they are coupled.
        kind: rnn, lru or coupled.
    """
    build = look_up("network kind", kind, {"rnn": rnn, "lru": lru, "coupled": coupled})
    usual = "integrator" if kind == "coupled" else "leaky"
    return build(4, *(hidden or (32,)), 2, activation=activation or usual)
