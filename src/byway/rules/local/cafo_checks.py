"""Cascaded blocks: each predictor is NumPy's ridge regression, and the blocks stay as drawn."""

import dataclasses

import jax
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal
from byway.verify.oracle import apart, layered, taught

SOURCE = "Zhao, Wang, Jin, Li et al. 2023"
SIZES, RIDGE = (6, 5, 7, 4), 0.03


def checks(rule):
    heavy = dataclasses.replace(rule, ridge=RIDGE)
    return [
        Check(
            "answer after 4 batches = mean of each block's ridge regression, in NumPy",
            lambda: _answer(heavy)[0],
            1e-10,
            SOURCE,
        ),
        Check(
            "readout = ridge regression on the last block", lambda: _answer(heavy)[1], 1e-10, SOURCE
        ),
        Check("batches seen again: change of the answer", lambda: _again(heavy), 1e-10, SOURCE),
        Check(
            "number of updates that pass the optimiser",
            lambda: float(len(_update(heavy))),
            0.0,
            SOURCE,
        ),
    ]


def _update(rule):
    net, x, signal, _ = layered(*SIZES)
    return taught(rule, net, x, signal)


def _concluded(rule, problem, times: int):
    """Gamma and the network after so many passes over four batches."""
    net, x, signal, _ = problem

    @jax.jit
    def run():
        gamma = rule.init(net, jax.random.key(0))
        state, memory = rule.start(gamma, net, 5)
        for part in [slice(i, i + 5) for i in range(0, 20, 5)] * times:
            one = Signal(signal.target[part], signal.criterion)
            _, record = rule.f(gamma, net, state, x[part], one, jax.random.key(0))
            memory, _ = rule.g(gamma, net, memory, record, one)
        gamma, solved = rule.conclude(gamma, net, memory)
        answers = rule.f(gamma, solved, state, x[:5], None, jax.random.key(0))[1]
        return solved.theta, answers.output

    return run()


def _ridge(r, y):
    """With an intercept, which is not penalised: by centring both."""
    mean, level = r.mean(0), y.mean(0)
    c = r - mean
    w = np.linalg.solve(c.T @ c / len(r) + RIDGE * np.eye(r.shape[1]), c.T @ (y - level) / len(r))
    return w, level - mean @ w


def _answer(rule) -> tuple[float, float]:
    problem = layered(*SIZES, batch=20)
    net, x, signal, _ = problem
    theta, output = _concluded(rule, problem, 1)
    h, answers, target = np.asarray(x), [], np.asarray(signal.target)
    w = b = np.zeros(0)
    for name in ("input-hidden1", "hidden1-hidden2"):
        h = np.tanh(h @ np.asarray(net.theta[name]["weight"]) + np.asarray(net.theta[name]["bias"]))
        w, b = _ridge(h, target)
        answers.append(h[:5] @ w + b)
    readout = theta["hidden2-output"]
    mine = np.concatenate([np.asarray(readout["weight"]), np.asarray(readout["bias"])[None]])
    return apart(output, np.mean(answers, 0)), apart(mine, np.concatenate([w, b[None]]))


def _again(rule) -> float:
    problem = layered(*SIZES, batch=20)
    return apart(_concluded(rule, problem, 3)[1], _concluded(rule, problem, 1)[1])
