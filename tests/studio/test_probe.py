"""What each unit does, against NumPy; and for every rule on every network that it accepts, without
an exception and without a number that is infinite.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import byway
from byway.audit.networks import accepted
from byway.core.signal import CrossEntropy, Signal
from byway.rules import RULES
from byway.studio.probe import QUANTITIES, Probe
from byway.studio.scene import Scene
from byway.training.step import Optimisers, new_learner
from byway.verify.case import Case

SGD = Optimisers(optax.sgd(0.1), optax.sgd(0.1))
KEY = jax.random.key(5)
QUICK = ("bp", "ff", "pc", "rtrl")


# A probe asks of a task only whether its samples are sequences.
TASKS = {False: byway.task("digits"), True: byway.task("delayed_xor")}


def _sample(net, batch=6, time=()):
    draw = np.random.default_rng(1)
    x = draw.normal(size=(batch, *time, *net[net.input].shape))
    classes = net[net.output].size
    target = np.eye(classes)[draw.integers(0, classes, (batch, *time))]
    return jnp.asarray(x), jnp.asarray(target)


def _biases(net):
    """The same network with biases that are not zero."""
    return net.with_theta(
        {
            p.name: {"bias": 0.1 * jax.random.normal(jax.random.key(i), p.bias.shape, p.bias.dtype)}
            for i, p in enumerate(net.projections)
            if p.bias is not None
        }
    )


def _probed(rule, net, x, signal, shown=0, in_time=False, **more):
    learner = new_learner(rule, net, SGD, x, signal, KEY)
    learner = dataclasses.replace(learner, net=net)
    one = slice(shown, shown + 1)
    only = jax.tree.map(lambda a: a[one], signal)
    probe = Probe(rule, net, TASKS[in_time], Scene(net))
    values, output = probe(learner, x[one], only, x, signal, KEY, **more)
    scene = Scene(net)
    parts = {
        q: {p.name: np.asarray(a)[scene.units(p.name)] for p in net.populations}
        for q, a in values.items()
    }
    return parts, np.asarray(output)


def _by_hand(net, x, target):
    """Activities, potentials and deltas of a multi-layer perceptron of tanh units."""
    h, u, names = (
        {"input": np.asarray(x).reshape(len(x), -1)},
        {},
        [p.name for p in net.populations],
    )
    for below, name in itertools.pairwise(names):
        p = net.incoming(name)[0]
        bias = 0.0 if p.bias is None else np.asarray(p.bias)
        u[name] = h[below] @ np.asarray(p.weight) + bias
        h[name] = u[name] if name == "output" else np.tanh(u[name])
    said = np.exp(u["output"]) / np.exp(u["output"]).sum(1, keepdims=True)
    delta = {"output": said - np.asarray(target)}
    for name, above in list(itertools.pairwise(names))[:0:-1]:
        back = delta[above] @ np.asarray(net.outgoing(name)[0].weight).T
        delta[name] = back * (1 - h[name] ** 2)
    return h, u, delta


@pytest.mark.parametrize("bias", [True, False])
def test_of_backprop_every_number_is_known(bias):
    net = byway.mlp((4, 2, 1), 7, 6, 3, activation="tanh", bias=bias)
    net = _biases(net) if bias else net
    x, target = _sample(net, 6 if bias else 1)
    h, u, delta = _by_hand(net, x, target)
    found, output = _probed(byway.rule("bp"), net, x, Signal(target, CrossEntropy()))
    np.testing.assert_allclose(output, u["output"][0], rtol=1e-6)
    for name in h:
        np.testing.assert_allclose(found["activity"][name], h[name][0], rtol=1e-6)
        out = net.outgoing(name)
        wanted = (
            np.abs(h[name]).mean(0) * np.abs(np.asarray(out[0].weight)).sum(1)
            if out
            else np.full(3, np.nan)
        )
        np.testing.assert_allclose(found["utility"][name], wanted, rtol=1e-6)
        if name == "input":
            assert all(np.isnan(found[q][name]).all() for q in ("potential", "error", "angle"))
            continue
        np.testing.assert_allclose(found["potential"][name], u[name][0], rtol=1e-6)
        np.testing.assert_allclose(found["error"][name], delta[name].mean(0), rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(found["angle"][name], 0, atol=1e-5)


def test_the_angle_is_that_of_the_weights_that_end_at_a_unit():
    net = byway.mlp(8, 7, 6, 3, activation="tanh")
    x, target = _sample(net)
    signal, rule = Signal(target, CrossEntropy()), byway.rule("dfa")
    learner = new_learner(rule, net, SGD, x, signal, KEY)
    learner = dataclasses.replace(learner, net=net)
    probe = Probe(rule, net, TASKS[False], Scene(net))
    found, _ = probe(learner, x[:1], signal, x, signal, KEY, quantity="angle")
    record = rule.f(learner.gamma, net, (), x, signal, KEY)[1]
    mine = rule.g(learner.gamma, net, (), record, signal)[1].net["input-hidden1"]["weight"]
    h, _, delta = _by_hand(net, x, target)
    right = h["input"].T @ delta["hidden1"] / len(x)
    for j in range(7):
        a, b = np.asarray(mine)[:, j], right[:, j]
        angle = np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
        assert float(found["angle"][8 + j]) == pytest.approx(angle, rel=1e-4)
    assert found.keys() == {"angle"}


def test_units_of_a_map_share_what_their_map_learns():
    net = _biases(byway.convnet((6, 6, 1), (3,), 4, activation="tanh"))
    x, target = _sample(net)
    signal = Signal(target, CrossEntropy())
    found, _ = _probed(byway.rule("bp"), net, x, signal)
    out = net.outgoing("conv1")[0]
    phase = net.forward(x)
    said = jax.nn.softmax(phase.post["output"]) - target
    delta = np.asarray(out.backward(said) * phase.slope["conv1"])
    wanted = np.broadcast_to(delta.mean(0).sum((0, 1)) / 9, (3, 3, 3))
    np.testing.assert_allclose(found["error"]["conv1"], wanted.ravel(), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found["angle"]["conv1"], 0, atol=1e-3)


@pytest.mark.slow
def test_an_empty_place_has_no_credit_and_all_others_have():
    net = byway.grownet(16, 12, 4, regions=2, fan_in=3, spare=1, born=0.5, activation="tanh", key=1)
    x, target = _sample(net)
    found, _ = _probed(byway.rule("bp"), net, x, Signal(target, CrossEntropy()))
    exists = Scene(net).places(net)[1].astype(bool)
    angle = np.concatenate([found["angle"][p.name] for p in net.populations])
    hidden = np.arange(len(angle)) >= 16
    np.testing.assert_array_equal(np.isfinite(angle), exists & hidden)
    np.testing.assert_allclose(angle[exists & hidden], 0, atol=1e-3)
    for p in net.hidden:
        utility = [np.abs(np.asarray(_matrix(q))).sum(1) for q in net.outgoing(p.name)]
        sent = np.abs(np.asarray(net.forward(x).post[p.name])).mean(0)
        np.testing.assert_allclose(found["utility"][p.name], sent * sum(utility), rtol=1e-5)


def _matrix(p):
    each = jnp.eye(int(np.prod(p.src_shape)))
    return (p.forward(each) - p.offset).reshape(len(each), -1)


@pytest.mark.parametrize("name", ["bptt", "rtrl"])
def test_in_time_it_is_the_last_step_that_counts(name):
    net = byway.rnn(3, 5, 2)
    x, target = _sample(net, 4, (6,))
    weight = jnp.zeros((4, 6)).at[:, 3].set(1.0).at[1, 3].set(0.0).at[1, 5].set(1.0)
    signal, rule = Signal(target, CrossEntropy(), weight), byway.rule(name)
    for shown, last in ((0, 3), (1, 5)):
        found, output = _probed(rule, net, x, signal, shown, in_time=True)
        theta, h = jax.tree.map(np.asarray, net.theta), np.zeros(5)
        for t in range(last + 1):
            u = np.asarray(x)[shown, t] @ theta["input-hidden1"]["weight"]
            u = u + h @ theta["hidden1-hidden1"]["weight"]
            h = np.tanh(u)
        np.testing.assert_allclose(found["activity"]["hidden1"], h, rtol=1e-5)
        np.testing.assert_allclose(found["potential"]["hidden1"], u, rtol=1e-5)
        np.testing.assert_allclose(found["activity"]["input"], x[shown, last], rtol=1e-5)
        np.testing.assert_allclose(output, h @ theta["hidden1-output"]["weight"], rtol=1e-5)
        np.testing.assert_allclose(found["angle"]["hidden1"], 0, atol=1e-3)


def test_of_units_that_spike_it_is_their_rate():
    net = byway.rnn(3, 5, 2, activation="lif")
    x, target = _sample(net, 4, (20,))
    weight = jnp.full((4, 20), 1 / 20)
    signal = Signal(target, CrossEntropy(), weight)
    made = {
        name: _probed(byway.rule(name), net, 3 * x, signal, in_time=True, quantity="activity")[0]
        for name in ("eprop", "bptt")
    }
    rate = made["eprop"]["activity"]["hidden1"]
    np.testing.assert_allclose(rate * 20, np.rint(rate * 20), atol=1e-5)
    assert 0 < rate.max() <= 1
    np.testing.assert_allclose(made["bptt"]["activity"]["hidden1"], rate, rtol=1e-6)


def test_units_that_always_say_the_same_are_dead():
    net = byway.mlp(6, 8, 3, activation="relu")
    bias = jnp.zeros(8).at[jnp.array([1, 4, 6])].set(-1e3)
    net = net.with_theta({"input-hidden1": {"bias": bias}})
    x, target = _sample(net, 40)
    signal, rule = Signal(target, CrossEntropy()), byway.rule("bp")
    learner = new_learner(rule, net, SGD, x, signal, KEY)
    learner = dataclasses.replace(learner, net=net)
    probe = Probe(rule, net, TASKS[False], Scene(net))
    sent = np.maximum(
        np.asarray(x) @ np.asarray(net.theta["input-hidden1"]["weight"]) + np.asarray(bias), 0
    )
    assert (np.ptp(sent, 0) == 0).sum() == 3  # by hand
    assert probe.life(learner, x, signal, KEY, rule) == {"dead": pytest.approx(100 * 3 / 8)}


def test_how_often_units_spike():
    net, rule = byway.rnn(3, 5, 2, activation="lif"), byway.rule("bptt")
    x, target = _sample(net, 4, (20,))
    signal = Signal(target, CrossEntropy(), jnp.full((4, 20), 1 / 20))
    learner = new_learner(rule, net, SGD, 3 * x, signal, KEY)
    learner = dataclasses.replace(learner, net=net)
    probe = Probe(rule, net, TASKS[True], Scene(net))
    rate = [
        _probed(rule, net, 3 * x, signal, i, in_time=True, quantity="activity")[0]["activity"]
        for i in range(4)
    ]
    life = probe.life(learner, 3 * x, signal, KEY, rule)
    mean = np.mean([one["hidden1"] for one in rate])
    assert mean > 0 and life["firing_rate"] == pytest.approx(100 * mean, rel=1e-5)
    assert 0 <= life["dead"] <= 100


def test_another_number_of_the_rule_compiles_nothing_and_is_heard():
    net, rule = byway.mlp(8, 7, 3), byway.rule("ff")
    net = byway.mlp(8, 7, 3, **rule.network_options)
    x, target = _sample(net)
    signal = Signal(target, CrossEntropy())
    learner = new_learner(rule, net, SGD, x, signal, KEY)
    probe = Probe(rule, net, TASKS[False], Scene(net))
    look = lambda **more: np.asarray(
        probe(learner, x[:1], signal, x, signal, KEY, quantity="error", **more)[0]["error"]
    )
    before, traced = look(), []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: traced.append(name))
    after = look(rule=dataclasses.replace(rule, threshold=2.0))
    jax.monitoring.clear_event_listeners()
    assert not [name for name in traced if "backend_compile" in name]
    assert not np.allclose(before[8:15], after[8:15])


def _all(name, kind):
    case = Case(byway.rule(name), kind)
    x, target, weight = case.batch()
    signal, learner = case.signal(target, weight), case.start()
    only = jax.tree.map(lambda a: a[:1], signal)
    scene = Scene(case.net)
    probe = Probe(case.rule, case.net, TASKS[case.in_time], scene)
    values, output = probe(learner, x[:1], only, x, signal, KEY)
    assert values.keys() == {q.name for q in QUANTITIES}
    for a in values.values():
        assert a.shape == (scene.size,) and a.dtype == jnp.float32 and not np.isinf(a).any()
    assert output.shape == (case.net[case.net.output].size,)
    assert np.isfinite(values["activity"]).all()
    life = probe.life(learner, x, signal, KEY, case.rule)
    assert "dead" in life and all(0 <= share <= 100 for share in life.values())
    angle = np.asarray(values["angle"])
    assert ((angle >= 0) & (angle <= 180) | np.isnan(angle)).all()


@pytest.mark.parametrize(
    ("name", "kind"), [(name, accepted(byway.rule(name))[0]) for name in QUICK]
)
def test_it_can_look_at_rules_of_several_kinds(name, kind):
    _all(name, kind)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in RULES.ids() for kind in accepted(byway.rule(name))],
)
def test_it_can_look_at_every_rule_on_every_network(name, kind):
    _all(name, kind)
