"""Optimisers by name, with a schedule: what the command line offers. In Python any optax transformation will do."""

from collections.abc import Callable

import optax

from byway.core.errors import ConfigError, look_up
from byway.core.given import is_number, shown

OPTIMISERS: dict[str, Callable[[optax.ScalarOrSchedule], optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "rmsprop": optax.rmsprop,
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
