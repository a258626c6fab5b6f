"""What is seen of one rule: its scene, synapses and curves, what its units do, the sample that it
is shown, and the unit that was picked; each as frames on the board.

What is shown is made of a learner that training has left alone, so it may be made in any thread.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from byway.audit.page import COLUMNS, cells
from byway.core.signal import Signal
from byway.core.task import Split
from byway.learning.learner import Learner
from byway.network.describe import describe
from byway.pages.words import card
from byway.studio.board import Board, Changing, Curves
from byway.studio.frames import eight_bits, encode
from byway.studio.pick import Pick
from byway.studio.probe import DEAD, QUANTITIES, RATE, Probe, Quantity
from byway.studio.scene import Scene
from byway.studio.synapses import Changed, Edges, Synapses
from byway.studio.trained import Trained
from byway.training.step import NOISE, branch

# Samples that credit is taken from, and that a picked unit answers; points of a unit's history;
# synapses that are drawn at first.
CREDIT, POOL, HISTORY, DRAWN = 64, 512, 600, 20_000
# The share of units whose value the colours tell apart.
MOST = 0.97
ACTIVITY = QUANTITIES[0].name
AGE = Quantity(
    "age",
    "age",
    "%",
    False,
    "For which share of the run each unit is there: what growth has just put there is new.",
)
# What units can be coloured by.
COLOURS = (*QUANTITIES, AGE)


@dataclasses.dataclass(frozen=True)
class Sample:
    """What a network is shown.

    Attributes:
        x: the input, as the network gets it, a batch of one.
        signal: its signal; where somebody drew the input, that of another.
        split: which split it is of; empty where somebody drew it.
        index: its number there.
    """

    x: Array
    signal: Signal
    split: str
    index: int

    @functools.cached_property
    def input(self) -> np.ndarray:
        """The input, of float32, without the axis of the batch."""
        return np.asarray(self.x[0], np.float32)

    @functools.cached_property
    def wanted(self) -> Float[np.ndarray, " out"] | None:
        """Its target, of a sequence that of the last step that counts; None where there is none."""
        if not self.split or not self.signal.taught:
            return None
        target = np.asarray(self.signal.target[0])
        if target.ndim == 1:
            return target
        weight = self.signal.weight
        counts = np.ones(len(target)) if weight is None else np.asarray(weight[0])
        return target[np.flatnonzero(counts > 0)[-1]]


class Side:
    """What is seen of one rule.

    Args:
        number: which of two.
        trainer: what trains it.
        board: where frames go.

    Attributes:
        scene: its units and where they are.
        sample: what it is shown.
    """

    def __init__(self, number: int, trainer: Trained, board: Board):
        self.number, self._trainer, self._board = number, trainer, board
        learner, task = trainer.learner(), trainer.loop.task
        self.scene = Scene(learner.net)
        validation = trainer.loop.data["validation"]
        some = lambda most: trainer.batch(validation, np.arange(min(most, validation.size)))
        self._credit = some(CREDIT)
        self._probe = Probe(trainer.rule, learner.net, task, self.scene)
        self._pick = Pick(trainer.rule, task, self.scene, some(POOL))
        self._synapses = Synapses(self.scene, DRAWN)
        self._edges = Changing(self._all_edges, self._synapses.snapshot().version)
        life = {one.name: {"title": one.title, "unit": one.unit} for one in (DEAD, RATE)}
        self._curves, self._titles = Curves(number), trainer.titles() | life
        self._history: list[tuple[float, float]] = []
        self._places = self.scene.places(learner.net)
        self.sample = self.taken("validation", validation, 0)
        board.post("scene", self._scene(learner), number)
        board.put("plots", self._curves, number)
        board.put("edges", self._edges, number)
        self.show_edges(learner, 0, DRAWN, [])

    def taken(self, name: str, split: Split, index: int) -> Sample:
        """A sample of a split."""
        return Sample(*self._trainer.batch(split, np.array([index])), name, index)

    def drawn(self, numbers: Sequence[float]) -> Sample:
        """An input that somebody drew."""
        x = jnp.asarray(numbers, self.sample.x.dtype).reshape(self.sample.x.shape)
        return dataclasses.replace(self.sample, x=x, split="", index=-1)

    def plot(self, update: int, values: dict[str, float]) -> None:
        """Add to its curves."""
        about = {name: self._title(name) for name in values}
        self._board.change(lambda: self._curves.add(update, values, about))

    def life(self) -> dict[str, float]:
        """How many of the hidden units say anything, and how often those that spike do."""
        learner = self._trainer.learner()
        return self._probe.life(learner, *self._credit, _noise(learner.key), self._trainer.rule)

    def forget(self) -> None:
        """Begin the history of a unit anew."""
        self._history = []

    def hidden(self, region: dict[str, Any]) -> list[int]:
        """The hidden units among some, or in a ball."""
        if "units" in region:
            return [unit for unit in region["units"] if self.scene.hidden[unit]]
        net, centre = self._trainer.learner().net, np.array(region["centre"], np.float32)
        return np.flatnonzero(self.scene.within(net, centre, region["radius"])).tolist()

    def mask(self, units: Sequence[int]) -> Bool[np.ndarray, " units"]:
        """Units as a mask over all."""
        mask = np.zeros(self.scene.size, bool)
        mask[list(units)] = True
        return mask

    def compiled(self, learner: Learner) -> Iterator[None]:
        """Compile what may be asked for, one program after another: then it is shown at once."""
        for quantity in QUANTITIES:
            self._values(learner, self.sample, quantity.name)
            yield
        self._pick(learner, [self.scene.size - 1], [], rule=self._trainer.rule)
        yield

    def show_units(self, learner: Learner, update: int, colour: str, picked: Sequence[int]) -> None:
        """What each unit does at the sample, by a quantity; and what is answered."""
        sample = self.sample
        values, output = self._values(learner, sample, ACTIVITY if colour == AGE.name else colour)
        if colour == AGE.name:
            values = 100 * self._synapses.ages(update)
        low, high = _range(values, next(q for q in COLOURS if q.name == colour).diverging)
        head = {"quantity": colour, "low": low, "high": high}
        frame = encode("units", self.number, update, head, value=eight_bits(values, low, high))
        self._board.post("units", frame, self.number)
        if picked:
            now = values if colour == ACTIVITY else self._values(learner, sample, ACTIVITY)[0]
            self._history = [*self._history, (float(update), float(now[picked[-1]]))][-HISTORY:]
        self._show_sample(update, sample, output)
        places = self.scene.places(learner.net)
        if places is not self._places:
            self._places = places
            position, exists = places
            moved = encode("places", self.number, update, position=position, exists=exists)
            self._board.post("places", moved, self.number)

    def show_edges(self, learner: Learner, update: int, most: int, picked: Sequence[int]) -> None:
        """Which synapses are drawn, and how strong they are."""
        if most != self._synapses.limit:  # all slots begin anew
            self._synapses.limit = most
        changed = self._synapses.look(learner.net, update, picked)
        if changed is not None:
            frame = None if changed.whole else self._frame("edges_changed", changed, update)
            self._board.change(lambda: self._edges.change(frame, changed.version))

    def show_picked(self, learner: Learner, update: int, picked: Sequence[int]) -> None:
        """What is known of one unit, or of two."""
        history = np.array(self._history, np.float32).reshape(-1, 2)
        head, arrays = self._pick(learner, picked, history, rule=self._trainer.rule)
        frame = encode("selection", self.number, update, head, **arrays)
        self._board.post("selection", frame)

    def _values(
        self, learner: Learner, sample: Sample, quantity: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """A quantity of each unit, and the output."""
        key = _noise(learner.key)
        given = sample.x, sample.signal, *self._credit
        found, output = self._probe(
            learner, *given, key, quantity=quantity, rule=self._trainer.rule
        )
        return np.asarray(found[quantity]), np.asarray(output)

    def _show_sample(self, update: int, sample: Sample, output: np.ndarray) -> None:
        task = self._trainer.loop.task
        labels, x, wanted = task.encoding.labels, sample.input, sample.wanted
        said = lambda output: str(task.encoding.answers(output[None])[0])
        head = {
            "split": sample.split or None,
            "index": sample.index if sample.split else None,
            "label": said(wanted) if labels and wanted is not None else None,
            "answer": said(output) if labels else "",
            "shape": list(x.shape),
        }
        frame = encode("sample", self.number, update, head, input=x, output=output)
        self._board.post("sample", frame, self.number)

    def _all_edges(self) -> bytes:
        return self._frame("edges", self._synapses.snapshot(), 0)

    def _frame(self, topic: str, synapses: Edges | Changed, update: int) -> bytes:
        parts = vars(synapses)
        arrays = {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
        head = {name: part for name, part in parts.items() if name not in arrays}
        return encode(topic, self.number, update, head, **arrays)

    def _scene(self, learner: Learner) -> bytes:
        trainer, rule = self._trainer, self._trainer.rule
        about = card(type(rule))
        position, exists = self._places
        head = {
            "label": trainer.label,
            "rule": rule.id,
            "task": trainer.loop.task.id,
            "network": describe(learner.net),
            "labels": [str(label) for label in trainer.loop.task.encoding.labels],
            **self.scene.head(),
            "quantities": [dataclasses.asdict(q) for q in COLOURS],
            "equations": f"{about.headline}\n\n{about.body}",
            "claims": "\n".join(map(": ".join, zip(COLUMNS, cells(rule.claims), strict=True))),
            "growth": [policy.id for policy in trainer.loop.growth],
        }
        return encode("scene", self.number, 0, head, position=position, exists=exists)

    def _title(self, name: str) -> dict[str, str]:
        group, _, of = name.partition("/")
        if name in self._titles:
            return self._titles[name]
        said = self._titles.get(group, {"title": group, "unit": ""})
        return said | {"title": f"{said['title']}, {of}"}


@jax.jit
def _noise(key: Key[Array, ""]) -> Key[Array, ""]:
    return branch(key, NOISE)


def _range(values: np.ndarray, diverging: bool) -> tuple[float, float]:
    """What the ends of a colour map stand for: a few units that stand out do not take the colour
    from all others.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    if diverging:
        most = float(np.quantile(np.abs(known), MOST)) or float(np.abs(known).max())
        return -most, most
    return min(float(known.min()), 0.0), float(np.quantile(known, MOST)) or float(known.max())
