"""The sparse n-step approximation of RTRL, and OSTL, which is exact within a layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.builders import graph, mlp, rnn
from byway.network.network import Network
from byway.network.sparse import FixedFanIn
from byway.rules.time.bptt import BPTT
from byway.rules.time.ostl import OSTL
from byway.rules.time.rtrl import RTRL
from byway.rules.time.snap import Snap
from byway.rules.time.uoro import UORO
from byway.verify.oracle import taught

STEPS = 7


def _problem(net, scale=1.0):
    net = by_hand.with_biases(net)
    net = net.with_theta(
        {
            name: {part: a * (scale if part == "weight" else 1) for part, a in w.items()}
            for name, w in net.theta.items()
        }
    )
    x, target, weight = by_hand.sequences(3, 2, steps=STEPS)
    return net, x, Signal(target, SquaredError(), weight)


@pytest.mark.parametrize(
    "cell",
    ["tanh", "gru", *(pytest.param(cell, marks=pytest.mark.slow) for cell in ("lstm", "alif"))],
)
def test_with_all_hops_one_layer_learns_by_bptt(cell):
    """Both rules by the same: where each unit projects to all, two steps reach all there are."""
    problem = _problem(rnn(3, 4, 2, activation=cell, key=5), 3.0 if cell == "alif" else 1.0)
    expected = by_hand.taught_in_time(BPTT(), *problem).net
    for rule in (OSTL(), Snap(n=2)):
        mine = by_hand.taught_in_time(rule, *problem).net
        assert by_hand.largest_gap(mine, expected) < 1e-12
    lost = by_hand.largest_gap(by_hand.taught_in_time(Snap(), *problem).net, expected)
    assert lost > 1e-2, "one step loses what units do to each other"


@pytest.mark.parametrize("cell", ["tanh", "gru"])
def test_where_units_reach_themselves_alone_one_step_is_enough(cell):
    net, *rest = _problem(rnn(3, 4, 2, activation=cell, key=5))
    theta = net.theta
    weight = theta["hidden1-hidden1"]["weight"]
    own = jnp.tile(jnp.eye(4), (1, weight.shape[1] // 4))
    theta["hidden1-hidden1"]["weight"] = weight * own
    net = net.with_theta(theta)
    mine = by_hand.taught_in_time(Snap(), net, *rest).net
    for other in (BPTT(), RTRL()):
        assert by_hand.largest_gap(mine, by_hand.taught_in_time(other, net, *rest).net) < 1e-12


def test_units_that_do_not_act_on_one_another_need_one_number_a_weight():
    """Linear recurrent units, with the parameters of their own."""
    problem = _problem(rnn(3, 4, 2, activation="lru", key=5))
    expected = by_hand.taught_in_time(BPTT(), *problem).net
    for rule in (OSTL(), Snap()):
        mine = by_hand.taught_in_time(rule, *problem).net
        assert by_hand.largest_gap(mine, expected) < 1e-12
        held = rule.start({}, problem[0], 4)[1]["hidden1"]["input-hidden1"].parts["re"]
        assert held.shape == (4, *problem[0].theta["input-hidden1"]["weight"].shape)


def _sparse():
    """A ring: each unit reads itself and the one before it."""
    net = rnn(3, 5, 2, key=5, bias=False)
    table = np.sort(np.stack([np.arange(5), (np.arange(5) - 1) % 5], 1), 1)
    ring = FixedFanIn.between(net["hidden1"], net["hidden1"], 2, bias=False, index=table)
    draw = np.random.default_rng(0)
    ring = ring.with_theta({"weight": jnp.asarray(draw.normal(size=(5, 2)))})
    others = [p for p in net.projections if p.name != "hidden1-hidden1"]
    return Network(net.populations, (*others, ring), net.input, net.output), table


def _masked(net, table, x, target, weight, n):
    """J <- M (I + D J) in NumPy, with an entry for each unit and weight, sample by sample."""
    into, ring, read = (
        np.asarray(net.theta[name]["weight"])
        for name in ("input-hidden1", "hidden1-hidden1", "hidden1-output")
    )
    rec = np.zeros((5, 5))  # pre, post
    rec[table, np.arange(5)[:, None]] = ring
    hops = np.eye(5)
    for _ in range(n - 1):
        hops = hops @ (np.eye(5) + (rec != 0))
    mask = hops > 0
    sums = [np.zeros_like(a) for a in (into, ring, read)]
    for b in range(len(x)):
        h, J_in, J_rec = np.zeros(5), np.zeros((3, 5, 5)), np.zeros((5, 2, 5))
        for t in range(x.shape[1]):
            before, h = h, np.tanh(x[b, t] @ into + h @ rec)
            J_in, J_rec = J_in @ rec, J_rec @ rec
            for j in range(5):
                J_in[:, j, j] += x[b, t]
                J_rec[j, :, j] += before[table[j]]
            J_in, J_rec = J_in * (1 - h**2), J_rec * (1 - h**2)
            J_in, J_rec = J_in * mask[None], J_rec * mask[:, None]
            error = (h @ read - target[b, t]) * weight[b, t] / len(x)
            credit = read @ error
            new = (J_in @ credit, J_rec @ credit, np.outer(h, error))
            sums = [total + one for total, one in zip(sums, new, strict=True)]
    names = ("input-hidden1", "hidden1-hidden1", "hidden1-output")
    return {name: {"weight": a} for name, a in zip(names, sums, strict=True)}


def test_influence_is_kept_on_what_is_wired_within_n_steps_and_dropped_elsewhere():
    net, table = _sparse()
    x, target, weight = by_hand.sequences(3, 2, steps=STEPS)
    found = {}
    for n in (1, 3, 5):
        found[n] = by_hand.taught_in_time(
            Snap(n=n), net, x, Signal(target, SquaredError(), weight)
        ).net
        expected = _masked(net, table, *(np.asarray(a) for a in (x, target, weight)), n)
        assert by_hand.largest_gap(found[n], expected) < 1e-12, n
    exact = by_hand.taught_in_time(BPTT(), net, x, Signal(target, SquaredError(), weight)).net
    assert by_hand.largest_gap(found[5], exact) < 1e-12
    assert by_hand.largest_gap(found[3], exact) > 1e-6


def test_two_layers_without_recurrent_weights_learn_by_the_error_of_the_step():
    net, x, signal = _problem(rnn(3, 4, 4, 2, key=5))
    theta = net.theta
    for name in net.recurrent:
        theta[name]["weight"] = jnp.zeros_like(theta[name]["weight"])
    net = net.with_theta(theta)
    expected = by_hand.taught_in_time(BPTT(), net, x, signal).net
    assert by_hand.largest_gap(by_hand.taught_in_time(OSTL(), net, x, signal).net, expected) < 1e-12


@pytest.mark.parametrize("rule", [OSTL(), Snap()], ids=["ostl", "snap"])
def test_memory_does_not_grow_with_the_length_of_a_sequence(rule):
    net, held = rnn(3, 5, 2, key=1), []
    for steps in (64, 256, 1024):
        x, target = (jnp.zeros((4, steps, n)) for n in (3, 2))
        signal = Signal(target, SquaredError(), target[..., 0])
        compiled = jax.jit(lambda *args: taught(rule, *args)).lower(net, x, signal).compile()
        held.append(compiled.memory_analysis().temp_size_in_bytes)
    assert len(set(held)) == 1, held


@pytest.mark.slow
def test_one_step_comes_nearer_to_bptt_than_a_random_guess_on_copy():
    """Mean cosines of the updates of gated units: Menick et al. 2021, against one draw of UORO."""
    task = byway.task("copy")
    split = task.load()["train"]
    net = rnn(task.input_shape, 32, task.outputs, activation="gru", key=1)
    angles = {"snap": [], "uoro": []}
    for batch in range(10):
        x, signal = task.batch(split, jnp.arange(16) + 16 * batch, jax.random.key(0))
        true = by_hand.taught_in_time(BPTT(), net, x, signal).net
        for name, rule in (("snap", Snap()), ("uoro", UORO())):
            mine = taught(rule, net, x, signal, key=batch)
            one, other = (
                np.concatenate([np.ravel(w["weight"]) for k, w in u.items() if "output" not in k])
                for u in (mine, true)
            )
            angles[name].append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    snap, uoro = (np.mean(angles[name]) for name in ("snap", "uoro"))
    assert snap > 0.5 > uoro > 0


CANNOT = {
    "nothing to carry": (mlp(3, 4, 2), "no layer that carries anything through time"),
    "normalised": (rnn(3, 4, 2, norm=True), "projections to themselves of hidden1"),
}


@pytest.mark.parametrize("rule", [OSTL(), Snap()], ids=["ostl", "snap"])
@pytest.mark.parametrize(("net", "said"), CANNOT.values(), ids=CANNOT)
def test_what_they_cannot_carry_is_refused(rule, net, said):
    with pytest.raises(RuleError, match=f"{rule.id} was given a network with {said}"):
        rule.accepts(net)


def test_ostl_refuses_influence_between_layers():
    sizes = {"input": 3, "a": 4, "b": 4, "output": 2}
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    with pytest.raises(RuleError, match="ostl was given a network with a cycle"):
        OSTL().accepts(graph(sizes, edges))
    Snap().accepts(graph(sizes, [*edges, ("a", "a")]))
