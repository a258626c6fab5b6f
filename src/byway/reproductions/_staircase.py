"""A rate that falls in steps, as most published trainings have it."""

import optax


def staircase(rate: float, updates: int, falls: tuple[float, ...], factor: float) -> optax.Schedule:
    """A rate that is multiplied by a factor at each of some shares of the training."""
    return optax.piecewise_constant_schedule(
        rate, {round(share * updates): factor for share in falls}
    )
