"""Exact gradients of feed-forward networks: the baseline that other rules are held against."""
