"""Activity settles down an energy, and weights follow what is left of it."""
