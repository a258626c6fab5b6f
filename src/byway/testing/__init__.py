"""Conformance: what has to hold for any rule, ours or someone else's, in one line:
`check_rule(MyRule())`.
"""

from byway.testing.check import Report, check_rule

__all__ = ["Report", "check_rule"]
