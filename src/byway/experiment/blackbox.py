"""A black box in the middle: which rules still train a network when nobody knows what the units of
one of its layers do, found by trying.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from byway.audit.networks import accepts, tiny
from byway.audit.verdict import audit
from byway.core.errors import ConfigError, RuleError, look_up
from byway.core.given import require_several, require_whole
from byway.core.hyper import hypers
from byway.core.task import Split, Task
from byway.experiment.controls import matched_rate
from byway.learning.rule import Rule
from byway.network.activations import quantised
from byway.network.blackbox import device, host
from byway.network.builders import graph
from byway.network.builders.assembly import Phi
from byway.network.network import Network
from byway.rules import RULES
from byway.runs.outcomes import CONTROL
from byway.training.fit import fit

# What a rule may ask of a network that is given a box; others train one of a kind of their own.
PLAIN = {"activation", "norm", "bias"}
# Ahead of the control on every seed, and by so many standard errors of the paired difference.
SURELY = 3.0


def _relu(u: np.ndarray) -> np.ndarray:
    return np.maximum(u, 0)


# What the units of the layer in the middle may be. A device remembers how often it was asked: each
# training has one of its own. None: what the rule works best with.
BOXES: dict[str, Callable[[], Phi | None]] = {
    "known": lambda: None,
    "quantised": lambda: quantised(3),
    "host": lambda: host("host", _relu, gain=2.0),
    "device": device,
}


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of one rule on one box.

    Attributes:
        reached: the main test score of each seed; None where the rule refused the network.
        control: that of frozen hidden layers in the very same network.
        higher: whether more is better.
    """

    reached: np.ndarray | None
    control: np.ndarray | None
    higher: bool = True

    @property
    def gain(self) -> np.ndarray | None:
        """How far each seed is ahead of the control."""
        if self.reached is None or self.control is None:
            return None
        return (self.reached - self.control) * (1 if self.higher else -1)

    @property
    def trains(self) -> bool:
        """Whether hidden layers learned: ahead of the control on every seed, and surely."""
        if (gain := self.gain) is None:
            return False
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
        return bool(np.all(gain > 0) and gain.mean() > SURELY * error)


@dataclasses.dataclass(frozen=True)
class Boxed:
    """What came of one rule.

    Attributes:
        derivative: what the audit found: whether an update depends on the slope of a unit.
        trials: by box.
    """

    derivative: str
    trials: Mapping[str, Trial]

    @property
    def agrees(self) -> bool:
        """Whether what was tried is what the audit says: who reads slopes refuses every black box,
        and who reads none refuses none.
        """
        boxes = [trial for box, trial in self.trials.items() if box != "known"]
        return all((trial.reached is None) == (self.derivative == "yes") for trial in boxes)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = lambda a: None if a is None else a.tolist()
        return {
            "derivative": self.derivative,
            "agrees": self.agrees,
            "boxes": {
                box: {
                    "reached": plain(trial.reached),
                    "control": plain(trial.control),
                    "trains": trial.trains,
                }
                for box, trial in self.trials.items()
            },
        }


def candidates() -> list[str]:
    """The rules that learn from independent samples, on a multi-layer perceptron."""
    return [name for name in RULES.ids() if name != CONTROL and _learns(RULES.get(name)())]


def _learns(rule: Rule) -> bool:
    if not rule.network_options.keys() <= PLAIN or not accepts(rule, "mlp"):
        return False
    if (net := tiny("mlp", rule)).in_events:
        return False
    try:
        rule.require_time(net, "", in_time=False)
    except RuleError:
        return False
    return True


def with_box(task: Task, rule: Rule, box: Phi | None, hidden: Sequence[int]) -> Network:
    """A multi-layer perceptron as a rule wants it, but for the layer in the middle."""
    options = dict(rule.network_options)
    own: Phi = options.pop("activation", "relu")
    names = ["input", *(f"hidden{i}" for i in range(1, len(hidden) + 1)), "output"]
    middle = names[(len(names) - 1) // 2]
    cells: dict[str, Phi] = {
        name: own if box is None or name != middle else box for name in names[1:-1]
    }
    sizes = dict(zip(names, (task.input_shape, *hidden, task.outputs), strict=True))
    return graph(sizes, pairwise(names), activation=cells, **options)


def blackbox(
    rules: Sequence[str],
    task: Task,
    boxes: Sequence[str] = tuple(BOXES),
    *,
    hidden: Sequence[int] = (32, 32, 32),
    sigma: float = 0.3,
    data: Mapping[str, Split] | None = None,
    **options: Any,
) -> Iterator[tuple[str, Boxed]]:
    """Try rules on a network with a black box in the middle, one after another.

    Args:
        rules: their names.
        task: what to learn.
        boxes: which units to put there, names of `BOXES`.
        hidden: sizes of the hidden layers; the one in the middle is the box.
        sigma: the noise of rules that try some: less than half a step of a quantiser changes
            nothing.
        data: what `task.load()` gave.
        options: of `fit`.

    Returns:
        Of each rule, when it has been tried, its name and what came of it.

    Raises:
        ConfigError: sizes that are none, or a task in time.
        RuleError: a rule that cannot train such a network with known units.
        UnknownNameError: a rule or a box that there is not.
    """
    require_several("hidden", hidden, "sizes of hidden layers", "for example (32, 32, 32)")
    for size in hidden:
        require_whole("hidden", size)
    if not hidden:
        raise ConfigError("no hidden layer", "one at least", "for example (32, 32, 32)")
    if task.in_time or not task.scores:
        raise ConfigError(
            f"the task {task.id}",
            "a task of independent samples, with a score",
            "see 'byway list tasks'",
        )
    kinds = {name: RULES.get(name) for name in rules}
    for name, kind in kinds.items():
        if not _learns(kind()):
            raise RuleError(
                f"{name}, which trains no network of this kind on independent samples",
                f"some of {', '.join(candidates())}",
                "leave it out",
            )
    made = {box: look_up("black box", box, BOXES) for box in boxes}
    return _tried(kinds, task, made, hidden, sigma, data, options)


def _tried(
    kinds: Mapping[str, type[Rule]],
    task: Task,
    made: Mapping[str, Callable[[], Phi | None]],
    hidden: Sequence[int],
    sigma: float,
    data: Mapping[str, Split] | None,
    options: Mapping[str, Any],
) -> Iterator[tuple[str, Boxed]]:
    splits = task.load() if data is None else dict(data)
    higher = task.scores[0].higher
    frozen = RULES.get(CONTROL)()
    controls: dict[tuple[str, str, float | None], np.ndarray] = {}

    def trained(rule: Rule, like: Rule, box: str, **more: Any) -> np.ndarray:
        net, given = with_box(task, like, made[box](), hidden), {**options, **more}
        return fit(net, rule, task, data=splits, progress=False, looks=0, **given).main

    for name, kind in kinds.items():
        rule, trials = kind(**({"sigma": sigma} if _tries(kind) else {})), {}
        rate = matched_rate(task, rule, options, frozen, options)
        for box, units in made.items():
            try:
                rule.accepts(with_box(task, rule, units(), hidden))
            except RuleError:
                trials[box] = Trial(None, None, higher)
                continue
            control = (box, repr(sorted(rule.network_options.items())), rate)
            if control not in controls:
                faster = {} if rate is None else {"lr": rate}
                controls[control] = trained(frozen, rule, box, **faster)
            trials[box] = Trial(trained(rule, rule, box), controls[control], higher)
        yield name, Boxed(audit(rule, tiny("mlp", rule)).found.derivative, trials)


def _tries(kind: type[Rule]) -> bool:
    """Whether a rule learns by one number from what its noise does."""
    noisy = any(field.name == "sigma" for field in hypers(kind))
    return noisy and bool(kind.claims.signal & {"loss", "reward"})
