"""Backprop's recursion is the gradient."""

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    convolutional,
    from_autodiff,
    from_differences,
    layered,
)

SOURCE = "Rumelhart, Hinton and Williams 1986"


def checks(rule):
    return [
        Check(
            "mlp: update = autodiff",
            lambda: from_autodiff(rule, layered(6, 5, 4, 3)),
            EXACT,
            SOURCE,
        ),
        Check(
            "mlp, relu, squared error: update = autodiff",
            lambda: from_autodiff(rule, layered(6, 5, 4, 3, phi="relu", loss="squared_error")),
            EXACT,
            SOURCE,
        ),
        Check(
            "mlp, normalised, readout from every layer: update = autodiff",
            lambda: from_autodiff(rule, layered(6, 5, 4, 3, norm=True, readout_from=(0, 1))),
            EXACT,
            SOURCE,
        ),
        Check(
            "convnet: update = autodiff",
            lambda: from_autodiff(rule, convolutional()),
            EXACT,
            SOURCE,
        ),
        Check(
            "convnet, normalised: update = autodiff",
            lambda: from_autodiff(rule, convolutional(norm=True)),
            EXACT,
            SOURCE,
        ),
        Check(
            "mlp: update = central differences",
            lambda: from_differences(rule, layered(6, 5, 4, 3)),
            1e-6,
            SOURCE,
        ),
    ]
