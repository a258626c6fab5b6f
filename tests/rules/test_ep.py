"""Equilibrium propagation against autodiff of Phi written out here, of the loss through the settled
state, and by closed form.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import by_hand
import byway
from byway.core.errors import ConfigError, RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.network import Network
from byway.network.projections import Skip
from byway.rules.energy.ep import EP

EXACT = 1e-12
SIZES = {"input": 4, "a": 5, "b": 6, "output": 3}
CYCLES = [
    ("input", "a"),
    ("a", "a"),
    ("a", "b"),
    ("b", "a"),
    ("b", "output"),
    ("output", "a"),
    ("a", "input"),
]
SKIPS = [
    ("input", "a"),
    ("input", "b"),
    ("a", "b"),
    ("a", "output"),
    ("b", "output"),
    ("input", "output"),
]


def residual(carries="post", **options):
    """Two layers of one size joined by two projections and a skip."""
    net = byway.graph(
        {"input": 4, "a": 5, "b": 5, "output": 3},
        [("input", "a"), ("a", "b"), ("b", "output")],
        **options,
    )
    more = [
        dataclasses.replace(net.projections[1], label="second"),
        Skip(src="a", dst="b", src_shape=(5,), carries=carries),
    ]
    return Network(
        net.populations,
        [*net.projections, *(dataclasses.replace(p, label=p.label or "skip") for p in more)],
        "input",
        "output",
    )


NETS = {
    "mlp": lambda **o: byway.mlp(4, 5, 6, 3, **o),
    "convnet": lambda **o: byway.convnet((4, 4, 2), (2, 3), 3, hidden=(5,), **o),
    "cycles": lambda **o: byway.graph(SIZES, CYCLES, **o),
    "skips": lambda **o: byway.graph(SIZES, SKIPS, **o),
    "residual": residual,
}


def network(kind, strength=0.3, phi="tanh", norm=False):
    """With couplings weak enough for one state of rest, unless told otherwise."""
    net = NETS[kind](activation=phi, norm=norm)
    return by_hand.with_biases(net.with_theta(jax.tree.map(lambda w: strength * w, net.theta)))


def primitive(s, theta, norm=False):
    """Phi(s, W), summed over the batch: sum over projections j-i of s_i (W_ij n(s_j) + b_i)."""
    total = 0.0
    for name, w in theta.items():
        src, dst = name.partition(":")[0].split("-")
        sent = by_hand.rms_normalised(s[src]) if norm and src != "output" else s[src]
        if not w:  # a skip hands on what it gets
            current = sent
        elif w["weight"].ndim == 4:
            current = by_hand.convolution(sent, w["weight"], w["bias"], pool=2)
        else:
            current = (
                sent.reshape(len(sent), -1) @ w["weight"] + w.get("bias", jnp.zeros(1))[None, :]
            )
        total = total + jnp.sum(s[dst] * current.reshape(s[dst].shape))
    return total


def moved(s, theta, rate=0.5, phi="tanh", beta=0.0, loss="squared_error", target=None):
    """One step of s <- s + rate (phi(dPhi/ds - beta dLoss/ds) - s), the input held."""
    pull = jax.grad(primitive)(s, theta)
    if target is not None:
        pull["output"] = pull["output"] - beta * jax.grad(
            lambda y: len(y) * by_hand.LOSSES[loss][1](y, target)
        )(s["output"])
    goal = {name: u if name == "output" else by_hand.PHI[phi](u) for name, u in pull.items()}
    return {name: a if name == "input" else a + rate * (goal[name] - a) for name, a in s.items()}


def after(steps, s, theta, **options):
    """The state after so many steps."""
    return jax.lax.scan(lambda s, _: (moved(s, theta, **options), None), s, length=steps)[0]


def silent(net, x):
    """Nothing but the input."""
    return {p.name: jnp.zeros((len(x), *p.shape)) for p in net.populations} | {"input": x}


def sample(net):
    return by_hand.sample(net["input"].shape, 3)


def flat(tree):
    return jnp.concatenate([a.ravel() for a in jax.tree.leaves(tree)])


SHAPED = [
    *((kind, norm) for kind in ("mlp", "convnet", "cycles") for norm in (False, True)),
    ("residual", False),
]


# Every other shape with one of the losses; the others take their turn in `make slow`.
@pytest.mark.parametrize(
    ("kind", "norm", "loss"),
    [
        pytest.param(kind, norm, loss, marks=() if (i + 2 * j) % 4 == 0 else pytest.mark.slow)
        for i, (kind, norm) in enumerate(SHAPED)
        for j, loss in enumerate(by_hand.LOSSES)
    ],
)
def test_pull_and_update_are_the_slopes_of_phi(kind, norm, loss):
    """By s, in every phase: summed over the batch. By W: the mean of what differs between the
    nudged phases, over 2 beta.
    """
    net, beta = network(kind, 1.0, norm=norm), 0.3
    x, target = sample(net)
    criterion, by_eye = by_hand.LOSSES[loss]
    _, update, record = by_hand.taught(
        EP(steps=3, nudged_steps=3, beta=beta), net, x, target, criterion
    )
    phases = {name: record[name].post for name in ("free", "pushed", "pulled")}

    @jax.jit
    def true(phases, theta):
        by_s = {name: jax.grad(primitive)(s, theta, norm) for name, s in phases.items()}
        error = {
            name: jax.grad(lambda y: len(y) * by_eye(y, target))(s["output"])
            for name, s in phases.items()
        }
        by_w = {name: jax.grad(primitive, argnums=1)(s, theta, norm) for name, s in phases.items()}
        return by_s, error, by_w

    by_s, error, by_w = true(phases, net.theta)
    for name, nudge in (("free", 0.0), ("pushed", beta), ("pulled", -beta)):
        assert record[name].u.keys() == {p.name for p in net.populations} - {"input"}
        for population, u in record[name].u.items():
            wanted = by_s[name][population] - (
                nudge * error[name] if population == "output" else 0.0
            )
            assert by_hand.apart(u, wanted) < EXACT
    true_update = jax.tree.map(
        lambda low, high: (low - high) / (2 * beta * len(x)), by_w["pulled"], by_w["pushed"]
    )
    assert by_hand.largest_gap(update.net, true_update) < 1e-10


@pytest.mark.parametrize("loss", by_hand.LOSSES)
@pytest.mark.parametrize(
    ("kind", "phi"), [("mlp", "tanh"), ("cycles", "sigmoid"), ("skips", "hard_sigmoid")]
)
def test_every_phase_is_so_many_steps_from_where_it_should_start(kind, phi, loss):
    """The free one from the forward pass, or silence; both nudged ones from its end, and neither
    from the other's.
    """
    net, (steps, nudged, rate, beta) = network(kind, 1.0, phi), (4, 3, 0.3, 0.7)
    x, target = sample(net)
    rule = EP(steps=steps, nudged_steps=nudged, rate=rate, beta=beta)
    one_way = EP(steps=steps, nudged_steps=nudged, rate=rate, beta=beta, symmetric=False)
    start = silent(net, x) if net.cyclic else net.forward(x).post

    @jax.jit
    def by_eye(theta):
        free = after(steps, start, theta, rate=rate, phi=phi)
        return free, *(
            after(nudged, free, theta, rate=rate, phi=phi, beta=b, loss=loss, target=target)
            for b in (beta, -beta, 0.0)
        )

    free, pushed, pulled, left = by_eye(net.theta)
    for one, wanted in ((rule, (free, pushed, pulled)), (one_way, (free, pushed, left))):
        record = by_hand.recorded(one, net, x, Signal(target, by_hand.LOSSES[loss][0]))
        for name, s in zip(("free", "pushed", "pulled"), wanted, strict=True):
            assert max(by_hand.apart(record[name].post[k], a) for k, a in s.items()) < EXACT
        np.testing.assert_array_equal(record.output, record["free"].post["output"])


def error_by_beta(rule, net, loss, betas):
    """The distance of the update from the gradient of the loss, by autodiff back through the way to
    rest.
    """
    (x, target), (criterion, by_eye) = sample(net), by_hand.LOSSES[loss]
    true = jax.jit(
        jax.grad(lambda theta: by_eye(after(300, silent(net, x), theta)["output"], target))
    )(net.theta)
    return [
        by_hand.apart(
            flat(by_hand.taught(rule(beta), net, x, target, criterion)[1].net), flat(true)
        )
        for beta in betas
    ]


# Every other kind with one of the losses; the others take their turn in `make slow`.
@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        pytest.param(kind, loss, marks=() if (i + 2 * j) % 4 == 0 else pytest.mark.slow)
        for i, kind in enumerate(NETS)
        for j, loss in enumerate(by_hand.LOSSES)
    ],
)
def test_as_beta_tends_to_zero_it_is_the_gradient_through_the_state_of_rest(kind, loss):
    """With an error of the order of beta squared; of beta, where the nudge goes one way."""
    net = network(kind)
    for symmetric, order in ((True, 2), (False, 1)):
        rule = lambda beta, symmetric=symmetric: EP(
            steps=300, nudged_steps=300, beta=beta, symmetric=symmetric
        )
        off = error_by_beta(rule, net, loss, betas := (0.04, 0.01))
        assert np.log(off[0] / off[1]) / np.log(betas[0] / betas[1]) == pytest.approx(
            order, abs=0.1
        )
        assert off[1] < (1e-3 if symmetric else 5e-2)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_linear_network_learns_what_the_closed_form_says_at_any_beta(symmetric):
    """At rest h = W1 x + b1 + W2^T y and (1 + beta) y = W2 h + b2 + beta t: two linear systems,
    whose products are compared.
    """
    net, beta = by_hand.with_biases(byway.mlp(4, 5, 3, activation="identity")), 0.4
    net = net.with_theta(jax.tree.map(lambda w: 0.4 * w, net.theta))
    x, target = sample(net)
    rule = EP(steps=800, nudged_steps=800, beta=beta, symmetric=symmetric)
    _, update, record = by_hand.taught(rule, net, x, target, SquaredError())
    (w1, b1), (w2, b2) = [
        [np.asarray(p[k]) for k in ("weight", "bias")] for p in net.theta.values()
    ]
    inputs, t = np.asarray(x), np.asarray(target)

    def at_rest(beta):
        y = ((inputs @ w1 + b1) @ w2 + b2 + beta * t) @ np.linalg.inv(
            (1 + beta) * np.eye(3) - w2.T @ w2
        )
        return inputs @ w1 + b1 + y @ w2.T, y

    np.testing.assert_allclose(record.output, at_rest(0.0)[1], rtol=1e-9)
    low = -beta if symmetric else 0.0
    (h0, y0), (h1, y1) = at_rest(low), at_rest(beta)
    scale = (beta - low) * len(t)
    wanted = {
        "input-hidden1": {"weight": inputs.T @ (h0 - h1) / scale, "bias": (h0 - h1).sum(0) / scale},
        "hidden1-output": {
            "weight": (h0.T @ y0 - h1.T @ y1) / scale,
            "bias": (y0 - y1).sum(0) / scale,
        },
    }
    assert by_hand.largest_gap(update.net, wanted) < 1e-9


@pytest.mark.parametrize("steps", some([1, 2, 3, 7], 2))
@pytest.mark.parametrize("kind", ["mlp", "cycles"])
def test_some_nudged_steps_from_rest_are_as_many_steps_of_backprop_through_time(kind, steps):
    """Ernoult et al. 2019: short of rest too, the update is the gradient of the loss after so many
    steps, taken from rest.
    """
    net, rate = network(kind), 0.6
    x, target = sample(net)

    @jax.jit
    def gradient(theta):
        rest = after(400, silent(net, x), theta, rate=rate)
        return jax.grad(
            lambda theta: by_hand.cross_entropy(
                after(steps, rest, theta, rate=rate)["output"], target
            )
        )(theta)

    _, update, _ = by_hand.taught(
        EP(steps=400, nudged_steps=steps, rate=rate, beta=1e-4), net, x, target
    )
    assert by_hand.apart(flat(update.net), flat(gradient(net.theta))) < 1e-7


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("kind", ["mlp", "cycles"])
def test_what_the_free_phase_left_undone_does_not_enter_the_update(kind, symmetric):
    """After two steps nothing is at rest; the update is the slope by beta all the same, and not
    drift divided by beta.
    """
    net = network(kind, 1.0)
    x, target = sample(net)

    @jax.jit
    def slope(theta):
        free = after(2, silent(net, x) if net.cyclic else net.forward(x).post, theta)
        nudged = lambda beta: after(4, free, theta, beta=beta, loss="cross_entropy", target=target)
        products = lambda beta: jax.grad(primitive, argnums=1)(nudged(beta), theta)
        return jax.tree.map(lambda a: -a / len(x), jax.jvp(products, (0.0,), (1.0,))[1])

    _, update, _ = by_hand.taught(
        EP(steps=2, nudged_steps=4, beta=1e-6, symmetric=symmetric), net, x, target
    )
    assert by_hand.apart(flat(update.net), flat(slope(net.theta))) < 1e-5


def test_with_fewer_nudged_steps_than_layers_above_the_first_does_not_learn():
    """The nudge crosses one layer a step: a setting that trains, and leaves the first layers as
    they were drawn.
    """
    net = by_hand.with_biases(byway.mlp(6, 5, 4, 7, 3, activation="tanh"))
    x, target = sample(net)
    for steps, still in ((1, 3), (2, 2), (3, 1), (4, 0)):
        _, update, _ = by_hand.taught(EP(nudged_steps=steps), net, x, target)
        silent = {name for name, w in update.net.items() if not np.any(w["weight"])}
        assert silent == set(["input-hidden1", "hidden1-hidden2", "hidden2-hidden3"][:still])


@pytest.mark.slow
def test_a_prediction_is_the_free_phase_and_has_a_derivative():
    for kind in ("mlp", "cycles"):
        net = network(kind)
        x, target = sample(net)
        for rule in (EP(), EP(tolerance=0.05, steps=40)):
            record = by_hand.recorded(rule, net, x, Signal(target, SquaredError()))
            np.testing.assert_array_equal(
                by_hand.recorded(rule, net, x, None).output, record.output
            )

        @eqx.filter_jit
        def gradient(rule, net=net, x=x, target=target):
            def loss(theta):
                return by_hand.cross_entropy(
                    rule.f({}, net.with_theta(theta), (), x, None, jax.random.key(0))[1].output,
                    target,
                )

            return jax.grad(loss)(net.theta)

        true = jax.jit(
            jax.grad(
                lambda theta, net=net, x=x, target=target: by_hand.cross_entropy(
                    after(300, silent(net, x), theta)["output"], target
                )
            )
        )(net.theta)
        assert by_hand.largest_gap(gradient(EP(steps=300)), true) < 1e-10


@pytest.mark.slow
def test_a_free_phase_stops_at_its_tolerance():
    net = network("cycles")
    x, target = sample(net)
    s, theta = silent(net, x), net.theta
    size = lambda s: np.sqrt(
        sum(float(jnp.sum((a - s[k]) ** 2)) for k, a in moved(s, theta, rate=1.0).items())
    )
    first, count, now = size(s), 0, np.inf
    while now > 1e-3 * first:
        now = size(s)
        s, count = moved(s, theta), count + 1
    measures = by_hand.recorded(
        EP(steps=500, tolerance=1e-3), net, x, Signal(target, SquaredError())
    ).measures
    assert measures["settling_steps"] == count < 500
    assert float(measures["residual"]) == pytest.approx(size(s) / first, rel=1e-9)
    assert (float(measures["unsettled"]), float(measures["diverged"])) == (0.0, 0.0)


def test_a_nudge_that_runs_away_is_measured_and_told_of():
    """Under the squared error a nudge of -beta leaves the output a stiffness of 1 - beta, so at
    beta = 2 the pulled phase has no rest.
    """
    net = network("mlp")
    x, target = sample(net)
    for rule, diverged in ((EP(beta=2.0), 1.0), (EP(beta=2.0, symmetric=False), 0.0), (EP(), 0.0)):
        measures = by_hand.recorded(rule, net, x, Signal(target, SquaredError())).measures
        assert float(measures["diverged"]) == diverged
        assert float(measures["unsettled"]) == 0.0
    said = EP(beta=2.0).advice({"unsettled": 0.0, "residual": 0.1, "diverged": 0.25})
    assert "in 25 % of the batches" in said and "lower ep.beta, now 2" in said
    assert EP().advice({"unsettled": 0.0, "residual": 0.1, "diverged": 0.0}) is None
    assert "lower ep.rate, now 0.5" in EP().advice(
        {"unsettled": 0.5, "residual": 3.0, "diverged": 1.0}
    )
    assert "lower ep.rate" in EP().advice(
        {"unsettled": np.nan, "residual": np.nan, "diverged": np.nan}
    )


@pytest.mark.parametrize("phi", ["relu", "softplus", "identity"])
def test_units_that_are_not_bounded_are_refused_by_name(phi):
    net = byway.graph(
        {"input": 3, "a": 4, "b": 4, "output": 2},
        [("input", "a"), ("a", "b"), ("b", "output")],
        activation={"a": "tanh", "b": phi},
    )
    with pytest.raises(RuleError) as caught:
        EP().accepts(net)
    assert f"b ({phi})" in caught.value.given and "a (" not in caught.value.given
    assert "hard_sigmoid" in caught.value.fix and "pc" in caught.value.fix


def test_a_potential_that_is_carried_on_is_refused_and_another_rule_takes_it():
    net = residual(carries="u", activation="tanh")
    with pytest.raises(
        RuleError, match="ep was given a network with a potential carried by a-b:skip"
    ) as caught:
        EP().accepts(net)
    assert "use pc" in caught.value.fix
    byway.rule("pc").accepts(net)


@pytest.mark.parametrize(
    "phi",
    ["tanh", "sigmoid", "hard_sigmoid", "quantised", byway.Activation("sin", jnp.sin, jnp.cos)],
)
def test_bounded_units_are_taken_with_a_slope_or_without(phi):
    EP().accepts(byway.mlp(3, 4, 2, activation=phi))


def test_a_black_box_in_python_is_trained_and_asked_only_for_its_activity():
    """Twenty free steps and ten of either nudge, and the first phase of each; the same update as
    without the box.
    """
    calls = []

    def steps(u):
        calls.append(u.shape)
        return np.tanh(u)

    x, target = by_hand.sample(4, 3)
    theta = network("mlp").theta
    updates = []
    for phi in (byway.host("box", steps), "tanh"):
        net = byway.mlp(4, 5, 6, 3, activation=phi).with_theta(theta)
        EP().accepts(net)
        updates.append(by_hand.taught(EP(), net, x, target)[1].net)
    assert calls
    assert by_hand.largest_gap(*updates) < EXACT


@pytest.mark.parametrize(
    ("name", "value"),
    [("beta", 0.0), ("beta", float("nan")), ("nudged_steps", 0), ("steps", 0), ("rate", 1.5)],
)
def test_a_setting_outside_its_range_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        byway.rule("ep", **{name: value})
