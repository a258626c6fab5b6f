"""Marks that let the audit recognise a value in a traced program.

A tag is the identity on its value. It leaves a named equation in the jaxpr, which the audit reads: derivatives and
signals are data here, so the program itself says where they enter.
"""

from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

ERROR, LOSS, REWARD, SLOPE = "byway.error", "byway.loss", "byway.reward", "byway.slope"


def tag(value: Array, name: str) -> Array:
    """Return `value` unchanged, marked `name` in any program traced through here."""
    return checkpoint_name(value, name)
