"""Projections: the edges of a network.

A projection is linear in its weights and in its input, so it has just three operations, and every
rule works on every architecture through them:

    forward(pre)         current = W . pre + b
    backward(delta)      W^T . delta
    only rules that admit to weight transport use their own W here
    outer(pre, delta)    mean over the batch of delta pre^T, shaped like theta
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key
from typing_extensions import override

from byway.core.errors import ConfigError, RuleError, ShapeError
from byway.core.given import is_whole, shown
from byway.network.populations import Population

# The kind of a projection, which its copies have too.
Own = TypeVar("Own", bound="Projection")


class Projection(eqx.Module):
    """Abstract base. `weight` and `bias` are its theta, its structure is arrays that no rule
    trains; everything else is static.

    Attributes:
        label: tells projections between the same two populations apart.
        delay: how many time steps what is sent takes, from 1; None for what the order of the
            populations says.
        carries: what it takes of the population that it leaves: its activity as sent ("post"), or
            its potential ("u").
        ports: which ports of the cells of `dst` it feeds, where they have several; None for all.
        axes: what each axis of the weight stands for: "pre", "post", or "" for neither; the audit
            reads it.
        invertible: whether what arrived follows from the current, see `inverse`.
        linear_in_weights: whether the current is a linear function of the weights, as it is of what
            arrives.
    """

    src: eqx.AbstractVar[str]
    dst: eqx.AbstractVar[str]
    src_shape: eqx.AbstractVar[tuple[int, ...]]
    dst_shape: eqx.AbstractVar[tuple[int, ...]]
    weight: eqx.AbstractVar[Array]
    bias: eqx.AbstractVar[Array | None]
    axes: eqx.AbstractVar[tuple[str, ...]]
    label: str = eqx.field(static=True, default="", kw_only=True)
    delay: int | None = eqx.field(static=True, default=None, kw_only=True)

    carries: ClassVar[Literal["post", "u"]] = "post"
    ports: ClassVar[tuple[int, ...] | None] = None
    invertible: ClassVar[bool] = False
    linear_in_weights: ClassVar[bool] = True

    def __check_init__(self):
        if self.delay is not None and (not is_whole(self.delay) or self.delay < 1):
            raise ConfigError(
                f"a delay of {shown(self.delay)} for {self.name}",
                "time steps, from 1",
                "leave it out for none",
            )
        if not isinstance(self.label, str) or any(mark in self.label for mark in "./"):
            raise ConfigError(
                f"the label {self.label!r} for {self.name}",
                "text without '.' and '/'",
                "choose another",
            )

    @property
    def name(self) -> str:
        """`src-dst`, or `src-dst:label`."""
        return f"{self.src}-{self.dst}:{self.label}" if self.label else f"{self.src}-{self.dst}"

    @property
    def theta(self) -> dict[str, Array]:
        """What a rule may train: "weight", and "bias" if there is one; nothing where it has no
        weights.
        """
        return {
            part: a for part, a in (("weight", self.weight), ("bias", self.bias)) if a is not None
        }

    def with_theta(self: Own, theta: Mapping[str, Array]) -> Own:
        """The same projection with other weights."""
        return self._with(theta)

    @property
    def window(self) -> int | None:
        """How many steps of what was sent arrive at once, where each synapse has a delay of its
        own; None elsewhere.
        """
        return None

    @property
    def arriving(self) -> tuple[int, ...]:
        """The shape of what arrives in one sample: of what is sent, or of a window of that."""
        return self.src_shape if self.window is None else (self.window, *self.src_shape)

    @property
    def reached(self) -> Bool[Array, " post"]:
        """Which units of `dst` read something through it, counted flat; all but where wiring is an
        array.
        """
        return jnp.ones(int(np.prod(self.dst_shape)), bool)

    @property
    def structure(self) -> dict[str, Array]:
        """What is wired to what, where shapes do not say it: saved and read, never trained."""
        return {}

    def with_structure(self: Own, structure: Mapping[str, Array]) -> Own:
        """The same projection with other wiring."""
        return self._with(structure)

    def _with(self: Own, parts: Mapping[str, Array]) -> Own:
        return (
            eqx.tree_at(lambda p: [getattr(p, k) for k in parts], self, list(parts.values()))
            if parts
            else self
        )

    def redraw(self: Own, key: Key[Array, ""], src: Population, dst: Population) -> Own:
        """Fresh weights, normal with variance gain / fan_in, and of a mean of so many standard
        deviations as the cells of `dst` lean to, whose the gain is; the bias is zero.

        He et al. 2015, LeCun et al. 1998.
        """
        noise = jax.random.normal(key, self.weight.shape, self.weight.dtype)
        fresh = {"weight": self.weighed(noise, dst)}
        if self.bias is not None:
            fresh["bias"] = jnp.zeros_like(self.bias)
        return self.with_theta(fresh)

    def weighed(self, noise: Float[Array, "*weight"], dst: Population) -> Float[Array, "*weight"]:
        """Fresh weights out of standard normal numbers."""
        size = np.sqrt(dst.cell.gain / self.fan_in).item()
        return noise * size + dst.cell.lean * size if dst.cell.lean else noise * size

    def opposing(self, other: "Projection") -> "Projection":
        """The same projection with the weights of the one that comes back, transposed, and of the
        other sign; itself where its weights have no transpose of the same kind.
        """
        return self

    def by_entries(self) -> "Projection":
        """The same map as one with a weight of its own for each pair of units, as the audit reads
        it: of what entries are a function of, or of a table, its axes say nothing.
        """
        return self

    def by_source(self) -> "Projection":
        """The same map, laid out for units of `src` that mostly send nothing; itself where there is
        no such layout.
        """
        return self

    @property
    def note(self) -> str:
        """What the names and shapes of the two ends do not tell of it, in a few words."""
        return f"{self.delay} steps late" if self.delay else ""

    def at_pre(self, pre: Float[Array, "batch *pre"]) -> Array:
        """What arrives at each weight: with `at_post`, the halves of `outer`, which broadcast to
        "batch *weight".

        Raises:
            RuleError: weights that are shared among places, as in a convolution: no single value
                arrives at one.
        """
        raise self._shared()

    def at_post(self, delta: Float[Array, "batch *post"]) -> Array:
        """What a value at each unit of `dst` is at the weights that end there; see `at_pre`."""
        raise self._shared()

    def _shared(self) -> RuleError:
        return RuleError(
            f"the weights of {self.name}, a {type(self).__name__}, which many places share",
            "a weight for each pair of units",
            "use a rule that needs no trace of each synapse, or a locally connected layer",
        )

    @property
    @abstractmethod
    def fan_in(self) -> int:
        """How many inputs one unit of `dst` sums."""

    @property
    @abstractmethod
    def fan_out(self) -> int:
        """How many units of `dst` one unit of `src` reaches, before pooling."""

    @property
    @abstractmethod
    def offset(self) -> Array | float:
        """The current that it causes when nothing arrives: the bias, "1 *post", or the number
        0.0.
        """

    @abstractmethod
    def forward(self, pre: Float[Array, "batch *pre"]) -> Float[Array, "batch *post"]:
        """The current that `pre` causes."""

    @abstractmethod
    def backward(
        self, delta: Float[Array, "batch *post"], weight: Array | None = None
    ) -> Float[Array, "batch *pre"]:
        """The transpose applied to `delta`, with this projection's own weight or with `weight`,
        shaped like it.
        """

    def inverse(self, current: Float[Array, "batch *post"]) -> Float[Array, "batch *pre"]:
        """What has to arrive to cause this current, where it is `invertible`."""
        raise NotImplementedError(f"{type(self).__name__} cannot be inverted")

    @abstractmethod
    def outer(
        self, pre: Float[Array, "batch *pre"], delta: Float[Array, "batch *post"]
    ) -> dict[str, Array]:
        """The update of theta: delta times pre, averaged over the batch."""


class Ported(Projection):
    """Abstract: a projection that may feed some of the ports of the cells of `dst`, and not others.
    Its currents are flat, "batch post", where post counts the drives that it feeds.
    """

    def _spread(self, current: Float[Array, "batch post"]) -> Float[Array, "batch *drive"]:
        """A current for each drive that is fed, in the place of that drive; zero for the others."""
        if self.ports is None:
            return current.reshape(len(current), *self.dst_shape)
        fed = current.reshape(len(current), len(self.ports), *self.dst_shape[1:])
        nothing = jnp.zeros_like(fed[:, 0])
        return jnp.stack(
            [
                fed[:, self.ports.index(i)] if i in self.ports else nothing
                for i in range(self.dst_shape[0])
            ],
            1,
        )

    def _fed(self, delta: Float[Array, "batch *drive"]) -> Float[Array, "batch post"]:
        """The drives that are fed, flat."""
        if self.ports is not None:
            delta = jnp.stack([delta[:, i] for i in self.ports], 1)
        return delta.reshape(len(delta), -1)

    @override
    def at_post(self, delta):
        """Of shape "batch 1 post"."""
        return self._fed(delta)[:, None, :]


class Dense(Ported):
    """All to all. Weight "pre post", bias "post"; populations of any shape are flattened.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population.
        src_shape: its shape.
        dst_shape: that of its drive.
        weight: "pre post", where post counts the drives that it feeds.
        bias: "post", or None.
        ports: which ports of the cells of `dst` it feeds, in order; None for all.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Float[Array, "pre post"]
    bias: Float[Array, " post"] | None
    ports: tuple[int, ...] | None = eqx.field(static=True, default=None, kw_only=True)

    axes: ClassVar[tuple[str, ...]] = ("pre", "post")

    @property
    @override
    def fan_in(self) -> int:
        return self.weight.shape[0]

    @property
    @override
    def fan_out(self) -> int:
        return self.weight.shape[1]

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self._spread(self.bias[None])

    @override
    def opposing(self, other):
        fits = isinstance(other, Dense) and other.weight.shape[::-1] == self.weight.shape
        return self.with_theta({"weight": -other.weight.T}) if fits else self

    @override
    def forward(self, pre):
        return self._spread(pre.reshape(pre.shape[0], -1) @ self.weight) + self.offset

    @override
    def backward(self, delta, weight=None):
        weight = self.weight if weight is None else weight
        return (self._fed(delta) @ weight.T).reshape(delta.shape[0], *self.src_shape)

    @override
    def outer(self, pre, delta):
        batch = pre.shape[0]
        delta = self._fed(delta) / batch
        update = {"weight": pre.reshape(batch, -1).T @ delta}
        if self.bias is not None:
            update["bias"] = delta.sum(0)
        return update

    @override
    def at_pre(self, pre):
        """Of shape "batch pre 1"."""
        return pre.reshape(pre.shape[0], -1, 1)


class Offset(Ported):
    """A current that is always there: a bias, and no weights. Into the ports `own` of a cell it
    holds the parameters of the units, so that every rule that trains biases trains them.

    Attributes:
        src: a population that stands before `dst`; nothing is read of it.
        dst: the postsynaptic population.
        src_shape: the shape of what `src` sends.
        dst_shape: that of the drive of `dst`.
        bias: "post", where post counts the drives that it feeds.
        ports: which ports of the cells of `dst` it feeds, in order; None for all.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    bias: Float[Array, " post"]
    ports: tuple[int, ...] | None = eqx.field(static=True, default=None, kw_only=True)

    axes: ClassVar[tuple[str, ...]] = ()
    weight: ClassVar[None] = None  # pyright: ignore[reportIncompatibleVariableOverride]
    fan_in: ClassVar[int] = 0
    fan_out: ClassVar[int] = 0

    @property
    @override
    def offset(self):
        return self._spread(self.bias[None])

    @override
    def redraw(self, key, src, dst):
        """The parameters that the cells of `dst` begin with; 0 for other ports."""
        if self.ports is None or self.ports != dst.cell.own:
            return self.with_theta({"bias": jnp.zeros_like(self.bias)})
        like = self.bias.reshape(len(self.ports), *dst.shape)
        return self.with_theta({"bias": dst.cell.drawn(key, like).reshape(-1)})

    @override
    def forward(self, pre):
        return jnp.broadcast_to(self.offset, (len(pre), *self.dst_shape))

    @override
    def backward(self, delta, weight=None):
        return jnp.zeros((len(delta), *self.src_shape), delta.dtype)

    @override
    def outer(self, pre, delta):
        return {"bias": self._fed(delta).sum(0) / len(delta)}


class Skip(Projection):
    """One to one, without weights: what arrives is what was sent. For residual connections, and to
    read some units of a population and not others.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population, of the same shape.
        src_shape: its shape.
        carries: "post", or "u" for its potential.
        units: how many units of `src` it brings, the first ones, flat; all by default.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    carries: Literal["post", "u"] = eqx.field(static=True, default="post", kw_only=True)
    units: int | None = eqx.field(static=True, default=None, kw_only=True)

    axes: ClassVar[tuple[str, ...]] = ()
    weight: ClassVar[None] = None  # pyright: ignore[reportIncompatibleVariableOverride]
    bias: ClassVar[None] = None
    fan_in: ClassVar[int] = 1
    fan_out: ClassVar[int] = 1
    offset: ClassVar[float] = 0.0

    @override
    def __check_init__(self):
        size = math.prod(self.src_shape)
        if self.units is not None and not (is_whole(self.units) and 1 <= self.units <= size):
            raise ShapeError(
                f"{shown(self.units)} units of {self.src!r}",
                f"a whole number from 1 to {size}",
                "leave it out for all",
            )

    @property
    @override
    def dst_shape(self) -> tuple[int, ...]:
        """That of `src`, or of so many units."""
        return self.src_shape if self.units is None else (self.units,)

    @override
    def redraw(self, key, src, dst):
        """There is nothing to draw."""
        return self

    @override
    def forward(self, pre):
        return pre if self.units is None else pre.reshape(len(pre), -1)[:, : self.units]

    @override
    def backward(self, delta, weight=None):
        if self.units is None:
            return delta
        unread = math.prod(self.src_shape) - self.units
        return jnp.pad(delta, ((0, 0), (0, unread))).reshape(len(delta), *self.src_shape)

    @override
    def outer(self, pre, delta):
        return {}


class Transposed(Projection):
    """A projection defined by its forward map: its other two operations are the transposes of that,
    in its input and in its weight, which autodiff finds unless they are written out.
    """

    @abstractmethod
    def linear(self, weight: Array, pre: Float[Array, "batch *pre"]) -> Float[Array, "batch *post"]:
        """The current that `pre` causes through `weight`, without the bias."""

    @override
    def backward(self, delta, weight=None):
        return self.to_pre(self.weight if weight is None else weight, delta)

    @override
    def outer(self, pre, delta):
        delta = delta / pre.shape[0]
        update = {"weight": self.to_weight(pre, delta)}
        if self.bias is not None:
            update["bias"] = self.outer_bias(delta)
        return update

    def to_pre(
        self, weight: Array, delta: Float[Array, "batch *post"]
    ) -> Float[Array, "batch *pre"]:
        """The transpose of `linear` in its input."""
        pre = jax.ShapeDtypeStruct((delta.shape[0], *self.src_shape), delta.dtype)
        return jax.linear_transpose(lambda pre: self.linear(weight, pre), pre)(delta)[0]

    def to_weight(
        self, pre: Float[Array, "batch *pre"], delta: Float[Array, "batch *post"]
    ) -> Array:
        """The transpose of `linear` in its weight, summed over the batch."""
        return jax.linear_transpose(lambda w: self.linear(w, pre), self.weight)(delta)[0]

    @abstractmethod
    def outer_bias(self, delta: Float[Array, "batch *post"]) -> Array:
        """The transpose of what the bias adds, applied to `delta`, summed over the batch."""
