"""Greedy InfoNCE: the contrast image by image in NumPy, its slopes by finite differences, and what
stays as drawn.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
from byway.core.errors import RuleError
from byway.network.builders import convnet, mlp
from byway.rules.local.gim import GIM

BATCH = 4
NET = convnet((6, 3, 2), (3, 2), 3, pool=1, activation="softplus")


def _gamma(rule, net=NET):
    draw = np.random.default_rng(4)
    zeros = rule.init(net, jax.random.key(0))
    return {name: jnp.asarray(draw.normal(size=v.shape)) for name, v in zeros.items()}


def _contrast(h, v, skip):
    """Of a guess for each image, how likely it takes its own among all, place by place."""
    parts = []
    for k in range(1, len(v) + 1):
        terms = [
            np.log(np.sum(np.exp(told := h[:, i + skip + k, j] @ (v[k - 1].T @ h[b, i, j]))))
            - told[b]
            for i in range(h.shape[1] - skip - k)
            for j in range(h.shape[2])
            for b in range(len(h))
        ]
        parts.append(np.mean(terms))
    return np.mean(parts)


@pytest.mark.parametrize(("ahead", "skip"), [(1, 0), (3, 1), (9, 2)])
def test_a_map_descends_its_contrast_by_central_differences(ahead, skip):
    """By what it sends and by V; where fewer rows are left than were asked for, by those."""
    rule = GIM(ahead=ahead, skip=skip)
    x, target = by_hand.sample((6, 3, 2), 3, batch=BATCH)
    gamma = _gamma(rule)
    _, update, record = by_hand.taught(rule, NET, x, target, gamma=gamma)
    free, draw, step = record["free"], np.random.default_rng(0), 1e-6
    for p in NET.projections[:2]:
        u, v = np.asarray(free.u[p.dst]), np.asarray(gamma[p.dst])
        assert len(v) == min(ahead, 6 - skip - 1)
        phi = lambda u: np.log1p(np.exp(u))
        bias = np.asarray(p.bias)
        for part, value, mine in (
            ("bias", bias, update.net[p.name]["bias"]),
            ("V", v, update.gamma[p.dst]),
        ):
            for _ in range(3):
                at = tuple(draw.integers(0, n) for n in value.shape)
                moved = np.zeros_like(value)
                moved[at] = step
                up, down = (
                    _contrast(phi(u + s * moved), v, skip)
                    if part == "bias"
                    else _contrast(phi(u), v + s * moved, skip)
                    for s in (1, -1)
                )
                np.testing.assert_allclose(mine[at], (up - down) / (2 * step), rtol=1e-5, atol=1e-8)


def test_it_begins_at_chance_and_labels_change_nothing_but_the_readout():
    rule, (x, target) = GIM(), by_hand.sample((6, 3, 2), 3, batch=BATCH)
    _, _, record = by_hand.taught(rule, NET, x, target)
    np.testing.assert_allclose(record.measures["contrast"], np.log(BATCH), rtol=1e-12)
    (_, mine, _), (_, other, _) = (
        by_hand.taught(rule, NET, x, t, gamma=_gamma(rule)) for t in (target, target[::-1])
    )
    for name in ("input-conv1", "conv1-conv2"):
        assert np.array_equal(mine.net[name]["weight"], other.net[name]["weight"])
    assert not np.array_equal(
        mine.net["conv2-output"]["weight"], other.net["conv2-output"]["weight"]
    )


def test_what_is_no_map_or_has_too_few_rows_stays_as_drawn():
    net = convnet((6, 6, 1), (3, 3), 4, hidden=(5,))
    rule, (x, target) = GIM(), by_hand.sample((6, 6, 1), 4)
    _, update, _ = by_hand.taught(rule, net, x, target)
    assert set(update.net) == {"input-conv1", "hidden1-output"}
    for other in (mlp(6, 5, 3), convnet((4, 4, 1), (3,), 4)):
        with pytest.raises(RuleError, match="gim was given a network without a feature map of 3"):
            rule.accepts(other)
