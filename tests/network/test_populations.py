"""Activations with their slopes, and what a normalised population sends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from byway.core.errors import ConfigError, ShapeError, UnknownNameError
from byway.network.activations import ACTIVATIONS, activation, quantised
from byway.network.populations import NORM_EPSILON, Population

LEVELS = np.arange(8) * 4 / 7  # three bits, up to 4
PHI = {
    "identity": lambda u: u,
    "code": lambda u: u,
    "relu": lambda u: np.maximum(u, 0),
    "long_relu": lambda u: np.maximum(u, 0),
    "leaky_relu": lambda u: np.maximum(u, 0) + 0.01 * np.minimum(u, 0),
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "hard_sigmoid": lambda u: np.minimum(np.maximum(u, 0), 1),
    "softplus": lambda u: np.logaddexp(0, u),
    "quantised": lambda u: LEVELS[np.argmin(np.abs(u[:, None] - LEVELS), 1)],
}
# The kinks of relu and hard_sigmoid stand apart.
U = np.setdiff1d(np.linspace(-30, 30, 241), [0, 1])


def _population(shape=(4,), norm=True, phi="relu", name="a"):
    return Population(name, shape, activation(phi), norm, jnp.zeros((abs(int(np.prod(shape))), 3)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_the_function_it_is_named_after(name):
    np.testing.assert_allclose(
        activation(name).phi(jnp.asarray(U)), PHI[name](U), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "quantised"])
def test_slope_is_the_limit_of_differences(name):
    h = 1e-6
    differences = (PHI[name](U + h) - PHI[name](U - h)) / (2 * h)
    slope = np.broadcast_to(_population(phi=name).slope(jnp.asarray(U)), U.shape)
    np.testing.assert_allclose(slope, differences, atol=1e-8)


def test_slope_of_the_identity_is_a_number_so_that_there_is_no_derivative_to_read():
    assert type(_population(phi="identity").slope(jnp.asarray(U))) is float


def test_slope_at_a_kink_is_that_of_the_flat_side():
    """A silent unit must not learn: at u = 0 a relu is silent."""
    assert float(activation("relu").slope(jnp.zeros(1))[0]) == 0
    assert np.asarray(activation("hard_sigmoid").slope(jnp.array([0.0, 1.0]))).tolist() == [0, 0]


def test_relu_keeps_half_the_second_moment_that_its_gain_makes_up_for():
    """He et al. 2015: E[relu(u)^2] = E[u^2] / 2 for a symmetric u."""
    nodes, weights = special.roots_hermitenorm(41)
    moment = np.sum(weights * np.maximum(nodes, 0) ** 2) / weights.sum()
    assert activation("relu").gain * moment == pytest.approx(1, rel=1e-12)
    assert quantised(20, 100.0).gain == 2  # with many levels, it is a relu


@pytest.mark.parametrize("shape", [(6,), (3, 2, 2)])
def test_normalised_population_sends_activity_of_root_mean_square_one(shape):
    h = np.random.default_rng(0).normal(size=(3, *shape))
    sent = np.asarray(_population(shape).send(jnp.asarray(h)))
    for one, out in zip(h, sent, strict=True):
        np.testing.assert_allclose(out, one / np.sqrt(np.mean(one**2)), rtol=1e-7)


@pytest.mark.parametrize("scale", [1, 1e-6, 1e6])
@pytest.mark.parametrize("shape", [(6,), (3, 2, 2)])
def test_unsend_is_the_transposed_derivative_of_send(shape, scale):
    draw = np.random.default_rng(1)
    h, d = (jnp.asarray(draw.normal(size=(3, *shape))) for _ in range(2))
    axes = tuple(range(1, h.ndim))
    by_eye = lambda h: h / (jnp.sqrt(jnp.mean(h**2, axes, keepdims=True)) + NORM_EPSILON)
    expected = jax.vjp(by_eye, scale * h)[1](d)[0]
    np.testing.assert_allclose(
        _population(shape).unsend(scale * h, d), expected, rtol=1e-9, atol=1e-12 / scale
    )


def test_unsend_of_a_silent_sample_is_the_slope_of_h_over_epsilon():
    """send(t d) = t d / (t rms(d) + eps), whose slope at t = 0 is d / eps: finite, where autodiff
    of a root is not.
    """
    d = jnp.array([[1.0, -2.0, 0.5, 0.0]])
    np.testing.assert_allclose(
        _population().unsend(jnp.zeros((1, 4)), d), d / NORM_EPSILON, rtol=1e-12
    )


def test_population_that_is_not_normalised_sends_what_it_does():
    population = _population(norm=False)
    h, d = jnp.array([[1.0, 2, 3, 4]]), jnp.array([[5.0, 6, 7, 8]])
    np.testing.assert_array_equal(population.send(h), h)
    np.testing.assert_array_equal(population.unsend(h, d), d)


def test_populations_that_make_no_sense_are_refused():
    for shape in ((), (0,), (3, -1, 2)):
        with pytest.raises(ShapeError, match="at least one unit"):
            _population(shape)
    for name in ("", "a-b"):
        with pytest.raises(ConfigError, match="without '-'"):
            _population(name=name)
    with pytest.raises(ShapeError, match=r"\(4, 3\)"):
        Population("a", (4,), activation("relu"), False, jnp.zeros((5, 3)))


def test_misspelt_activation_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'relu'") as caught:
        activation("rellu")
    assert all(name in caught.value.wanted for name in PHI)
