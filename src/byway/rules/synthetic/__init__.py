"""Gradients that are guessed on the spot, by predictors that learn to guess them."""
