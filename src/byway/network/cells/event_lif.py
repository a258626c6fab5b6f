"""Leaky integrate-and-fire units in continuous time (event_lif).

    tau_mem dv/dt = -v + i,   tau_syn di/dt = -i;   where v comes to the threshold, the unit spikes,
    and v is set to 0;   a spike that it receives adds its weight to i
    v(t + s) = a exp(-s / tau_mem) - b exp(-s / tau_syn),
    a = v + b,   b = i tau_syn / (tau_mem - tau_syn)
    a spike is found on this form: where tau_mem = 2 tau_syn it is a quadratic, else by Newton's
    method, which comes to the first crossing from below

What a readout gets of a unit is the integral of the potential that its spikes cause there, in
tau_syn: a spike is worth at most 1, and the less the later it comes.

Shapes   v, i "batch *units"; spike times "batch spikes *units"
Units    time in that of the inputs; v and i in thresholds where that is 1
Limits   layers forwards; no refractory time. A unit that is silent has no derivative, so weights
         are drawn with a mean above zero
Source   Wunderlich and Pehle, Event-based backpropagation can compute exact gradients for spiking
         neural networks, Sci. Rep. 11:12829, 2021; the readout: Nowotny, Turner and Knight, Loss
         shaping enhances exact gradient learning with Eventprop in spiking neural networks, 2022,
         arXiv 2212.01232
"""

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.core.hyper import hyper
from byway.network.cell import Local
from byway.network.events import EventCell

# Newton's method doubles the digits; where the potential only just comes to the threshold it halves
# the distance.
ITERATIONS = 40


class EventLIF(EventCell):
    """A leaky integrate-and-fire unit in continuous time."""

    tau_mem: float = hyper(2.0, "time constant of the membrane", unit="time", low=1e-6)
    tau_syn: float = hyper(
        1.0, "time constant of the current, below tau_mem", unit="time", low=1e-6
    )
    threshold: float = hyper(1.0, "potential at which a unit spikes", low=1e-6)
    strength: float = hyper(
        10.0, "weights into it are drawn with variance strength / fan-in", low=1e-6
    )
    mean: float = hyper(1.0, "mean of those weights, in their standard deviations")

    @override
    def __check_init__(self):
        if self.tau_mem <= self.tau_syn:
            raise ConfigError(
                f"tau_syn = {self.tau_syn:g} and tau_mem = {self.tau_mem:g}",
                "a current that decays faster than the membrane",
                "raise tau_mem, or lower tau_syn",
            )

    @property
    @override
    def gain(self):
        return self.strength

    @property
    @override
    def lean(self):
        return self.mean

    @override
    def local(self, state, u):
        """The derivative of a spike time by the potential, where that rises so fast."""
        return Local({}, {}, {}, -1 / state["rise"])

    def _parts(self, v, i):
        """The a and b of v(t + s)."""
        b = i * (self.tau_syn / (self.tau_mem - self.tau_syn))
        return v + b, b

    def _potential(self, a, b, s):
        return a * jnp.exp(-s / self.tau_mem) - b * jnp.exp(-s / self.tau_syn)

    @override
    def after(self, v, i, span):
        return self._potential(*self._parts(v, i), span), i * jnp.exp(-span / self.tau_syn)

    @override
    def crossing(self, v, i, span):
        a, b = self._parts(v, i)
        # With another sign there is no way up to a threshold above 0.
        rises = (a > 0) & (b > 0)
        a, b = jnp.where(rises, a, 1), jnp.where(rises, b, 1)
        rate = 1 / self.tau_syn - 1 / self.tau_mem
        top = jnp.log(b * self.tau_mem / (a * self.tau_syn)) / rate
        top = jnp.minimum(jnp.maximum(top, 0), span)
        found = rises & (self._potential(a, b, top) >= self.threshold)
        # What does not get there is solved for something that does, and not used.
        a, b = jnp.where(found, a, 8 * self.threshold), jnp.where(found, b, 8 * self.threshold)
        if self.tau_mem == 2 * self.tau_syn:
            root = jnp.sqrt(jnp.maximum(a**2 - 4 * b * self.threshold, 0))
            when = -self.tau_mem * jnp.log((a + root) / (2 * b))
        else:
            when = self._newton(a, b)
        return found, jnp.clip(jnp.where(found, when, 0), 0, span)

    def _newton(self, a, b):
        """The first crossing: up to there the potential is concave, so no step goes too far."""

        def step(_, s):
            fast, slow = b * jnp.exp(-s / self.tau_syn), a * jnp.exp(-s / self.tau_mem)
            slope = fast / self.tau_syn - slow / self.tau_mem
            gap = self.threshold - (slow - fast)
            # At the very top there is no slope left.
            return s + jnp.where(slope > 0, gap / jnp.where(slope > 0, slope, 1), 0)

        return jax.lax.fori_loop(0, ITERATIONS, step, jnp.zeros_like(a))

    @override
    def rise(self, i):
        # Where the potential only just comes to the threshold, rounding would make nothing of it.
        least = float(jnp.finfo(i.dtype).eps) * self.threshold
        return jnp.maximum(i - self.threshold, least) / self.tau_mem

    @override
    def worth(self, left):
        slow, fast = (tau * (1 - jnp.exp(-left / tau)) for tau in (self.tau_mem, self.tau_syn))
        return (slow - fast) / (self.tau_mem - self.tau_syn)

    def lost_worth(self, left):
        """How much of that is lost by a spike that comes later: its derivative by the time that is
        left.
        """
        return (jnp.exp(-left / self.tau_mem) - jnp.exp(-left / self.tau_syn)) / (
            self.tau_mem - self.tau_syn
        )
