"""Experiments: several rules on one task, with the same seeds, order of data and budget."""
