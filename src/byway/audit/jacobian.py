"""The numeric cross-check: the Jacobian of each update by the weights, on a tiny network in
float64.

It looks at numbers where `verdict` looks at the program. A derivative where the program was found
to read nothing would mean that the audit missed something. The reverse is common and harmless: a
dependence through a discrete choice (a sampled label) has no derivative.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from byway.audit.steps import what_g_sees
from byway.audit.verdict import Verdict, example
from byway.learning.rule import Rule
from byway.learning.time import StepRule
from byway.network.network import Network

Norms = dict[str, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Jacobian:
    """Norms of d(update of p)/d(weight of q).

    Attributes:
        alone: of g, the record held fixed: what an update reads of the weights by itself.
        composed: of f and then g: what it depends on in all.
        inside: by projection, of g alone, d(update of one synapse)/d(weight of another synapse of
            the same projection): zero where each synapse looks at nothing but itself.
        missed: dependences that the program's audit did not list; each is a fault of the audit.
        silent: locks that the program shows and the derivative does not.
    """

    alone: Norms
    composed: Norms
    inside: dict[str, float]
    missed: list[str]
    silent: list[str]

    @property
    def notes(self) -> list[str]:
        """All that a person should look at."""
        tangled = [
            f"{name}: what one synapse learns changes with the weights of others beside it"
            for name, norm in self.inside.items()
            if norm
        ]
        return self.missed + self.silent + tangled


def jacobian(rule: Rule, net: Network, verdict: Verdict, batch: int = 6) -> Jacobian:
    """Measure how each update changes with every weight, and hold the verdict to it.

    Args:
        rule: the rule.
        net: a tiny network; its weights are used as they are, in float64.
        verdict: the audit of the same rule on the same network.
        batch: samples in the batch.
    """
    with jax.enable_x64(True):
        net = _float64(net)
        x, signal = example(rule, net, batch)
        key = jax.random.key(0)
        gamma = rule.init(net, key)
        state, memory = rule.start(gamma, net, batch)
        run, learn = eqx.filter_jit(what_g_sees(rule)), eqx.filter_jit(rule.g)
        # Two steps first: what a rule carries through time is empty at the start, and would show no
        # dependence.
        for _ in range(2 if isinstance(rule, StepRule) else 0):
            state, record = run(gamma, net, state, x, signal, key)
            memory, _ = learn(gamma, net, memory, record, signal)
        start, turns = (
            (state, memory),
            [pair for pair, times in rule.turns for _ in range(min(times, 2))],
        )

        def with_weights(weights):
            return net.with_theta({name: {"weight": w} for name, w in weights.items()})

        def taught(weights, records=None):
            """What the turns change in all; of g alone where their records are given. And their
            records.
            """
            here, (state, memory), total, made = with_weights(weights), start, {}, []
            for number, pair in enumerate(turns):
                if records is None:
                    state, record = what_g_sees(pair)(gamma, here, state, x, signal, key)
                else:
                    record = records[number]
                memory, update = pair.g(gamma, here, memory, record, signal)
                total, made = _added(_added(total, update.net), update.change), [*made, record]
            if records is None:
                total = _added(
                    total, _changed(here.theta, rule.conclude(gamma, here, memory)[1].theta)
                )
            return total, made

        weights = {p.name: p.weight for p in net.projections if p.weight is not None}
        _, records = eqx.filter_jit(taught)(weights)
        alone, composed = (
            (lambda weights: taught(weights, records)[0]),
            (lambda weights: taught(weights)[0]),
        )
        of_g, of_both = jax.jit(
            lambda weights: (jax.jacfwd(alone)(weights), jax.jacfwd(composed)(weights))
        )(weights)
        inside = {name: _between(of_g[name]["weight"][name]) for name in weights.keys() & of_g}
        return _compare(_norms(of_g), _norms(of_both), inside, verdict)


def _added(
    one: dict[str, dict[str, Array]], other: dict[str, dict[str, Array]]
) -> dict[str, dict[str, Array]]:
    """The sum of two updates, of which either may leave out weights."""
    total = dict(one)
    for name, parts in other.items():
        held = one.get(name, {})
        total[name] = held | {k: held[k] + a if k in held else a for k, a in parts.items()}
    return total


def _changed(
    before: dict[str, dict[str, Array]], after: dict[str, dict[str, Array]]
) -> dict[str, dict[str, Array]]:
    """The weights that somebody put anew: those that are not the very arrays they were."""
    return {
        name: new
        for name, parts in after.items()
        if (new := {k: a for k, a in parts.items() if a is not before[name][k]})
    }


def _between(block: Array) -> float:
    """The norm of a block d(update)/d(weight) off its diagonal."""
    side = round(block.size**0.5)
    square = block.reshape(side, side)
    return float(jnp.linalg.norm(square - jnp.diag(jnp.diagonal(square))))


def _compare(alone: Norms, composed: Norms, inside: dict[str, float], verdict: Verdict) -> Jacobian:
    missed, silent = [], []
    for name, update in verdict.updates.items():
        for other, norm in alone.get(name, {}).items():  # what is only kept or concluded has no g
            if norm > 0 and f"net.{other}.weight" not in update.reads:
                missed.append(f"g's update of {name} changes with the weights of {other}")
        if still := [
            other for other in update.waits_for if composed.get(name, {}).get(other, 0) == 0
        ]:
            silent.append(
                f"{name} waits for {', '.join(still)} without a derivative by it: through a "
                "discrete choice, or zero here"
            )
    for name, norms in composed.items():
        for other, norm in norms.items():
            if norm > 0 and other not in verdict.updates[name].depends_on:
                missed.append(f"the update of {name} changes with the weights of {other}")
    return Jacobian(alone, composed, inside, missed, silent)


def _norms(tree) -> Norms:
    """The norm of each block, from a Jacobian nested as update -> parameter -> weight."""
    return {
        name: {
            other: float(jnp.sqrt(sum(jnp.sum(block[other] ** 2) for block in blocks.values())))
            for other in next(iter(blocks.values()))
        }
        for name, blocks in tree.items()
        if blocks  # nothing of a skip is learned
    }


def _float64(net: Network) -> Network:
    return jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float64) if eqx.is_inexact_array(a) else a, net
    )
