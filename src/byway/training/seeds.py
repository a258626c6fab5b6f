"""The axis of seeds: many learners in one compiled program.

On a CPU, learners run one after another on each device (`lax.map`), and the axis is split over the devices, of which
`import byway` asks JAX for one a core. Each learner's program is then the one it would have alone, so its results are
the same bits, and small networks fill the machine. On a GPU or TPU the axis is a `vmap`. Measured in `benchmarks/`.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def padded(seeds: int) -> int:
    """How many learners to hold so that every device has as many; the ones added never run."""
    devices = _devices(seeds)
    return -(-seeds // devices) * devices


def place(tree: Any, seeds: int) -> Any:
    """Put a tree whose arrays have a leading axis of `padded(seeds)` where `over_seeds` wants it."""
    if _devices(seeds) == 1:
        return tree
    return jax.device_put(tree, NamedSharding(_mesh(seeds), PartitionSpec("seeds")))


def replicate(tree: Any, seeds: int) -> Any:
    """Put a tree that all learners share (data) on every device that `over_seeds` uses."""
    if _devices(seeds) == 1:
        return tree
    return jax.device_put(tree, NamedSharding(_mesh(seeds), PartitionSpec()))


def over_seeds(function: Callable, seeds: int) -> Callable:
    """`function(learner, shared)` for one learner -> the same for `padded(seeds)` of them."""
    if seeds == 1:
        return lambda learners, shared: _stack_one(function(jax.tree.map(lambda a: a[0], learners), shared))
    if jax.default_backend() != "cpu":
        return jax.vmap(function, in_axes=(0, None))

    def one_after_another(learners, shared):
        return jax.lax.map(lambda learner: function(learner, shared), learners)

    if _devices(seeds) == 1:
        return one_after_another
    each, all_ = PartitionSpec("seeds"), PartitionSpec()
    return jax.shard_map(one_after_another, mesh=_mesh(seeds), in_specs=(each, all_), out_specs=each, check_vma=False)


def skip_failed(function: Callable, learner: Any, shared: Any) -> Any:
    """`function(learner, shared) -> (learner, out)`, but a learner that failed stays as it is and its `out` is NaN."""
    out = eqx.filter_eval_shape(function, learner, shared)[1]

    def stay(learner, shared):
        return learner, jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), out)

    return jax.lax.cond(learner.failed < 0, function, stay, learner, shared)


def _stack_one(tree):
    return jax.tree.map(lambda a: a[None], tree)


def _devices(seeds: int) -> int:
    return min(jax.device_count(), seeds) if jax.default_backend() == "cpu" else 1


def _mesh(seeds: int):
    devices = _devices(seeds)
    return jax.make_mesh((devices,), ("seeds",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
