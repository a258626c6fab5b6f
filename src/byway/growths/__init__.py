"""Growth policies, one file each, found by listing this folder."""

import sys

from byway.core.growth import Growth
from byway.core.registry import Registry

GROWTHS = Registry(sys.modules[__name__], Growth)
