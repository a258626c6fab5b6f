"""Errors sent back by weights that are not the transposed ones."""
