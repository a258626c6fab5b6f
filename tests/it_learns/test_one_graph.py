"""The example of one graph that classifies, completes and generates: what the docs say of it
holds.
"""

import numpy as np
import pytest
from tests.scripts import loaded

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def example():
    return loaded("examples/one_graph.py")


@pytest.fixture(scope="module")
def graphs(example):
    result = example.trained(seeds=3)
    assert not result.failures and not result.advice
    return example.graphs_of(result)


def test_one_graph_classifies_completes_and_generates(example, graphs):
    """On every seed: better than a linear readout, than the mean image and the nearest neighbour;
    and its own labels back.
    """
    linear = example.control("bp", seeds=3, epochs=example.EPOCHS)
    x, _ = example.images("test")
    mean, neighbour = (
        example.error(example.baselines()[name](x), x)
        for name in ("mean image", "nearest neighbour")
    )
    for graph, readout in zip(graphs, linear, strict=True):
        answers = example.measured(graph)
        assert answers["accuracy"] > readout
        assert answers["accuracy from the upper half"] > 0.75
        assert answers["error of completion"] < neighbour < mean
        assert answers["generated images whose nearest training image has their label"] >= 9


def test_the_half_that_is_seen_comes_back_as_it_was(example, graphs):
    x, _ = example.images("test")
    filled, _ = graphs[0].complete(x[:20])
    np.testing.assert_array_equal(filled[:, : example.ROWS], x[:20, : example.ROWS])


def test_the_picture_has_a_tile_for_each_image(example, graphs):
    assert example.picture(graphs[0]).count("<g ") == 5 * 10
