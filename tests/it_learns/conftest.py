"""Learning tests compute a lot and compile little, unlike the others."""

import jax
import pytest


@pytest.fixture(autouse=True)
def _optimised():
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
