"""Black boxes: the quantiser and functions on the host against NumPy, and who refuses them."""

import re
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.audit.networks import accepted, tiny
from byway.audit.verdict import audit
from byway.core.errors import BlackBoxError, ConfigError, RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.blackbox import device, failures
from byway.rules import RULES, able
from byway.training.layout import Layout

X = np.random.default_rng(0).normal(size=(6, 5))
TARGET = np.eye(3)[np.arange(6) % 3]


def boxed(activation="quantised", where="hidden1"):
    """A network of three layers of weights with one black box in it."""
    sizes = {"input": 5, "hidden1": 4, "hidden2": 4, "output": 3}
    edges = [("input", "hidden1"), ("hidden1", "hidden2"), ("hidden2", "output")]
    return byway.graph(sizes, edges, activation={where: activation}, key=3)


def numpy_pass(net, phi, noise=None):
    """Activity of hidden1, hidden2 and the output, written out."""
    h, found = X, {"input": X}
    for name, post, f in (
        ("input-hidden1", "hidden1", phi),
        ("hidden1-hidden2", "hidden2", lambda u: np.maximum(u, 0)),
    ):
        w = {k: np.asarray(a) for k, a in net.theta[name].items()}
        h = f(h @ w["weight"] + w["bias"] + (0 if noise is None else noise[post]))
        found[post] = h
    w = {k: np.asarray(a) for k, a in net.theta["hidden2-output"].items()}
    return found | {
        "output": h @ w["weight"] + w["bias"] + (0 if noise is None else noise["output"])
    }


def three_bits(u):
    levels = np.arange(8) * 4 / 7
    return levels[np.argmin(np.abs(u[..., None] - levels), -1)]


@pytest.mark.parametrize(("bits", "top"), [(1, 1.0), (3, 4.0), (5, 2.0)])
def test_a_quantiser_has_its_levels_and_takes_the_nearest(bits, top):
    levels = np.arange(2**bits) * top / (2**bits - 1)
    u = np.linspace(-1, top + 1, 1000)
    found = np.asarray(byway.quantised(bits, top).phi(jnp.asarray(u)))
    np.testing.assert_allclose(np.unique(found), levels, rtol=1e-14)
    np.testing.assert_allclose(found, levels[np.argmin(np.abs(u[:, None] - levels), 1)], rtol=1e-14)


@pytest.mark.parametrize(
    ("bits", "top"), [(0, 1.0), (3, 0.0), (3, float("nan")), (3, float("inf"))]
)
def test_a_quantiser_without_levels_is_refused(bits, top):
    with pytest.raises(ConfigError, match=r"bits = 0|a quantiser up to"):
        byway.quantised(bits, top)


def test_a_black_box_leaves_no_slope_in_the_record():
    phase = boxed().forward(jnp.asarray(X))
    assert phase.slope.keys() == {"hidden2", "output"}
    assert not boxed().differentiable
    assert byway.mlp(5, 4, 3).differentiable


def test_node_perturbation_through_a_quantiser_is_its_definition():
    net, rule, sigma = boxed(), byway.rule("node_perturbation", sigma=0.5), 0.5
    signal = Signal(jnp.asarray(TARGET), SquaredError())
    _, record = rule.f({}, net, (), jnp.asarray(X), signal, jax.random.key(1))
    update = rule.g({}, net, (), record, signal)[1].net
    noise = {k: np.asarray(v) for k, v in record["noisy"].injected.items()}
    clean, noisy = numpy_pass(net, three_bits), numpy_pass(net, three_bits, noise)
    loss = [((found["output"] - TARGET) ** 2).sum(1) / 2 for found in (clean, noisy)]
    worse = ((loss[1] - loss[0]) / sigma**2)[:, None]
    for pre, post in (("input", "hidden1"), ("hidden1", "hidden2"), ("hidden2", "output")):
        np.testing.assert_allclose(
            update[f"{pre}-{post}"]["weight"], clean[pre].T @ (worse * noise[post]) / 6, rtol=1e-9
        )
        np.testing.assert_allclose(
            update[f"{pre}-{post}"]["bias"], (worse * noise[post]).mean(0), rtol=1e-9
        )


def cubed(u):
    assert type(u) is np.ndarray
    u *= u * u  # the array is its own
    return u


def test_a_pass_through_a_host_function_is_numpys_compiled_or_not():
    net = boxed(byway.host("cube", cubed))
    expected = numpy_pass(net, lambda u: u**3)["output"]
    for forward in (net.forward, eqx.filter_jit(net.forward)):
        np.testing.assert_allclose(forward(jnp.asarray(X)).post["output"], expected, rtol=1e-10)


def test_what_a_host_function_returns_takes_the_type_of_its_potential():
    for dtype in (np.float32, np.float64):
        found = jax.jit(byway.host("sign", lambda u: u > 0).phi)(jnp.array([-1, 2], dtype))
        assert (found.dtype, found.tolist()) == (dtype, [0, 1])


def test_a_host_function_is_called_once_a_pass_in_loops_branches_and_vmaps():
    """Also where XLA could save a call: two passes of one potential are two calls."""
    calls = []
    phi = byway.host("count", lambda u: (calls.append(u.shape), u + 1)[1]).phi

    def walk(u):
        return jax.lax.scan(
            lambda u, _: (jax.lax.cond(u.sum() > 0, phi, lambda u: u, u), None), u, None, length=5
        )[0]

    u = jnp.ones((2, 3))
    for function, start, count, shape in (
        (walk, u, 5, (2, 3)),
        (lambda u: phi(u) + phi(u), u, 2, (2, 3)),
        (jax.vmap(phi), jnp.ones((4, 2, 3)), 4, (2, 3)),
        (jax.vmap(phi, 2, 2), jnp.ones((2, 3, 4)), 4, (2, 3)),
        (lambda u: jax.lax.map(phi, u), jnp.ones((4, 2, 3)), 4, (2, 3)),
    ):
        calls.clear()
        found = jax.block_until_ready(jax.jit(function)(start))
        assert calls == [shape] * count
        np.testing.assert_array_equal(found, {5: 6, 2: 4, 4: 2}[count])


HANGS_IF_BROKEN = """
import byway, jax, jax.numpy as jnp, numpy as np
from byway.training.layout import Layout
jax.config.update("jax_platforms", "cpu")
assert byway.use_all_cores() == jax.device_count()
phi = byway.host("tanh", np.tanh).phi
walk = lambda u, _: jax.lax.scan(lambda u, _: (phi(u @ jnp.eye(500)), None), u, None, length=60)[0]
start = Layout(3).place(jnp.ones((Layout(3).padded, 128, 500)))
made = jax.jit(Layout(3).over(walk))(start, Layout(3).share(jnp.zeros(())))
print(jax.block_until_ready(made)[:3].sum())
"""


def test_large_potentials_on_several_devices_do_not_wait_for_each_other():
    """With JAX's own callbacks this program stands still: each device waits for a copy that the
    others' threads should make.
    """
    done = subprocess.run(
        [sys.executable, "-c", HANGS_IF_BROKEN],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    expected = 1.0
    for _ in range(60):
        expected = np.tanh(expected)
    assert float(done.stdout) == pytest.approx(3 * 128 * 500 * expected, rel=1e-4)


def test_the_device_is_a_relu_whose_amplification_drifts():
    """Its definition, drawn again from the same generator."""
    draw, amplification, u = np.random.default_rng(7), 1.0, np.linspace(-1, 2, 6).reshape(2, 3)
    phi = device(7, drift=0.1, noise=0.2).phi
    for _ in range(3):
        amplification *= np.exp(0.1 * draw.standard_normal())
        expected = amplification * np.maximum(u, 0) + 0.2 * draw.standard_normal((2, 3))
        np.testing.assert_allclose(phi(jnp.asarray(u)), expected, rtol=1e-12)


def _raises(u):
    raise ZeroDivisionError("no current")


FAULTS = {
    "raises": (
        _raises,
        r"raised ZeroDivisionError: no current",
        r"mend line \d+ of .*test_blackbox.py",
    ),
    "shape": (
        lambda u: u[:, :2],
        r"returned an array of shape \(6, 2\)",
        "one activity for each unit",
    ),
    "nothing": (lambda u: None, "returned an array of type object", "real numbers"),
    "complex": (lambda u: u * 1j, "returned an array of type complex128", "real numbers"),
    "nan": (
        lambda u: np.where(u == u.max(), np.nan, u),
        "returned 1 NaN and 0 infinite numbers among 24",
        "bound what it returns",
    ),
    "infinite": (
        lambda u: u + np.inf,
        "returned 0 NaN and 24 infinite numbers among 24",
        "bound what it returns",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_function_is_named_with_what_was_wanted(fault):
    function, given, fix = FAULTS[fault]
    net = boxed(byway.host("chip", function))
    with (
        pytest.raises(BlackBoxError, match=f"the black box 'chip' {given}") as found,
        failures(net),
    ):
        assert np.all(np.isnan(eqx.filter_jit(net.forward)(jnp.asarray(X)).post["output"]))
    assert "finite real numbers of shape (6, 4)" in found.value.wanted
    assert re.search(fix, found.value.fix)
    assert isinstance(found.value.__cause__, ZeroDivisionError) == (fault == "raises")


def test_an_interrupt_inside_the_function_comes_out_as_itself():
    def interrupted(u):
        raise KeyboardInterrupt

    net = boxed(byway.host("chip", interrupted))
    with pytest.raises(KeyboardInterrupt), failures(net):
        jax.block_until_ready(eqx.filter_jit(net.forward)(jnp.asarray(X)))


def test_one_failure_does_not_outlive_its_context():
    broken = [True]
    net = boxed(byway.host("chip", lambda u: _raises(u) if broken.pop() else u))
    run = eqx.filter_jit(net.forward)
    with pytest.raises(BlackBoxError), failures(net):
        jax.block_until_ready(run(jnp.asarray(X)))
    broken.append(False)
    with failures(net):
        assert np.all(np.isfinite(run(jnp.asarray(X)).post["output"]))


def test_a_potential_that_is_not_finite_is_not_shown_to_the_function():
    net = boxed(byway.host("chip", _raises))
    with failures(net):
        assert np.all(np.isnan(eqx.filter_jit(net.forward)(jnp.asarray(X) * np.nan).post["output"]))


def refusal(name, net):
    with pytest.raises(RuleError) as found:
        byway.rule(name).accepts(net)
    return found.value


@pytest.mark.parametrize("name", ["bp", "fa", "dfa", "bptt", "rtrl", "pc"])
def test_a_refusal_names_the_box_and_the_rules_that_need_no_slope(name):
    error = refusal(name, boxed())
    assert error.given == f"{name} was given a network with a black box in hidden1 (quantised)"
    for other in ("ff", "frozen", "node_perturbation"):
        assert other in error.fix
    for other in ("bp,", "dfa", "rtrl"):
        assert other not in error.fix


@pytest.mark.parametrize("name", ["frozen", "ff"])
def test_who_needs_the_slope_of_the_output_alone_refuses_a_box_there(name):
    net = byway.graph(
        {"input": 5, "h": 4, "output": 3},
        [("input", "h"), ("h", "output")],
        activation={"output": "quantised"},
        norm=True,
    )
    error = refusal(name, net)
    assert error.given == f"{name} was given a network with a black box in output (quantised)"
    named = "es, node_perturbation, three_factor, weight_perturbation"
    assert f"no slope there: {named}; or" in error.fix


@pytest.mark.parametrize("where", ["hidden1", "output"])
def test_every_rule_that_a_refusal_names_accepts(where):
    named = able(boxed(where=where))
    assert "node_perturbation" in named
    for name in named:
        rule = byway.rule(name)
        sizes = {"input": 5, "hidden1": 4, "output": 3}
        edges = [("input", "hidden1"), ("hidden1", "output")]
        rule.accepts(
            byway.graph(
                sizes, edges, **{**rule.network_options, "activation": {where: "quantised"}}
            )
        )


# Claims are held to the audit elsewhere, and refusals to claims; of each kind of rule one stands
# for that here, all in `make slow`.
STANDING = ("bp", "ff", "frozen", "node_perturbation", "rtrl")


@pytest.mark.parametrize(
    "name",
    [
        name if name in STANDING else pytest.param(name, marks=pytest.mark.slow)
        for name in RULES.ids()
        if not RULES.get(name).particular  # which none of these networks was built for
    ],
)
def test_a_rule_refuses_black_boxes_if_and_only_if_the_audit_finds_that_it_reads_slopes(name):
    rule = byway.rule(name)

    def accepts(net):
        try:
            rule.accepts(net)
        except RuleError:
            return False
        return True

    kinds = ("mlp", "convnet", "rnn", "cyclic")
    if not (taken := [kind for kind in kinds if accepts(tiny(kind, rule))]):
        taken = accepted(rule)[:1]
    found = {audit(rule, tiny(kind, rule)).found.derivative for kind in taken}
    assert len(found) == 1
    assert accepts(tiny("blackbox", rule)) == (found == {"no"})


def test_seeds_on_several_devices_share_one_box():
    """Every call comes with one learner's potential, and none is lost or doubled."""
    seen = []
    phi = byway.host("see", lambda u: (seen.append(u[0, 0]), u)[1]).phi
    stack = Layout(3).padded
    start = Layout(3).place(jnp.arange(float(stack)).reshape(stack, 1, 1))
    walk = lambda u, _: jax.lax.fori_loop(0, 4, lambda i, u: phi(u), u)
    jax.block_until_ready(jax.jit(Layout(3).over(walk))(start, Layout(3).share(jnp.zeros(()))))
    assert sorted(seen) == sorted(list(range(stack)) * 4)
