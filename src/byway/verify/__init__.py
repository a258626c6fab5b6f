"""Whether what is said of rules and tasks is so: the exact tests of a rule, the laws that every
rule and every task has to keep, and oracles to hold them to.
"""
