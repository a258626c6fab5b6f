"""Cells by their equations, written out again, apart from byway."""

import functools
import math

import jax
import jax.numpy as jnp

import byway


@jax.custom_jvp
def _spike(above, psi):
    """A step at zero whose derivative is taken to be `psi`."""
    return (above > 0).astype(float)


_spike.defjvp(lambda primals, tangents: (_spike(*primals), primals[1] * tangents[0]))


def spiking(
    s,
    u,
    *,
    tau=20.0,
    theta=0.6,
    gamma=0.3,
    refractory=0,
    scaled=False,
    detached=True,
    hard=False,
    shape=lambda x: jnp.maximum(0, 1 - jnp.abs(x)),
    rho=None,
    beta=0.0,
):
    """One step of a (possibly adaptive) integrate-and-fire unit, by its published equations."""
    alpha = math.exp(-1 / tau)
    z = jax.lax.stop_gradient(s["z"]) if detached else s["z"]
    v = alpha * s["v"] + (1 - alpha if scaled else 1) * u
    v = v - (alpha * s["v"] * z if hard else theta * z)
    a = rho * s["a"] + s["z"] if rho else s["a"]
    quiet = s["quiet"] > 0
    above = v - theta - beta * a
    psi = jnp.where(quiet, 0, gamma / theta * shape(above / theta))
    new = jnp.where(quiet, 0, _spike(above, psi))
    left = jnp.where(jax.lax.stop_gradient(new) > 0, refractory, jnp.maximum(s["quiet"] - 1, 0))
    return {"v": v, "a": a, "z": new, "quiet": left}, new


def leaky(s, u, *, tau=5.0, scaled=True, phi=jnp.tanh):
    alpha = math.exp(-1 / tau)
    v = alpha * s["v"] + (1 - alpha if scaled else 1) * u
    return s | {"v": v}, phi(v)


def integrator(s, u, *, h=0.3):
    v = s["v"] + h * jnp.tanh(u)
    return s | {"v": v}, v


def gru(s, u, *, keep=0.0):
    z, r = (1 / (1 + jnp.exp(-u[:, i])) for i in (0, 1))
    z = keep + (1 - keep) * z
    h = (1 - z) * jnp.tanh(u[:, 2] + r * u[:, 3]) + z * s["v"]
    return s | {"v": h}, h


def lstm(s, u):
    i, f, o = (1 / (1 + jnp.exp(-u[:, k])) for k in (0, 1, 3))
    c = f * s["v"] + i * jnp.tanh(u[:, 2])
    return s | {"v": c}, o * jnp.tanh(c)


def rev_lstm(s, u, *, keep=0.125):
    i, f, o, p = (1 / (1 + jnp.exp(-u[:, k])) for k in (0, 1, 3, 4))
    c = (keep + (1 - keep) * f) * s["v"] + i * jnp.tanh(u[:, 2])
    h = (keep + (1 - keep) * p) * s["a"] + o * jnp.tanh(c)
    return s | {"v": c, "a": h}, h


def _rho(tau):
    return math.exp(-1 / tau)


# The cell, its equations, and how much larger the weights are than usual, so that units spike.
KINDS = {
    "leaky": (lambda: byway.cell("leaky"), leaky, 1),
    "leaky, unscaled": (
        lambda: byway.cell("leaky", tau=3.0, scaled=False, phi="softplus"),
        functools.partial(leaky, tau=3.0, scaled=False, phi=jax.nn.softplus),
        0.5,
    ),
    "lif": (lambda: byway.cell("lif"), spiking, 2),
    "lif, whole reset": (
        lambda: byway.cell("lif", detached=False, scaled=True, tau=4.0),
        functools.partial(spiking, detached=False, scaled=True, tau=4.0),
        4,
    ),
    "lif, refractory": (
        lambda: byway.cell("lif", refractory=2),
        functools.partial(spiking, refractory=2),
        2,
    ),
    "alif": (
        lambda: byway.cell("alif", tau_adaptation=8.0, beta=0.5),
        functools.partial(spiking, rho=_rho(8.0), beta=0.5),
        2,
    ),
    "alif, whole reset": (
        lambda: byway.cell("alif", tau_adaptation=8.0, beta=0.5, detached=False, refractory=1),
        functools.partial(spiking, rho=_rho(8.0), beta=0.5, detached=False, refractory=1),
        2,
    ),
    "lif, hard reset": (
        lambda: byway.cell("lif", hard=True, surrogate="fast_sigmoid", steepness=5.0),
        functools.partial(spiking, hard=True, shape=lambda x: (1 + jnp.abs(5 * x)) ** -2),
        2,
    ),
    "alif, whole hard reset": (
        lambda: byway.cell(
            "alif", tau_adaptation=8.0, beta=0.5, hard=True, detached=False, surrogate="arctan"
        ),
        functools.partial(
            spiking,
            rho=_rho(8.0),
            beta=0.5,
            hard=True,
            detached=False,
            shape=lambda x: 1 / (1 + x * x),
        ),
        2,
    ),
    "gru": (lambda: byway.cell("gru"), gru, 1),
    "lstm": (lambda: byway.cell("lstm", forget_bias=0.0), lstm, 1),
    "gru, forgetting little": (
        lambda: byway.cell("gru", keep=0.4),
        functools.partial(gru, keep=0.4),
        1,
    ),
    "rev_lstm": (lambda: byway.cell("rev_lstm"), rev_lstm, 1),
    "integrator": (lambda: byway.cell("integrator", h=0.3), integrator, 1),
}
