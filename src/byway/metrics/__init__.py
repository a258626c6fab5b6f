"""Measurements of a learner: plain functions of what it holds."""
