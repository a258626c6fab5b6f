"""What there is to say of a unit: its synapses, what the network loses without it, the samples that
drive it, and the strongest way between two, against NumPy and against brute force.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import byway
from byway.core.signal import CrossEntropy, Signal
from byway.network.influence import influence
from byway.studio.pick import Pick
from byway.studio.scene import Scene
from byway.training.step import Optimisers, new_learner

SGD = Optimisers(optax.sgd(0.1), optax.sgd(0.1))
NOTHING = np.zeros((0, 2))


def _pool(net, samples=20, time=()):
    draw = np.random.default_rng(1)
    classes = net[net.output].size
    x = draw.uniform(size=(samples, *time, *net[net.input].shape))
    target = np.eye(classes)[draw.integers(0, classes, (samples, *time))]
    weight = jnp.full((samples, *time), 1 / time[0]) if time else None
    return jnp.asarray(x), Signal(jnp.asarray(target), CrossEntropy(), weight)


def _picked(net, rule="bp", task="digits", time=(), pool=None):
    rule = byway.rule(rule)
    pool = _pool(net, time=time) if pool is None else pool
    learner = new_learner(rule, net, SGD, *jax.tree.map(lambda a: a[:2], pool), jax.random.key(0))
    learner = dataclasses.replace(learner, net=net)
    scene = Scene(net)
    pick = Pick(rule, byway.task(task), scene, pool)
    return scene, pool, lambda *units, history=NOTHING: pick(learner, units, history)


def _facts(head):
    return dict(map(tuple, head["facts"]))


def test_a_hidden_unit_of_a_multi_layer_perceptron():
    net = byway.mlp((8, 8, 1), 7, 6, 10, activation="tanh", key=2)
    scene, (x, signal), picked = _picked(net)
    head, arrays = picked(scene.flat("hidden1", 4), history=[[0, 1.0], [10, 0.5]])
    w1, w2, w3 = (np.asarray(net.theta[n]["weight"]) for n in
                  ("input-hidden1", "hidden1-hidden2", "hidden2-output"))  # fmt: skip
    into = np.zeros(64)
    into[arrays["in_unit"]] = arrays["in_weight"]
    np.testing.assert_allclose(into, w1[:, 4], rtol=1e-6)
    assert (np.diff(np.abs(arrays["in_weight"])) <= 0).all()
    out = np.zeros(6)
    out[arrays["out_unit"] - scene.units("hidden2").start] = arrays["out_weight"]
    np.testing.assert_allclose(out, w2[4], rtol=1e-6)
    np.testing.assert_allclose(arrays["picture"], w1[:, 4].reshape(8, 8, 1), rtol=1e-6)
    np.testing.assert_array_equal(arrays["history"], np.float32([[0, 1], [10, 0.5]]))
    h = np.tanh(np.asarray(x).reshape(20, 64) @ w1)
    best = np.argsort(-h[:, 4], kind="stable")[:8]
    assert [s["index"] for s in head["samples"]] == best.tolist()
    np.testing.assert_allclose([s["value"] for s in head["samples"]], h[best, 4], rtol=1e-5)
    right = np.argmax(np.asarray(signal.target), 1)
    assert [s["label"] for s in head["samples"]] == [str(right[i]) for i in best]
    np.testing.assert_allclose(arrays["samples"], np.asarray(x)[best], rtol=1e-6)

    def loss(h):
        said = np.tanh(h @ w2) @ w3
        said = said - np.log(np.exp(said).sum(1, keepdims=True))
        return -(said * np.asarray(signal.target)).sum(1).mean()

    without = h.copy()
    without[:, 4] = 0
    change = 100 * (loss(without) / loss(h) - 1)
    facts = _facts(head)
    assert facts["loss of these samples"] == f"{loss(h):.4g}"
    assert facts["loss if it is silenced"] == f"{loss(without):.4g} ({change:+.1f} %)"
    assert facts["mean activity"] == f"{h[:, 4].mean():.3g}"
    assert facts["active in"] == "100 % of 20 samples"
    assert facts["synapses in"] == "64" and facts["synapses out"] == "6"
    assert head["title"] == "hidden1 4" and head["path_share"] is None
    assert arrays["path"].size == 0 and head["shape"] == [8, 8, 1]
    kinds = {name: a.dtype.str[1:] for name, a in arrays.items()}
    assert kinds == {
        **dict.fromkeys(("in_unit", "out_unit", "path"), "u4"),
        **dict.fromkeys(("in_weight", "out_weight", "history", "samples", "picture"), "f4"),
    }


def test_an_output_has_the_name_of_its_label_and_an_input_no_picture():
    net = byway.mlp((8, 8, 1), 5, 10)
    scene, _, picked = _picked(net)
    head, arrays = picked(scene.flat("output", 3))
    assert head["title"] == "output 3 (3)" and "picture" not in arrays
    assert "loss if it is silenced" not in _facts(head)
    head, arrays = picked(scene.flat("input", 12))
    assert "picture" not in arrays and arrays["in_unit"].size == 0
    head, arrays = picked()
    assert head["units"] == [] and all(a.size == 0 for a in arrays.values())


def test_of_many_synapses_the_strongest_are_told():
    net = byway.mlp(300, 5, 3, key=1)
    scene, _, picked = _picked(net)
    head, arrays = picked(scene.flat("hidden1", 2))
    w = np.asarray(net.theta["input-hidden1"]["weight"])[:, 2]
    best = np.argsort(-np.abs(w), kind="stable")[:200]
    np.testing.assert_array_equal(arrays["in_unit"], best)
    assert _facts(head)["synapses in"] == "300"


@pytest.mark.slow
def test_synapses_of_a_network_in_space_are_those_of_its_wiring():
    net = byway.grownet((4, 4, 1), 30, 4, fan_in=5, spare=2, cycles=True, key=1)
    rule = "bptt"
    scene, _, picked = _picked(net, rule, "delayed_xor", (3,))
    wiring = byway.wiring(net)
    for unit in (3, 20, 30, scene.size - 1):
        _, arrays = picked(unit)
        for ends, others, side in (
            (wiring.target, wiring.source, "in"),
            (wiring.source, wiring.target, "out"),
        ):
            mine = ends == unit
            found = dict(zip(arrays[f"{side}_unit"], arrays[f"{side}_weight"], strict=True))
            wanted = dict(zip(others[mine], wiring.weight[mine].astype(np.float32), strict=True))
            assert found == wanted


@pytest.mark.parametrize("kind", ["convnet", "revnet", "gru", "lru", "orthogonal"])
def test_synapses_of_any_projection_are_those_of_its_linear_map(kind):
    net = {
        "convnet": lambda: byway.convnet((6, 6, 1), (3, 2), 4),
        "revnet": lambda: byway.revnet((6, 6, 1), 6, 4, blocks=1),
        "gru": lambda: byway.rnn(3, 4, 2, activation="gru"),
        "lru": lambda: byway.lru(3, 4, 2),
        "orthogonal": lambda: byway.orthogonal(3, 4, 2, dummies=2),
    }[kind]()
    in_time = kind not in ("convnet", "revnet")
    rule, task, time = ("bptt", "delayed_xor", (3,)) if in_time else ("bp", "digits", ())
    scene, _, picked = _picked(net, rule, task, time)
    for name in [p.name for p in net.hidden]:
        _, arrays = picked(scene.flat(name, 1))
        found = dict(zip(arrays["in_unit"].tolist(), arrays["in_weight"], strict=True))
        wanted = {}
        for p in net.incoming(name):
            each = jnp.eye(int(np.prod(p.src_shape)), dtype=net.dtype)
            made = np.asarray(p.forward(each.reshape(-1, *p.src_shape)) - p.offset)
            made = made.reshape(len(each), -1, net[name].size)[:, :, 1]
            made = made.reshape(-1, net[p.src].size, made.shape[1]).transpose(1, 0, 2)
            made = made.reshape(net[p.src].size, -1)
            for i, row in enumerate(made):
                if (best := row[np.argmax(np.abs(row))]) != 0:
                    wanted[scene.flat(p.src, i)] = best
        assert found.keys() == wanted.keys()
        np.testing.assert_allclose(
            [found[i] for i in wanted], list(wanted.values()), rtol=1e-5, atol=1e-6
        )
    if kind == "convnet":
        _, arrays = picked(scene.flat("conv1", (1 * 3 + 1) * 3 + 2))
        kernel = np.asarray(net.theta["input-conv1"]["weight"])[..., 2]
        wanted = np.zeros((4, 4, 1))
        for i in (0, 1):
            for j in (0, 1):
                wanted[i : i + 3, j : j + 3] += kernel / 4
        np.testing.assert_allclose(arrays["picture"], wanted, rtol=1e-5, atol=1e-7)


def test_the_strongest_way_is_that_of_influence():
    net = byway.mlp((4, 4, 1), 6, 5, 4, key=3)
    scene, (x, _), picked = _picked(net)
    seen = influence(net, x)
    for source, output in ((0, 0), (7, 2), (15, 3)):
        head, arrays = picked(source, scene.flat("output", output))
        way = seen.strongest(source, output)
        assert [scene.where(int(unit)) for unit in arrays["path"]] == way.units
        assert head["path_share"] == pytest.approx(way.share, rel=1e-4)
    head, arrays = picked(scene.flat("output", 1), 3)  # nothing leads back
    assert arrays["path"].size == 0 and head["path_share"] is None
    assert head["units"] == [scene.flat("output", 1), 3]
    assert "none" in _facts(head)["strongest way"]


@pytest.mark.slow
def test_between_hidden_units_the_way_is_the_best_of_all():
    """In a network with cycles, against the powers of max and product."""
    net = byway.grownet((4, 4, 1), 24, 4, fan_in=5, cycles=True, key=4)
    scene, pool, picked = _picked(net, "bptt", "delayed_xor", (3,))
    wiring = byway.wiring(net)
    rule = byway.rule("bptt")
    state = rule.predict({}, net, pool[0], jax.random.key(0), True).phases["free"].post
    sent = np.concatenate(
        [
            np.abs(np.asarray(pool[0])[:, -1]).mean(0).ravel() if p.name == net.input
            else np.abs(np.asarray(state[p.name][-1])).mean(0).ravel()
            for p in net.populations
        ]
    )  # fmt: skip
    size = np.abs(wiring.weight) * sent[wiring.source]
    share = size / np.bincount(wiring.target, size, scene.size)[wiring.target]
    one = np.zeros((scene.size, scene.size))
    np.maximum.at(one, (wiring.source, wiring.target), share)
    best = one.copy()
    for _ in range(6):
        best = np.maximum(best, np.max(best[:, :, None] * best[None], axis=1))
    rng = np.random.default_rng(0)
    for first, last in rng.integers(16, 40, (8, 2)).tolist():
        head, arrays = picked(first, last)
        if first == last or best[first, last] == 0:
            assert head["path_share"] is None
            continue
        way = arrays["path"]
        assert way[0] == first and way[-1] == last
        assert np.prod(one[way[:-1], way[1:]]) == pytest.approx(best[first, last], rel=1e-4)
        assert head["path_share"] == pytest.approx(best[first, last], rel=1e-4)


def test_another_unit_compiles_nothing():
    net = byway.mlp((4, 4, 1), 6, 4)
    scene, _, picked = _picked(net)
    picked(scene.flat("hidden1", 1))
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name)
    )
    picked(scene.flat("hidden1", 2))
    jax.monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


@pytest.mark.parametrize("rule", ["pc", "ff", "frozen"])
def test_rules_that_predict_in_other_ways(rule):
    net = byway.mlp((8, 8, 1), 7, 10, **byway.rule(rule).network_options)
    scene, _, picked = _picked(net, rule)
    head, _ = picked(scene.flat("hidden1", 3))
    assert "loss if it is silenced" in _facts(head)
