"""The tiny networks on which rules are audited: large enough to have a middle, small enough for a
full Jacobian.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from byway.core.errors import RuleError, look_up
from byway.learning.rule import Rule
from byway.network.builders import (
    convnet,
    coupled,
    graph,
    mlp,
    ode,
    orthogonal,
    revnet,
    rnn,
    topdown,
)
from byway.network.cells.gru import GRU
from byway.network.cells.lif import LIF
from byway.network.grown import grownet
from byway.network.network import Network

CYCLIC = ("input", "hidden1", "hidden2", "output")
KINDS: dict[str, Callable[..., Network]] = {
    "mlp": lambda **options: mlp(8, 7, 6, 4, **options),
    "convnet": lambda **options: convnet((6, 6, 1), (3, 3), 4, hidden=(5,), **options),
    "blackbox": lambda **options: graph(
        {"input": 8, "hidden1": 7, "hidden2": 6, "output": 4},
        [("input", "hidden1"), ("hidden1", "hidden2"), ("hidden2", "output")],
        **{
            **options,
            "activation": {"hidden1": "quantised", "hidden2": options.get("activation", "relu")},
        },
    ),
    "rnn": lambda **options: rnn(5, 6, 4, **options),
    "coupled": lambda **options: coupled(5, 6, 4, **options),
    "revgru": lambda **options: coupled(5, 6, 4, **{"activation": GRU(keep=0.125), **options}),
    "orthogonal": lambda **options: orthogonal(5, 6, 4, **options),
    "revnet": lambda **options: revnet(5, 6, 4, **{"blocks": 2, **options}),
    "topdown": lambda **options: topdown(5, 6, 4, 3, **options),
    "ode": lambda **options: ode(5, 6, 4, **{"steps": 3, "method": "midpoint", **options}),
    "subtasks": lambda **options: graph(
        {"input": 8, "hidden1": 6, "left": 3, "right": 2, "hidden2": 5, "output": 4},
        [
            ("input", "hidden1"),
            ("hidden1", "left"),
            ("input", "right"),
            ("left", "hidden2"),
            ("right", "hidden2"),
            ("hidden2", "output"),
        ],
        **{
            **options,
            "activation": {
                **dict.fromkeys(("left", "right"), "code"),
                **dict.fromkeys(("hidden1", "hidden2"), options.get("activation", "relu")),
            },
        },
    ),
    "grownet": lambda **options: grownet(
        5, 18, 3, **{"regions": 3, "fan_in": 4, "spare": 1, "readout_from": (2,), **options}
    ),
    "cyclic": lambda **options: graph(
        {"input": 5, "hidden1": 6, "hidden2": 4, "output": 3},
        [(a, b) for a in CYCLIC for b in CYCLIC if a != b] + [("hidden1", "hidden1")],
        **options,
    ),
}


def tiny(kind: str, rule: Rule) -> Network:
    """The tiny network of a kind, built with the options that `rule` needs."""
    return look_up("network kind", kind, KINDS)(**_options(kind, rule))


def outline(kind: str, rule: Rule) -> Network:
    """The same with shapes in place of weights, which is all that `Rule.accepts` may look at."""
    return _outline(kind, tuple(_options(kind, rule).items()), jnp.zeros(()).dtype)


@functools.cache
def _outline(kind: str, options: tuple[tuple[str, Any], ...], dtype: jnp.dtype) -> Network:
    """One for all rules that need the same, in the precision that JAX has now."""
    return eqx.filter_eval_shape(lambda: look_up("network kind", kind, KINDS)(**dict(options)))


def _options(kind: str, rule: Rule) -> dict[str, Any]:
    options = dict(rule.network_options)
    if kind != "mlp":  # the only builder that puts a code into a network
        options.pop("code", None)
    if kind == "cyclic" and rule.in_time:  # from step to step, relus in a loop add up without end
        options.setdefault("activation", "tanh")
    if (
        kind == "convnet" and options.get("activation") == "lif"
    ):  # or nothing comes through to learn
        options["activation"] = LIF(threshold=0.1)
    return options


def accepts(rule: Rule, kind: str) -> bool:
    """Whether a rule accepts networks of a kind; only a `RuleError` is a refusal."""
    try:
        rule.accepts(outline(kind, rule))
    except RuleError:
        return False
    return True


def accepted(rule: Rule) -> list[str]:
    """The kinds of network that a rule accepts."""
    return [kind for kind in KINDS if accepts(rule, kind)]


def learns_samples(rule: Rule) -> bool:
    """Whether a rule learns from independent samples, on a multi-layer perceptron as it asks for,
    from images, in a network with cycles, or on a neural ODE; else it needs sequences.
    """
    return any(_learns_samples(rule, kind) for kind in ("mlp", "convnet", "cyclic", "ode"))


def _learns_samples(rule: Rule, kind: str) -> bool:
    try:
        rule.require_time(outline(kind, rule), "", in_time=False)
    except RuleError:
        return False
    return accepts(rule, kind)
