"""Synapses with delays of their own: against sums written out synapse by synapse, and autodiff of
them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import by_hand
import byway
from byway.audit.verdict import audit
from byway.core.errors import ConfigError, RuleError
from byway.core.signal import Signal, SquaredError
from byway.experiment.networks import NetSettings
from byway.network.blueprint import blueprint, built
from byway.network.sparse import FixedFanIn
from byway.network.wiring import wiring

SPEED = 100.0


def _net(activation="tanh", key=2, **more):
    return byway.grownet(
        5, 12, 2, regions=2, fan_in=5, spare=2, cycles=True, speed=SPEED, own_delays=True,
        activation=activation, key=key, **more,
    )  # fmt: skip


def _own(net) -> list[Any]:
    return [p for p in net.projections if isinstance(p, FixedFanIn) and p.window is not None]


def _run(net, theta, x):
    """What each population sends at each step, by the definition: u_i(t) = sum of w h_j(t - d)."""
    steps = x.shape[1]
    sent = {p.name: [] for p in net.populations}
    zero = {p.name: jnp.zeros((len(x), p.size)) for p in net.populations}
    ago = lambda name, t: sent[name][t] if t >= 0 else zero[name]
    for t in range(steps):
        for population in net.populations:
            name = population.name
            if name == net.input:
                sent[name].append(x[:, t])
                continue
            u = jnp.zeros((len(x), population.size))
            for p in net.incoming(name):
                w = theta[p.name]["weight"]
                if isinstance(p, FixedFanIn):
                    late = np.asarray(1 if p.late is None else p.late) * np.ones(p.index.shape, int)
                    for (i, k), j in np.ndenumerate(np.asarray(p.index)):
                        if j < p.sources:
                            u = u.at[:, i].add(w[i, k] * ago(p.src, t - int(late[i, k]))[:, j])
                else:
                    u = u + ago(p.src, t) @ w
                if "bias" in theta[p.name]:
                    u = u + theta[p.name]["bias"][None]
            sent[name].append(u if name == net.output else jnp.tanh(u))
    return {name: jnp.stack(a, 1) for name, a in sent.items()}


def test_a_synapse_is_as_late_as_it_is_long():
    net = _net()
    assert len(_own(net)) > 2
    seen = set()
    for p in _own(net):
        here, there = np.asarray(net[p.dst].position), np.asarray(net[p.src].position)
        for (i, k), j in np.ndenumerate(np.asarray(p.index)):
            if j < p.sources:
                far = np.linalg.norm(here[i] - there[j])
                assert int(p.late[i, k]) == max(1, np.ceil(far / SPEED)) <= p.delay
                seen.add(int(p.late[i, k]))
    assert len(seen) > 2
    held = wiring(net)
    inner = held.delay > 0
    np.testing.assert_array_equal(
        held.delay[inner], np.maximum(1, np.ceil(held.length[inner] / SPEED))
    )


def test_a_spike_arrives_at_exactly_its_delay():
    """One spike of each input, alone, at units that read it with a weight above threshold."""
    net = byway.grownet(
        4, 6, 2, regions=1, fan_in=4, cycles=False, speed=60.0, own_delays=True,
        activation=byway.cell("lif", tau=1.0, threshold=1.0, hard=True),
    )  # fmt: skip
    (p,) = _own(net)
    net = net.with_theta({p.name: {"weight": jnp.full(p.weight.shape, 5.0)}})
    steps = p.delay + 3
    for j in range(4):
        x = jnp.zeros((1, steps, 4)).at[0, 1, j].set(1.0)
        _, spikes = byway.simulate(net, x, look=lambda phase: phase.post["region1"][0])
        for i, row in enumerate(np.asarray(p.index)):
            late = int(p.late[i, list(row).index(j)])
            expected = np.zeros(steps)
            expected[1 + late] = 1.0
            np.testing.assert_array_equal(spikes[:, i], expected)


def test_a_run_is_what_the_synapses_say():
    net = by_hand.with_biases(_net())
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 9, 5)))
    expected = _run(net, net.theta, x)
    for name in ("region1", "region2", "output"):
        _, made = byway.simulate(net, x, look=lambda phase, name=name: phase.post[name])
        np.testing.assert_allclose(np.moveaxis(made, 0, 1), expected[name], rtol=1e-12)


@pytest.mark.parametrize(("rule", "more"), some([("bptt", {}), ("tbptt", {"k1": 9, "k2": 9})], 1))
def test_the_gradient_is_that_of_the_sums_written_out(rule, more):
    net = by_hand.with_biases(_net())
    draw = np.random.default_rng(1)
    x, target = (jnp.asarray(draw.normal(size=(3, 9, n))) for n in (5, 2))
    weight = jnp.full((3, 9), 1 / 9)

    def loss(theta):
        wrong = _run(net, theta, x)["output"] - target
        return jnp.mean(jnp.sum(weight[..., None] * wrong**2 / 2, (1, 2)))

    true = jax.jit(jax.grad(loss))(net.theta)
    signal = Signal(target, SquaredError(), weight)
    update = by_hand.taught_in_time(byway.rule(rule, **more), net, x, signal)
    alive = {p.name: p.alive for p in net.projections if isinstance(p, FixedFanIn)}
    for name, a in alive.items():  # a free slot learns nothing
        true[name]["weight"] = jnp.where(a, true[name]["weight"], 0)
    assert by_hand.largest_gap(update.net, true) < 1e-12


@pytest.mark.parametrize("rule", ["eprop", "ottt"])
def test_traces_reach_back_along_each_delay(rule):
    """Where hidden units do not act on one another, both have the gradient of BPTT."""
    net = byway.grownet(
        4, 6, 2, regions=1, fan_in=3, speed=60.0, own_delays=True, activation="leaky", key=1
    )
    net = by_hand.with_biases(net)
    assert _own(net)[0].window > 3
    draw = np.random.default_rng(2)
    x, target = (jnp.asarray(draw.normal(size=(3, 11, n))) for n in (4, 2))
    signal = Signal(target, SquaredError(), jnp.full((3, 11), 1 / 11))
    one = byway.rule(rule, **({"symmetric": True} if rule == "eprop" else {}))
    found, true = (by_hand.taught_in_time(r, net, x, signal).net for r in (one, byway.rule("bptt")))
    if rule == "ottt":  # its traces forget how a unit's own state was read, but not how late
        name = _own(net)[0].name
        zero = np.asarray(true[name]["weight"]) == 0
        np.testing.assert_array_equal(np.asarray(found[name]["weight"]) == 0, zero)
    else:
        assert by_hand.largest_gap(found, true) < 1e-12


@pytest.mark.parametrize("name", ["rtrl", "uoro", "rollback"])
def test_rules_that_cannot_say_so(name):
    with pytest.raises(RuleError, match="region1"):
        byway.rule(name).accepts(_net())


@pytest.mark.parametrize("name", ["bptt", "eprop"])
@pytest.mark.slow
def test_the_audit_finds_what_the_rules_claim(name):
    assert not audit(byway.rule(name), _net("leaky")).disagreements


def _as_long_as_late(net):
    for p in _own(net):
        far = np.linalg.norm(
            np.asarray(net[p.dst].position)[:, None]
            - np.asarray(net[p.src].position)[np.minimum(np.asarray(p.index), p.sources - 1)],
            axis=2,
        )
        expected = np.clip(np.ceil(far / SPEED), 1, p.delay)
        np.testing.assert_array_equal(np.asarray(p.late)[p.alive], expected[p.alive])


@pytest.mark.parametrize("name", some(["set", "rigl", "deep_r", "migration"], 2))
def test_growth_gives_each_synapse_the_delay_of_its_length(name):
    """Also where units have moved."""
    net, policy = _net(), byway.growth(name)
    memory = policy.start(net)
    if name == "deep_r":  # whose weights all go the other way
        net = net.with_theta({p.name: {"weight": -p.weight} for p in _own(net)})
    _, grown, _ = policy.grow(memory, net, jax.random.key(3), jnp.asarray(0.5))
    differ = lambda part: any(
        np.any(np.asarray(getattr(p, part)) != np.asarray(getattr(q, part)))
        for p, q in zip(_own(net), _own(grown), strict=True)
    )
    assert differ("index") == (name != "migration")
    assert name == "migration" or differ("late")
    _as_long_as_late(grown)


def test_a_file_of_it_keeps_the_delays():
    net = _net()
    arrays = {f"{n}.{k}": a for n, parts in net.theta.items() for k, a in parts.items()}
    arrays |= {f"{n}.{k}": a for n, parts in net.structure.items() for k, a in parts.items()}
    arrays |= {f"position/{p.name}": p.position for p in net.populations}
    again = built(blueprint(net), arrays)
    for p, q in zip(_own(net), _own(again), strict=True):
        np.testing.assert_array_equal(p.late, q.late)
    assert again.topology == net.topology


def test_delays_follow_units_that_move_and_need_a_speed():
    net = _net()
    moved = net.with_positions({"region1": net["region1"].position * 0.5})
    _as_long_as_late(moved)
    assert np.any(np.asarray(_own(net)[0].late) != np.asarray(_own(moved)[0].late))
    with pytest.raises(ConfigError, match="no speed"):
        byway.grownet(5, 12, 2, fan_in=4, own_delays=True)
    src, dst = net["region1"], net["region2"]
    wrong: list[dict[str, Any]] = [
        {"speed": 0.0, "delay": 3},
        {"speed": 1.0},
        {"speed": float("inf"), "delay": 1},
    ]
    for more in wrong:
        with pytest.raises(ConfigError, match="a speed of"):
            FixedFanIn.between(src, dst, 2, **more)
    with pytest.raises(ConfigError, match="a delay of 0"):
        FixedFanIn.between(src, dst, 2, speed=1.0, delay=0)


def test_an_experiment_asks_for_them_by_name():
    """And without a speed it is refused as in Python."""
    task, rule = byway.task("mnist_rows"), byway.rule("bptt")
    given = {"kind": "grownet", "units": 12, "fan_in": 6, "regions": 2, "cycles": True}
    asked = lambda **more: NetSettings(**given, **more)(task, rule)
    net = byway.grownet(
        task.input_shape, 12, task.outputs, fan_in=6, regions=2, cycles=True, speed=SPEED,
        own_delays=True,
    )  # fmt: skip
    assert asked(speed=SPEED, own_delays=True).topology == net.topology and _own(net)
    assert not _own(asked(speed=SPEED))
    with pytest.raises(ConfigError, match="no speed"):
        asked(own_delays=True)
