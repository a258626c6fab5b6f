"""FabricPC's predictive coding. Its values lie behind the nonlinearity, mu = tanh(W v + b): as many
products and tanh as in front of it.
"""

import functools
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
from fabricpc import evaluate, initialize_params
from fabricpc.core.activations import IdentityActivation, TanhActivation
from fabricpc.core.inference import InferenceSGD
from fabricpc.core.initializers import XavierInitializer
from fabricpc.core.topology import Edge
from fabricpc.graph_assembly import TaskMap, graph
from fabricpc.nodes import IdentityNode, Linear
from fabricpc.training import make_train_step

from benchmarks.job import Job
from benchmarks.report import version
from benchmarks.worker import Contestant


def by_batch(job: dict, path: str) -> Contestant:
    """Its training step, compiled and called once a batch, as its own `train` does."""
    return _contestant(Job(**job), path, _loop)


def scanned(job: dict, path: str) -> Contestant:
    """Its training step in one compiled scan over the epoch."""
    return _contestant(Job(**job), path, _scan)


def _contestant(job: Job, path: str, epoch_of) -> Contestant:
    data = np.load(path)
    x, y, test_x, test_y = (data[name] for name in ("train_x", "train_y", "test_x", "test_y"))
    hyper = dict(job.hyper)
    structure = _graph(job.sizes, InferenceSGD(eta_infer=hyper["rate"], infer_steps=hyper["steps"]))
    adam = optax.adam(1e-3)
    key = jax.random.key(0)
    params = initialize_params(structure, key)
    step = make_train_step(structure, adam)
    epoch = epoch_of(lambda carry, x, y: step(*carry, {"x": x, "y": y}, key)[:2], x, y)
    draw = np.random.default_rng(0)
    carry = params, adam.init(params)

    def run():
        nonlocal carry
        order = draw.permutation(len(y))
        carry = jax.block_until_ready(
            epoch(carry, order[: len(y) // job.batch * job.batch].reshape(-1, job.batch))
        )

    def accuracy():
        batches = list(zip(np.split(test_x, 50), np.split(test_y, 50), strict=True))
        return evaluate(carry[0], structure, batches, {}, key)["accuracy"]

    return Contestant(
        run, accuracy, {"versions": {name: version(name) for name in ("fabricpc", "jax")}}
    )


def _graph(sizes, inference):
    nodes = [IdentityNode(shape=(sizes[0],), name="input")]
    for i, size in enumerate(sizes[1:], 1):
        activation = IdentityActivation() if i == len(sizes) - 1 else TanhActivation()
        nodes.append(
            Linear(
                shape=(size,),
                name=f"layer{i}",
                activation=activation,
                weight_init=XavierInitializer(),
            )
        )
    edges = [Edge(source=source, target=target.slot("in")) for source, target in pairwise(nodes)]
    return graph(
        nodes=nodes, edges=edges, task_map=TaskMap(x=nodes[0], y=nodes[-1]), inference=inference
    )


def _loop(step, x, y):
    step = jax.jit(step, donate_argnums=0)

    def epoch(carry, order):
        for index in order:
            carry = step(carry, x[index], y[index])
        return carry

    return epoch


def _scan(step, x, y):
    x, y = jnp.asarray(x), jnp.asarray(y)

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(carry, order, x, y):
        return jax.lax.scan(
            lambda carry, index: (step(carry, x[index], y[index]), None), carry, order
        )[0]

    return lambda carry, order: epoch(carry, order, x, y)
