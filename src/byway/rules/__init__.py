"""Learning rules, one file each, found by listing this folder."""

import sys

from byway.core.registry import Registry
from byway.core.rule import Rule
from byway.network.network import Network

RULES = Registry(sys.modules[__name__], Rule)


def without_slopes(net: Network) -> list[str]:
    """The rules that can train a network with black boxes in it, by their claims.

    They read no slope; and no error either where the output itself is a black box, as an error has to pass the output's slope.
    """
    claims = {name: RULES.get(name).claims for name in RULES.ids()}
    blocked = net[net.output].black_box
    return [name for name, c in claims.items() if c.derivative == "no" and not (blocked and "error" in c.signal)]
