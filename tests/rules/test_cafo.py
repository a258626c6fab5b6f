"""Cascaded blocks: a ridge regression for each, which scikit-learn has too, and blocks as drawn."""

import jax
import numpy as np
import pytest
from sklearn.linear_model import Ridge

import by_hand
from byway.core.errors import RuleError
from byway.network.builders import convnet, graph, mlp
from byway.rules.local.cafo import CAFO

BATCH, RIDGE = 6, 0.02


def _concluded(net, x, target, rule):
    gamma = rule.init(net, jax.random.key(0))
    _, memory = rule.start(gamma, net, BATCH)
    for i in range(0, len(x), BATCH):
        part = slice(i, i + BATCH)
        memory, update, _ = by_hand.taught(
            rule, net, x[part], target[part], gamma=gamma, memory=memory
        )
        assert not update.net and update.gamma is None
    return rule.conclude(gamma, net, memory)


@pytest.mark.parametrize(
    ("net", "inputs"),
    [
        (mlp(8, 7, 6, 5, 3, norm=True), 8),
        (mlp(8, 7, 6, 3, readout_from=(0, 1)), 8),
        (convnet((6, 6, 1), (2,), 3, hidden=(5,)), (6, 6, 1)),
    ],
    ids=["three blocks", "read from two", "convnet"],
)
def test_the_answer_is_the_mean_of_ridge_regressions_by_scikit_learn(net, inputs):
    rule = CAFO(ridge=RIDGE)
    x, target = by_hand.sample(inputs, 3, batch=24)
    gamma, solved = _concluded(net, x, target, rule)
    free, y = net.forward(x), np.asarray(target)
    blocks = {p.src for p in net.incoming("output")}
    features = [
        np.concatenate(
            [np.asarray(free.pre[p.name]).reshape(24, -1) for p in net.incoming("output")], 1
        )
    ]
    features += [
        np.asarray(h.send(free.post[h.name])).reshape(24, -1)
        for h in net.hidden
        if h.name not in blocks
    ]
    answers = [Ridge(alpha=RIDGE * 24).fit(r, y).predict(r) for r in features]
    record = rule.predict(gamma, solved, x, jax.random.key(0))
    np.testing.assert_allclose(record.output, np.mean(answers, 0), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(record.readouts["last"], answers[0], rtol=1e-8, atol=1e-10)
    hidden = [p.name for p in net.projections if p.dst != "output"]
    assert all(np.array_equal(solved.theta[k]["weight"], net.theta[k]["weight"]) for k in hidden)


def test_before_anything_is_seen_all_stays_as_drawn():
    rule, net = CAFO(), mlp(8, 7, 6, 3)
    gamma = rule.init(net, jax.random.key(0))
    after, same = rule.conclude(gamma, net, rule.start(gamma, net, BATCH)[1])
    for one, other in ((after, gamma), (same.theta, net.theta)):
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_readout_that_is_not_linear_cannot_be_solved():
    net = graph(
        {"input": 8, "a": 4, "output": 3},
        [("input", "a"), ("a", "output")],
        activation={"output": "tanh"},
    )
    with pytest.raises(RuleError, match="cafo was given a network with a readout of tanh"):
        CAFO().accepts(net)
