"""Subtasks: the cheats that whitening rules out, any rule within, and clear refusals."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.audit.verdict import audit
from byway.core.errors import ConfigError, RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.builders import graph, mlp
from byway.network.segments import codes, segments
from byway.rules.local._codes import Prior
from byway.verify.oracle import drawn, learned, recorded, samples

CLASSES = 5
rule_of: Any = byway.rule


def problem(**options):
    net = drawn(mlp, 6, 8, 7, CLASSES, code=4, **options)
    x, target = samples((60, 6), CLASSES)
    return net, x, Signal(target, SquaredError())


def taught(rule, steps, x, signal, net, rate=0.05):
    """Plain descent, representatives too: the network and gamma after so many steps."""
    gamma = rule.init(net, jax.random.key(0))
    _, memory = rule.begin(gamma, net, len(x), rule.start(gamma, net, len(x))[1])

    def step(held, _):
        net, gamma, memory = held
        state, _ = rule.begin(gamma, net, len(x), memory)
        _, record = rule.f(gamma, net, state, x, signal, jax.random.key(0))
        memory, update = rule.g(gamma, net, memory, record, signal)
        less = lambda tree, by: jax.tree.map(lambda a, b: a - rate * b, tree, by)
        gamma = gamma | {k: less(gamma[k], v) for k, v in update.gamma.items()}
        net = net.with_theta(less(net.theta, update.net))
        gamma, net = rule.keep(gamma, net)
        return (net, gamma, memory), record.measures | {"spread": spread(rule, gamma, memory)}

    def spread(rule, gamma, memory):
        c = rule.represented(gamma, memory.prior, signal.target)["code"]
        return jnp.mean(jnp.sum((c - c.mean(0, keepdims=True)) ** 2, 1))

    return jax.lax.scan(step, (net, gamma, memory), None, steps)


def test_without_whitening_codes_shrink_to_nothing_and_with_it_they_cannot():
    """The constant and the scale cheat: what a code says is made easy by saying nothing."""
    net, x, signal = problem()
    noise = jnp.asarray(np.random.default_rng(0).normal(size=x.shape))  # of no use for the target
    fair = rule_of("subtask", deep=False)
    fakes = dataclasses.replace(fair, whiten=False)
    for rule, cheats in ((fakes, True), (fair, False)):
        _, kept = taught(rule, 400, noise, signal, net)
        first, last = kept["spread"][0], kept["spread"][-1]
        assert (last < 0.05 * first) == cheats
        # The error of codes looks excellent where it is faked; what is deployed is no better.
        assert (kept["code_error"][-1] < 0.1 * kept["code_error"][0]) == cheats
        assert kept["deployed"][-1] > 0.5
    np.testing.assert_allclose(np.asarray(kept["spread"]), 1, atol=1e-9)


def test_a_scale_cheat_changes_no_code_and_no_measure():
    net, x, signal = problem()
    rule = rule_of("subtask")
    gamma = rule.init(net, jax.random.key(1))
    small = gamma | {"representatives": jax.tree.map(lambda a: 0.1 * a, gamma["representatives"])}
    one, two = (recorded(rule, net, x, signal, g).measures for g in (gamma, small))
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-9)


def test_what_is_deployed_stays_below_its_bound_while_it_learns():
    net, x, signal = problem()
    _, kept = taught(rule_of("subtask"), 300, x, signal, net)
    assert np.all(kept["deployed"] <= kept["bound"])
    assert kept["deployed"][-1] < 0.7 * kept["deployed"][0]


def test_weights_beyond_a_code_are_held_to_the_norm_that_was_asked_for():
    net, *_ = problem()
    large = net.with_theta(jax.tree.map(lambda a: 10 * a, net.theta))
    rule = rule_of("subtask", lipschitz=1.5)
    _, kept = rule.keep(rule.init(net, jax.random.key(0)), large)
    norms = {n: np.linalg.norm(np.asarray(p["weight"]), 2) for n, p in kept.theta.items()}
    assert 1.5 * 0.9 < norms["code-hidden2"] * norms["hidden2-output"] <= 1.5 * (1 + 1e-9)
    for name in ("input-hidden1", "hidden1-code"):  # before it, nothing is held
        np.testing.assert_array_equal(kept.theta[name]["weight"], large.theta[name]["weight"])


def test_targets_that_do_not_differ_in_a_direction_have_no_code_there():
    """Two symbols of three each: five of six directions at most, and a code of five has four."""
    rule = rule_of("subtask")
    y = jnp.asarray([[*np.eye(3)[i], *np.eye(3)[j]] for i in range(3) for j in range(3)])
    nothing = Prior(jnp.zeros(()), jnp.zeros(6), jnp.zeros((6, 6)))
    a = jnp.asarray(np.random.default_rng(2).normal(size=(6, 5)))
    c = np.asarray(rule.represented({"representatives": {"c": a}}, nothing.seeing(y), y)["c"])
    values = np.linalg.eigvalsh(np.cov(c.T, bias=True))
    np.testing.assert_allclose(values, [0, 0.2, 0.2, 0.2, 0.2], atol=1e-9)


def test_what_is_known_of_targets_is_their_mean_over_all_batches():
    y = np.random.default_rng(3).normal(size=(50, 4))
    prior = Prior(jnp.zeros(()), jnp.zeros(4), jnp.zeros((4, 4)))
    for part in np.split(y, [20, 25]):
        prior = prior.seeing(jnp.asarray(part))
    np.testing.assert_allclose(prior.mean, y.mean(0), rtol=1e-12)
    np.testing.assert_allclose(prior.covariance, np.cov(y.T, bias=True), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("by", ["dfa", "predsim", "code=node_perturbation,bp"])
def test_any_rule_trains_a_subtask_as_it_would_alone(by):
    net, x, signal = problem(activation="relu")
    rule = rule_of("subtask", by=by)
    gamma = rule.init(net, jax.random.key(4))
    record: Any = recorded(rule, net, x, signal, gamma)
    mine = learned(rule, net, record, signal, gamma).net
    first = segments(net)[0]
    alone = rule.rule_of(first)
    assert alone.id == by.split(",")[0].removeprefix("code=")
    prior = rule.start(gamma, net, len(x))[1].prior.seeing(signal.target)
    code = rule.represented(gamma, prior, signal.target)["code"]
    true = learned(
        alone, first.net, record.parts["code"], Signal(code, SquaredError()), gamma["code"]
    ).net
    for name in ("input-hidden1", "hidden1-code"):
        np.testing.assert_allclose(mine[name]["weight"], true[name]["weight"], rtol=1e-10)


@pytest.mark.parametrize(
    ("by", "deep", "transport"), [("bp", True, "yes"), ("dfa", True, "yes"), ("dfa", False, "no")]
)
def test_its_claims_are_those_of_the_rules_within(by, deep, transport):
    rule = rule_of("subtask", by=by, deep=deep)
    verdict = audit(rule, mlp(8, 7, 6, 4, code=3))
    assert verdict.disagreements == []
    assert rule.claimed.transport == transport


def test_a_graph_of_codes_is_a_graph_of_subtasks():
    sizes = {"input": 4, "a": 2, "b": 2, "hidden": 5, "output": 4}
    edges = [("input", "a"), ("a", "b"), ("a", "hidden"), ("b", "hidden"), ("hidden", "output")]
    net = graph(sizes, edges, activation={"a": "code", "b": "code", "hidden": "tanh"})
    assert [c.name for c in codes(net)] == ["a", "b"]
    found = [(part.starts, part.end) for part in segments(net)]
    assert found == [(("input",), "a"), (("a",), "b"), (("a", "b"), "output")]
    last = segments(net)[-1]
    said = {name: jnp.asarray(np.random.default_rng(1).normal(size=(3, 2))) for name in "ab"}
    alone = last.net.forward(last.reads(said)).post["hidden"]
    u = sum(said[n] @ net.theta[f"{n}-hidden"]["weight"] for n in "ab")
    np.testing.assert_allclose(alone, np.tanh(u + net.theta["a-hidden"]["bias"][None]), rtol=1e-12)
    assert jax.tree.map(np.shape, last.whole(last.net.theta)) == {
        name: {k: a.shape for k, a in net.theta[name].items()}
        for name in ("a-hidden", "b-hidden", "hidden-output")
    }


def chain(*edges, hidden="tanh", **options):
    sizes = {"input": 6, "code": 2, "hidden": 3, "output": 4}
    edges = [("input", "code"), ("code", "hidden"), ("hidden", "output"), *edges]
    return graph(sizes, edges, activation={"code": "code", "hidden": hidden}, **options)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (mlp(6, 5, 4), "without a code"),
        (mlp(6, 5, 4, code=4), "as large as the output"),
        (chain(("code", "code")), "cycle"),
        (chain(hidden="long_relu"), "beyond a code"),
        (chain(norm=True), "normalised"),
    ],
)
def test_networks_that_it_cannot_split_are_refused(net, said):
    with pytest.raises(RuleError, match=said):
        rule_of("subtask").accepts(net)


@pytest.mark.parametrize("by", ["ff", "subtask", "bptt", "reversible_ode"])
def test_rules_that_cannot_train_a_subtask_are_refused(by):
    with pytest.raises(ConfigError, match="within a subtask"):
        rule_of("subtask", by=by)


def test_an_end_that_no_rule_is_named_for_is_said():
    with pytest.raises(RuleError, match="no rule for the subtask that ends at output"):
        rule_of("subtask", by="code=bp").accepts(mlp(6, 5, 4, code=2))


@pytest.mark.parametrize(("sizes", "code"), [((6, 4), 2), ((6, 5, 4), -1)])
def test_a_code_that_there_cannot_be(sizes, code):
    with pytest.raises(byway.BywayError):
        mlp(*sizes, code=code)
