"""Optimisers by name, with a schedule: what the command line offers. In Python any optax transformation will do."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from byway.core.errors import ConfigError, look_up
from byway.core.given import is_number, shown


class AdamEach(NamedTuple):
    """Adam's moments, with a count of steps for each weight.

    Attributes:
        count: steps that each weight has made since it began.
        mu: running mean of the gradient.
        nu: running mean of its square.
    """

    count: optax.Updates
    mu: optax.Updates
    nu: optax.Updates


def scale_by_adam_each(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) in which a weight that begins anew is corrected for its own start: the count is one for each."""

    def init(params):
        zeros = lambda: jax.tree.map(jnp.zeros_like, params)  # noqa: E731
        return AdamEach(zeros(), zeros(), zeros())

    def update(updates, state, params=None):
        del params
        count = jax.tree.map(lambda n: n + 1, state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.nu, updates)
        made = jax.tree.map(lambda m, v, n: m / (1 - b1**n) / (jnp.sqrt(v / (1 - b2**n)) + eps), mu, nu, count)
        return made, AdamEach(count, mu, nu)

    return optax.GradientTransformation(init, update)


OPTIMISERS: dict[str, Callable[[optax.ScalarOrSchedule], optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "rmsprop": optax.rmsprop,
    "adam_each": lambda rate: optax.chain(scale_by_adam_each(), optax.scale_by_learning_rate(rate)),
}
SCHEDULES: dict[str, Callable[[float, int], optax.ScalarOrSchedule]] = {
    "constant": lambda rate, steps: rate,
    "cosine": optax.cosine_decay_schedule,
}


def optimiser(name: str, rate: float, schedule: str, steps: int) -> optax.GradientTransformation:
    """The optimiser called `name`, at `rate`, over `steps` updates.

    Raises:
        UnknownNameError: no such optimiser or schedule.
        ConfigError: a rate that is not a positive number.
    """
    chosen, course = look_up("optimiser", name, OPTIMISERS), look_up("schedule", schedule, SCHEDULES)
    if not is_number(rate) or rate <= 0:
        raise ConfigError(f"a learning rate of {shown(rate)}", "a positive number", "start from 1e-3 for adam, 1e-1 for sgd")
    return chosen(course(rate, max(steps, 1)))
