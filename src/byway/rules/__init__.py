"""Learning rules, one file each, found by listing this folder; and those that were learned."""

import sys

from typing_extensions import override

from byway.core.registry import Registry
from byway.learning.flow import FlowRule
from byway.learning.rule import Rule
from byway.learning.time import RoundTripRule
from byway.network.cells import cell
from byway.network.network import Network
from byway.rules._learned import learned, load


class Rules(Registry[Rule]):
    """The registry of rules: files, other packages' entry points, and the user's learned rules."""

    @override
    def ids(self) -> list[str]:
        """Every name, learned rules last."""
        found = super().ids()
        return found + [name for name in learned() if name not in found]

    @override
    def get(self, name: str) -> type[Rule]:
        if name not in super().ids() and name in (files := learned()):
            return load(files[name], super().get("taylor"))
        return super().get(name)


RULES = Rules(sys.modules[__name__], Rule)


def able(net: Network) -> list[str]:
    """The rules that can train a network, by what they say of themselves: with its cycles, its
    cells, its black boxes.
    """
    found = {name: RULES.get(name) for name in RULES.ids()}
    found = {name: rule for name, rule in found.items() if not rule.particular}
    if net.in_events:
        return [name for name, rule in found.items() if rule.in_events]
    if net.in_flow:
        return [name for name, rule in found.items() if rule.in_flow]
    found = {
        name: rule
        for name, rule in found.items()
        if not (issubclass(rule, FlowRule) or _asks_for_events(rule))
    }
    if not net.feedforward:
        settling = net.cyclic and not net.stateful and not any(p.delay for p in net.projections)
        found = {
            name: rule
            for name, rule in found.items()
            # Few networks can be gone back through, and what says so here would ask here again.
            if (rule.in_time and not issubclass(rule, RoundTripRule)) or (settling and rule.settles)
        }
    if not net.differentiable:
        # There an error would have to pass the output's slope; nobody knows what gives a target.
        blocked = net[net.output].black_box
        found = {name: rule for name, rule in found.items() if _needs_no_slope(rule, blocked)}
    return list(found)


def _asks_for_events(rule: type[Rule]) -> bool:
    """Whether a rule trains units in continuous time and no others."""
    return cell(rule.network_options.get("activation", "relu")).in_events


def _needs_no_slope(rule: type[Rule], at_output: bool) -> bool:
    return rule.claims.derivative == "no" and not (
        at_output and rule.claims.signal & {"error", "target"}
    )
