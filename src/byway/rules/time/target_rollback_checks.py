"""Credit sent back by differences of an inverse: that of the gradient where a step turns, and what
the equations say where it does not.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.builders import rnn
from byway.rules.time.rollback_checks import linear, of_the_inverse, undone, unrolled
from byway.verify.oracle import (
    EXACT,
    Problem,
    drawn,
    flat_memory,
    from_autodiff,
    gap,
    taught,
)

READ = "hidden1-output"


def checks(rule):
    return [
        Check(
            "linear units that turn, g = f^-1, V = W_out^T: update = autodiff of the loop",
            lambda: from_autodiff(rule, linear(1.0), transposed(rule, linear(1.0))),
            1e-10,
            "linear algebra: the inverse of a rotation is its transpose",
        ),
        Check(
            "linear units that shrink: credit goes back by the inverse, by hand",
            lambda: by_the_inverse(rule, linear(0.8, 6)),
            1e-10,
            "Bengio 2014: the target of a layer is the inverse of the next one's",
        ),
        Check(
            "tanh units, every state kept, any inverse: the equations, in NumPy",
            lambda: by_hand(dataclasses.replace(rule, checkpoint=1), unrolled("tanh")),
            EXACT,
            "Lee et al. 2015: differences of what the inverse tells",
        ),
        Check(
            "update of the inverse = slope of its loss, by autodiff",
            lambda: gap(*({"inverse": a} for a in of_the_inverse(rule))),
            EXACT,
            "Bengio 2014: the loss of an auto-encoder",
        ),
        Check(
            "update of the feedback = slope of its loss, by autodiff",
            lambda: of_the_feedback(rule),
            EXACT,
            "Meulemans et al. 2020: the loss of a difference",
        ),
        flat_memory(rule, "credit is a number for each one of the state"),
    ]


def transposed(rule, problem: Problem):
    """The rule's own parameters, the inverse and the feedback set by hand."""
    gamma = undone(rule, problem.net)
    return gamma | {"feedback": {READ: problem.net.theta[READ]["weight"]}}


def by_the_inverse(rule, problem: Problem) -> float:
    """How far the update is from credit that W^-1 carries back, c_{t-1} = W^-1 c_t + W_out^T e."""
    gamma = transposed(rule, problem)
    back = np.linalg.inv(np.asarray(problem.net.theta["hidden1-hidden1"]["weight"]))
    mine = taught(rule, problem.net, problem.x, problem.signal, gamma)
    return gap(mine, _reckoned(problem, gamma, lambda u: (u, 1.0), lambda c, s, x: c @ back))


def by_hand(rule, problem: Problem) -> float:
    """The same of tanh units and an inverse drawn at random, whose differences are taken here."""
    gamma = jax.jit(rule.init)(problem.net, jax.random.key(7))
    draw = np.random.default_rng(0)
    random = lambda tree: {k: jnp.asarray(draw.normal(size=a.shape)) for k, a in tree.items()}
    gamma = gamma | {name: random(gamma[name]) for name in ("inverse", "feedback")}
    seen, inverse = (jax.tree.map(np.asarray, gamma[name]) for name in ("seen", "inverse"))

    def told(state, x):
        known = np.concatenate([state, x], 1)
        units = np.tanh(known @ seen["weight"] + seen["bias"])
        return units @ inverse["hidden"] + known @ inverse["direct"] + inverse["bias"]

    def back(credit, state, x):
        return (told(state + rule.eta * credit, x) - told(state, x)) / rule.eta

    mine = taught(rule, problem.net, problem.x, problem.signal, gamma)
    return gap(mine, _reckoned(problem, gamma, lambda u: (np.tanh(u), 1 - np.tanh(u) ** 2), back))


def _reckoned(problem: Problem, gamma, phi, back) -> dict[str, dict[str, np.ndarray]]:
    """The update of one recurrent layer, in NumPy: the states of a run that is kept, and credit
    that `back` sends from one to the one before.
    """
    theta = jax.tree.map(np.asarray, problem.net.theta)
    x, target = np.asarray(problem.x), np.asarray(problem.signal.target)
    feedback = np.asarray(gamma["feedback"][READ]).T
    (enters, turns, leaves) = (
        theta[f"{name}"] for name in ("input-hidden1", "hidden1-hidden1", "hidden1-output")
    )
    batch, steps, _ = x.shape
    states, slopes, errors = [np.zeros((batch, len(turns["weight"])))], [], []
    for t in range(steps):
        u = x[:, t] @ enters["weight"] + enters["bias"] + states[-1] @ turns["weight"]
        state, slope = phi(u + turns.get("bias", 0.0))
        states.append(state)
        slopes.append(slope)
        errors.append((state @ leaves["weight"] + leaves["bias"] - target[:, t]) / steps / batch)
    made = jax.tree.map(np.zeros_like, theta)
    owed = np.zeros_like(states[0])
    for t in reversed(range(steps)):
        credit = owed + batch * errors[t] @ feedback
        delta = credit * slopes[t] / batch
        for name, pre, d in (
            ("input-hidden1", x[:, t], delta),
            ("hidden1-hidden1", states[t], delta),
            ("hidden1-output", states[t + 1], errors[t]),
        ):
            made[name]["weight"] += pre.T @ d
            if "bias" in made[name]:
                made[name]["bias"] += d.sum(0)
        owed = back(credit, states[t + 1], x[:, t])
    return made


def of_the_feedback(rule) -> float:
    """Its update after one step of a GRU, and what autodiff makes of its loss."""
    net, draw = drawn(rnn, 3, 4, 2, activation="gru"), np.random.default_rng(0)
    x, gamma = jnp.asarray(draw.normal(size=(5, 3))), jax.jit(rule.init)(net, jax.random.key(7))
    turn, signal = rule.turns[0][0], Signal(jnp.zeros((5, 2)), SquaredError(), jnp.ones(5))

    @jax.jit
    def both(gamma, net, x):
        _, record = turn.f(gamma, net, net.rest(len(x)), x, signal, jax.random.key(0))
        noise = record["shaken"].injected[READ]
        moved = noise @ net.theta[READ]["weight"]

        def loss(feedback):
            return jnp.sum((moved @ feedback[READ].T - noise) ** 2) / 2 / len(x)

        mine = turn.g(gamma, net, (), record, signal)[1].gamma["feedback"]
        return mine, jax.grad(loss)(gamma["feedback"])

    mine, true = both(gamma, net, x)
    return gap({"feedback": mine}, {"feedback": true})
