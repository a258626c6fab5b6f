"""Forward-forward without labels: each layer's own loss, and hybrids that are what they should
be.
"""

import dataclasses

import jax
import numpy as np

from byway.core.check import Check
from byway.rules.local import _unlabelled_checks as unlabelled
from byway.verify.oracle import EXACT, recorded

SOURCE = "Hinton 2022"


def checks(rule):
    other = dataclasses.replace(rule, threshold=0.4, peer=0.7, decay=0.6, quiet=not rule.quiet)
    return [
        *unlabelled.checks(rule, SOURCE),
        Check(
            "the same loss the other way round", lambda: unlabelled.own_loss(other), EXACT, SOURCE
        ),
        Check("pixels of hybrids that are of neither image", lambda: _strangers(rule), 0.0, SOURCE),
        Check("hybrids that are one of their images, of 500", lambda: _whole(rule), 0.0, SOURCE),
        Check(
            "neighbours in a mask: correlation, from 2 asin(2b / (2b + 1)) / pi",
            lambda: _correlation(rule),
            0.02,
            "arcsine law of a thresholded normal field",
        ),
        Check("mean of a mask, from 1/2", lambda: _mean(rule), 0.02, SOURCE),
    ]


def _hybrids(rule, batch, side):
    """Images that are all different in every pixel, their hybrids, and which image of the batch
    each pixel is of.
    """
    net, x, signal = unlabelled.problem(batch, side)
    negative = np.asarray(recorded(rule, net, x, signal)["negative"].post["input"])
    x = np.asarray(x)
    # All are moved by the same number of places.
    for by in range(1, batch):
        other = np.roll(x, by, 0)
        if np.all((negative == x) | (negative == other)):
            return x, other, negative
    return x, np.full_like(x, np.nan), negative


def _strangers(rule) -> float:
    x, other, negative = _hybrids(rule, 20, 6)
    return float(np.sum((negative != x) & (negative != other)))


def _whole(rule) -> float:
    """Small images and many blurs: there a mask is often the same everywhere."""
    many = dataclasses.replace(rule, blurs=20)
    x, other, negative = _hybrids(many, 500, 5)
    same = lambda a: np.all(negative == a, (1, 2, 3))
    return float(np.sum(same(x) | same(other)))


def _masks(rule, blurs):
    net, x, signal = unlabelled.problem(150, 28)
    record = jax.jit(lambda: recorded(dataclasses.replace(rule, blurs=blurs), net, x, signal))()
    return np.asarray(record["negative"].post["input"] == x)[..., 0]


def _correlation(rule) -> float:
    """Of a field of random bits, blurred b times by (1/4, 1/2, 1/4), neighbours correlate by
    2b / (2b + 1).
    """
    gaps = []
    for blurs in (2, 4, 6):
        m = _masks(rule, blurs).astype(float)
        found = np.corrcoef(m[:, :, 1:].ravel(), m[:, :, :-1].ravel())[0, 1]
        gaps.append(abs(found - 2 / np.pi * np.arcsin(2 * blurs / (2 * blurs + 1))))
    return float(max(gaps))


def _mean(rule) -> float:
    return abs(float(_masks(rule, 6).mean()) - 0.5)
