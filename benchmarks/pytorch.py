"""The contestants in PyTorch: loops as a careful user writes them, data in memory as one tensor, no
DataLoader.
"""

import functools
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.job import Job
from benchmarks.worker import PLATFORM, Contestant

LEARNING_RATE = 1e-3
DEVICE = torch.device(PLATFORM)
# As JAX does on a card: matrix products of single precision in TF32.
torch.set_float32_matmul_precision("high")
# On a card, with CUDA graphs: an update of small layers is else all launches.
COMPILE = (
    torch.compile
    if DEVICE.type == "cpu"
    else functools.partial(torch.compile, mode="reduce-overhead")
)


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
    """The same with the model, its loss and its gradient through `torch.compile`, and the faster
    Adam.
    """
    return _contestant(Job(**job), path, COMPILE, fused=True)


def pc(job: dict, path: str) -> Contestant:
    """Predictive coding written out, without autograd, operation by operation; Adam updates all of
    a tensor in one kernel.
    """
    return _predictive(Job(**job), path, lambda function: function)


def pc_compiled(job: dict, path: str) -> Contestant:
    """The same with all of an update but Adam through `torch.compile`."""
    return _predictive(Job(**job), path, COMPILE)


def _contestant(job: Job, path: str, wrap, fused: bool, threads: int = 0) -> Contestant:
    model = _mlp(job.sizes, nn.ReLU)
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=fused)
    loss = wrap(lambda x, y: F.cross_entropy(model(x), y))

    def update(x, y):
        optimiser.zero_grad(set_to_none=True)
        loss(x, y).backward()
        optimiser.step()

    return trained(model, update, job, path, threads)


def _predictive(job: Job, path: str, wrap) -> Contestant:
    model, hyper = _mlp(job.sizes, nn.Tanh), dict(job.hyper)
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    gradient = wrap(
        lambda x, target, *theta: _pc_gradient(x, target, theta, hyper["steps"], hyper["rate"])
    )

    @torch.no_grad()
    def update(x, y):
        theta = [array for layer in layers for array in (layer.weight, layer.bias)]
        for array, found in zip(
            theta, gradient(x, F.one_hot(y, job.sizes[-1]).float(), *theta), strict=True
        ):
            array.grad = found
        optimiser.step()

    return trained(model, update, job, path)


def _pc_gradient(x, target, theta, steps, rate):
    first, *later = zip(theta[::2], theta[1::2], strict=True)
    still = F.linear(x, *first)  # the input stands still, so what it predicts does too
    values = [still]
    for layer in later[:-1]:
        values.append(F.linear(values[-1].tanh(), *layer))

    def look():
        sent = [v.tanh() for v in values]
        return sent, [values[0] - still] + [
            v - F.linear(h, *layer)
            for v, h, layer in zip([*values[1:], target], sent, later, strict=True)
        ]

    for _ in range(steps):
        sent, errors = look()
        values = [
            v + rate * ((1 - h * h) * (above @ weight) - error)
            for v, h, error, above, (weight, _) in zip(
                values, sent, errors, errors[1:], later, strict=False
            )
        ]
    sent, errors = look()
    found = [
        (error.T @ pre / -len(x), error.mean(0).neg())
        for pre, error in zip([x, *sent], errors, strict=True)
    ]
    return [array for pair in found for array in pair]


def trained(
    model: Callable[[torch.Tensor], torch.Tensor],
    update: Callable[[torch.Tensor, torch.Tensor], None],
    job: Job,
    path: str,
    threads: int = 0,
) -> Contestant:
    """An epoch of `update(x, y)`, and how often the largest answer of `model` is the right one."""
    data = {name: torch.from_numpy(array).to(DEVICE) for name, array in np.load(path).items()}
    x, y = data["train_x"], data["train_y"]
    threads = threads or torch.get_num_threads()

    def run():
        torch.set_num_threads(threads)
        order = torch.randperm(len(x), device=DEVICE)
        for index in order[: len(x) // job.batch * job.batch].split(job.batch):
            update(x[index], y[index])
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    def accuracy():
        with torch.no_grad():
            return (model(data["test_x"]).argmax(1) == data["test_y"]).float().mean().item()

    return Contestant(run, accuracy, {"threads": threads})


def _mlp(sizes, phi) -> nn.Module:
    torch.manual_seed(0)
    layers = []
    for pre, post in pairwise(sizes):
        layers += [nn.Linear(pre, post), phi()]
    return nn.Sequential(*layers[:-1]).to(DEVICE)
