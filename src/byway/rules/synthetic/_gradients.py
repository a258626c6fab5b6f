"""What rules with synthetic gradients have in common: a predictor for each hidden population, which
says what the loss will turn out to owe to what it sends.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from byway.core.record import Phase
from byway.core.signal import Signal
from byway.network.network import Network
from byway.network.populations import Population
from byway.rules.synthetic._predictor import Predictor, corrected, drawn, guessed


def drawn_gradients(
    net: Network, conditioned: bool, width: int, key: Key[Array, ""]
) -> dict[str, Predictor]:
    """A predictor for each hidden population, which guesses nothing yet."""
    told = net[net.output].size if conditioned else 0
    keys = jax.random.split(key, max(len(net.hidden), 1))
    return {
        h.name: drawn(h.size + told, h.size, width, k, net.dtype)
        for h, k in zip(net.hidden, keys, strict=False)
    }


def synthetic_deltas(
    gamma: Mapping[str, Predictor],
    net: Network,
    phase: Phase,
    signal: Signal,
    error: Float[Array, "batch out"],
    conditioned: bool,
) -> tuple[dict[str, Array], dict[str, Predictor]]:
    """The delta of every population, each from what it knows by itself; and the update of the
    predictors, which hear one layer later what they should have said.
    """
    delta, made = {net.output: error * phase.slope[net.output]}, {}
    for h in net.hidden:
        seen = _seen(h, phase, signal, conditioned)
        inner, guess = guessed(gamma[h.name], seen)
        made[h.name] = seen, inner, guess
        owed = h.unsend(phase.post[h.name], guess.reshape(phase.post[h.name].shape))
        delta[h.name] = owed * phase.slope[h.name]
    learned: dict[str, Any] = {}
    for h in net.hidden:
        seen, inner, guess = made[h.name]
        told = [p.backward(delta[p.dst]) for p in net.outgoing(h.name)]
        owed = sum(told[1:], start=told[0]) if told else jnp.zeros_like(phase.post[h.name])
        wrong = guess - owed.reshape(guess.shape)
        learned[h.name] = corrected(gamma[h.name], seen, inner, wrong)
    return delta, learned


def _seen(
    h: Population, phase: Phase, signal: Signal, conditioned: bool
) -> Float[Array, "batch seen"]:
    """What a predictor looks at: what its population sends, and the target if it may."""
    sent = h.send(phase.post[h.name]).reshape(len(phase.post[h.name]), -1)
    return jnp.concatenate([sent, signal.target], 1) if conditioned else sent
