"""torchdiffeq's adjoint of a neural ODE, and its own steps differentiated as they stand."""

import torch
import torchdiffeq
from torch import nn
from torch.nn import functional as F

from benchmarks.ode_work import NAMES, Work
from benchmarks.report import version
from benchmarks.worker import Contestant

# Operations are small; on a busy machine more threads wait for one another.
torch.set_num_threads(1)


class Rate(nn.Module):
    """The right-hand side; what the input drives is constant."""

    def __init__(self, theta: dict):
        super().__init__()
        single = lambda a: nn.Parameter(torch.tensor(a, dtype=torch.float32))
        self.weights = nn.ParameterDict(
            {f"{name}:{part}": single(a) for name in NAMES for part, a in theta[name].items()}
        )
        self.drive = torch.zeros(())

    def forward(self, t, s):
        """What ds/dt is."""
        w = self.weights
        h = torch.tanh(s @ w["flow-hidden1:weight"] + w["flow-hidden1:bias"])
        return self.drive + h @ w["hidden1-flow:weight"]


def gradient(adjoint: bool, work: list[int]) -> Contestant:
    """By the midpoint method."""
    given = Work(*work)
    theta, x, target = given.drawn()
    rate, (x, target) = Rate(theta), (torch.tensor(a, dtype=torch.float32) for a in (x, target))
    times = torch.tensor([0.0, 1.0])
    options = {"step_size": 1 / given.steps}

    def run():
        rate.zero_grad(set_to_none=True)
        w = rate.weights
        rate.drive = x @ w["input-flow:weight"] + w["input-flow:bias"]
        start = torch.zeros_like(rate.drive)
        if adjoint:
            # What is no parameter of the function itself is one of its adjoint.
            params = (*rate.parameters(), rate.drive)
            ends = torchdiffeq.odeint_adjoint(
                rate, start, times, method="midpoint", options=options, adjoint_params=params
            )
        else:
            ends = torchdiffeq.odeint(rate, start, times, method="midpoint", options=options)
        output = ends[-1] @ w["flow-output:weight"] + w["flow-output:bias"]
        F.cross_entropy(output, target).backward()

    return Contestant(run, None, {"versions": {n: version(n) for n in ("torchdiffeq", "torch")}})
