"""Reversible solvers: what they do where they break; that they are exact is among their checks."""

import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.network.builders import mlp
from byway.network.cells.flow import Flow
from byway.network.solvers import METHODS, mccallum_foster, reversible_heun
from byway.rules.ode.reversible_ode_checks import round_trip
from byway.verify.oracle import drawn


def _still(decay=0.0, drive=0.0):
    """One unit that nothing but its decay and a constant moves."""
    net = drawn(mlp, 1, 1, 1, activation=Flow(decay=decay))
    theta = {"input-hidden1": {"weight": jnp.full((1, 1), drive), "bias": jnp.zeros(1)}}
    return net.with_theta(theta).field({"input": jnp.ones((1, 1))})


def _one(number):
    return {"hidden1": jnp.full((1, 1), number)}


def test_there_and_back_to_rounding():
    assert round_trip(mccallum_foster(METHODS["rk4"])) < 1e-10
    assert round_trip(mccallum_foster(METHODS["euler"], 1.0)) < 1e-10


def test_going_back_takes_the_two_values_of_mccallum_foster_apart_by_its_coupling():
    """Where nothing moves, s - z grows by 1/c a step: an error of the end, so by c^-n."""
    solver, field, steps = mccallum_foster(METHODS["euler"], 0.9), _still(), 40
    two = (_one(1e-6), _one(0.0))
    for _ in range(steps):
        two = solver.undo(field, two, 0.1)
    gap = float(two[0]["hidden1"][0, 0] - two[1]["hidden1"][0, 0])
    assert gap == pytest.approx(1e-6 * 0.9**-steps, rel=1e-9)


def test_neither_solver_damps_what_decays():
    """On ds/dt = -r s a step is a matrix, whose larger eigenvalue is beyond 1. reversible_heun is
    the leapfrog q'' = q - 2 h r q': h r + sqrt(1 + (h r)^2). mccallum_foster has the determinant c
    and the trace 1 + c - q (1 - c + p), with p and q the increments h and -h of s = 1: it decays
    where p > -(1 - c).
    """
    h, rate, steps = 0.1, 5.0, 100
    p, q = ((z + z**2 / 2) for z in (-h * rate, h * rate))

    def largest(c):
        return np.abs(np.roots([1.0, q * (1 - c + p) - 1 - c, c])).max()

    growth = {
        reversible_heun(): h * rate + np.sqrt(1 + (h * rate) ** 2),
        mccallum_foster(METHODS["midpoint"], 0.999): largest(0.999),
        mccallum_foster(METHODS["midpoint"], 0.55): largest(0.55),
    }
    field, wanted, found = _still(rate), list(growth.values()), []
    for solver in growth:
        two, sizes = solver.depart(field, _one(1.0), h), []
        for _ in range(steps):
            two = solver.step(field, two, h)
            sizes.append(abs(float(two[1]["hidden1"][0, 0])))
        found.append((sizes[-1] / sizes[0]) ** (1 / (steps - 1)))
    assert wanted[0] > 1.6 and wanted[1] > 1.6 and wanted[2] < 0.9
    assert found == pytest.approx(wanted, rel=0.05)


def test_an_end_that_is_no_number_is_no_drift_to_be_silent_about():
    rule = byway.rule("reversible_ode")
    said = rule.advice({"drift": 0.5})
    assert said is not None and "missed the start by 0.5 of the largest state" in said
    assert rule.advice({"drift": float("nan")}) is not None
    said = rule.advice({"drift": 1e-9, "apart": 0.3})
    assert said is not None and "came apart by 0.3 of the largest state" in said
    assert rule.advice({"drift": 1e-6, "apart": 1e-6}) is None is rule.advice({})
