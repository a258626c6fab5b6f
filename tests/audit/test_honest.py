"""What looks like transport, or like a secret, and is none: the audit accuses nobody of it."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from feedback import Feedback, carrying, outers

import byway
from byway.audit.networks import tiny
from byway.audit.verdict import audit
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update
from byway.learning.time import SequenceRule, StepRule
from byway.network.chain import chained_deltas

# Two directed projections between two populations.
BOTH_WAYS = [("input", "h"), ("h", "output"), ("output", "h")]


def both_ways(**options):
    return byway.graph({"input": 8, "h": 6, "output": 4}, BOTH_WAYS, **options)


def from_equinox(**options):
    """A network whose weights have their postsynaptic axis first."""
    return byway.from_equinox(
        eqx.nn.MLP(8, 4, 7, 2, activation=jax.nn.relu, key=jax.random.key(0)), 8, **options
    )


def agreed(rule, net="mlp"):
    """The verdict, which the rule's own claims are right about."""
    verdict = audit(rule, tiny(net, rule) if isinstance(net, str) else net)
    assert verdict.disagreements == []
    return verdict


# Which axis is which.


@pytest.mark.parametrize("name", ["ff", "fa", "dfa", "node_perturbation"])
def test_weights_may_have_any_axis_first(name):
    agreed(byway.rule(name), from_equinox(norm=name == "ff"))


class BackpropInF(Feedback):
    """Sends the error back through the weights before it learns."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none")

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        deltas = chained_deltas(
            net,
            free,
            signal.error(free.post[net.output]),
            {p.name: p.weight for p in net.projections},
        )
        return state, Record({"free": carrying(free, **deltas)}, free.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        return memory, Update(outers(net, record["free"].pre, record["free"].injected))


@pytest.mark.parametrize("net", ["mlp", "equinox", "sparse"])
def test_backprop_is_transport_on_weights_of_any_layout(net):
    made = {
        "mlp": lambda: "mlp",
        "equinox": from_equinox,
        "sparse": lambda: byway.mlp(8, 7, 6, 4, fan_in=3),
    }[net]()
    verdict = agreed(BackpropInF(), made)
    assert verdict.updates[
        "input-hidden1" if net != "equinox" else next(iter(verdict.updates))
    ].transported


# Labels in the input.


class Labelled(Feedback):
    """Hebb with the label in the input against Hebb without."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset({"target"}), 2, "none")
    written: ClassVar = staticmethod(lambda x, label: x.at[:, : label.shape[1]].set(label))

    def network(self, net):
        return net

    def f(self, gamma, net, state, x, signal, key):
        net = self.network(net)
        free = net.forward(x)
        if signal is None:
            return state, Record({"free": free}, free.post[net.output])
        return state, Record(
            {"free": free, "labelled": net.forward(type(self).written(x, signal.target))},
            free.post[net.output],
        )

    def g(self, gamma, net, memory, record, signal):
        free, labelled = (
            outers(net, record[name].pre, record[name].post) for name in ("free", "labelled")
        )
        return memory, Update(jax.tree.map(jnp.subtract, free, labelled))


WRITTEN = {
    "set": lambda x, label: x.at[:, :4].set(label),
    "beside": lambda x, label: jnp.concatenate([label, x[:, 4:]], 1),
    "sliced": lambda x, label: jax.lax.dynamic_update_slice(x, label, (0, 0)),
    "added": lambda x, label: x.at[:, :4].add(label),
    "chosen": lambda x, label: jnp.where(
        (jnp.arange(8) < 4)[None], jnp.pad(label, ((0, 0), (0, 4))), x
    ),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_a_label_in_the_input_runs_forwards(way):
    agreed(type("Labelled", (Labelled,), {"written": staticmethod(WRITTEN[way])})())


class _Normalised(Labelled):
    norm: ClassVar

    def network(self, net):
        return net.with_theta(
            {p.name: {"weight": p.weight / type(self).norm(p.weight)} for p in net.projections}
        )


NORMS = {
    "euclidean": lambda w: jnp.linalg.norm(w, axis=0, keepdims=True),
    "of all": lambda w: jnp.sqrt(jnp.mean(w**2, axis=0, keepdims=True)) + 1e-6,
    "largest": lambda w: jnp.max(jnp.abs(w), axis=0, keepdims=True),
}


@pytest.mark.parametrize("norm", NORMS)
def test_weights_normalised_by_unit_still_run_forwards(norm):
    agreed(type("Normalised", (_Normalised,), {"norm": staticmethod(NORMS[norm])})())


# Settling.


class Equilibrium(Feedback):
    """Equilibrium propagation over two directed projections, each of which is used in its own
    direction.
    """

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"error"}), 2, "none")
    times: ClassVar[int] = 20
    unrolled: ClassVar[bool] = False

    def init(self, net, key):
        return {}

    def settle(self, net, x, signal, push):
        def turn(v, _=None):
            pre = {p.name: {**v, net.input: x}[p.src] for p in net.projections}
            u = {name: net.potential(name, pre) for name in v}
            if push:
                u[net.output] = u[net.output] - push * signal.error(v[net.output])
            return {name: 0.5 * v[name] + 0.5 * jnp.clip(u[name], 0, 1) for name in v}, None

        v = {p.name: jnp.zeros((len(x), *p.shape)) for p in net.populations if p.name != net.input}
        if self.unrolled:
            for _ in range(self.times):
                v, _ = turn(v)
        else:
            v, _ = jax.lax.scan(turn, v, None, self.times)
        v = {**v, net.input: x}
        return Phase({p.name: v[p.src] for p in net.projections}, {}, v, {})

    def f(self, gamma, net, state, x, signal, key):
        free = self.settle(net, x, signal, 0.0)
        phases = (
            {"free": free}
            if signal is None
            else {"free": free, "nudged": self.settle(net, x, signal, 0.5)}
        )
        return state, Record(phases, free.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        free, nudged = (
            outers(net, record[name].pre, record[name].post) for name in ("free", "nudged")
        )
        return memory, Update(jax.tree.map(lambda a, b: (a - b) / 0.5, free, nudged))


@pytest.mark.parametrize(("times", "unrolled"), [(20, False), (4, True), (8, True), (3, False)])
def test_settling_from_rest_is_one_thing_however_its_loop_is_written(times, unrolled):
    """What is asked about units at rest is the error of a network that has not settled yet, and no
    target.
    """
    agreed(
        type("Equilibrium", (Equilibrium,), {"times": times, "unrolled": unrolled})(), both_ways()
    )


# Time.


class _Eligible:
    """e-prop: what each synapse carries along, times what is sent to each unit at random."""

    def accepts(self, net):
        pass

    def init(self, net, key):
        return Feedback().init(net, key)

    def sent(self, gamma, net, p, error):
        return error if p.dst == net.output else error @ gamma["hidden1-output"].T

    def at_once(self, p, free):
        return (
            free.pre[p.name][..., None]
            * (free.slope[p.dst] * jnp.ones_like(free.u[p.dst]))[..., None, :]
        )


class EligibleByStep(_Eligible, StepRule):
    claims: ClassVar[Claims] = Claims(
        "no", "yes", "yes", frozenset({"error"}), 1, "synapses", "flat", "no"
    )

    def start(self, gamma, net, batch):
        return net.rest(batch), {
            p.name: jnp.zeros((batch, *p.weight.shape)) for p in net.projections
        }

    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        error = signal.error(record.output)
        memory = {
            p.name: 0.9 * memory[p.name] + self.at_once(p, record["free"]) for p in net.projections
        }
        sent = {p.name: self.sent(gamma, net, p, error) for p in net.projections}
        return memory, Update(
            {
                name: {"weight": jnp.mean(trace * sent[name][:, None], 0)}
                for name, trace in memory.items()
            }
        )


class EligibleBySequence(_Eligible, SequenceRule):
    claims: ClassVar[Claims] = Claims(
        "no", "yes", "yes", frozenset({"error"}), 1, "none", "grows", "no"
    )

    def f(self, gamma, net, state, x, signal, key):
        def step(state, x):
            state, free = net.step(x, state)
            return state, (free.pre, free.u, free.post)

        state, (pre, u, post) = jax.lax.scan(step, net.rest(len(x)), jnp.moveaxis(x, 1, 0))
        slope = {h.name: h.slope(u[h.name]) for h in net.hidden} | {net.output: 1.0}
        return state, Record(
            {"free": Phase(pre, u, post, slope)}, jnp.moveaxis(post[net.output], 0, 1)
        )

    def g(self, gamma, net, memory, record, signal):
        free, error, update = record["free"], jnp.moveaxis(signal.error(record.output), 1, 0), {}
        for p in net.projections:

            def add(held, step):
                trace = 0.9 * held[0] + step[0]
                return (trace, held[1] + jnp.mean(trace * step[1][:, None], 0)), None

            now = self.at_once(p, free)
            (_, total), _ = jax.lax.scan(
                add,
                (jnp.zeros_like(now[0]), jnp.zeros_like(p.weight)),
                (now, self.sent(gamma, net, p, error)),
            )
            update[p.name] = {"weight": total}
        return memory, Update(update)


class EligibleFromTheEnd(EligibleBySequence):
    """The same, with traces that run back from the end."""

    claims: ClassVar[Claims] = Claims(
        "no", "yes", "yes", frozenset({"error"}), 1, "none", "grows", "yes"
    )

    def at_once(self, p, free):
        return jnp.flip(super().at_once(p, free), 0)


class EligibleAfterwards(EligibleBySequence):
    """The same, weighed by the mean error of the whole sequence."""

    claims: ClassVar[Claims] = Claims(
        "no", "yes", "yes", frozenset({"error"}), 1, "none", "grows", "yes"
    )

    def sent(self, gamma, net, p, error):
        return super().sent(gamma, net, p, jnp.mean(error, 0, keepdims=True) + 0 * error)


@pytest.mark.parametrize(
    "rule",
    [EligibleByStep(), EligibleBySequence(), EligibleFromTheEnd(), EligibleAfterwards()],
    ids=lambda r: r.id,
)
def test_the_future_is_what_has_to_be_waited_for(rule):
    agreed(rule, "rnn")


# Everything in one array.


class Stacked(Feedback):
    """Oja's rule on all layers of a network of equal sizes at once."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset(), 1, "none")
    layers: ClassVar = staticmethod(lambda a, i: a[i])

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        w, x, y = (
            jnp.stack(each)
            for each in zip(
                *[(p.weight, free.pre[p.name], free.post[p.dst]) for p in net.projections],
                strict=True,
            )
        )
        change = jnp.einsum("lbj,lij->lij", y**2, w) - jnp.einsum("lbi,lbj->lij", x, y)
        return memory, Update(
            {
                p.name: {"weight": type(self).layers(change, i)}
                for i, p in enumerate(net.projections)
            }
        )


class StackedWrongly(Stacked):
    """The same, where every layer learns what the next should."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "no", frozenset(), 1, "none")
    layers: ClassVar = staticmethod(lambda a, i: a[(i + 1) % 3])


@pytest.mark.parametrize("rule", [Stacked(), StackedWrongly()], ids=lambda r: r.id)
def test_layers_in_one_array_are_still_layers(rule):
    agreed(rule, byway.mlp(6, 6, 6, 6))


# Synapses that send errors.


class OwnFeedback(Feedback):
    """Direct feedback over a projection of the network, used in its own direction."""

    where: str = eqx.field(static=True, default="f")

    def sent(self, net, error):
        return {p.name: p for p in net.projections}["output-h"].forward(error)

    def f(self, gamma, net, state, x, signal, key):
        p = {p.name: p for p in net.projections}
        u = p["input-h"].forward(x)
        h = net["h"].activate(u)
        y = p["h-output"].forward(h)
        sent = (
            {"sent": self.sent(net, signal.error(y))}
            if self.where == "f" and signal is not None
            else {}
        )
        return state, Record(
            {
                "free": Phase(
                    {"input-h": x, "h-output": h}, {"h": u}, {}, {"h": net["h"].slope(u)}, sent
                )
            },
            y,
        )

    def g(self, gamma, net, memory, record, signal):
        free, error = record["free"], signal.error(record.output)
        sent = free.injected["sent"] if self.where == "f" else self.sent(net, error)
        p = {p.name: p for p in net.projections}
        return memory, Update(
            {
                "input-h": p["input-h"].outer(free.pre["input-h"], sent * free.slope["h"]),
                "h-output": p["h-output"].outer(free.pre["h-output"], error),
            }
        )


class AnothersWeights(OwnFeedback):
    """The same over the forward projection, turned round."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none")

    def sent(self, net, error):
        return error @ {p.name: p for p in net.projections}["h-output"].weight.T


@pytest.mark.parametrize("where", ["f", "g"])
@pytest.mark.parametrize("rule", [OwnFeedback, AnothersWeights])
def test_a_projection_of_the_network_may_send_errors_its_own_way(rule, where):
    agreed(rule(where=where), both_ways())


# Others that are local.


class Lateral(Feedback):
    """Foldiak's network: anti-Hebbian weights within each population, Hebb and decay between them,
    the strongest win.
    """

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset(), 1, "none")

    def init(self, net, key):
        return {p.name: jnp.zeros((p.size, p.size)) for p in net.populations if p.name != net.input}

    def f(self, gamma, net, state, x, signal, key):
        pre, post, h = {}, {}, net.place(x)
        for p in net.projections:
            pre[p.name], u = h, p.forward(h)
            settled, _ = jax.lax.scan(
                lambda y, _, u=u, p=p: (jnp.maximum(u - y @ gamma[p.dst], 0), None),
                jnp.zeros_like(u),
                None,
                5,
            )
            h = post[p.dst] = jnp.where(settled >= jnp.sort(settled, 1)[:, -2:-1], settled, 0)
        return state, Record({"free": Phase(pre, {}, post, {})}, h)

    def g(self, gamma, net, memory, record, signal):
        free, update = record["free"], {}
        for p in net.projections:
            post = free.post[p.dst]
            update[p.name] = {
                "weight": jnp.mean(post**2, 0)[None] * p.weight
                - p.outer(free.pre[p.name], post)["weight"]
            }
        within = {
            name: -(free.post[name].T @ free.post[name]) * (1 - jnp.eye(len(w)))
            for name, w in gamma.items()
        }
        return memory, Update(update, within)


class Rewarded(Feedback):
    """Noise in every unit, and how much better than usual it turned out."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"reward"}), 1, "units")

    def start(self, gamma, net, batch):
        return (), jnp.zeros(())

    def f(self, gamma, net, state, x, signal, key):
        noise = {
            p.name: 0.1 * jax.random.normal(key, (len(x), *p.shape))
            for p in net.populations
            if p.name != net.input
        }
        noisy = net.forward(x, noise) if signal is not None else net.forward(x)
        return state, Record({"noisy": noisy}, noisy.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        noisy, reward = record["noisy"], signal.reward(record.output)
        better = {
            name: noise * (memory - reward).reshape(-1, *[1] * (noise.ndim - 1))
            for name, noise in noisy.injected.items()
        }
        return 0.9 * memory + 0.1 * jnp.mean(reward), Update(outers(net, noisy.pre, better))


class TargetsSentBack(Feedback):
    """Difference target propagation, with inverses in gamma that learn by their own slopes."""

    def init(self, net, key):
        return {
            p.name: 0.3 * jax.random.normal(key, p.weight.shape[::-1])
            for p in net.projections
            if p.src != net.input
        }

    def g(self, gamma, net, memory, record, signal):
        free, error, learnt = record["free"], signal.error(record.output), {}
        deltas, target = {net.output: error}, free.post[net.output] - 0.3 * error
        for p in reversed(net.projections[1:]):
            own, h = gamma[p.name], free.post[p.src]
            back = jnp.tanh(free.post[p.dst] @ own)
            target = h + jnp.tanh(target @ own) - back
            deltas[p.src] = (h - target) * free.slope[p.src]
            learnt[p.name] = free.post[p.dst].T @ ((back - h) * (1 - back**2)) / len(h)
        return memory, Update(outers(net, free.pre, deltas), learnt)


@pytest.mark.parametrize("rule", [Lateral(), Rewarded(), TargetsSentBack()], ids=lambda r: r.id)
def test_what_is_local_is_found_local(rule):
    agreed(rule)


class SignsOnly(Feedback):
    """Feedback of random size with the signs of the weights: of each it reads a bit, and that is
    transport.
    """

    def feedback(self, gamma, net, memory, record):
        return {p.name: jnp.abs(gamma[p.name]) * jnp.sign(p.weight) for p in net.projections}


def test_a_bit_of_each_weight_is_transport():
    assert audit(SignsOnly(), tiny("mlp", SignsOnly())).found.transport == "yes"


def test_units_that_nothing_reached_make_no_target_of_an_error():
    """Spiking units without biases stay silent on one sample: the error is then the same whatever
    the weights, and still an error.
    """
    rule = byway.rule("eprop")
    assert (
        audit(rule, byway.mlp(8, 7, 6, 4, **rule.network_options, bias=False)).disagreements == []
    )


@pytest.mark.parametrize("name", ["dfa", "frozen", "bp"])
def test_a_long_table_of_synapses_is_read_as_its_matrix(name):
    """Longer than any loop that is unrolled: the verdict is that of a dense network."""
    rule = byway.rule(name)
    assert audit(rule, byway.grownet(30, 12, 4, regions=2, fan_in=20)).found == rule.claims
