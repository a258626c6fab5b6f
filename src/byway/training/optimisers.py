"""Optimisers by name, with a schedule: what the command line offers. In Python any optax
transformation will do.

A learning rate is a number that evolves with the moments, so that learners of one program may each
have their own, and one may be changed while it runs without compiling anew.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from byway.core.errors import ConfigError, look_up
from byway.core.given import is_number, shown
from byway.core.tree import PyTree


class AdamEach(NamedTuple):
    """Adam's moments, with a count of steps for each weight.

    Attributes:
        count: steps that each weight has made since it began.
        mu: running mean of the gradient.
        nu: running mean of its square.
    """

    count: optax.Updates
    mu: optax.Updates
    nu: optax.Updates


def scale_by_adam_each(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) in which a weight that begins anew is corrected for its own start:
    the count is one for each.
    """

    def init(params):
        zeros = lambda: jax.tree.map(jnp.zeros_like, params)
        return AdamEach(zeros(), zeros(), zeros())

    def update(updates, state, params=None):
        del params
        count = jax.tree.map(lambda n: n + 1, state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.nu, updates)
        made = jax.tree.map(
            lambda m, v, n: m / (1 - b1**n) / (jnp.sqrt(v / (1 - b2**n)) + eps), mu, nu, count
        )
        return made, AdamEach(count, mu, nu)

    return optax.GradientTransformation(init, update)


# Each at a rate, by which the changes that it makes are multiplied last.
OPTIMISERS: dict[str, Callable[[float], optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "rmsprop": optax.rmsprop,
    "adam_each": lambda rate: optax.chain(scale_by_adam_each(), optax.scale_by_learning_rate(rate)),
}
# The share of the rate at each update, counted from 0, of so many.
SCHEDULES: dict[str, Callable[[int], optax.Schedule]] = {
    "constant": lambda steps: lambda count: jnp.ones(()),
    "cosine": lambda steps: optax.cosine_decay_schedule(1.0, steps),
}


class Moments(NamedTuple):
    """The state of an `Optimiser`.

    Attributes:
        rate: the learning rate that its schedule starts from.
        count: updates made.
        inner: what optax keeps.
    """

    rate: Float[Array, ""]
    count: Int[Array, ""]
    inner: PyTree


class Optimiser(eqx.Module):
    """An optax transformation whose learning rate lies in its state.

    Attributes:
        name: which one, a key of `OPTIMISERS`.
        schedule: the course of the rate, a key of `SCHEDULES`.
        steps: updates over which that course runs, one of each batch.
        rate: the rate that it starts from.
        clip: the largest norm of all updates together, before the optimiser sees them.
        decay: how much of a weight is taken away, beside the rate (decoupled weight decay,
            Loshchilov and Hutter 2019); biases do not decay.
        warmup: updates over which the rate rises to its course, evenly from 0.
        scales: by projection and part of its theta, what its rate is multiplied by.
    """

    name: str = eqx.field(static=True)
    schedule: str = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    rate: float
    clip: float | None = eqx.field(static=True, default=None)
    decay: float | None = eqx.field(static=True, default=None)
    warmup: int = eqx.field(static=True, default=0)
    scales: tuple[tuple[str, str, float], ...] = eqx.field(static=True, default=())

    def init(self, params: PyTree) -> Moments:
        """The state before the first update."""
        return Moments(jnp.asarray(self.rate, float), jnp.int32(0), self._inner.init(params))

    def update(
        self, updates: PyTree, state: Moments, params: PyTree | None = None, times: int = 1
    ) -> tuple[PyTree, Moments]:
        """What to add to the parameters, and the state after it. With so many updates on each batch
        course and warm-up still take as many batches.
        """
        if self.clip is not None:
            clip = optax.clip_by_global_norm(self.clip)
            updates, _ = clip.update(updates, clip.init(updates))
        updates, inner = self._inner.update(updates, state.inner, params)
        if self.decay is not None and params is not None:
            updates = jax.tree_util.tree_map_with_path(self._decayed, updates, params)
        rate = state.rate * SCHEDULES[self.schedule](self.steps * times)(state.count)
        if self.warmup:
            done = (state.count + 1).astype(rate.dtype) / (self.warmup * times)
            rate = rate * jnp.minimum(done, 1.0)
        updates = jax.tree.map(lambda a: a * rate.astype(a.dtype), updates)
        for name, part, scale in self.scales:
            if part in updates.get(name, ()):
                updates = updates | {name: updates[name] | {part: updates[name][part] * scale}}
        return updates, Moments(state.rate, state.count + 1, inner)

    def _decayed(self, path: tuple[Any, ...], update: Array, param: Array) -> Array:
        bias = getattr(path[-1], "key", None) == "bias"
        return update if bias or self.decay is None else update - self.decay * param

    @property
    def _inner(self) -> optax.GradientTransformation:
        return OPTIMISERS[self.name](1.0)


def optimiser(name: str, rate: float, schedule: str, steps: int, **more: Any) -> Optimiser:
    """The optimiser called `name`, at `rate`, over `steps` updates; for `more` see `Optimiser`.

    Raises:
        UnknownNameError: no such optimiser or schedule.
        ConfigError: a rate that is not a positive number.
    """
    look_up("optimiser", name, OPTIMISERS)
    look_up("schedule", schedule, SCHEDULES)
    if not is_number(rate) or rate <= 0:
        raise ConfigError(
            f"a learning rate of {shown(rate)}",
            "a positive number",
            "start from 1e-3 for adam, 1e-1 for sgd",
        )
    return Optimiser(name, schedule, max(steps, 1), float(rate), **more)


def stepped(
    one: optax.GradientTransformation | Optimiser,
    updates: PyTree,
    state: PyTree,
    params: PyTree,
    times: int = 1,
    /,
    **more: Array,
) -> tuple[PyTree, PyTree]:
    """What an optimiser adds to the parameters, and its state after it.

    Args:
        one: the optimiser.
        updates: the update.
        state: its state.
        params: the parameters.
        times: how often it updates on each batch; a transformation of optax counts for itself.
        more: what goes to the transformations of optax that ask for it.
    """
    if isinstance(one, Optimiser):
        return one.update(updates, state, params, times)
    return optax.with_extra_args_support(one).update(updates, state, params, **more)


def at_rate(moments: PyTree, rate: float | Array | None) -> PyTree:
    """The moments of an optimiser given by name, at another learning rate; as they are, where none
    is given or nothing learns by them.

    Raises:
        ConfigError: they are those of some other optax transformation, whose rate lies hidden.
    """
    if rate is None or moments is None:
        return moments
    if not isinstance(moments, Moments):
        raise ConfigError(
            "another learning rate for an optax transformation",
            "an optimiser given by name",
            "for example 'adam'",
        )
    return moments._replace(
        rate=jnp.broadcast_to(rate, moments.rate.shape).astype(moments.rate.dtype)
    )


def at_rates_of(others: PyTree, tree: PyTree) -> PyTree:
    """A tree that holds moments, at the learning rates of those in another like it; all else stays
    as it is.
    """
    named = lambda part: isinstance(part, Moments)
    return jax.tree.map(
        lambda other, one: one._replace(rate=other.rate) if named(one) else one,
        others,
        tree,
        is_leaf=named,
    )
