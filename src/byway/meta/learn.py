"""Learn a rule by gradient through the training of fresh networks.

An episode draws a network and its feedback, trains it for a few steps by the rule, and takes the
loss on samples that the training did not see. That loss is a function of the rule's coefficients
alone: nothing else survives an episode. Its gradient is taken by reverse mode through the scan of
the training steps, averaged over episodes, and descended.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from byway.core.errors import ConfigError
from byway.core.given import LARGEST_SEED, is_number, require_whole
from byway.core.keys import seeded
from byway.core.task import Split, Task
from byway.core.tree import PyTree
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.training.progress import bar
from byway.training.step import Optimisers, learn, new_learner


@dataclasses.dataclass(frozen=True)
class Episode:
    """How a network is trained within an episode.

    Attributes:
        steps: training steps.
        batch: samples in each.
        lr: rate of the plain gradient descent that applies an update.
    """

    steps: int = 100
    batch: int = 32
    lr: float = 0.2


@dataclasses.dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        theta: the rule's coefficients, by role.
        start: what they were at the beginning.
        losses: the median loss after an episode, at each meta-step.
        skipped: episodes whose loss was not finite, which counted for nothing.
    """

    theta: dict[str, np.ndarray]
    start: dict[str, np.ndarray]
    losses: np.ndarray
    skipped: int


def episode_loss(
    theta: PyTree,
    rule: Rule,
    net: Network,
    task: Task,
    train: Split,
    query: Split,
    episode: Episode,
    key: Key[Array, ""],
) -> Float[Array, ""]:
    """The loss of a fresh network on `query`, after it was trained on `train` by the rule with
    coefficients `theta`.

    Args:
        theta: what stands for gamma["theta"].
        rule: the rule; the rest of its gamma is drawn by `init`.
        net: the topology; its weights are drawn anew.
        task: makes batches of the splits.
        train: what the network learns from.
        query: what it is then asked.
        episode: steps, batch and rate.
        key: draws weights, feedback and the order of samples.
    """
    draw, order, ask = jax.random.split(key, 3)
    optimisers = Optimisers(optax.sgd(episode.lr), optax.identity())
    x, signal = task.batch(train, jnp.arange(episode.batch), ask)
    learner = new_learner(rule, net, optimisers, x, signal, draw)
    learner = dataclasses.replace(learner, gamma=learner.gamma | {"theta": theta})

    def step(learner, key):
        index = jax.random.randint(key, (episode.batch,), 0, train.size)
        x, signal = task.lesson(train, index, key)
        return learn(rule, optimisers, learner, x, signal)[0], None

    learner, _ = jax.lax.scan(step, learner, jax.random.split(order, episode.steps))
    x, signal = task.batch(query, jax.random.randint(ask, (4 * episode.batch,), 0, query.size), ask)
    record = rule.predict(learner.gamma, learner.net, x, ask)
    return jnp.mean(signal.criterion.value(record.output, signal.target))


def meta_learn(
    rule: Rule,
    net: Network,
    task: Task,
    *,
    meta_steps: int = 200,
    episodes: int = 8,
    episode: Episode = Episode(),
    lr: float = 0.006,
    sparsity: float = 0.01,
    start_scale: float = 1e-3,
    seed: int = 0,
    progress: bool | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Found:
    """Learn the coefficients of a rule, from small random ones.

    Args:
        rule: a rule whose gamma has a part "theta", such as `taylor`.
        net: the topology that it is learned on.
        task: what its networks learn; only the training and validation splits are used.
        meta_steps: updates of the coefficients.
        episodes: fresh networks in each of them.
        episode: how each of those is trained.
        lr: rate of gradient descent with momentum on the coefficients; an episode's slope counts
            with a norm of 1 at most.
        sparsity: weight of the sum of absolute coefficients, which keeps the rule short.
        start_scale: standard deviation of the coefficients at the start.
        seed: of everything that is drawn.
        progress: whether to draw a progress bar; by default where a person is watching, on a
            terminal or in a notebook.
        on_step: called after each meta-step with its number and loss.

    Raises:
        ConfigError: a rule without coefficients, or a number below its least.
        RuleError: the rule cannot train this network.
    """
    for name, value in (
        ("meta_steps", meta_steps),
        ("episodes", episodes),
        ("steps", episode.steps),
        ("batch", episode.batch),
    ):
        require_whole(name, value)
    require_whole("seed", seed, 0, LARGEST_SEED)
    for name, value, least in (
        ("lr", episode.lr, "above"),
        ("meta_lr", lr, "above"),
        ("sparsity", sparsity, "from"),
    ):
        if not is_number(value) or value < 0 or (value == 0 and least == "above"):
            raise ConfigError(
                f"{name} = {value}", f"a number {least} 0", f"leave {name} out for its default"
            )
    rule.accepts(net)
    base, start_key = jax.random.split(seeded(seed))
    drawn = rule.init(net, base)
    if not (isinstance(drawn, dict) and "theta" in drawn):
        raise ConfigError(
            f"the rule {rule.id}", 'a rule whose gamma has a part "theta"', "use taylor"
        )
    leaves, shape = jax.tree.flatten(drawn["theta"])
    keys = jax.random.split(start_key, len(leaves))
    start = jax.tree.unflatten(
        shape,
        [
            start_scale * jax.random.normal(k, a.shape, a.dtype)
            for a, k in zip(leaves, keys, strict=True)
        ],
    )
    splits = task.load()
    require_whole("batch", episode.batch, 1, splits["train"].size)
    optimiser = optax.sgd(optax.cosine_decay_schedule(lr, meta_steps), momentum=0.9)

    def one_episode(theta, key):
        loss, slope = jax.value_and_grad(episode_loss)(  # noqa: TID251  the outer loop is no local rule
            theta, rule, net, task, splits["train"], splits["validation"], episode, key
        )
        # A training that ran away has an enormous slope, or none: it counts for no more than the
        # others.
        size = optax.tree.norm(slope)
        scale = jnp.where(jnp.isfinite(size), 1 / jnp.maximum(size, 1.0), 0.0)
        return loss, jax.tree.map(lambda a: jnp.where(scale > 0, a * scale, 0.0), slope)

    @jax.jit
    def meta_step(theta, moments, key):
        losses, slopes = jax.vmap(one_episode, in_axes=(None, 0))(
            theta, jax.random.split(key, episodes)
        )
        slope = jax.tree.map(lambda a, w: jnp.mean(a, 0) + sparsity * jnp.sign(w), slopes, theta)
        with jax.numpy_dtype_promotion("standard"):
            change, moments = optimiser.update(slope, moments, theta)
            theta = optax.apply_updates(theta, change)
        return theta, moments, jnp.median(losses), jnp.sum(~jnp.isfinite(losses))

    theta, moments, losses, skipped = start, optimiser.init(start), [], 0
    with bar(f"meta {rule.id}", meta_steps, progress) as advance:
        for i in range(meta_steps):
            theta, moments, loss, lost = meta_step(theta, moments, jax.random.fold_in(base, i))
            losses.append(float(loss))
            skipped += int(lost)
            if on_step is not None:
                on_step(i + 1, losses[-1])
            advance(i + 1, f"loss {losses[-1]:.3f}")
    found, began = (jax.tree.map(np.asarray, tree) for tree in (theta, start))
    return Found(found, began, np.array(losses), skipped)
