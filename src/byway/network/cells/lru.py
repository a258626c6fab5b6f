"""Linear recurrent units (lru): each a complex number that turns and decays by a factor of its own,
which is learned.

    h_t = lambda h_{t-1} + gamma b_t,   lambda = exp(-exp(nu) + i exp(theta)),   gamma = exp(log g)
    post = (Re h, Im h)

Five ports: 0 and 1 the real and the imaginary part of b; 2, 3 and 4 the parameters nu, theta and
log g of the units. A projection feeds the ports 0 and 1, an `Offset` the others. A dense projection
from such units is Re(C h), with Re C and -Im C as its weights.

Units do not act on one another, so what a rule with one trace a synapse computes (`eprop` with
symmetric feedback, for one) is the exact gradient of a layer of them.

Shapes   u "batch 5 *units", h "batch *units" twice, post "batch 2 *units"
Units    time in steps; theta in the logarithm of radians a step
Source   Orvieto et al., Resurrecting recurrent neural networks for long sequences, ICML 2023,
         section 3; Zucchet et al., Online learning of long-range dependencies, NeurIPS 2023
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.core.hyper import hyper
from byway.network.cell import Local, StatefulCell

RE, IM, NU, THETA, LOG_GAIN = range(5)


class LRU(StatefulCell):
    """A linear recurrent unit."""

    ports: ClassVar[int] = 5
    carries: ClassVar[tuple[str, ...]] = ("re", "im")
    sends: ClassVar[tuple[str, ...]] = ("re", "im")
    own: ClassVar[tuple[int, ...]] = (NU, THETA, LOG_GAIN)

    smallest: float = hyper(0.9, "least |lambda| that is drawn", low=0.0, high=0.999999)
    largest: float = hyper(0.999, "largest |lambda| that is drawn", low=1e-6, high=0.9999999)
    phase: float = hyper(
        2 * math.pi, "largest angle of lambda that is drawn", unit="rad/step", low=1e-6
    )

    @override
    def __check_init__(self):
        if self.smallest > self.largest:
            raise ConfigError(
                f"lru with smallest = {self.smallest} and largest = {self.largest}",
                "the smallest |lambda| below the largest",
                "exchange them",
            )

    @property
    @override
    def gain(self) -> float:
        """Half for each part of a complex number."""
        return 0.5

    @override
    def fed_by(self, recurrent):
        return () if recurrent else (RE, IM)

    @override
    def drawn(self, key, like):
        """Lambda uniform on a ring of the complex plane, and a gain that makes noise come out as
        strong as it went in: g = sqrt(1 - |lambda|^2).
        """
        ring, angle = jax.random.uniform(
            key, (2, *like.shape[1:]), like.dtype, jnp.finfo(like.dtype).tiny
        )
        square = self.smallest**2 + ring * (self.largest**2 - self.smallest**2)
        return jnp.stack(
            [
                jnp.log(-jnp.log(square) / 2),
                jnp.log(self.phase * angle),
                jnp.log1p(-square) / 2,
            ]
        )

    @override
    def rest(self, like):
        return {"re": jnp.zeros_like(like), "im": jnp.zeros_like(like)}

    @override
    def step(self, state, u):
        (re, im), gain, _ = _turned(state, u)
        h = {"re": re + gain * u[:, RE], "im": im + gain * u[:, IM]}
        return h, jnp.stack([h["re"], h["im"]], 1)

    @override
    def local(self, state, u):
        (re, im), gain, (a, b) = _turned(state, u)
        decay, turn, none = -jnp.exp(u[:, NU]), jnp.exp(u[:, THETA]), jnp.zeros_like(gain)
        return Local(
            {("re", "re"): a, ("re", "im"): -b, ("im", "re"): b, ("im", "im"): a},
            {
                "re": jnp.stack([gain, none, decay * re, -turn * im, gain * u[:, RE]], 1),
                "im": jnp.stack([none, gain, decay * im, turn * re, gain * u[:, IM]], 1),
            },
            {},
            None,
            {"re": 1.0, "im": 1.0},
        )


def _turned(state, u):
    """What lambda makes of h, the gain, and lambda."""
    size, angle = jnp.exp(-jnp.exp(u[:, NU])), jnp.exp(u[:, THETA])
    a, b = size * jnp.cos(angle), size * jnp.sin(angle)
    re, im = state["re"], state["im"]
    return (a * re - b * im, b * re + a * im), jnp.exp(u[:, LOG_GAIN]), (a, b)
