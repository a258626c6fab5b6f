"""Who trains networks in space, for the page about them: asked of the rules themselves."""

from collections.abc import Sequence

from byway.core.errors import RuleError
from byway.learning.rule import Rule
from byway.network.grown import grownet
from byway.network.network import Network
from byway.pages.words import table

MADE = "<!-- made by 'python docs/made.py' of what the rules say themselves -->"
END = "<!-- made until here -->"
YES, NO = "yes", "·"


def networks(rule: Rule) -> dict[str, Network]:
    """A network in space of each kind, with what the rule cannot do without."""
    needs = {k: v for k, v in rule.network_options.items() if k in ("activation", "norm")}
    kinds = {
        "no cycles": {},
        "cycles": {} if rule.settles else {"activation": "tanh"},
        "cycles, delays": {"speed": 80.0, "activation": "leaky"},
        "cycles, spikes": {"activation": "lif"},
    }
    return {
        kind: grownet(16, 30, 4, regions=3, fan_in=8, cycles=kind != "no cycles", **needs | more)
        for kind, more in kinds.items()
    }


def who_trains(rules: Sequence[Rule]) -> str:
    """A table of the rules that take some of these networks, and the names of the others."""
    kinds, rows, others = list(networks(rules[0])), [], []
    for rule in rules:
        takes = [_takes(rule, net) for net in networks(rule).values()]
        if any(takes):
            rows.append([f"`{rule.id}`", *(YES if one else NO for one in takes)])
        else:
            others.append(f"`{rule.id}`")
    lines = table(["rule", *kinds], rows)
    return "\n".join([*lines, f"The others refuse all four and say why: {', '.join(others)}."])


def renewed(page: str, rules: Sequence[Rule]) -> str:
    """A page with its table of who trains what made anew."""
    head, _, rest = page.partition(MADE)
    _, _, tail = rest.partition(END)
    return f"{head}{MADE}\n\n{who_trains(rules)}\n\n{END}{tail}"


def _takes(rule: Rule, net: Network) -> bool:
    try:
        rule.accepts(net)
    except RuleError:
        return False
    return True
