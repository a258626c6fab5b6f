"""Layers told what their activity should have been."""
