"""Rules that are themselves learned: by gradient through the training of a network."""
