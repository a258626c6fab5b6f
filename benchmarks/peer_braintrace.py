"""BrainTrace: its online rules on a layer of leaky integrate-and-fire units, through its own driver
of sequences, with updates in one scan.
"""

import math

import brainstate
import braintools
import braintrace
import jax
import jax.numpy as jnp

from benchmarks.job import Job
from benchmarks.report import version
from benchmarks.worker import Contestant

ALPHA, THRESHOLD = math.exp(-1 / 20.0), 0.6
HYPER = {"EProp": {}, "D_RTRL": {}, "pp_prop": {"decay_or_rank": 0.9}}


def online(job: dict, algorithm: str) -> Contestant:
    """Updates of one of its rules, by name."""
    work = Job(**job)
    inputs, units, outputs = work.sizes
    model = _Net(inputs, units, outputs)
    learner = braintrace.compile(
        model,
        getattr(braintrace, algorithm),
        jnp.zeros((work.batch, inputs)),
        batch_size=work.batch,
        **HYPER[algorithm],
    )
    weights = model.states(brainstate.ParamState)
    adam = braintools.optim.Adam(lr=1e-3)
    adam.register_trainable_weights(weights)
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.uniform(keys[0], (work.steps, work.length, work.batch, inputs))
    target = jax.random.uniform(keys[1], (work.steps, work.length, work.batch, outputs))

    def loss(x, target):
        return jnp.mean((learner(x) - target) ** 2)

    def update(x, target):
        brainstate.nn.init_all_states(model, batch_size=work.batch)
        learner.reset_state(batch_size=work.batch)
        adam.update(learner.etrace_grad(x, target, step_fn=loss))

    epoch = brainstate.transform.jit(
        lambda x, target: brainstate.transform.for_loop(update, x, target)
    )

    def run():
        epoch(x, target)
        jax.block_until_ready([weight.value for weight in weights.values()])

    facts = {"versions": {name: version(name) for name in ("braintrace", "brainstate", "jax")}}
    return Contestant(run, facts=facts)


class _Net(brainstate.nn.Module):
    def __init__(self, inputs: int, units: int, outputs: int):
        super().__init__()
        self.units = units
        self.into = braintrace.nn.Linear(inputs + units, units)
        self.out = braintrace.nn.Linear(units, outputs)
        self.spike = braintools.surrogate.ReluGrad()

    def init_state(self, batch_size=None, **_):
        """A membrane at rest."""
        shape = (self.units,) if batch_size is None else (batch_size, self.units)
        self.v = brainstate.HiddenState(jnp.zeros(shape))

    def reset_state(self, batch_size=None, **_):
        """The same, again."""
        self.v.value = jnp.zeros_like(self.v.value)

    def update(self, x):
        """One step."""
        z = self.spike(self.v.value - THRESHOLD)
        u = self.into(jnp.concatenate([x, z], -1))
        self.v.value = ALPHA * self.v.value + u - THRESHOLD * jax.lax.stop_gradient(z)
        return self.out(self.spike(self.v.value - THRESHOLD))
