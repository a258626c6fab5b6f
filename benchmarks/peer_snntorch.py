"""snnTorch: surrogate gradients through a loop over the steps, as its tutorials write it."""

import snntorch
import torch
from snntorch import surrogate
from torch import nn

from benchmarks.job import Job
from benchmarks.report import version
from benchmarks.worker import Contestant


def bptt(job: dict) -> Contestant:
    """Updates one by one."""
    work = Job(**job)
    inputs, units, outputs = work.sizes
    torch.manual_seed(0)
    model = _Net(inputs, units, outputs)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    x = torch.rand(work.steps, work.length, work.batch, inputs)
    target = torch.rand(work.steps, work.length, work.batch, outputs)

    def run():
        for i in range(work.steps):
            adam.zero_grad()
            nn.functional.mse_loss(model(x[i]), target[i]).backward()
            adam.step()

    facts = {"versions": {name: version(name) for name in ("snntorch", "torch")}}
    return Contestant(run, facts=facts)


class _Net(nn.Module):
    def __init__(self, inputs: int, units: int, outputs: int):
        super().__init__()
        self.into = nn.Linear(inputs, units)
        self.cell = snntorch.RLeaky(
            beta=0.951,
            threshold=0.6,
            linear_features=units,
            spike_grad=surrogate.fast_sigmoid(),
        )
        self.out = nn.Linear(units, outputs)

    def forward(self, x):
        spikes, v = self.cell.init_rleaky()
        read = []
        for now in x:
            spikes, v = self.cell(self.into(now), spikes, v)
            read.append(self.out(spikes))
        return torch.stack(read)
