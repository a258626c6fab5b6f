"""Synthetic inputs and gradients (UNLOCKED_DNI): no layer waits for another.

Synthetic gradients (`dni`) free a layer from those above it, but not from those below: it still
waits for what they send. Here a second predictor beside each hidden layer guesses, from the input
alone, what that layer is going to send, and the next layer works on the guess. So all layers run
and learn at once, in any order, each at a pace of its own; what they tell each other corrects their
predictors, and may come late.

    f:  s_l = I_l(x), the guess of what layer l sends: a linear map, or one of `width` relus; zero
            as drawn
        teaching:   u_l = W_l s_{l-1} + b_l,   h_l = phi(u_l), each by itself;   s_0 = x
        predicting: u_l = W_l h_{l-1} + b_l, one after the other
    g:  d_l = M_l(h_l, t), the guess of dC/dh_l
        delta_L = e * phi'(u_L),   delta_l = d_l * phi'(u_l),   dW_l = <delta_l s_{l-1}^T>
        M_l descends |d_l - W_{l+1}^T delta_{l+1}|^2 / 2, I_l descends |s_l - h_l|^2 / 2, both of
            each sample, with what they are compared with taken as given

Shapes   pre "batch pre", post "batch post", W "pre post", gamma["gradient"][population] and
         gamma["input"][population]: "out" (and "in" with a width): weight "seen units", bias
         "units"
Units    activity dimensionless; d a loss for an activity
Claims   transport yes | locking no | derivative yes | signal target and error | phases 1 | memory
         none
Limits   a layer waits for nothing; predictors wait for the layers beside them, and those of
         gradients hear of the one above by its weights used backwards, which is the transport. A
         layer is taught on guesses and asked on what is really sent: a linear guess of what relus
         send is a coarse one. With Adam it moves by the rate times the inputs that are not zero:
         with 784 of them a rate of 0.005 is far too large, and 0.001 is better than 0.002. Training
         scores are those of the guesses
Source   Jaderberg et al., Decoupled neural interfaces using synthetic gradients, 2016, arXiv
         1608.05343, the complete unlock; differs in: predictors have one hidden layer of relus, or
         none, without normalisation
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import jax
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.cell import Derivative
from byway.network.network import Network
from byway.rules import able
from byway.rules.synthetic._gradients import drawn_gradients, synthetic_deltas
from byway.rules.synthetic._predictor import corrected, drawn, guessed

# Keeps the predictors apart from the weights, even where a caller draws both from one key.
PREDICTORS = 0xD2


class UnlockedDNI(Rule):
    """Layers that run and learn on what they guess of each other."""

    claims: ClassVar[Claims] = Claims("yes", "no", "yes", frozenset({"target", "error"}), 1, "none")
    learning_rate: ClassVar[float] = 2e-3
    network_options: ClassVar[Mapping[str, Any]] = {"norm": True}

    conditioned: bool = hyper(True, "whether a predictor of gradients sees the target, too")
    width: int = hyper(0, "units of a hidden layer of each predictor, 0 for none", low=0)

    @property
    @override
    def claimed(self):
        if self.conditioned:
            return self.claims
        return dataclasses.replace(self.claims, signal=frozenset({"error"}))

    @override
    def accepts(self, net):
        """A network without cycles whose units have a slope and send what they do."""
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able)
        net.require_activity(self.id, "bp")

    @override
    def init(self, net, key):
        """Predictors, which guess nothing yet."""
        key, key_of_inputs = jax.random.split(jax.random.fold_in(key, PREDICTORS))
        keys = jax.random.split(key_of_inputs, max(len(net.hidden), 1))
        return {
            "gradient": drawn_gradients(net, self.conditioned, self.width, key),
            "input": {
                h.name: drawn(net[net.input].size, h.size, self.width, k, net.dtype)
                for h, k in zip(net.hidden, keys, strict=False)
            },
        }

    @override
    def f(self, gamma, net, state, x, signal, key):
        if signal is None:
            free = net.forward(x)
            return state, Record({"free": free}, free.post[net.output])
        alone = _each_alone(gamma, net, net.place(x))
        return state, Record({"alone": alone}, alone.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        alone = record["alone"]
        delta, gradients = synthetic_deltas(
            gamma["gradient"], net, alone, signal, signal.error(record.output), self.conditioned
        )
        seen, inputs = _flat(net[net.input].send(alone.post[net.input])), {}
        for h in net.hidden:
            inner, guess = guessed(gamma["input"][h.name], seen)
            wrong = guess - _flat(h.send(alone.post[h.name]))
            inputs[h.name] = corrected(gamma["input"][h.name], seen, inner, wrong)
        return memory, Update(
            {p.name: p.outer(alone.pre[p.name], delta[p.dst]) for p in net.projections},
            {"gradient": gradients, "input": inputs},
        )


def _each_alone(gamma, net: Network, x: Float[Array, "batch *inputs"]) -> Phase:
    """Every population on the input and on guesses of what the others send."""
    sent = {net.input: net[net.input].send(x)}
    for h in net.hidden:
        guess = guessed(gamma["input"][h.name], _flat(sent[net.input]))[1]
        sent[h.name] = guess.reshape(len(x), *h.shape)
    pre = {p.name: sent[p.src] for p in net.projections}
    u = {p.dst: net.potential(p.dst, pre) for p in net.projections}
    post = {name: net[name].activate(v) for name, v in u.items()} | {net.input: x}
    slope = {name: cast(Derivative, net[name].slope(v)) for name, v in u.items()}
    return Phase(pre, u, post, slope)


def _flat(a: Float[Array, "batch *units"]) -> Float[Array, "batch units"]:
    return a.reshape(len(a), -1)
