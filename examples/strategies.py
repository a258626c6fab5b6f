"""Strategies of evosax (0.3.2, github.com/RobertTLange/evosax; `pip install evosax`) train a
network of Byway's on digits, beside `es`, `bp` and `frozen`: 64 networks for each update, as many
updates for all.

    python examples/strategies.py SNES Sep_CMA_ES CR_FM_NES
"""

import argparse
import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import byway

HIDDEN, NETWORKS, BATCH, EPOCHS, SEEDS = 32, 64, 32, 30, 3
SPREAD = 0.05  # of the first population: weights are drawn with about 0.18


def evolved(strategy: Any, task: byway.Task, net: byway.Network, key: Any) -> byway.Network:
    """A network after all updates of a strategy, which asks for populations and is told losses.

    Args:
        strategy: of evosax, for weights shaped like `net.theta`.
        task: what to learn.
        net: the network, with the weights that its first population lies around.
        key: for data and chance.
    """
    train = task.load()["train"]
    settings = strategy.default_params
    if hasattr(settings, "std_init"):
        settings = settings.replace(std_init=SPREAD)
    updates = train.size // BATCH

    def generation(state: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        samples, key = now
        ask, tell = jax.random.split(key)
        x, signal = task.batch(train, samples, jax.random.fold_in(key, 0))
        theta, state = strategy.ask(ask, state, settings)
        output = lambda theta: net.with_theta(theta).forward(x).post[net.output]
        losses = jax.vmap(lambda theta: jnp.mean(signal.loss(output(theta))))(theta)
        return strategy.tell(tell, theta, losses, state, settings)[0], None

    @jax.jit
    def epoch(state: Any, key: Any) -> Any:
        order, chance = jax.random.split(key)
        samples = task.order(order, train.size)[: updates * BATCH].reshape(updates, BATCH)
        return jax.lax.scan(generation, state, (samples, jax.random.split(chance, updates)))[0]

    state = strategy.init(key, net.theta, settings)
    for number in range(EPOCHS):
        state = epoch(state, jax.random.fold_in(key, number))
    return net.with_theta(strategy.get_mean(state))


def accuracy(task: byway.Task, net: byway.Network) -> float:
    """On the test split."""
    test = task.load()["test"]
    x, signal = task.batch(test, jnp.arange(test.size), jax.random.key(0))
    answers = net.forward(x).post[net.output].argmax(1)
    return float(jnp.mean(answers == signal.target.argmax(1)))


def said(name: str, values: np.ndarray) -> None:
    """A line: mean and spread over seeds, in percent."""
    print(f"{name}: {100 * values.mean():.2f} +- {100 * values.std(ddof=1):.2f}", flush=True)


def main() -> None:
    """Print a line for each strategy and rule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="+")
    asked = parser.parse_args().strategies
    task = byway.task("digits")
    net = byway.mlp(task.input_shape, HIDDEN, task.outputs)
    kinds = importlib.import_module("evosax.algorithms")
    for name in asked:
        found = []
        for seed in range(SEEDS):
            start = net.redraw(jax.random.key(seed))
            strategy = getattr(kinds, name)(population_size=NETWORKS, solution=start.theta)
            found.append(accuracy(task, evolved(strategy, task, start, jax.random.key(seed))))
        said(name, np.array(found))
    rules = [byway.rule("es", pairs=NETWORKS // 2), byway.rule("bp"), byway.rule("frozen")]
    options = {"epochs": EPOCHS, "batch": BATCH, "seeds": SEEDS, "lr": rules[0].learning_rate}
    for rule in rules:
        result = byway.fit(net, rule, task, looks=0, progress=False, **options)
        said(rule.id, np.array(result.accuracy))


if __name__ == "__main__":
    main()
