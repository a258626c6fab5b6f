"""The studio: a training that is watched and steered from a browser."""
