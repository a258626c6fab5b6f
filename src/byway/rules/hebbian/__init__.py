"""What met at a synapse, with a reward or without."""
