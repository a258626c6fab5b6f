"""Learning rules, one file each, found by listing this folder; and those that were learned."""

import sys

from byway.core.registry import Registry
from byway.core.rule import Rule
from byway.network.network import Network
from byway.rules._learned import learned, load


class Rules(Registry):
    """The registry of rules: files, other packages' entry points, and the user's learned rules."""

    def ids(self):
        """Every name, learned rules last."""
        found = super().ids()
        return found + [name for name in learned() if name not in found]

    def get(self, name):
        """See `Registry.get`."""
        if name not in super().ids() and name in (files := learned()):
            return load(files[name])
        return super().get(name)


RULES = Rules(sys.modules[__name__], Rule)


def without_slopes(net: Network) -> list[str]:
    """The rules that can train a network with black boxes in it, by their claims.

    They read no slope; and no error either where the output itself is a black box, as an error has to pass the output's slope.
    """
    claims = {name: RULES.get(name).claims for name in (_with_cycles() if net.cyclic else RULES.ids())}
    blocked = net[net.output].black_box
    return [name for name, c in claims.items() if c.derivative == "no" and not (blocked and "error" in c.signal)]


def with_cycles(net: Network) -> list[str]:
    """The rules that can train a network with cycles, by what they say of themselves; where it has black boxes, through them too."""
    return _with_cycles() if net.differentiable else without_slopes(net)


def _with_cycles() -> list[str]:
    """The rules that settle, or run in time."""
    return [name for name in RULES.ids() if (cls := RULES.get(name)).settles or cls.sees != "sample"]
