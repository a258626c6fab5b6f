"""Training: one step, the loop over it, the axis of seeds, run folders."""
