"""Forward-forward without labels (FF_UNSUPERVISED): images against hybrids.

Each hidden layer learns on its own to be active for images and quiet for hybrids of two images,
which have their pieces and not their large shape. No label is told to it: only the linear readout
learns what is what.

    f:  "positive": x;   "negative": m x + (1 - m) x', where x' is another image of the batch
        m: a random bit for each pixel; as often as `blurs`, a blur by (1/4, 1/2, 1/4) across and
            down, the edge repeated; then 1 where more than 1/2. If that leaves one image alone, it
            is cut at its own mean instead
        h_l = relu(W_l n(h_{l-1}) + b_l),   n(h) = h / rms(h)
    g:  G_l = sum_j h_lj^2,   C_l = softplus(theta n_l - G+) + softplus(G- - theta n_l)
        delta+ = -2 sigmoid(theta n_l - G+) h_l,   delta- = 2 sigmoid(G- - theta n_l) h_l,
        dW_l = <delta_l n(h_{l-1})^T> over both passes; quiet: + and - change places in C_l
        peers: m_l <- decay m_l + (1 - decay) <h+_l>,  C += peer mean_j (mean_k m_k - m_j)^2, as if
            the relu were the identity
        readout: softmax regression on what the output population receives of x

Shapes   x "batch height width channels", m "batch height width 1", W "pre post",
         memory[population] "units"
Units    activity dimensionless
Claims   transport no | locking no | derivative no | signal error | phases 2 | memory units
Limits   hybrids say something of images and nothing of other samples: the input has to be an image.
         A batch holds two samples at least, and two that are equal make a negative that is none.
         What tells images from hybrids need not tell classes apart. The readout does best on all
         hidden layers but the first (`readout_from`)
Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022, arXiv
         2212.13345, section 3.2; how often masks are blurred it does not say; differs in: weights
         drawn as He et al., any optimiser, the readout learns along with the layers
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.rules.local._unlabelled import Unlabelled


class FFUnsupervised(Unlabelled):
    """Forward-forward with hybrid images for negatives."""

    particular: ClassVar[bool] = True

    blurs: int = hyper(6, "how often a mask is blurred: the more, the larger its pieces", low=0)

    @override
    def accepts(self, net):
        """As the others without labels; and the input is an image."""
        super().accepts(net)
        shape = net[net.input].shape
        if len(shape) != 3 or shape[0] * shape[1] < 2:
            raise RuleError(
                f"ff_unsupervised was given a network for inputs of shape {shape}",
                "images, (height, width, channels): its negatives are hybrids of two of them",
                "build the network for images; or use scff, which mixes whole samples, or bp",
            )

    @override
    def negatives(self, net, x, other, key):
        return jnp.where(_masks(key, x.shape[:3], self.blurs)[..., None], x, other)


def _masks(key: Key[Array, ""], shape: tuple[int, ...], blurs: int) -> Array:
    """A mask for each image, of pieces some pixels wide: bool "batch height width"."""
    m = jax.random.bernoulli(key, 0.5, shape).astype(jnp.float32)
    for _ in range(blurs):
        m = _blurred(_blurred(m, 1), 2)
    mean = jnp.mean(m, (1, 2), keepdims=True)
    pieces = m > 0.5
    whole = jnp.all(pieces == pieces[:, :1, :1], (1, 2), keepdims=True)
    return jnp.where(whole, m > mean, pieces)


def _blurred(
    m: Float[Array, "batch height width"], axis: int
) -> Float[Array, "batch height width"]:
    """A blur by (1/4, 1/2, 1/4) along an axis, the edge repeated."""
    wide = jnp.pad(m, [(0, 0)] + [(int(i == axis),) * 2 for i in (1, 2)], mode="edge")
    n = m.shape[axis]
    part = lambda start: jax.lax.slice_in_dim(wide, start, start + n, axis=axis)
    return part(0) / 4 + part(1) / 2 + part(2) / 4
