"""Cells against their equations written out again; learning through them, delays and skips against
autodiff of an unrolled loop.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
import byway
from byway.core.errors import BywayError, ConfigError, RuleError, ShapeError, UnknownNameError
from byway.core.hyper import hypers
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.network.activations import ACTIVATIONS
from byway.network.builders import graph, mlp, rnn
from byway.network.cells import CELLS, cell
from byway.network.projections import Dense, Skip
from byway.rules import able
from byway.rules.time.bptt import BPTT
from byway.rules.time.rtrl import RTRL
from cells_by_hand import KINDS, gru, leaky

STEPS, BATCH = 7, 3
# Those whose networks are tried in `make slow` alone.
RARE = ("gru, forgetting little", "rev_lstm", "integrator")
GATED = {"gru": 4, "gru, forgetting little": 4, "lstm": 4, "rev_lstm": 5}


def _drives(kind, units=4):
    draw = np.random.default_rng(0)
    ports = (GATED[kind],) if kind in GATED else ()
    return jnp.asarray(
        draw.normal(size=(STEPS, BATCH, *ports, units)) * (0.8 if "lif" in kind else 1)
    )


def _nothing(units, batch=BATCH):
    return {part: jnp.zeros((batch, units)) for part in ("v", "a", "z", "quiet")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_does_what_its_equations_say(kind):
    make, step, _ = KINDS[kind]
    mine, drives = make(), _drives(kind)
    state, other = mine.rest(jnp.zeros((BATCH, 4))), _nothing(4)
    for u in drives:
        state, post = mine.step(state, u)
        other, expected = step(other, u)
        np.testing.assert_allclose(post, expected, rtol=1e-14, atol=1e-15)
    if "lif" in kind:
        assert float(jnp.stack([post]).sum()) > 0 or np.any(np.asarray(other["v"]) != 0)


@pytest.mark.parametrize("kind", KINDS)
def test_local_derivatives_are_autodiffs(kind):
    """Every one of them, and none that is left out is anything but zero."""
    mine, drives = KINDS[kind][0](), _drives(kind, 1)[:, :1]
    state = mine.rest(jnp.zeros((1, 1)))

    def step(carried, u, state):
        after, post = mine.step(state | carried, u)
        return {part: after[part].sum() for part in mine.carries}, post.sum()

    both = jax.jit(lambda *at: (jax.jacrev(step, 0)(*at), jax.jacrev(step, 1)(*at)))
    for u in drives:
        carried = {part: state[part] for part in mine.carries}
        (by_state, post_by_state), (by_u, post_by_u) = both(carried, u, state)
        local = mine.local(state, u)
        for i in mine.carries:
            np.testing.assert_allclose(
                local.drive.get(i, 0.0) * jnp.ones_like(u), by_u[i], rtol=1e-12, atol=1e-15
            )
            for j in mine.carries:
                np.testing.assert_allclose(
                    jnp.sum(local.carry.get((i, j), 0.0)),
                    by_state[i][j].sum(),
                    rtol=1e-12,
                    atol=1e-15,
                )
        for j in mine.carries:
            np.testing.assert_allclose(
                jnp.sum(jnp.asarray(local.read.get(j, 0.0))),
                post_by_state[j].sum(),
                rtol=1e-12,
                atol=1e-15,
            )
        np.testing.assert_allclose(
            local.slope * jnp.ones_like(u), post_by_u, rtol=1e-12, atol=1e-15
        )
        after = local.after
        if after is not None:  # then the activity follows from the state after the step
            slope = sum(local.drive[i] * d for i, d in after.items())
            np.testing.assert_allclose(slope * jnp.ones_like(u), post_by_u, rtol=1e-12, atol=1e-15)
            for j in mine.carries:
                read = sum(
                    jnp.sum(local.carry[i, j] * d)
                    for i, d in after.items()
                    if (i, j) in local.carry
                )
                np.testing.assert_allclose(read, post_by_state[j].sum(), rtol=1e-12, atol=1e-15)
        state, _ = mine.step(state, u)


@pytest.mark.parametrize("per_ms", [10, 20])
def test_a_lif_unit_fires_as_often_as_its_equation_in_continuous_time(per_ms):
    """Period = tau ln(I / (I - theta)), up to one step: within 2 % at 10 steps a millisecond, and
    within half of that at 20.
    """
    tau, theta, drives = 20.0, 1.0, np.linspace(1.2, 5, 20)
    unit = byway.cell("lif", tau=tau * per_ms, threshold=theta, scaled=True, hard=True)

    def step(state, _):
        return unit.step(state, jnp.asarray(drives)[None])

    _, spikes = jax.lax.scan(step, unit.rest(jnp.zeros((1, 20))), None, 200 * per_ms)
    for drive, of_unit in zip(drives, np.asarray(spikes[:, 0]).T, strict=True):
        (times,) = np.nonzero(of_unit)
        period = np.diff(times).mean() / per_ms
        expected = tau * np.log(drive / (drive - theta))
        assert -1e-9 <= period - expected <= 1.001 / per_ms
        assert period / expected - 1 < 0.02 * 10 / per_ms or expected < 5


def test_an_lstm_is_that_of_equinox():
    theirs = eqx.nn.LSTMCell(3, 5, key=jax.random.key(0))
    net = rnn(3, 5, 2, activation=byway.cell("lstm", forget_bias=0.0))
    net = net.with_theta(
        {
            "input-hidden1": {"weight": theirs.weight_ih.T, "bias": theirs.bias},
            "hidden1-hidden1": {"weight": theirs.weight_hh.T},
        }
    )
    x, state = jax.random.normal(jax.random.key(1), (STEPS, BATCH, 3)), net.rest(BATCH)
    h = c = jnp.zeros((BATCH, 5))
    for now in x:
        state, phase = net.step(now, state)
        h, c = jax.vmap(theirs)(now, (h, c))
        np.testing.assert_allclose(phase.post["hidden1"], h, rtol=1e-12, atol=1e-14)


def test_a_gru_is_that_of_equinox():
    """With its weights put in place: ours has the update gate first, theirs the reset gate."""
    theirs = eqx.nn.GRUCell(3, 5, key=jax.random.key(0))
    net = rnn(3, 5, 2, activation="gru")
    gates = lambda a: jnp.split(a, 3)
    (r, z, n), (r_own, z_own, n_own) = gates(theirs.weight_ih), gates(theirs.weight_hh)
    b = gates(theirs.bias)
    net = net.with_theta(
        {
            "input-hidden1": {
                "weight": jnp.concatenate([z, r, n]).T,
                "bias": jnp.concatenate([b[1], b[0], b[2]]),
            },
            "hidden1-hidden1": {
                "weight": jnp.concatenate([z_own, r_own, n_own]).T,
                "bias": jnp.concatenate([jnp.zeros(10), theirs.bias_n]),
            },
        }
    )
    x, state, h = (
        jax.random.normal(jax.random.key(1), (STEPS, BATCH, 3)),
        net.rest(BATCH),
        jnp.zeros((BATCH, 5)),
    )
    for now in x:
        state, phase = net.step(now, state)
        h = jax.vmap(theirs)(now, h)
        np.testing.assert_allclose(phase.post["hidden1"], h, rtol=1e-12, atol=1e-14)


def _unrolled(net, steps, x):
    """The outputs of a network, step by step, with the cells written out above; every other thing
    is taken from its topology.
    """

    def run(theta):
        history, states, outputs = (
            {name: [] for name in net.topology.order},
            {p.name: _nothing(p.size) for p in net.populations},
            [],
        )
        for t in range(x.shape[1]):
            history[net.input].append(x[:, t])
            for population in net.populations[1:]:
                name = population.name
                u = jnp.zeros((BATCH, *population.drive))
                for p in net.incoming(name):
                    delay = net.recurrent.get(p.name, 0)
                    sent = (
                        history[p.src][t - delay]
                        if t >= delay
                        else jnp.zeros((BATCH, net[p.src].size))
                    )
                    weights = theta.get(p.name, {})
                    current = sent @ weights["weight"] if weights else sent
                    current = current + (weights["bias"][None] if "bias" in weights else 0.0)
                    if getattr(p, "ports", None) is not None:
                        u = u.at[:, jnp.asarray(p.ports)].add(
                            current.reshape(BATCH, len(p.ports), -1)
                        )
                    else:
                        u = u + current
                states[name], post = steps[name](states[name], u)
                history[name].append(post)
            outputs.append(history[net.output][-1])
        return jnp.stack(outputs, 1)

    return run


def _problem(net, steps, classes=2):
    draw = np.random.default_rng(3)
    x = jnp.asarray(draw.normal(size=(BATCH, STEPS, net[net.input].size)))
    target = jnp.asarray(np.eye(classes)[draw.integers(0, classes, (BATCH, STEPS))])
    weight = jnp.asarray(draw.uniform(size=(BATCH, STEPS)) / STEPS)
    run = _unrolled(net, steps, x)

    def loss(theta):
        y = run(theta)
        each = -jnp.sum(target * (y - jax.nn.logsumexp(y, -1, keepdims=True)), -1)
        return jnp.sum(each * weight) / BATCH

    gradient = jax.jit(jax.grad(loss))(net.theta)
    return x, Signal(target, CrossEntropy(), weight), jax.jit(run), gradient


def _same(state, u):
    return state, u


def _stack(kind, layers):
    make, step, scale = KINDS[kind]
    sizes = (3, 5, 4)[: layers + 1]
    net = by_hand.with_biases(rnn(*sizes, 2, activation=make()))
    net = net.with_theta(
        {
            name: {k: a * (scale if k == "weight" else 1) for k, a in w.items()}
            for name, w in net.theta.items()
        }
    )
    return net, {f"hidden{i}": step for i in (1, 2)} | {"output": _same}


# A quarter of them in turn; all take theirs in `make slow`.
@pytest.mark.parametrize(
    ("kind", "layers", "rule"),
    [
        pytest.param(
            kind,
            layers,
            rule,
            marks=() if (i + layers + j) % 4 == 0 and kind not in RARE else pytest.mark.slow,
            id=f"{kind}-{layers}-{rule.id}",
        )
        for i, kind in enumerate(KINDS)
        for layers in (1, 2)
        for j, rule in enumerate((BPTT(), RTRL()))
    ],
)
def test_the_update_is_autodiff_of_the_unrolled_loop(kind, layers, rule):
    net, steps = _stack(kind, layers)
    x, signal, run, gradient = _problem(net, steps)
    predict = jax.jit(lambda net: rule.predict({}, net, x, jax.random.key(0), True).output)
    np.testing.assert_allclose(predict(net), run(net.theta), rtol=1e-12, atol=1e-13)
    assert all(np.abs(g["weight"]).max() > 1e-8 for g in gradient.values()), (
        "the network has to be alive"
    )
    assert by_hand.largest_gap(by_hand.taught_in_time(rule, net, x, signal).net, gradient) < 1e-12


def _dense(net_sizes, src, dst, **options):
    weight = jnp.asarray(
        np.random.default_rng(len(src + dst) + len(options)).normal(
            size=(net_sizes[src], net_sizes[dst])
        )
        / 2
    )
    return Dense(
        src=src,
        dst=dst,
        src_shape=(net_sizes[src],),
        dst_shape=(net_sizes[dst],),
        weight=weight,
        bias=None,
        **options,
    )


SIZES = {"input": 3, "a": 4, "b": 4, "output": 2}


def _delayed():
    """Delays of several lengths, forwards and backwards, two projections between the same
    populations, a skip.
    """
    edges = [
        _dense(SIZES, "input", "a"),
        _dense(SIZES, "input", "a", label="late", delay=3),
        _dense(SIZES, "a", "b"),
        _dense(SIZES, "b", "a", delay=2),
        _dense(SIZES, "a", "a"),
        _dense(SIZES, "a", "output", delay=1),
        _dense(SIZES, "b", "output"),
        _dense(SIZES, "a", "output", label="long", delay=4),
        Skip(src="a", dst="b", src_shape=(4,), label="skip"),
        Skip(src="a", dst="b", src_shape=(4,), label="late", delay=2),
    ]
    return graph(SIZES, edges, activation={"a": "tanh", "b": byway.cell("leaky")}).with_theta(
        {p.name: p.theta for p in edges if p.theta}
    )


def test_delays_labels_and_skips_are_learned_through():
    net = _delayed()
    steps = {"a": lambda s, u: (s, jnp.tanh(u)), "b": leaky, "output": _same}
    x, signal, run, gradient = _problem(net, steps)
    np.testing.assert_allclose(
        BPTT().predict({}, net, x, jax.random.key(0), True).output,
        run(net.theta),
        rtol=1e-12,
        atol=1e-13,
    )
    update = by_hand.taught_in_time(BPTT(), net, x, signal).net
    assert by_hand.largest_gap(update, gradient) < 1e-12


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_what_is_sent_arrives_exactly_its_delay_later(delay):
    edge = Dense(
        src="input",
        dst="output",
        src_shape=(1,),
        dst_shape=(1,),
        weight=jnp.ones((1, 1)),
        bias=None,
        delay=delay,
    )
    net = graph({"input": 1, "output": 1}, [edge]).with_theta({edge.name: edge.theta})
    state, seen = net.rest(1), []
    for t in range(12):
        state, phase = net.step(jnp.full((1, 1), float(t == 3)), state)
        seen.append(float(phase.post["output"][0, 0]))
    assert np.flatnonzero(seen).tolist() == [3 + delay]


def test_a_residual_network_is_learned_by_backprop_as_autodiff_does():
    """A skip that carries activity, and one that carries the potential."""
    sizes = {"input": 3, "a": 4, "b": 4, "c": 4, "output": 2}
    pairs = [("input", "a"), ("a", "b"), ("b", "c"), ("c", "output")]
    skips = [
        Skip(src="a", dst="b", src_shape=(4,), label="skip"),
        Skip(src="b", dst="c", src_shape=(4,), carries="u", label="skip"),
    ]
    net = by_hand.with_biases(graph(sizes, [*pairs, *skips], activation="tanh"))
    x, target = by_hand.sample(3, 2)

    def loss(theta):
        u = lambda name, h: h @ theta[name]["weight"] + theta[name]["bias"][None]
        a = jnp.tanh(u("input-a", x))
        u_b = u("a-b", a) + a
        c = jnp.tanh(u("b-c", jnp.tanh(u_b)) + u_b)
        return jnp.mean(jnp.sum((u("c-output", c) - target) ** 2, -1)) / 2

    _, update, _ = by_hand.taught(byway.rule("bp"), net, x, target, SquaredError())
    gradient = jax.jit(jax.grad(loss))({name: w for name, w in net.theta.items() if w})
    assert by_hand.largest_gap({name: w for name, w in update.net.items() if w}, gradient) < 1e-12


def test_truncated_backprop_through_time_is_autodiff_that_stops_between_pieces():
    """Pieces of k steps, the state handed on and nothing going back: with the rate at zero the
    updates of all pieces add up.
    """
    import optax

    from byway.training.step import Optimisers, learn, new_learner

    net, _ = _stack("gru", 1)
    x, signal, _, _ = _problem(net, {"hidden1": gru, "output": _same})
    x, signal = x[:, :6], jax.tree.map(lambda a: a[:, :6], signal)
    rate = 1e-7
    optimisers = Optimisers(optax.sgd(rate), optax.sgd(rate))

    @jax.jit
    def moved(net):
        start = new_learner(BPTT(), net, optimisers, x, signal, jax.random.key(0))
        start = eqx.tree_at(lambda one: one.net, start, net)
        return learn(BPTT(), optimisers, start, x, signal, every=2)[0].net.theta

    moved = moved(net)

    def loss(theta):
        now, total = net.with_theta(theta), 0.0
        state = now.rest(BATCH)
        for t in range(6):
            state = jax.lax.stop_gradient(state) if t % 2 == 0 else state
            state, phase = now.step(x[:, t], state)
            total = total + jnp.sum(signal.at(t).loss(phase.post["output"])) / BATCH
        return total

    gradient = jax.jit(jax.grad(loss))(net.theta)
    for name, parts in gradient.items():
        for part, g in parts.items():
            mine = (net.theta[name][part] - moved[name][part]) / rate
            np.testing.assert_allclose(mine, g, rtol=1e-5, atol=1e-7)


def test_every_cell_is_found_and_explains_itself():
    assert {"leaky", "lif", "alif", "gru"} <= set(CELLS.ids())
    for name in CELLS.ids():
        assert cell(name).name == name
        for field in hypers(CELLS.get(name)):
            assert len(field.metadata["doc"]) > 10
    assert cell("tanh") is ACTIVATIONS["tanh"]


REFUSED = {
    "an unknown cell": (
        lambda: rnn(2, 3, 1, activation="gruu"),
        UnknownNameError,
        "did you mean 'gru'",
    ),
    "a number out of range": (lambda: byway.cell("lif", tau=0.0), ConfigError, "LIF.tau = 0.0"),
    "a number that it does not have": (
        lambda: byway.cell("lif", tao=3.0),
        UnknownNameError,
        "did you mean 'tau'",
    ),
    "a port that nothing feeds": (
        lambda: graph({"input": 2, "a": 3, "output": 1}, CHAIN, activation="gru"),
        ShapeError,
        "the ports [3]",
    ),
    "a delay of zero": (lambda: _dense(SIZES, "input", "a", delay=0), ConfigError, "a delay of 0"),
    "a skip between sizes": (
        lambda: graph(SIZES, [*SHORT, Skip(src="a", dst="output", src_shape=(4,))]),
        ShapeError,
        "'a-output'",
    ),
    "a potential of the input": (
        lambda: graph(
            SIZES | {"a": 3},
            [*SHORT, Skip(src="input", dst="a", src_shape=(3,), carries="u", label="skip")],
        ),
        ShapeError,
        "the potential of 'input'",
    ),
}
CHAIN = [("input", "a"), ("a", "output")]
SHORT = [("input", "a"), ("a", "b"), ("b", "output")]


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case):
    make, error, says = REFUSED[case]
    with pytest.raises(error) as raised:
        make()
    assert says in str(raised.value)


@pytest.mark.parametrize("name", ["bp", "fa", "dfa", "ff", "node_perturbation", "pc", "taylor"])
def test_a_rule_that_knows_no_time_refuses_cells_and_delays_and_names_those_that_do(name):
    rule = byway.rule(name)
    late = Dense(
        src="input",
        dst="output",
        src_shape=(8,),
        dst_shape=(3,),
        weight=jnp.zeros((8, 3)),
        bias=None,
        delay=2,
    )
    for net, what in (
        (rnn(8, 6, 3, activation="lif", **{**rule.network_options}), "hidden1 (lif)"),
        (graph({"input": 8, "output": 3}, [late]), "a delay in input-output"),
    ):
        with pytest.raises(RuleError) as raised:
            rule.accepts(net)
        assert what in str(raised.value)
        assert "bptt" in raised.value.fix
        for other in able(net):
            # Which ask for more.
            byway.rule(other).accepts(net) if other not in (
                "rtrl",
                "eprop",
                "snap",
                "ostl",
                "ottt",
            ) else None


def test_many_projections_are_put_in_order_once():
    """240 projections: what follows from the names is worked out where the network is made, and
    only there.
    """
    sizes = {"input": 2} | {f"h{i}": 2 for i in range(120)} | {"output": 2}
    names = list(sizes)
    net = graph(sizes, [*itertools.pairwise(names), *zip(names, names[2:], strict=False)])
    assert len(net.projections) > 240
    before = net.topology
    assert jax.tree.map(lambda a: a, net).topology is before
    assert net.upstream("h3") == {"input", "h0", "h1", "h2", "h3"}
    assert not net.cyclic


def test_a_momentary_network_carries_nothing():
    state = mlp(4, 3, 2).rest(5)
    assert jax.tree.leaves(state) == []


def test_the_numbers_of_a_cell_may_follow_its_name():
    assert cell("lif:tau=20,threshold=0.5") == byway.cell("lif", tau=20.0, threshold=0.5)
    assert cell("lif:hard=true,refractory=2") == byway.cell("lif", hard=True, refractory=2)
    assert cell("leaky:phi=relu") == byway.cell("leaky", phi="relu")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("lif:tua=20", "no number of lif called 'tua'.*\n.*\n.*'tau'"),
        ("lif:", "no number of lif called ''"),
        ("lfi:tau=20", "no cell called 'lfi'"),
        ("lif:tau=long", "tau = 'long' in 'lif:tau=long'"),
        ("lif:hard=1", "hard = '1'.*\n.*true or false"),
        ("lif:refractory=2.5", "refractory = '2.5'"),
        ("leaky:tau=0.5", "tau"),
        ("leaky:tau=nan", "tau"),
        ("relu:tau=2", "an activation has no numbers"),
    ],
)
def test_numbers_of_a_cell_that_make_no_sense_are_refused(given, said):
    with pytest.raises(BywayError, match=said):
        cell(given)
