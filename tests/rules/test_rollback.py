"""Going back through a learned inverse: exact where nothing is lost, memory as it says, and where
it breaks.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from byway.audit.networks import tiny
from byway.audit.verdict import audit
from byway.core.errors import ConfigError, RuleError
from byway.core.signal import Signal, SquaredError
from byway.learning.rule import Carry
from byway.network.builders import graph, mlp, rnn
from byway.rules.time.bptt import BPTT
from byway.rules.time.rollback import Rollback
from byway.rules.time.rollback_checks import linear, undone
from byway.training.step import Optimisers, learn, new_learner
from byway.verify.oracle import drawn, gap, ravel

STILL = Optimisers(optax.sgd(0.1), optax.sgd(0.1))


def _data(steps, inputs=3, outputs=2, batch=3):
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(batch, steps, inputs)))
    target = jnp.asarray(draw.normal(size=(batch, steps, outputs)))
    return x, Signal(target, SquaredError(), jnp.full((batch, steps), 1 / steps))


def _taught(rule, net, x, signal, gamma=None):
    """The update of a round trip, and what was measured on the way."""
    gamma = rule.init(net, jax.random.key(7)) if gamma is None else gamma
    carry = Carry(*rule.start(gamma, net, len(x)), ())
    _, update, scores = rule.teach(rule, gamma, net, carry, x, signal, jax.random.key(0))
    return update.net, scores


@pytest.fixture(scope="module")
def mixed():
    """One program: a stack of an LSTM, a leaky and a GRU layer, whose inverse knows nothing, taken
    back with every state kept, with every third, with 16 bits and with one.
    """
    cells = {"a": "lstm", "b": "leaky", "c": "gru"}
    sizes = {"input": 3, "a": 4, "b": 5, "c": 3, "output": 2}
    edges = [("input", "a"), ("a", "b"), ("b", "c"), ("c", "output"), ("a", "output")]
    edges += [(name, name) for name in "abc"]
    net, (x, signal) = drawn(lambda: graph(sizes, edges, activation=cells)), _data(12)
    each = {
        "kept": Rollback(checkpoint=1),
        "third": Rollback(checkpoint=3),
        "plain": Rollback(),
        "bits": Rollback(bits=16),
        "both": Rollback(bits=16, checkpoint=5),
        "few": Rollback(bits=1),
    }
    Rollback().accepts(net)

    @jax.jit
    def all_of_them():
        found = {name: _taught(rule, net, x, signal) for name, rule in each.items()}
        return found, _taught_whole(BPTT(), net, x, signal)

    return all_of_them()


def _taught_whole(rule, net, x, signal):
    carry = Carry(*rule.start({}, net, len(x)), ())
    return rule.teach(rule, {}, net, carry, x, signal, jax.random.key(0))[1].net


@pytest.mark.slow
def test_with_every_state_kept_it_is_bptt_whatever_the_inverse(mixed):
    found, true = mixed
    assert gap(found["kept"][0], true) < 1e-12
    assert gap(found["plain"][0], true) > 0.1 < gap(found["third"][0], true)


def test_bits_bring_every_cell_back_to_the_bit(mixed):
    """Through a grid whose points are 2^-8 apart, so the gradient is nearly that of bptt."""
    found, true = mixed
    update, scores = found["bits"]
    assert float(scores["drift"]) == 0.0 == float(scores["spilled"])
    assert 1e-6 < gap(update, true) < 0.05
    assert gap(found["both"][0], update) == 0.0


def test_a_residual_that_does_not_fit_is_cut_and_counted(mixed):
    """Of an inverse that knows nothing, nearly all of one bit's worth."""
    _, scores = mixed[0]["few"]
    assert float(scores["spilled"]) > 0.5
    assert float(scores["drift"]) > 0.1
    said = Rollback(bits=1).advice({k: float(v) for k, v in scores.items()})
    assert "did not fit into 1 bits" in said
    assert Rollback().advice({"drift": 1e-3}) is None
    assert "--checkpoint" in Rollback().advice({"drift": 0.5})
    assert "--checkpoint" in Rollback().advice({"drift": float("nan")})


def test_what_a_contracting_step_destroys_is_not_had_back():
    """Recurrent weights that halve: an inverse that is right but for 1e-4 doubles what it is off by
    at every step. The drift is that of errors reckoned in NumPy, and the gradient turns away from
    the true one.
    """
    steps, off, each = 16, 1e-4, (1, 4, 8, 16)
    problem = linear(0.5, steps)
    gamma = undone(Rollback(), problem.net, off)
    theta = jax.tree.map(np.asarray, problem.net.theta)
    weight = theta["hidden1-hidden1"]["weight"]
    back = np.linalg.inv(weight)
    drive = (
        np.asarray(problem.x) @ theta["input-hidden1"]["weight"] + theta["input-hidden1"]["bias"]
    )
    states = [np.zeros((len(drive), 6))]
    for t in range(steps):
        states.append(states[-1] @ weight + drive[:, t])
    low, high = np.min(states[:-1], 0), np.max(states[:-1], 0)

    @jax.jit
    def gone_back():
        x, signal = problem.x, problem.signal
        rules = [Rollback(checkpoint=k) for k in each]
        signs = [jax.random.fold_in(jax.random.key(0), t) for t in range(steps)]
        signs = [jax.random.rademacher(key, (6,), x.dtype) for key in signs]
        return [_taught(rule, problem.net, x, signal, gamma) for rule in rules], jnp.stack(signs)

    (found, signs), true, alike = gone_back(), ravel(problem.gradient())[0], []
    for k, (update, scores) in zip(each, found, strict=True):
        told, errors = states[-1], [None] * steps
        for t in reversed(range(steps)):
            told = np.clip((told - drive[:, t]) @ back + off, low, high)
            told = states[t] if t % k == 0 else told
            errors[t] = told - states[t]
        drift = np.sqrt(np.mean(np.sum(signs[:, None] * np.stack(errors), 0) ** 2) / steps)
        assert float(scores["drift"]) == pytest.approx(drift, rel=1e-6, abs=1e-15)
        mine = ravel({name: update[name] for name in problem.net.theta})[0]
        alike.append(mine @ true / np.linalg.norm(mine) / np.linalg.norm(true))
        if k == 8:
            assert np.linalg.norm(errors[1]) > 2**5 * np.linalg.norm(errors[7])
    assert alike[0] == pytest.approx(1.0, abs=1e-12)
    assert 1 - 1e-8 > alike[-2] > alike[-1]


def test_memory_grows_by_what_is_kept_and_by_nothing_else():
    """The compiled round trip: a state every 64 steps, and 4 bits of each number of the others;
    that nothing grows without is one of the rule's own checks.
    """
    batch, units, rule = 3, 8, Rollback(checkpoint=64, bits=4)

    def held(steps):
        net, (x, signal) = rnn(2, units, 1), _data(steps, 2, 1, batch)
        program = jax.jit(lambda net, x, signal: _taught(rule, net, x, signal))
        return program.lower(net, x, signal).compile().memory_analysis().temp_size_in_bytes

    kept, size = 63 * batch * units, np.dtype(rnn(2, units, 1).dtype).itemsize
    assert held(4096) - held(64) == kept * size + kept * 64 * 4 // 8


def test_only_the_inverse_learns_in_its_turn_and_comes_nearer():
    """The drift of a short way back falls while the network stands still."""
    net, (x, signal) = drawn(rnn, 3, 6, 2, activation="leaky"), _data(6)
    rule, rates = Rollback(inner=1), Optimisers(optax.sgd(0.0), optax.adam(3e-2))
    learner = new_learner(rule, net, rates, x, signal, jax.random.key(0))

    @jax.jit
    def many(learner):
        return jax.lax.scan(lambda one, _: learn(rule, rates, one, x, signal), learner, None, 200)

    after, scores = many(learner)
    assert jax.tree.all(jax.tree.map(np.array_equal, after.net.theta, learner.net.theta))
    assert jax.tree.all(jax.tree.map(np.array_equal, after.gamma["seen"], learner.gamma["seen"]))
    assert float(scores["drift"][-1]) < 0.3 * float(scores["drift"][0])


@pytest.mark.parametrize("options", [{"checkpoint": 4}, {"bits": 2}])
def test_what_is_kept_on_the_way_is_claimed_and_found(options):
    rule = Rollback(**options)
    verdict = audit(rule, tiny("rnn", rule))
    assert verdict.found.past == "grows"
    assert verdict.disagreements == []


def _late():
    net = rnn(3, 4, 2)
    edges = [dataclasses.replace(p, delay=2) if p.src == p.dst else p for p in net.projections]
    return graph({p.name: p.shape for p in net.populations}, edges)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (mlp(3, 4, 2), "a network that keeps nothing through time"),
        (rnn(3, 4, 2, norm=True), "hidden1, whose past is normalised"),
        (_late(), "hidden1-hidden1, later than a step"),
        (rnn(3, 4, 2, activation="quantised"), r"a network with a black box in hidden1"),
    ],
)
def test_what_it_cannot_go_back_through_is_refused_by_name(net, said):
    with pytest.raises(RuleError, match=f"rollback was given {said}"):
        Rollback().accepts(net)


@pytest.mark.parametrize("bits", [3, 17, -1])
def test_bits_fill_a_word(bits):
    with pytest.raises(ConfigError, match="bits"):
        Rollback(bits=bits)
