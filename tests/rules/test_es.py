"""Evolution strategies: ranks, and outliers that do not count."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from byway.core.errors import ConfigError
from byway.rules.perturbation.es import ES, ranks


@pytest.mark.parametrize(
    "losses", [[3.0, 1.0, 2.0, 7.0], [1.0, 1.0, 2.0, 2.0, 2.0, 0.0], [5.0, 5.0]]
)
def test_ranks_are_those_of_scipy(losses):
    wanted = (scipy.stats.rankdata(losses) - 1) / (len(losses) - 1) - 0.5
    np.testing.assert_allclose(ranks(jnp.asarray(losses)), wanted, atol=1e-12)


def test_how_bad_the_worst_one_is_does_not_count():
    near, far = (ranks(jnp.asarray([1.0, 2.0, worst])) for worst in (3.0, 1e30))
    np.testing.assert_array_equal(near, far)


@pytest.mark.parametrize(("name", "value"), [("pairs", 0), ("sigma", 0.0)])
def test_what_cannot_be_tried_is_refused(name, value):
    with pytest.raises(ConfigError, match=rf"ES\.{name}"):
        ES(**{name: value})
