"""Noise, and what it did to the loss."""
