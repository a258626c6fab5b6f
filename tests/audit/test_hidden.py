"""What a rule may try to hide from the audit: each of these reads more than it says."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import pytest
from feedback import Feedback, carried, carrying, outers

import byway
from byway.audit.networks import tiny
from byway.audit.verdict import audit
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.network.chain import chained_deltas


def found(rule, net="mlp", **options):
    """What the audit finds of a rule, on a tiny network of a kind or on one that is given."""
    return audit(rule, tiny(net, rule) if isinstance(net, str) else net).found


# Learning that hides in gamma.


class Shadow(Feedback):
    """Backprop through a copy of the network in gamma, of its own making; the weights only follow
    the copy.
    """

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset(), 1, "none")
    back: ClassVar = staticmethod(lambda gamma, name: gamma[name])

    def init(self, net, key):
        return {
            "net": super().init(net, key),
            "back": super().init(net, jax.random.fold_in(key, 1)),
        }

    def g(self, gamma, net, memory, record, signal):
        copy = net.with_theta({name: {"weight": w} for name, w in gamma["net"].items()})
        ran = copy.forward(record["free"].post[net.input])
        slope = {name: jnp.where(post > 0, 1.0, 0.0) for name, post in ran.post.items()} | {
            net.output: 1.0
        }
        ran = Phase(ran.pre, ran.u, ran.post, slope)
        deltas = chained_deltas(copy, ran, signal.error(ran.post[net.output]), self.back(gamma))
        learnt = {name: up["weight"] for name, up in outers(net, ran.pre, deltas).items()}
        return memory, Update(
            {p.name: {"weight": p.weight - gamma["net"][p.name]} for p in net.projections},
            {"net": learnt},
        )


class ShadowBackprop(Shadow):
    back: ClassVar = staticmethod(lambda gamma: gamma["net"])


class ShadowFeedback(Shadow):
    back: ClassVar = staticmethod(lambda gamma: gamma["back"])


@pytest.mark.parametrize(
    ("rule", "transport"), [(ShadowBackprop(), "yes"), (ShadowFeedback(), "no")]
)
def test_what_gamma_learns_is_learning(rule, transport):
    verdict = audit(rule, tiny("mlp", rule))
    seen = verdict.found
    assert (seen.transport, seen.derivative, seen.signal) == (transport, "yes", {"error"})
    assert seen.locking == "yes"
    assert any("gamma.net.input-hidden1" in name for name in verdict.learned)
    assert verdict.updates["input-hidden1"].transported == []


@pytest.mark.parametrize("name", ["kolen_pollack", "dtp"])
@pytest.mark.parametrize("kind", ["mlp", "convnet"])
def test_feedback_that_learns_beside_what_it_follows_is_no_transport(name, kind):
    rule = byway.rule(name)
    assert found(rule, kind).transport == "no"


class WeightMirror(Feedback):
    """Feedback learns from noise that is sent through the forward weights, what came out times what
    went in.
    """

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"error"}), 2, "none")

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        if signal is None:
            return state, Record({"free": free}, free.post[net.output])
        noise = {
            p.name: jax.random.normal(jax.random.fold_in(key, i), free.pre[p.name].shape)
            for i, p in enumerate(net.projections)
        }
        mirror = Phase(noise, {}, {p.dst: p.forward(noise[p.name]) for p in net.projections}, {})
        return state, Record({"free": free, "mirror": mirror}, free.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        mirror = outers(net, record["mirror"].pre, record["mirror"].post)
        return memory, Update(
            update.net, {name: 0.1 * gamma[name] - mirror[name]["weight"] for name in gamma}
        )


def test_a_mirror_that_learns_from_noise_is_no_transport():
    seen = audit(WeightMirror(), tiny("mlp", WeightMirror()))
    assert seen.disagreements == []


# Slopes by another name.


class _Sloped(Feedback):
    """Feedback alignment whose slope comes from somewhere else."""

    def slope(self, net, name, u, post):
        raise NotImplementedError

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        slope = {
            name: 1.0 if name == net.output else self.slope(net, name, u, free.post[name])
            for name, u in free.u.items()
        }
        deltas = chained_deltas(
            net, Phase(free.pre, free.u, free.post, slope), signal.error(record.output), gamma
        )
        return memory, Update(outers(net, free.pre, deltas))


def sloped(slope):
    return type(
        "Sloped",
        (_Sloped,),
        {"slope": lambda self, net, name, u, post: slope(net[name].cell, u, post)},
    )()


BY_HAND = {
    "tanh, from its value": ("tanh", lambda cell, u, post: 1 - post**2),
    "tanh, from its potential": ("tanh", lambda cell, u, post: 1 / jnp.cosh(u) ** 2),
    "sigmoid": ("sigmoid", lambda cell, u, post: post * (1 - post)),
    "softplus": ("softplus", lambda cell, u, post: 1 - jnp.exp(-post)),
    "relu, by a comparison": ("relu", lambda cell, u, post: jnp.where(u > 0, 1.0, 0.0)),
    "relu, by its sign": ("relu", lambda cell, u, post: jnp.sign(post)),
    "by autodiff": ("tanh", lambda cell, u, post: jax.grad(lambda u: cell.phi(u).sum())(u)),
    "by a small step": (
        "tanh",
        lambda cell, u, post: (cell.phi(u + 1e-3) - cell.phi(u - 1e-3)) / 2e-3,
    ),
}


@pytest.mark.parametrize("way", BY_HAND)
def test_a_slope_is_found_whoever_computes_it(way):
    activation, slope = BY_HAND[way]
    assert found(sloped(slope), byway.mlp(8, 7, 6, 4, activation=activation)).derivative == "yes"


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "relu"])
@pytest.mark.parametrize(
    "other",
    [lambda cell, u, post: 1.0, lambda cell, u, post: post, lambda cell, u, post: 1 / (1 + u**2)],
)
def test_another_function_of_the_potential_is_no_slope(activation, other):
    assert found(sloped(other), byway.mlp(8, 7, 6, 4, activation=activation)).derivative == "no"


class LocalLoss(Feedback):
    """Each layer has a fixed decoder and a loss of its own, differentiated where it stands."""

    claims: ClassVar[Claims] = Claims("no", "no", "yes", frozenset({"target", "error"}), 1, "none")

    def init(self, net, key):
        return {
            h.name: jax.random.normal(key, (h.size, net[net.output].size)) * 0.3 for h in net.hidden
        }

    def g(self, gamma, net, memory, record, signal):
        free, post = record["free"], {net.output: signal.error(record.output)}
        for h in net.hidden:
            post[h.name] = jax.grad(
                lambda u, h=h: jnp.sum((h.cell.phi(u) @ gamma[h.name] - signal.target) ** 2) / 2
            )(free.u[h.name])
        return memory, Update(outers(net, free.pre, post))


def test_a_local_loss_reads_slopes_and_targets_and_nothing_else():
    assert audit(LocalLoss(), tiny("mlp", LocalLoss())).disagreements == []


# More of the signal than was said.


class DirectTarget(Feedback):
    """Hidden layers learn from the label, whatever it is asked for as."""

    def label(self, record, signal):
        raise NotImplementedError

    def init(self, net, key):
        return {h.name: jax.random.normal(key, (net[net.output].size, h.size)) for h in net.hidden}

    def g(self, gamma, net, memory, record, signal):
        free, label = record["free"], self.label(record, signal)
        deltas = {h.name: label @ gamma[h.name] * free.slope[h.name] for h in net.hidden} | {
            net.output: signal.error(record.output)
        }
        return memory, Update(outers(net, free.pre, deltas))


LABELS = {
    "of nothing": lambda y, signal: signal.error(jnp.zeros_like(y)),
    "of one class": lambda y, signal: signal.error(jnp.zeros_like(y).at[:, 0].set(1.0)),
    "with the prediction added": lambda y, signal: jax.nn.softmax(y) - signal.error(y),
    "in two steps": lambda y, signal: (
        jax.nn.softmax(y, -1) / 2 - signal.error(y) + jax.nn.softmax(y, -1) / 2
    ),
    "by its loss": lambda y, signal: jnp.stack(
        [signal.loss(jnp.zeros_like(y).at[:, k].set(3.0)) for k in range(4)], 1
    ),
}


@pytest.mark.parametrize("way", LABELS)
def test_a_target_is_one_whatever_it_was_asked_for_as(way):
    rule = type(
        "Labelled",
        (DirectTarget,),
        {"label": lambda self, record, signal: LABELS[way](record.output, signal)},
    )()
    assert {"target", "error"} <= found(rule).signal


class Probing(Feedback):
    """Asks for the loss of so many outputs near the prediction."""

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"loss"}), 1, "none")
    ways: ClassVar = staticmethod(jnp.eye)

    def g(self, gamma, net, memory, record, signal):
        y, step = record.output, 1e-4
        ways = type(self).ways(y.shape[1])
        slopes = jnp.stack(
            [
                (signal.loss(y + step * way[None]) - signal.loss(y - step * way[None])) / (2 * step)
                for way in ways
            ],
            1,
        )
        error = slopes @ ways
        return memory, Update(
            outers(net, record["free"].pre, chained_deltas(net, record["free"], error, gamma))
        )


def test_the_loss_asked_for_every_output_is_the_error():
    assert found(Probing()).signal == {"error"}
    once = type("Once", (Probing,), {"ways": staticmethod(lambda n: jnp.ones((1, n)))})()
    assert found(once).signal == {"loss"}


# Memory, wherever it is.


class _Tracing(Feedback):
    """Learns from traces of what units sent, kept per unit or per synapse, in memory or in the
    state.
    """

    per: ClassVar[str]

    def none(self, net, batch):
        if self.per == "units":
            return {p.name: jnp.zeros((batch, *p.src_shape)) for p in net.projections}
        return {p.name: jnp.zeros(p.weight.shape) for p in net.projections}

    def start(self, gamma, net, batch):
        return (), self.none(net, batch)

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        deltas = chained_deltas(net, free, signal.error(record.output), gamma)
        if self.per == "units":
            memory = {name: 0.9 * trace + 0.1 * free.pre[name] for name, trace in memory.items()}
            return memory, Update(outers(net, memory, deltas))
        now = outers(net, free.pre, deltas)
        memory = {name: 0.9 * trace + now[name]["weight"] for name, trace in memory.items()}
        return memory, Update({name: {"weight": trace} for name, trace in memory.items()})


@pytest.mark.parametrize("per", ["units", "synapses"])
@pytest.mark.parametrize("kind", ["mlp", "convnet"])
def test_memory_is_what_it_grows_like(per, kind):
    """A trace of each unit is a number a unit, however many samples a batch has, and even where
    there are fewer weights than units.
    """
    rule = type("Tracing", (_Tracing,), {"per": per})()
    assert found(rule, kind).memory == per


class InfluenceInState(StepRule):
    """Real-time recurrent learning that carries its influence as if it were activity."""

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"error"}), 1, "none")
    true: ClassVar = byway.rule("rtrl")

    def accepts(self, net):
        pass

    def start(self, gamma, net, batch):
        return self.true.start(gamma, net, batch), ()

    def f(self, gamma, net, state, x, signal, key):
        state, memory = state
        state, record = self.true.f(gamma, net, state, x, signal, key)
        if signal is None:
            return (state, memory), record
        memory, update = self.true.g(gamma, net, memory, record, signal)
        return (state, memory), Record(
            {"free": carrying(record["free"], **update.net)}, record.output
        )

    def g(self, gamma, net, memory, record, signal):
        return memory, Update(carried(record["free"]))


def test_the_influence_is_memory_and_transport_wherever_it_is_carried():
    seen = found(InfluenceInState(), "rnn")
    assert (seen.memory, seen.transport, seen.derivative) == ("influence", "yes", "yes")


# Weights in disguise.


class _Disguised(Feedback):
    """Makes its feedback in f, out of the forward weights."""

    made: ClassVar

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        feedback = {p.name: type(self).made(p.weight, key) for p in net.projections}
        return state, Record({"free": carrying(free, **feedback)}, free.post[net.output])

    def feedback(self, gamma, net, memory, record):
        return record["free"].injected


def _turned(w, key):
    """A rotation drawn by chance, and undone."""
    turn = jnp.linalg.qr(jax.random.normal(key, (w.shape[1],) * 2))[0]
    return (turn.T @ (turn @ w.T)).T


def _row_by_row(w, key):
    """Units that send one after another, each its own row."""
    chance = 1.0 + 0 * jax.random.normal(key, (1,))
    return jnp.stack([chance @ w[i : i + 1] for i in range(len(w))])


def _measured(w, key):
    """Noise that is sent through, and divided out."""
    noise = jax.random.normal(key, (3 * len(w), len(w)))
    return jnp.linalg.solve(noise.T @ noise, noise.T @ (noise @ w))


DISGUISES = {
    "turned there and back": _turned,
    "row by row": _row_by_row,
    "measured": _measured,
    "inverted": lambda w, key: jnp.linalg.pinv(w).T,
    "ranked": lambda w, key: jnp.argsort(w.ravel()).argsort().reshape(w.shape) / w.size - 0.5,
    "as a key": lambda w, key: jax.random.normal(
        jax.random.fold_in(key, jnp.sum(w * 1e6).astype(jnp.int32)), w.shape
    ),
    "outside": lambda w, key: jax.pure_callback(
        lambda a: a, jax.ShapeDtypeStruct(w.shape, w.dtype), w
    ),
    "as a spectrum": lambda w, key: jnp.fft.ifft2(jnp.fft.fft2(w)).real.astype(w.dtype),
    "its signs": lambda w, key: jnp.sign(w),
}


@pytest.mark.parametrize("way", DISGUISES)
def test_weights_are_found_in_any_disguise(way):
    rule = type("Disguised", (_Disguised,), {"made": staticmethod(DISGUISES[way])})()
    assert found(rule).transport == "yes"


# How often the network runs.


class Perturbing(Feedback):
    """Tries noise on all weights, and goes by how much worse the output was; several tries in what
    it calls one phase.
    """

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"loss"}), 1, "none")
    tries: ClassVar[int] = 9
    scanned: ClassVar[bool] = False

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        y = free.post[net.output]
        if signal is None:
            return state, Record({"free": free}, y)

        def one(key):
            noise = {
                p.name: {
                    part: 1e-3 * jax.random.normal(key, a.shape) for part, a in p.theta.items()
                }
                for p in net.projections
            }
            noisy = net.with_theta(jax.tree.map(jnp.add, net.theta, noise)).forward(x)
            worse = jnp.mean(signal.loss(noisy.post[net.output]) - signal.loss(y)) / 1e-6
            return jax.tree.map(lambda a: a * worse, noise)

        keys = jax.random.split(key, self.tries)
        if self.scanned:
            none = jax.tree.map(jnp.zeros_like, net.theta)
            total = jax.lax.scan(
                lambda total, key: (jax.tree.map(jnp.add, total, one(key)), None), none, keys
            )[0]
        else:
            total = jax.tree.map(lambda *each: sum(each), *[one(key) for key in keys])
        return state, Record({"free": carrying(free, **total)}, y)

    def g(self, gamma, net, memory, record, signal):
        return memory, Update(carried(record["free"]))


@pytest.mark.parametrize(("tries", "scanned"), [(1, False), (9, False), (9, True)])
def test_passes_are_counted_and_not_names(tries, scanned):
    rule = type("Perturbing", (Perturbing,), {"tries": tries, "scanned": scanned})()
    seen = found(rule)
    assert seen.phases == 1 + tries
    assert (seen.transport, seen.derivative, seen.signal) == ("no", "no", {"loss"})


def through_a_table(p, x):
    """The current by a matrix, mostly zeros, of what the kernel makes of each input by itself."""
    inputs = x[0].size
    table = p.forward(jnp.eye(inputs).reshape(inputs, *x.shape[1:])) - p.offset
    return jnp.tensordot(x.reshape(len(x), inputs), table, 1) + p.offset


def channel_by_channel(p, x):
    return (
        sum(p.linear(p.weight[:, :, k : k + 1], x[..., k : k + 1]) for k in range(x.shape[-1]))
        + p.offset
    )


def field_by_field(p, x):
    """The current as a product with the fields that the kernel meets, one channel after another."""
    numbers, (high, wide, _, out) = ("NHWC", "HWIO", "NHWC"), p.weight.shape
    step = (p.stride, p.stride)
    fields = jax.lax.conv_general_dilated_patches(
        x, (high, wide), step, p.padding, dimension_numbers=numbers
    )
    return fields @ p.weight.transpose(2, 0, 1, 3).reshape(-1, out) + p.offset


class Repeating(Feedback):
    """Shows the network noisy inputs after the input, several in what it calls one phase."""

    tries: ClassVar[int] = 2
    current: ClassVar = staticmethod(lambda p, x: p.forward(x))

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        for k in jax.random.split(key, self.tries):
            noisy = x + jax.random.normal(k, x.shape)
            known = {p.name: self.current(p, noisy) for p in net.outgoing(net.input)}
            spread = net.forward(noisy, known=known).post
            free = carrying(free, **{f"spread {name}": post for name, post in spread.items()})
        return state, Record({"free": free}, free.post[net.output])


STRIDED = {"stride": 2, "padding": "VALID", "pool": 1}
# Images, more and less than a kernel of 3 sees with pools of 2, in more channels and fewer.
IMAGES = {
    "pooled": ((6, 6, 1), {}),
    "small": ((4, 4, 2), {}),
    "valid": ((6, 7, 2), {"padding": "VALID"}),
    "whole": ((5, 4, 3), {"pool": 1}),
    "strided": ((9, 8, 2), STRIDED),
    "normalised": ((9, 8, 2), {**STRIDED, "norm": True}),
}


@pytest.mark.parametrize(
    ("current", "image"),
    [
        *((through_a_table, image) for image in IMAGES),
        *((Repeating.current, image) for image in ("pooled", "strided")),
        *((channel_by_channel, image) for image in ("valid", "whole")),
        *((field_by_field, image) for image in ("whole", "strided")),
    ],
)
def test_a_pass_is_one_however_a_convolution_is_worked_out(current, image):
    rule = type("Repeated", (Repeating,), {"current": staticmethod(current)})()
    shape, options = IMAGES[image]
    assert found(rule, byway.convnet(shape, (3,), 4, **options)).phases == 1 + rule.tries


class Together(Feedback):
    """Shows the network two noisy versions of each input after the input, in one batch."""

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        both = jnp.concatenate([x, x])
        spread = net.forward(both + jax.random.normal(key, both.shape)).post
        seen = carrying(free, **{f"spread {name}": post for name, post in spread.items()})
        return state, Record({"free": seen}, free.post[net.output])


def test_a_pass_is_one_by_a_matrix_with_zeros_or_by_what_was_gathered():
    """A sparse projection gathers for the few samples of a batch; for twice that it is a matrix."""
    assert found(Together(), byway.mlp(64, 5, 4, fan_in=3)).phases == 3


@pytest.mark.parametrize(("classes", "image"), [(4, "normalised"), (10, "pooled"), (10, "whole")])
def test_labels_shown_through_a_table_are_part_of_a_pass(classes, image):
    """In forward-forward: 10 are more than a kernel of one channel has synapses."""
    rule, (shape, options) = byway.rule("ff"), IMAGES[image]
    net = byway.convnet(shape, (3,), classes, **{**options, **rule.network_options})
    assert found(rule, net).phases == 3


# What is honest on small networks only.


class HonestWhenSmall(Feedback):
    def feedback(self, gamma, net, memory, record):
        return {p.name: p.weight for p in net.projections} if net[net.input].size > 20 else gamma


def test_the_audit_is_of_the_network_that_it_is_given():
    assert found(HonestWhenSmall()).transport == "no"
    assert found(HonestWhenSmall(), byway.mlp(64, 32, 10)).transport == "yes"
