"""The exact tests that our rules bring along, one file a rule; its `checks(rule)` is what
`Rule.checks` returns.

They differentiate, as an oracle must; the rules themselves do not.
"""
