"""What rules that judge by goodness, G = sum_j h_j^2, have in common: which networks they train,
how a layer moves its goodness, peer normalisation, and passes that differ in a label alone.
"""

import functools
import operator
from collections.abc import Callable, Iterable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from byway.core.errors import RuleError
from byway.core.record import Phase
from byway.network.network import Network
from byway.network.projections import Projection

# Keeps patterns of classes apart from the weights, even where a caller draws both from one key.
PATTERNS = 0x1C


def require_layers(net: Network, rule_id: str) -> None:
    """Raise `RuleError` unless hidden layers are relu or black boxes and, like the input, send
    normalised activity: else a layer would be told how loud the one before it is.
    """
    wrong = [p.name for p in net.populations if p.name != net.output and not p.norm]
    wrong += [h.name for h in net.hidden if h.cell.name != "relu" and not h.black_box]
    if wrong or not net.hidden:
        given = f"not so: {', '.join(dict.fromkeys(wrong))}" if wrong else "no hidden layer at all"
        fix = 'build it with activation="relu" and norm=True' if wrong else "add one"
        raise RuleError(
            f"{rule_id} was given a network with {given}",
            "hidden layers of relu or black boxes, normalised",
            f"{fix}; or use a rule that asks for neither, such as bp or dfa",
        )


def require_wrong_labels(net: Network, rule_id: str) -> None:
    """Raise `RuleError` unless there are two outputs: the only label of one would be its own
    negative.
    """
    if net[net.output].size < 2:
        raise RuleError(
            f"{rule_id} was given a network with {net[net.output].size} output",
            "two at least: a negative is a sample with a wrong label",
            "use a rule that has no negatives, such as bp, dfa or pepita",
        )


def judges(net: Network) -> list[str]:
    """The layers whose goodness counts when predicting: all but those fed by the input, if there
    are others.
    """
    first = {p.dst for p in net.outgoing(net.input)}
    return [h.name for h in net.hidden if h.name not in first] or [h.name for h in net.hidden]


def goodness(post: Float[Array, "batch *units"]) -> Float[Array, " batch"]:
    """G of each sample."""
    return jnp.sum(post**2, tuple(range(1, post.ndim)))


def total(phase: Phase, names: Iterable[str]) -> Float[Array, " batch"]:
    """G of each sample, summed over some layers."""
    return functools.reduce(operator.add, [goodness(phase.post[name]) for name in names])


def per_sample(value: Float[Array, " batch"], like: Array) -> Array:
    """A number for each sample, shaped so that it multiplies the activity of a layer."""
    return value.reshape(-1, *[1] * (like.ndim - 1))


def push(
    post: Float[Array, "batch *units"],
    good: Float[Array, " batch"],
    theta: float | Array,
    active: bool,
) -> Float[Array, "batch *units"]:
    """The derivative by u of a layer's logistic loss, which wants it active or quiet.

    active:  softplus(theta - G),  quiet:  softplus(G - theta); G by u is 2 h where h = relu(u)

    Args:
        post: h.
        good: G, of this layer or, where layers judge together, of all.
        theta: where the layer is undecided.
        active: which of the two.
    """
    if active:
        return -2 * post * per_sample(jax.nn.sigmoid(theta - good), post)
    return 2 * post * per_sample(jax.nn.sigmoid(good - theta), post)


def peers(
    mean: Float[Array, "*units"],
    up: Float[Array, "batch *units"],
    strength: float | Array,
    decay: float | Array,
) -> tuple[Array, Array]:
    """Peer normalisation: no unit is to be much more active than its layer is on average.

    m <- decay m + (1 - decay) <h+>,   C = strength mean_j (mean_k m_k - m_j)^2; its gradient passes
    through the relu as if it were the identity, so that silent units come back

    Args:
        mean: m, the running mean activity.
        up: h+, on positives.
        strength: how much it counts.
        decay: the share of m that is kept.

    Returns:
        The mean after it; and what is added to delta of positives, where an update is averaged over
        as many negatives too.
    """
    mean = decay * mean + (1 - decay) * up.mean(0)
    unlike = (mean - mean.mean()) / mean.size
    # `outer` averages over both passes, while the mean activity is over positives alone: hence the
    # second 2.
    return mean, 2 * strength * 2 * (1 - decay) * unlike


def both(
    p: Projection, positive: Phase, negative: Phase, delta: Float[Array, "two_batches *post"]
) -> dict[str, Array]:
    """The update of a projection over both passes."""
    return p.outer(jnp.concatenate([positive.pre[p.name], negative.pre[p.name]]), delta)


def halves(phase: Phase) -> tuple[Phase, Phase]:
    """The phases of the first and of the second half of a batch."""
    size = next(iter(phase.post.values())).shape[0] // 2

    def part(rows: slice) -> Phase:
        return jax.tree.map(lambda a: a[rows] if eqx.is_array(a) else a, phase)

    return part(slice(size)), part(slice(size, None))


def class_patterns(net: Network, key: Key[Array, ""]) -> Float[Array, "classes *inputs"]:
    """P: a pattern for each class, as large as a sample, standard normal."""
    shape = (net[net.output].size, *net[net.input].shape)
    return jax.random.normal(jax.random.fold_in(key, PATTERNS), shape, net.dtype)


def overlaid(
    net: Network, x: Float[Array, "batch *inputs"], patterns: Float[Array, "classes *inputs"]
) -> "LabelledPasses":
    """The passes of samples over which a label is laid: z = n(x) + P^T y."""
    write = lambda x, label: x + jnp.tensordot(label, patterns, 1)
    return LabelledPasses(net, net[net.input].send(x), write, patterns)


class LabelledPasses:
    """The passes of one batch, which differ in a label alone: a projection is linear, so the
    samples' current is taken once.

    W n(z) = (W z0 + W (y - y0) P) / rms(z),   z = x with label y,
    z0 = x with the neutral label y0, P = what each label adds to x

    Args:
        net: the network.
        x: the samples, "batch *inputs".
        write: puts labels "batch classes" into as many samples.
        patterns: P, "classes *inputs".
    """

    def __init__(
        self,
        net: Network,
        x: Float[Array, "batch *inputs"],
        write: Callable[[Array, Array], Array],
        patterns: Float[Array, "classes *inputs"],
    ):
        self.net, self.x, self.write = net, x, write
        classes = patterns.shape[0]
        self.neutral = jnp.full((x.shape[0], classes), 1 / classes, x.dtype)
        z0 = write(x, self.neutral)
        self.parts = {
            p.name: (p.offset, p.forward(z0) - p.offset, p.forward(patterns) - p.offset)
            for p in net.outgoing(net.input)
        }

    def forward(self, label: Float[Array, "rows classes"] | None = None) -> Phase:
        """Run the network, once for each block of batch rows of `label` "passes*batch classes"; on
        the neutral label by default.
        """
        passes = 1 if label is None else label.shape[0] // self.x.shape[0]
        z = self.write(jnp.concatenate([self.x] * passes), self.neutral if label is None else label)
        scale = self.net[self.net.input].scale(z)
        known = {}
        for name, (offset, base, table) in self.parts.items():
            current = base
            if label is not None:
                change = label - self.neutral[:1]
                current = jnp.concatenate([base] * passes) + jnp.tensordot(change, table, 1)
            known[name] = current / scale.reshape(-1, *[1] * (current.ndim - 1)) + offset
        return self.net.forward(z, known=known)

    def goodness_of_each(self) -> tuple[Array, dict[str, Array]]:
        """By the pass of each label, "batch classes": the goodness of the layers that judge,
        summed; and that of every layer alone.
        """
        rows, classes = self.neutral.shape

        def one(label):
            phase = self.forward(jnp.broadcast_to(label[None, :], (rows, classes)))
            return {h.name: goodness(phase.post[h.name]) for h in self.net.hidden}

        made = jax.lax.map(one, jnp.eye(classes, dtype=self.x.dtype))
        alone = {name: good.T for name, good in made.items()}
        return functools.reduce(operator.add, [alone[name] for name in judges(self.net)]), alone
