"""The report of a run: one comparison table, for the terminal and for a page that stands on its
own.
"""
