"""Three factors at a synapse: what arrived, what the unit tried, and a reward (THREE_FACTOR).

Every unit tries something: it adds noise to its drive. Outputs that stand for classes choose one of
them instead. Each synapse remembers for a while what arrived at it while its unit tried what, its
eligibility. A reward that is better than usual makes all of that more likely, a worse one less
likely. Nobody says what would have been right.

    f:  u_l = W_l h_{l-1} + b_l + sigma xi_l,   h_l = phi(u_l),
        xi_l ~ N(0, 1) for each unit, sample and time step; without noise when it
        predicts; of a recurrent network one step a call.
        a ~ softmax(y), one class, of a linear output that is scored by cross-entropy, without noise
    g:  e_t = exp(-1 / tau) e_{t-1} + z_t h_{l-1}^T,
        z = xi / sigma, or a - softmax(y) of an output that chose
        dW_l = -<sum_t (R_t - Rbar) e_t>,
        Rbar: the mean reward of the last `window` batches, this one not among them

z is d log p / du, what a unit did less what was to be expected of it. So an update is on average
the gradient of the expected reward of the network that tries, whatever sigma is and whatever its
units do, as long as tau is long beside the time to the reward.

Shapes   pre "batch pre", post "batch post", W "pre post", e "batch pre post"; of independent
         samples e is never written out
Units    time in steps; reward as the task hands it out
Claims   transport no | locking yes | derivative no | signal reward | phases 1 | memory synapses
Limits   one number for all units: the variance of an update grows with their number, and with that
         of rewards, of which Rbar takes off the mean alone. Exploration that never meets a reward
         teaches nothing
Source   Williams, Simple statistical gradient-following algorithms for connectionist reinforcement
         learning, Mach. Learn. 8:229, 1992; Fiete and Seung, Gradient learning in spiking neural
         networks by dynamic perturbation of conductances, Phys. Rev. Lett. 97:048104, 2006; Fremaux
         and Gerstner, Neuromodulated spike-timing-dependent plasticity, and theory of three-factor
         learning rules, Front. Neural Circuits 9:85, 2016; differs in: noise on the drive of any
         unit, in place of hidden units that fire by chance
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Record
from byway.core.signal import CrossEntropy, Signal
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.network.activations import Activation
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.rules import able


class ThreeFactor(StepRule):
    """Eligibility times reward."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"reward"}), 1, "synapses")

    sigma: float = hyper(
        0.3, "standard deviation of the noise on each drive", low=1e-6, search=(0.05, 2.0)
    )
    tau: float = hyper(
        20.0, "time constant of eligibility", unit="step", low=1e-3, search=(1.0, 100.0)
    )
    window: float = hyper(100.0, "batches that the mean reward is taken over", low=1.0)

    @override
    def accepts(self, net):
        """Any network that steps: only what arrives, the noise and the reward are read."""
        net.require_steps(self.id, able)

    @override
    def start(self, gamma, net, batch):
        """Rest, no eligibility, and no reward yet."""
        eligibility = {
            p.name: {part: jnp.zeros((batch, *a.shape), a.dtype) for part, a in p.theta.items()}
            for p in _learning(net)
        }
        none = jnp.zeros((), net.dtype)
        return net.rest(batch), {
            "eligibility": eligibility,
            "earned": none,
            "mean": none,
            "batches": none,
        }

    @override
    def begin(self, gamma, net, batch, kept):
        """What was earned before is remembered."""
        state, memory = self.start(gamma, net, batch)
        return state, memory | {"mean": kept["mean"], "batches": kept["batches"] + 1}

    @override
    def end(self, memory):
        """The mean reward lasts."""
        share = 1 / jnp.clip(memory["batches"], 1, self.window)
        return {
            "mean": memory["mean"] + share * (memory["earned"] - memory["mean"]),
            "batches": memory["batches"],
        }

    @override
    def f(self, gamma, net, state, x, signal, key):
        if signal is None:
            state, free = net.step(x, state)
            return state, Record({"free": free}, free.post[net.output])
        units = [p for p in net.populations if p.name != net.input and not _chooses(net, signal, p)]
        choice, *keys = jax.random.split(key, len(units) + 1)
        noise = {
            p.name: self.sigma * jax.random.normal(k, (len(x), *p.drive), net.dtype)
            for p, k in zip(units, keys, strict=True)
        }
        state, tried = net.step(x, state, noise)
        output = tried.post[net.output]
        if net.output not in noise:
            chosen = jax.nn.one_hot(
                jax.random.categorical(choice, output), output.shape[1], dtype=output.dtype
            )
            tried.injected[net.output] = chosen - signal.criterion.link(output)
        return state, Record({"tried": tried}, output)

    @override
    def g(self, gamma, net, memory, record, signal):
        tried, answer = record["tried"], record.output
        tries = {name: noise / self.sigma**2 for name, noise in tried.injected.items()}
        if _chooses(net, signal, net[net.output]):
            tries[net.output] = tried.injected[net.output]
            answer = signal.criterion.link(answer) + tries[net.output]
        reward = signal.reward(answer)
        better = reward - signal.weigh(jnp.broadcast_to(memory["mean"], reward.shape))
        memory = memory | {"earned": memory["earned"] + jnp.mean(reward)}
        if signal.weight is None:  # a sum over samples, none of which has to be remembered
            return memory, Update(
                {
                    p.name: p.outer(tried.pre[p.name], -_times(better, tries[p.dst]))
                    for p in _learning(net)
                }
            )
        eligibility, update = {}, {}
        for p in _learning(net):
            now = jax.vmap(lambda pre, z, p=p: p.outer(pre[None], z[None]))(
                tried.pre[p.name], tries[p.dst]
            )
            before = memory["eligibility"][p.name]
            eligibility[p.name] = {
                part: jnp.exp(-1 / self.tau) * before[part] + e for part, e in now.items()
            }
            update[p.name] = {
                part: -jnp.mean(_times(better, e), 0) for part, e in eligibility[p.name].items()
            }
        return memory | {"eligibility": eligibility}, Update(update)


def _learning(net: Network) -> list[Projection]:
    """Every projection with weights, but those that end at the input, which is clamped."""
    return [p for p in net.projections if p.weight is not None and p.dst != net.input]


def _chooses(net: Network, signal: Signal, population: Population) -> bool:
    """Whether a population is an output that says how likely each class is: linear, and scored by
    cross-entropy.
    """
    linear = isinstance(population.cell, Activation) and population.cell.name == "identity"
    return population.name == net.output and linear and isinstance(signal.criterion, CrossEntropy)


def _times(each, values):
    """What is given for each sample, times values "batch ..."."""
    return each.reshape(-1, *(1,) * (values.ndim - 1)) * values
