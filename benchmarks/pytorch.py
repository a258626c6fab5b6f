"""The contestants in PyTorch: loops as a careful user writes them, data in memory as one tensor, no DataLoader."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.job import Job
from benchmarks.worker import Contestant

LEARNING_RATE = 1e-3


def eager(job: dict, path: str, fused: bool = False, threads: int = 0) -> Contestant:
    """Backprop, operation by operation.

    Args:
        job: what to train.
        path: its data.
        fused: whether Adam updates all of a tensor in one kernel, which is not PyTorch's default.
        threads: how many PyTorch may use; 0 for its own choice.
    """
    return _contestant(Job(**job), path, lambda function: function, fused, threads)


def compiled(job: dict, path: str) -> Contestant:
    """The same with the model, its loss and its gradient through `torch.compile`, and the faster Adam."""
    return _contestant(Job(**job), path, torch.compile, fused=True)


def _contestant(job: Job, path: str, wrap, fused: bool, threads: int = 0) -> Contestant:
    data = {name: torch.from_numpy(array) for name, array in np.load(path).items()}
    torch.manual_seed(0)
    model = _mlp(job.sizes)
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=fused)
    loss = wrap(lambda x, y: F.cross_entropy(model(x), y))
    x, y = data["train_x"], data["train_y"]
    threads = threads or torch.get_num_threads()

    def run():
        torch.set_num_threads(threads)
        order = torch.randperm(len(x))
        for index in order[: len(x) // job.batch * job.batch].split(job.batch):
            optimiser.zero_grad(set_to_none=True)
            loss(x[index], y[index]).backward()
            optimiser.step()

    def accuracy():
        with torch.no_grad():
            return (model(data["test_x"]).argmax(1) == data["test_y"]).float().mean().item()

    return Contestant(run, accuracy, {"threads": threads})


def _mlp(sizes) -> nn.Module:
    layers = []
    for pre, post in pairwise(sizes):
        layers += [nn.Linear(pre, post), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
