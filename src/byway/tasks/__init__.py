"""Tasks, one file each, found by listing this folder."""

import sys

from byway.core.registry import Registry
from byway.core.task import Task

TASKS = Registry(sys.modules[__name__], Task)
