"""Where learners run: many of them in one compiled program, on all the cores there are.

On a CPU, learners run one after another on each device (`lax.map`), and the axis of seeds is split
over the devices, of which `byway.use_all_cores` asks JAX for one a core. Each learner's program is
then the one it would have alone, so its results are the same bits, and small networks fill the
machine. On a GPU or TPU the axis is a `vmap`.

A learner that is alone leaves the other cores to XLA, which shares out each operation. That serves
one large product well, and the many small ones of a rule that settles badly: there the samples of
its batch are divided among the devices, and only the sums over a batch bring them together.
Measured in `benchmarks/`.

Where several processes compute together (`jax.distributed`), the devices are those of all: learners
are dealt out to them, on accelerators too, and what is fetched is gathered from everywhere.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from byway.system.together import alone


@dataclasses.dataclass(frozen=True)
class Layout:
    """How learners lie on the devices.

    Attributes:
        seeds: how many learners there are.
        divided: whether the batch of a learner that is alone is divided among the devices of a CPU.
        stages: how many devices share the layers of every learner; one for none.
    """

    seeds: int
    divided: bool = False
    stages: int = 1

    @property
    def padded(self) -> int:
        """How many learners to hold so that every device has as many; the ones added never run."""
        return self.seeds if self._alone else -(-self.seeds // self._devices) * self._devices

    def place(self, learners: Any) -> Any:
        """Put a tree whose arrays have a leading axis of `padded` where `over` wants it."""
        return self._put(learners, PartitionSpec() if self._alone else PartitionSpec("devices"))

    def share(self, tree: Any) -> Any:
        """Put a tree that all learners share (data) on every device that `over` uses."""
        return self._put(tree, PartitionSpec())

    def fetch(self, tree: Any) -> Any:
        """A tree on the host, whole in every process."""
        return jax.device_get(jax.tree.map(_gathered, tree))

    def divide(self, tree: Any) -> Any:
        """Within a learner's program: let each device have its part of a tree whose arrays have a
        leading axis of samples.
        """
        if (
            not self._alone
            or self._devices == 1
            or any(a.shape[0] % self._devices for a in jax.tree.leaves(tree))
        ):
            return tree
        return jax.lax.with_sharding_constraint(tree, self._sharding(PartitionSpec("devices")))

    def over(self, function: Callable) -> Callable:
        """`function(learner, shared)` for one learner -> the same for `padded` of them."""
        if self.seeds == 1:
            return lambda learners, shared: _stack_one(
                function(jax.tree.map(lambda a: a[0], learners), shared)
            )

        def one_after_another(learners, shared):
            return jax.lax.map(lambda learner: function(learner, shared), learners)

        on_cpu = jax.default_backend() == "cpu"
        on_one = one_after_another if on_cpu else jax.vmap(function, in_axes=(0, None))
        if self._devices == 1:
            return on_one
        each, all_ = PartitionSpec("devices"), PartitionSpec()
        return jax.shard_map(
            on_one,
            mesh=self._mesh(),
            in_specs=(each, all_),
            out_specs=each,
            check_vma=False,
        )

    @property
    def _alone(self) -> bool:
        return self.divided and self.seeds == 1

    def on_one(self, tree: Any) -> Any:
        """A tree on one device, also where layers have devices of their own."""
        return tree if self.stages == 1 else jax.device_put(tree, jax.local_devices()[0])

    @property
    def _devices(self) -> int:
        if self.stages > 1:
            return 1
        if jax.default_backend() != "cpu" and (alone() or self.seeds == 1):
            return 1
        if self.seeds == 1:  # each process trains it, unless its batch is divided
            return jax.device_count() if self.divided else 1
        return min(jax.device_count(), max(self.seeds, jax.process_count()))

    def _put(self, tree: Any, spec: PartitionSpec) -> Any:
        if self._devices == 1:
            return tree
        sharding = self._sharding(spec)
        if alone():
            return jax.device_put(tree, sharding)
        return jax.tree.map(lambda a: _dealt(a, sharding), tree)

    def _sharding(self, spec: PartitionSpec) -> NamedSharding:
        return NamedSharding(self._mesh(), spec)

    def _mesh(self):
        return jax.make_mesh(
            (self._devices,),
            ("devices",),
            axis_types=(AxisType.Auto,),
            devices=_in_turn()[: self._devices],
        )


def skip_failed(function: Callable, learner: Any, shared: Any) -> Any:
    """`function(learner, shared) -> (learner, out)`, but a learner that failed stays as it is and
    its `out` is zero.
    """
    out = eqx.filter_eval_shape(function, learner, shared)[1]

    def stay(learner, shared):
        return learner, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), out)

    return jax.lax.cond(learner.failed < 0, function, stay, learner, shared)


def _in_turn() -> list[Any]:
    """The devices, one of each process in turn, so that any few of them are of all processes."""
    before: dict[int, int] = {}
    order = []
    for device in jax.devices():
        turn = before.get(device.process_index, 0)
        before[device.process_index] = turn + 1
        order.append((turn, device.process_index, device))
    return [device for *_, device in sorted(order, key=lambda one: one[:2])]


def _dealt(a: Any, sharding: NamedSharding) -> jax.Array:
    """An array that every process holds, on devices of all of them."""
    if getattr(a, "weak_type", False) or not getattr(a, "is_fully_addressable", True):
        return jax.device_put(a, sharding)  # what is made part by part is weak no more
    held = a if _is_key(a) else np.asarray(a)
    return jax.make_array_from_callback(held.shape, sharding, lambda part: held[part])


def _gathered(a: Any) -> Any:
    if not isinstance(a, jax.Array) or a.is_fully_addressable:
        return a
    if _is_key(a):
        data = _gathered(jax.random.key_data(a))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(a))
    return process_allgather(a, tiled=True)


def _is_key(a: Any) -> bool:
    return jnp.issubdtype(a.dtype, jax.dtypes.prng_key)


def _stack_one(tree):
    return jax.tree.map(lambda a: a[None], tree)
