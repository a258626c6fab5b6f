"""pcx's predictive coding as its tutorials write it: a compiled update, in which the settling steps
are unrolled, called once a batch.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pcx
import pcx.functional as pxf
import pcx.nn as pxnn
import pcx.predictive_coding as pxc
import pcx.utils as pxu

from benchmarks.job import Job
from benchmarks.report import version
from benchmarks.worker import Contestant

SETTLED = pxu.M_hasnot(pxc.VodeParam, frozen=True)
BY_SAMPLE = pxu.M(pxc.VodeParam | pxc.VodeParam.Cache).to((None, 0))


class Net(pxc.EnergyModule):
    """Values before the nonlinearity: mu = W tanh(v) + b."""

    def __init__(self, sizes):
        super().__init__()
        self.layers = [pxnn.Linear(pre, post) for pre, post in pairwise(sizes)]
        self.values = [pxc.Vode() for _ in self.layers]
        self.values[-1].h.frozen = True

    def __call__(self, x, y):
        v = self.values[0](self.layers[0](x))
        for layer, value in zip(self.layers[1:], self.values[1:], strict=True):
            v = value(layer(jnp.tanh(v)))
        if y is not None:
            self.values[-1].set("h", y)
        return self.values[-1].get("u")


@pxf.vmap(BY_SAMPLE, in_axes=(0, 0), out_axes=0)
def forward(x, y, *, net):
    """One pass; values become what is predicted for them where the status says so."""
    return net(x, y)


@pxf.vmap(BY_SAMPLE, in_axes=(0,), out_axes=(None, 0), axis_name="batch")
def energy(x, *, net):
    """The sum of the batch's energies, and the output."""
    output = net(x, None)
    return jax.lax.psum(net.energy(), "batch"), output


@pxf.jit(static_argnums=0)
def update(steps, x, y, *, net, descent, adam):
    """One update of the weights."""
    net.train()
    with pxu.step(net, pxc.STATUS.INIT, clear_params=pxc.VodeParam.Cache):
        forward(x, y, net=net)
    descent.init(SETTLED(net))
    for _ in range(steps):
        with pxu.step(net, clear_params=pxc.VodeParam.Cache):
            _, gradient = pxf.value_and_grad(SETTLED.to([False, True]), has_aux=True)(energy)(
                x, net=net
            )
        descent.step(net, gradient["net"])
    descent.clear()
    with pxu.step(net, clear_params=pxc.VodeParam.Cache):
        _, gradient = pxf.value_and_grad(pxu.M(pxnn.LayerParam).to([False, True]), has_aux=True)(
            energy
        )(x, net=net)
    adam.step(net, gradient["net"], scale_by=1 / len(x))


@pxf.jit()
def right(x, y, *, net):
    """The share of right answers."""
    net.eval()
    with pxu.step(net, pxc.STATUS.INIT, clear_params=pxc.VodeParam.Cache):
        return (forward(x, None, net=net).argmax(1) == y).mean()


def by_batch(job: dict, path: str) -> Contestant:
    """An update a batch."""
    work = Job(**job)
    data = dict(np.load(path))
    hyper, one_hot = dict(work.hyper), np.eye(work.sizes[-1], dtype=np.float32)
    pcx.RKG.seed(0)
    net = Net(work.sizes)

    def shape(x):
        """Give the values a batch's shape: where it changes, `update` compiles anew or fails."""
        net.clear_params(pxc.VodeParam)
        with pxu.step(net, pxc.STATUS.INIT, clear_params=pxc.VodeParam.Cache):
            forward(x, None, net=net)

    shape(data["train_x"][: work.batch])
    descent, adam = (
        pxu.Optim(lambda: optax.sgd(hyper["rate"])),
        pxu.Optim(lambda: optax.adam(1e-3), pxu.M(pxnn.LayerParam)(net)),
    )
    draw = np.random.default_rng(0)

    def run():
        order = draw.permutation(len(data["train_y"]))
        for index in order[: len(order) // work.batch * work.batch].reshape(-1, work.batch):
            x, y = data["train_x"][index], one_hot[data["train_y"][index]]
            update(hyper["steps"], x, y, net=net, descent=descent, adam=adam)
        jax.block_until_ready([layer.nn.weight.get() for layer in net.layers])

    def accuracy():
        net.clear_params(pxc.VodeParam)
        score = float(right(data["test_x"], data["test_y"], net=net))
        shape(data["train_x"][: work.batch])
        return score

    return Contestant(run, accuracy, {"versions": {name: version(name) for name in ("pcx", "jax")}})
