"""Local error signals (PREDSIM).

Every hidden layer has two small heads of its own and learns from what they make of it, and from
nothing above. One predicts the target. The other looks at a whole batch: samples of one class are
to be alike and those of different classes not. The heads learn too; they are gamma. With beta 0
layers learn by prediction alone (`pred` in the paper), with beta 1 by similarity alone (`sim`).

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  C_l = (1 - beta) <C(V_l h_l + c_l, t)> + beta mean_ij (S(R_l h_l) - S(t))_ij^2
        S_ij(a) = cosine of a_i - mean(a_i) and a_j - mean(a_j), of two samples i and j
        delta_l = phi'(u_l) dC_l/dh_l,   dW_l = <delta_l h_{l-1}^T>;
        V_l, c_l and R_l descend C_l too, and the output learns by the delta rule.
        R_l is dense, with a bias; of feature maps a 3x3 convolution, of which S sees each channel's
        standard deviation over space, where there are four channels at least

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[population]: "pred" (V, c) "units
         out", "sim" (R) "units units"
Units    activity dimensionless
Claims   transport no | locking no | derivative yes | signal target and error | phases 1 | memory
         none
Limits   a batch must hold several samples of each class, or there is nothing to be alike; heads
         cost about as much as the network. Inside a layer the error goes back through the heads'
         own weights
Source   Nokland and Eidnes, Training neural networks with local error signals, ICML 2019, arXiv
         1901.06656; differs in: no batch normalisation and no dropout, heads on feature maps see
         every place, the output learns alone
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.learning.rule import Claims, Update
from byway.network.convolutions import Conv
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Dense, Projection
from byway.rules import able
from byway.rules._feedforward import FeedForward
from byway.rules.local._heads import HEADS, drawn, predictor

# With fewer feature maps than this samples are compared place by place.
FEW = 4
# A sample whose features differ by less than this share of their size has no direction: what is
# left of them is rounding.
SAME = 1e-6
# The same where there is nothing at all.
NOTHING = 1e-12


class Predsim(FeedForward):
    """Layers that learn from heads of their own."""

    claims: ClassVar[Claims] = Claims("no", "no", "yes", frozenset({"target", "error"}), 1, "none")

    beta: float = hyper(
        0.99,
        "share of similarity in the loss of a layer, of prediction the rest: 0 is pred, 1 is sim",
        low=0.0,
        high=1.0,
        search=(0.5, 0.999),
    )

    @override
    def accepts(self, net):
        """A network without cycles whose units have a slope, and a target that differs between
        samples in more than its size.
        """
        super().accepts(net)
        if net[net.output].size < 2:
            raise RuleError(
                f"{self.id} was given a network with {net[net.output].size} output",
                "two at least: how alike targets are is an angle between them",
                f"use another rule: {', '.join(name for name in able(net) if name != self.id)}",
            )

    @override
    def init(self, net, key):
        """Two heads for each hidden population, normal with variance 1 / fan_in."""
        keys = jax.random.split(jax.random.fold_in(key, HEADS), (max(len(net.hidden), 1), 2))
        return {
            h.name: {
                "pred": drawn(predictor(net, h), k[0]),
                "sim": drawn(_comparer(net, h), k[1]),
            }
            for h, k in zip(net.hidden, keys, strict=False)
        }

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta, heads = {net.output: signal.error(record.output) * free.slope[net.output]}, {}
        wanted = _likeness(signal.target)
        for h in net.hidden:
            post = free.post[h.name]
            reader = predictor(net, h).with_theta(gamma[h.name]["pred"])
            comparer = _comparer(net, h).with_theta(gamma[h.name]["sim"])
            wrong = (1 - self.beta) * signal.error(reader.forward(post))
            unlike = self.beta * _pull(comparer.forward(post), wanted)
            delta[h.name] = (reader.backward(wrong) + comparer.backward(unlike)) * free.slope[
                h.name
            ]
            heads[h.name] = {
                "pred": reader.outer(post, wrong),
                "sim": comparer.outer(post, unlike),
            }
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}, heads
        )


def _comparer(net: Network, population: Population) -> Projection:
    """R, as zeros: from a population to as many features of it."""
    name, shape, n = population.name, population.shape, population.size
    if len(shape) == 3 and shape[0] * shape[1] > 1:
        weight = jnp.zeros((3, 3, shape[2], shape[2]), net.dtype)
        # A bias would move all places of a channel alike, which its standard deviation does not
        # see.
        return Conv(src=name, dst="sim", src_shape=shape, weight=weight, bias=None)  # pyright: ignore[reportCallIssue]
    weight, bias = jnp.zeros((n, n), net.dtype), jnp.zeros(n, net.dtype)
    return Dense(src=name, dst="sim", src_shape=shape, dst_shape=(n,), weight=weight, bias=bias)


def _varies(z: Float[Array, "batch *units"]) -> bool:
    """Whether samples are compared by how much each feature map varies over space: with few maps
    that says too little.
    """
    return z.ndim == 4 and z.shape[1] * z.shape[2] > 1 and z.shape[3] >= FEW


def _features(z: Float[Array, "batch *units"]) -> Float[Array, "batch features"]:
    """What samples are compared by."""
    return jnp.std(z, (1, 2)) if _varies(z) else z.reshape(len(z), -1)


def _directions(a: Float[Array, "batch features"]) -> tuple[Array, Array]:
    """Each sample's features less their mean, of unit length; and one over the length that they
    had, "batch 1". Zero where all are one.
    """
    centred = a - jnp.mean(a, 1, keepdims=True)
    square = jnp.sum(centred**2, 1, keepdims=True)
    differ = square > SAME**2 * jnp.sum(a**2, 1, keepdims=True) + NOTHING**2
    inverse = jnp.where(differ, 1 / jnp.sqrt(jnp.where(differ, square, 1)), 0)
    return centred * inverse, inverse


def _likeness(a: Float[Array, "batch features"]) -> Float[Array, "batch batch"]:
    """S: the cosine between any two samples."""
    direction, _ = _directions(a.reshape(len(a), -1))
    return direction @ direction.T


def _pull(
    z: Float[Array, "batch *units"], wanted: Float[Array, "batch batch"]
) -> Float[Array, "batch *units"]:
    """d(the mean over all pairs of (S - wanted)^2) / dz, times the samples of the batch: `outer`
    divides by them.
    """
    a = _features(z)
    direction, inverse = _directions(a)
    off = direction @ direction.T - wanted
    by_direction = 4 / len(a) * (off @ direction)
    along = jnp.sum(direction * by_direction, 1, keepdims=True)
    by_centred = (by_direction - direction * along) * inverse
    by_feature = by_centred - jnp.mean(by_centred, 1, keepdims=True)
    if not _varies(z):
        return by_feature.reshape(z.shape)
    places = z.shape[1] * z.shape[2]
    moved = z - jnp.mean(z, (1, 2), keepdims=True)
    return moved * (by_feature / jnp.maximum(a, NOTHING) / places)[:, None, None, :]
