"""Forward-forward in PyTorch, as public programs train it: a label in the first inputs, every layer
a loss of its own, activity detached and normalised on its way up. Written here from the equations;
the passes of a batch are all run whole.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.job import Job
from benchmarks.pytorch import DEVICE, LEARNING_RATE, trained
from benchmarks.worker import Contestant

CLASSES, THRESHOLD, PEER, KEEP = 10, 1.0, 0.03, 0.9


class Layers(nn.Module):
    """Hidden layers, the head on those that it reads, and running means for peer normalisation."""

    def __init__(self, job: Job):
        super().__init__()
        torch.manual_seed(0)
        pairs = zip(job.sizes[:-2], job.sizes[1:-1], strict=True)
        self.hidden = nn.ModuleList([nn.Linear(*pair) for pair in pairs])
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.read = [i % len(self.hidden) for i in job.readout_from]
        self.head = nn.Linear(sum(self.hidden[i].out_features for i in self.read), CLASSES)
        self.means = [torch.full((h.out_features,), 0.5, device=DEVICE) for h in self.hidden]

    def climb(self, x: Tensor) -> list[Tensor]:
        """Activity of all layers; no slope goes from one to the next."""
        made, sent = [], normalised(x)
        for layer in self.hidden:
            made.append(F.relu(layer(sent)))
            sent = normalised(made[-1].detach())
        return made

    def answer(self, x: Tensor) -> Tensor:
        """What the head says of an image without a label."""
        with torch.no_grad():
            made = self.climb(labelled(x, torch.full_like(x[:, :CLASSES], 1 / CLASSES)))
        return self.head(torch.cat([normalised(made[i]) for i in self.read], 1))

    def loss(self, layer: int, up: Tensor, down: Tensor) -> Tensor:
        """Of one layer: goodness above its threshold with right labels and below with wrong ones,
        and no unit much more active than its peers.
        """
        theta = THRESHOLD * up.shape[1]
        right, wrong = (h.square().sum(1) - theta for h in (up, down))
        mean = KEEP * self.means[layer] + (1 - KEEP) * up.mean(0)
        self.means[layer] = mean.detach()
        even = PEER * (mean.mean() - mean).square().mean()
        return F.softplus(-right).mean() + F.softplus(wrong).mean() + even

    def goodness(self, x: Tensor) -> Tensor:
        """Of all labels: summed over all layers but the first."""
        each = []
        for label in torch.eye(CLASSES, device=DEVICE):
            made = self.climb(labelled(x, label.expand(len(x), -1)))
            each.append(sum(h.square().sum(1) for h in made[1:]))
        return torch.stack(each, 1)


def normalised(h: Tensor) -> Tensor:
    """Divided by its root mean square."""
    return h / (h.square().mean(1, keepdim=True).sqrt() + 1e-8)


def labelled(x: Tensor, label: Tensor) -> Tensor:
    """A label in place of the first inputs."""
    return torch.cat([label, x[:, CLASSES:]], 1)


def at_once(job: dict, path: str, fused: bool = False) -> Contestant:
    """One backward call and one optimiser for the losses of all layers.

    Args:
        job: what to train.
        path: its data.
        fused: whether Adam updates all of a tensor in one kernel, which is not PyTorch's default.
    """
    made = Job(**job)
    net = Layers(made).to(DEVICE)
    optimiser = torch.optim.Adam(net.parameters(), LEARNING_RATE, fused=fused)

    def update(x, y):
        output = net.answer(x)
        optimiser.zero_grad(set_to_none=True)
        both = net.climb(_both(x, y, output))
        losses = [net.loss(i, *h.chunk(2)) for i, h in enumerate(both)]
        (sum(losses) + F.cross_entropy(output, y)).backward()
        optimiser.step()

    return trained(net.goodness, update, made, path)


def in_turn(job: dict, path: str) -> Contestant:
    """Each layer learns from two passes with an optimiser of its own, and runs again for the next.

    Args:
        job: what to train.
        path: its data.
    """
    made = Job(**job)
    net = Layers(made).to(DEVICE)
    optimisers = [torch.optim.Adam(p.parameters(), LEARNING_RATE) for p in [*net.hidden, net.head]]

    def step(optimiser, loss):
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def update(x, y):
        output = net.answer(x)
        up, down = (normalised(part) for part in _both(x, y, output).chunk(2))
        step(optimisers[-1], F.cross_entropy(output, y))
        for i, layer in enumerate(net.hidden):
            step(optimisers[i], net.loss(i, F.relu(layer(up)), F.relu(layer(down))))
            with torch.no_grad():
                up, down = (normalised(F.relu(layer(part))) for part in (up, down))

    return trained(net.goodness, update, made, path)


def _both(x: Tensor, y: Tensor, output: Tensor) -> Tensor:
    """Images with their label, then with a wrong one, drawn from what the head says."""
    right = F.one_hot(y, CLASSES).to(x.dtype)
    belief = output.detach().masked_fill(right.bool(), -torch.inf).softmax(1)
    wrong = F.one_hot(torch.multinomial(belief, 1)[:, 0], CLASSES).to(x.dtype)
    return torch.cat([labelled(x, right), labelled(x, wrong)])
