"""Growth policies, one file each, found by listing this folder."""

import sys

from byway.core.registry import Registry
from byway.learning.growth import Growth

GROWTHS = Registry(sys.modules[__name__], Growth)
