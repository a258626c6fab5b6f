"""Pages of the docs that are made from the code when the docs are built: one a rule, a task and a
kind of network.
"""
