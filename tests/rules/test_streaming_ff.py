"""A layer of forward-forward waits for nothing above it: in a pipeline it learns the same, to the
bit.
"""

import jax
import numpy as np
from tests.scripts import loaded

import by_hand
from byway.network.builders import mlp
from byway.rules.local.ff_unsupervised import FFUnsupervised


def test_every_layer_busy_with_another_example_ends_where_one_after_another_does():
    page = loaded("examples/streaming_ff.py")
    net, rule = by_hand.with_biases(mlp((5, 5, 1), 7, 6, 5, 3, norm=True)), FFUnsupervised()
    x, target = by_hand.sample((5, 5, 1), 3, batch=20)
    given = page.stream(rule, net, x, target)
    one, other = (
        jax.jit(way, static_argnums=0)(rule, net, given)
        for way in (page.one_after_another, page.all_at_once)
    )
    for p, q, begun in zip(one.projections, other.projections, net.projections, strict=True):
        for part in ("weight", "bias"):
            np.testing.assert_allclose(p.theta[part], q.theta[part], rtol=1e-13, atol=1e-15)
            assert not np.array_equal(p.theta[part], begun.theta[part])
