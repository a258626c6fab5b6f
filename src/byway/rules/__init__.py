"""Learning rules, one file each, found by listing this folder."""

import sys

from byway.core.registry import Registry
from byway.core.rule import Rule

RULES = Registry(sys.modules[__name__], Rule)
