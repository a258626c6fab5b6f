"""Each layer has a loss of its own, and nothing comes from above."""
