"""The error is added to the input (PEPITA), and the network runs again.

No way back at all. The network runs a second time, on an input to which its error was added through
a fixed random matrix, and each layer learns from how far its own activity moved. To first order
that is `dfa` whose feedback B_l = -J_l F follows the weights below a layer, J_l = dh_l / dx; the
weights come to turn an error that is put in into one that comes out with the other sign.

    f:  "free": u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l),   h_0 = x;   e the error of h_L
        "modulated": the same with x + F e in place of x; what it leaves is marked by a stroke;
            with dropout the same units are silent in both
    g:  delta_l = h_l - h'_l,   delta_L = e' * phi'(u'_L) with the error e' of h'_L,
        dW_l = <delta_l h'_{l-1}^T>

    "alignment" (`Record.measures`): trace(P) / (sqrt(C) |P|) of P = W_L ... W_1 F, C outputs: -1
        where an error put in comes out as it is with the other sign, 0 as drawn.

Shapes   pre "batch pre", post "batch post", W "pre post", gamma F "out inputs"
Units    activity dimensionless
Claims   transport no | locking yes | derivative no | signal error | phases 2 | memory none
Limits   a layer hears the error only through what lies below it, so three layers and more learn
         worse. F too large is another input altogether, F too small drowns in rounding: updates
         shrink with F. An input that is normalised takes out a part of what was added. With dropout
         training scores are those of the units that are left
Source   Dellaferrera and Kreiman, Error-driven input modulation: solving the credit assignment
         problem without a backward pass, ICML 2022, arXiv 2201.11665; second-pass error and
         second-pass presynaptic activity as in its published code; differs in: weights are drawn as
         the network says, any optimiser
"""

from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.network import Network
from byway.network.thinned import thinned
from byway.rules import able

# Keeps F apart from the weights, even where a caller draws both from one key.
FEEDBACK = 0xE1


class Pepita(Rule):
    """A second pass on an input that the error was added to."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"error"}), 2, "none")
    learning_rate: ClassVar[float] = 0.1
    optimiser: ClassVar[str] = "momentum"

    size: float = hyper(
        0.05,
        "size of F, whose entries are uniform within size * sqrt(6 / inputs)",
        low=0.0,
        search=(0.005, 1.0),
    )
    dropout: float = hyper(
        0.0,
        "share of the hidden units that are silent while learning, the same ones in both passes",
        low=0.0,
        high=0.9,
        live=False,
    )

    @override
    def accepts(self, net):
        """Any network without cycles; hidden layers may be black boxes."""
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able, [net.output])

    @override
    def init(self, net, key):
        """F, fixed and random."""
        inputs, outputs = net[net.input].size, net[net.output].size
        bound = self.size * np.sqrt(6 / inputs).item()
        drawn = jax.random.uniform(
            jax.random.fold_in(key, FEEDBACK), (outputs, inputs), net.dtype, -1.0, 1.0
        )
        return {"F": bound * drawn}

    @override
    def f(self, gamma, net, state, x, signal, key):
        x = net.place(x)
        if signal is not None and self.dropout > 0:
            net = thinned(net, self.dropout, len(x), key)
        free = net.forward(x)
        output = free.post[net.output]
        if signal is None:
            return state, Record({"free": free}, output)
        modulated = net.forward(x + (signal.error(output) @ gamma["F"]).reshape(x.shape))
        measures = {"alignment": _alignment(net, gamma["F"])}
        return state, Record({"free": free, "modulated": modulated}, output, measures=measures)

    @override
    def g(self, gamma, net, memory, record, signal):
        free, modulated = record["free"], record["modulated"]
        error = signal.error(modulated.post[net.output])
        delta = {h.name: free.post[h.name] - modulated.post[h.name] for h in net.hidden}
        delta[net.output] = error * modulated.slope[net.output]
        return memory, Update(
            {p.name: p.outer(modulated.pre[p.name], delta[p.dst]) for p in net.projections}
        )


def _alignment(net: Network, feedback: Float[Array, "out inputs"]) -> Float[Array, ""]:
    """How far the weights, one layer after another and without what units do, carry F to minus the
    identity.
    """
    outputs = net[net.output].size
    sent: Mapping[str, Array] = {net.input: feedback.reshape(outputs, *net[net.input].shape)}
    for population in net.populations:
        if incoming := net.incoming(population.name):
            parts = [p.forward(sent[p.src]) - p.offset for p in incoming]
            sent = {**sent, population.name: sum(parts[1:], start=parts[0])}
    p = sent[net.output].reshape(outputs, -1)
    size = jnp.sqrt(outputs * jnp.sum(p**2))
    return jnp.trace(p) / jnp.where(size > 0, size, 1)
