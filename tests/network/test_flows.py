"""Networks with flowing units: their equation, whatever the graph, and the gradient of what solved
it.
"""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import BywayError, RuleError, ShapeError, UnknownNameError
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import graph, mlp, ode
from byway.network.cells.flow import Flow
from byway.verify.oracle import apart, drawn, flowing, gap, recorded, samples, taught

METHOD, STEPS, DECAY = "midpoint", 5, 0.5


def _graph(norm=False):
    """All that there can be: layers before, between and after flows, a flow that drives itself,
    one that drives the other, a layer that is read at the end too, an input that skips them.
    """
    one = Flow(steps=STEPS, method=METHOD, decay=DECAY, duration=1.5)
    two = Flow(steps=STEPS, method=METHOD, duration=1.5)
    sizes = {"input": 3, "before": 4, "a": 3, "between": 5, "b": 2, "after": 4, "output": 3}
    edges = [
        *(("input", "before"), ("before", "a"), ("before", "between"), ("a", "between")),
        *(("a", "a"), ("between", "a"), ("between", "b"), ("b", "a"), ("between", "after")),
        *(("b", "after"), ("a", "output"), ("after", "output"), ("input", "output")),
    ]
    cells = {"a": one, "b": two} | dict.fromkeys(("before", "between", "after"), "tanh")
    return graph(sizes, edges, activation=cells, norm=norm)


RULES = {
    "bp": byway.rule("bp"),
    "checkpointed": byway.rule("checkpointed", every=3),
    "reversible_ode": byway.rule("reversible_ode"),
    "reversible_heun": byway.rule("reversible_ode", solver="reversible_heun"),
}


# The others, which share their parts with these, take their turn in `make slow`.
QUICK = ("bp", "reversible_ode", "backsolve")


def _some(names):
    return [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", _some(RULES))
def test_on_any_graph_the_update_is_the_gradient_of_what_was_computed(name):
    rule, net = RULES[name], drawn(_graph, norm=name == "bp")
    x, target = samples((2, 3), 3)
    signal = Signal(target, CrossEntropy())

    @jax.jit
    def both(theta):
        def loss(theta):
            _, record = rule.f({}, net.with_theta(theta), (), x, None, None)
            return jnp.mean(signal.loss(record.output))

        return jax.grad(loss)(theta), taught(rule, net.with_theta(theta), x, signal)

    rule.accepts(net)
    true, update = both(net.theta)
    assert gap(update, true) < 1e-12


def _by_diffrax(problem, theta, solver, adjoint):
    """The loss, where Diffrax solves the equation."""

    def rate(t, s, args):
        hidden = jnp.tanh(s @ args["flow-hidden1"]["weight"] + args["flow-hidden1"]["bias"][None])
        drive = problem.x @ args["input-flow"]["weight"] + args["input-flow"]["bias"][None]
        return drive + hidden @ args["hidden1-flow"]["weight"] - DECAY * s

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        solver,
        0.0,
        1.0,
        1 / STEPS,
        jnp.zeros((4, 4)),
        args=theta,
        adjoint=adjoint,
    )
    w = theta["flow-output"]
    output = solution.ys[0] @ w["weight"] + w["bias"][None]
    return jnp.mean(problem.signal.loss(output))


DIFFRAX = {
    "backsolve": (byway.rule("backsolve"), diffrax.Midpoint, diffrax.BacksolveAdjoint),
    "checkpointed": (
        byway.rule("checkpointed"),
        diffrax.Midpoint,
        diffrax.RecursiveCheckpointAdjoint,
    ),
    "reversible_heun": (
        RULES["reversible_heun"],
        diffrax.ReversibleHeun,
        diffrax.RecursiveCheckpointAdjoint,
    ),
}


@pytest.mark.parametrize("name", _some(DIFFRAX))
def test_updates_are_those_of_diffrax(name):
    rule, solver, adjoint = DIFFRAX[name]
    problem = flowing(5, 4, 3, steps=STEPS, decay=DECAY, method=METHOD)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        true = jax.jit(jax.grad(lambda theta: _by_diffrax(problem, theta, solver(), adjoint())))(
            problem.net.theta
        )
    assert gap(taught(rule, problem.net, problem.x, problem.signal), true) < 1e-12


def test_a_unit_alone_follows_its_closed_form():
    """ds/dt = u - r s, s(0) = 0: s(T) = u (1 - e^(-r T)) / r."""
    cell = Flow(duration=2.0, steps=400, decay=1.5)
    net = drawn(mlp, 3, 4, 2, activation=cell)
    x, _ = samples((2, 3), 2)
    weight, bias = (np.asarray(a) for a in net.theta["input-hidden1"].values())
    u = np.asarray(x) @ weight + bias
    free = recorded(byway.rule("frozen"), net, x, None)["free"]
    assert apart(free.post["hidden1"], u * (1 - np.exp(-3.0)) / 1.5) < 1e-9
    assert np.all(free.cell["hidden1"]["course"][0] == 0)
    assert free.cell["hidden1"]["course"].shape == (400, 2, 4)


def test_a_cycle_that_flows_takes_no_time_steps():
    net = _graph()
    assert not net.cyclic and net.recurrent == {} and net.feedforward
    assert net.populations[0].name == "input"
    around = {"input": 2, "a": 3, "b": 3, "output": 2}
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("b", "output")]
    with pytest.raises(RuleError, match="b-b"):
        byway.rule("checkpointed").accepts(graph(around, edges, activation={"a": Flow()}))


def _flows(*edges, **cells):
    sizes = {"input": 2, "a": 3, "b": 3, "output": 2}
    both = {"a": Flow(), "b": "tanh"} | cells
    return graph(sizes, [("input", "a"), ("a", "b"), ("b", "output"), *edges], activation=both)


REFUSED = {
    "no flow": (lambda: mlp(4, 5, 3), "without flowing units", "byway.ode"),
    "other cells": (lambda: _flows(b="leaky"), "b, which cannot stand beside them", "byway.ode"),
    "two times": (lambda: _flows(b=Flow(steps=3)), "2 different durations", "byway.ode"),
    "at the output": (lambda: _flows(output=Flow()), "output, which are such", "byway.ode"),
    "after the output": (
        lambda: _flows(("output", "a")),
        "output-a, which leaves the output",
        "byway.ode",
    ),
    "a black box": (lambda: _flows(b="quantised"), "a black box in b", "frozen"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_cannot_be_gone_back_through_are_refused(name):
    build, said, fix = REFUSED[name]
    with pytest.raises(RuleError, match="checkpointed was given a network with") as refused:
        byway.rule("checkpointed").accepts(build())
    assert said in refused.value.given and fix in refused.value.fix


def test_rules_that_know_no_flow_say_which_do():
    net = ode(4, 5, 3)
    for name in ("dfa", "bptt", "pc", "node_perturbation", "eventprop"):
        with pytest.raises(RuleError, match="flow") as refused:
            byway.rule(name).accepts(net)
        assert "backsolve, bp, checkpointed, frozen, reversible_ode" in refused.value.fix
    with pytest.raises(RuleError, match="a time step of flow units"):
        net["flow"].activate(jnp.zeros((1, 5)))
    with pytest.raises(RuleError, match="something put into"):
        net.forward(jnp.zeros((1, 4)), {"flow": jnp.ones((1, 5))})


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: ode(4, 3), ShapeError),
        (lambda: ode(4, 0, 3), ShapeError),
        (lambda: ode(4, 5, 3, steps=0), BywayError),
        (lambda: ode(4, 5, 3, duration=float("nan")), BywayError),
        (lambda: ode(4, 5, 3, decay=-1.0), BywayError),
        (lambda: ode(4, 5, 3, method="rk5"), UnknownNameError),
        (lambda: byway.rule("reversible_ode", solver="heun"), UnknownNameError),
        (lambda: byway.rule("reversible_ode", coupling=1.5), BywayError),
        (lambda: byway.rule("checkpointed", every=-1), BywayError),
    ],
)
def test_what_makes_no_equation_is_refused(build, error):
    with pytest.raises(error):
        build()
