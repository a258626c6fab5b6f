"""What no label shows: parts of a rule are run on a few numbers, some of them changed, to see what
moves.

*Slopes by another name.* A slope need not be read to be used: 1 - h^2 is one for tanh. The
potentials of some units are set to one value, what they cause further on is held as it was, and the
value is moved: what a rule learns from the signal then follows the slope of the activation, or not.
What happens inside long loops is held too, and slopes that are used there are not seen.

*The target in disguise.* What is computed from errors and losses should move with the prediction. A
number that stays when weights and inputs change and moves with the target is the target. A reward
takes few values and may stay by chance: what the target changes has to be the same for several
weights, inputs and keys.

*Weights in disguise.* Patterns that are sent forwards and put together again can give back the
weights: a matrix that equals them is them.
"""

import functools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.audit import numbers
from byway.audit.flow import RAN, Flow, whole
from byway.audit.program import ASKS, Equation
from byway.audit.steps import Found, Part, Round, Steps
from byway.network.activations import Activation

# Potentials at which slopes are looked at: none the negative of another, or even functions would
# look alike.
SWEEP = (-2.1, -1.3, -0.7, -0.2, 0.3, 0.8, 1.4, 2.2)
# How closely what is learnt has to follow a slope to be called one, as a share of its size; and how
# much of it there must be.
LIKE, FELT = 1e-3, 1e-6
# How far numbers that are the same may be apart, and by how much others must, as a share of their
# size.
SAME, OTHER = 1e-6, 1e-2
# What moves so little with the prediction, as a share of how it moves with the target, does not
# depend on it.
HARDLY = 0.02
# The key of what is drawn; and the numbers of further draws of weights, inputs and key.
KEY, FURTHER = 7, (2, 3, 4, 5)
# What moves with all other answers together less than this share of how it moves with one moves
# with that one alone.
ALONE = 0.1
# Programs with more numbers than this, in all of their arrays together, are not run.
TOO_LARGE = 10**8
# One in so many units of a population is set: where all were, a normalisation would hide what they
# do.
EVERY = 3
# What sums products: there stored numbers send activity on.
SUMS = ("dot_general", "conv_general_dilated")
# Primitives that leave the program: what they call may have effects, and is not called for the sake
# of a look.
OUTSIDE = frozenset({"byway_host", "pure_callback", "io_callback", "debug_callback"})


def why_not(steps: Steps) -> str | None:
    """Why the rule's parts cannot be run for the sake of a look; None where they can."""
    programs = [one.program for turn in steps.turns for one in (turn.f, turn.g)]
    if any(
        equation.name in OUTSIDE for program in programs for equation in _all(program.equations)
    ):
        return "they call what is outside the program"
    if (
        sum(math.prod(shape) for program in programs for shape in program.shapes.values())
        > TOO_LARGE
    ):
        return "they take too many numbers on this network"
    return None


def _all(equations: Sequence[Equation]) -> list[Equation]:
    return [
        *equations,
        *(inner for e in equations for program in e.inner for inner in _all(program.equations)),
    ]


class Trials:
    """Runs of a rule's parts from its start, on a few numbers."""

    def __init__(self, steps: Steps):
        self.steps = steps
        self.parts = {
            f"{which}{k}": getattr(turn, which)
            for k, turn in enumerate(steps.turns)
            for which in "fg"
        }
        self.first = self._given(0)

    @functools.cached_property
    def here(self) -> dict[str, numbers.Values]:
        """The values with weights and inputs that were drawn."""
        return self._values(self.first)

    @functools.cached_property
    def retaught(self) -> dict[str, numbers.Values]:
        """The same with other targets."""
        return self._values(_retaught(self.first))

    @functools.cached_property
    def elsewhere(self) -> dict[str, numbers.Values]:
        """The values with other weights and inputs."""
        return self._values(self._given(1))

    @functools.cached_property
    def elsewhere_retaught(self) -> dict[str, numbers.Values]:
        """The same with other targets."""
        return self._values(_retaught(self._given(1)))

    @functools.cached_property
    def redrawn(self) -> list[tuple[dict[str, numbers.Values], dict[str, numbers.Values]]]:
        """Of further weights, inputs and keys: the values, and those with other targets."""
        given = [{**self._given(number), "key": np.uint64(KEY + number)} for number in FURTHER]
        return [(self._values(one), self._values(_retaught(one))) for one in given]

    def disguised(self, round: Round) -> Found:
        """What is the target, or weights, whatever it is called, by slot of each f and g; `round`
        is what flows through them.
        """
        found: dict[str, dict[int, Flow]] = {}
        suspects = [(name, slot) for name in self.parts for slot in self._answers(name, round)]
        products = [
            (name, slot, weight)
            for name in self.parts
            for slot, weight in self._put_together(name, round)
        ]
        if not suspects and not products:
            return found
        for name, slot, weight in products:
            if _is_multiple(self.here[name][slot], numbers.number(self.first[weight])):
                found.setdefault(name, {})[slot] = Flow(held={weight: None})
        if suspects and not self._silent:
            targets = [(name, slot) for name, slot in suspects if self._is_target(name, slot)]
            begun = [(name, slot) for name, slot in targets if self._begins(name, slot)]
            for name, slot in targets:
                if (name, slot) not in begun or self._alone(begun):
                    found.setdefault(name, {})[slot] = Flow(frozenset({"signal.target"}))
        return found

    @property
    def _silent(self) -> bool:
        """Whether the network answers the same for other weights and inputs, as spiking units do
        that nothing reached.

        Then no answer of the signal moves with it either, and nothing tells an error from the
        target.
        """
        outputs = [
            [
                self._results(one, values[name])["record.output"]
                for name, one in self.parts.items()
                if "record.output" in one.results
            ]
            for values in (self.here, self.elsewhere)
        ]
        return all(np.array_equal(a, b) for a, b in zip(*outputs, strict=True))

    def _is_target(self, name: str, slot: int) -> bool:
        """Whether a number goes with the target, always by as much, and is the same for other
        weights and inputs, whatever the target.
        """
        each = [
            values[name][slot]
            for values in (self.here, self.retaught, self.elsewhere, self.elsewhere_retaught)
        ]
        moved = each[1] - each[0]
        by_target = np.linalg.norm(moved)
        by_output = max(np.linalg.norm(each[2] - each[0]), np.linalg.norm(each[3] - each[1]))
        if by_target <= OTHER * np.linalg.norm(each[0]) or by_output > HARDLY * by_target:
            return False
        return all(
            np.linalg.norm(after[name][slot] - before[name][slot] - moved) <= HARDLY * by_target
            for before, after in self.redrawn
        )

    def _begins(self, name: str, slot: int) -> bool:
        """Whether this is an answer about units at rest, which then settle."""
        equation = self.parts[name].program.maker(slot)
        return (
            equation is not None
            and equation.name in ASKS
            and self.parts[name].program.goes_on(equation.ins[0])
        )

    def _alone(self, answers: Sequence[tuple[str, int]]) -> bool:
        """Whether something that is learnt moves with these answers and no others to speak of."""
        into: dict[str, Any] = {}
        for name, one in self.parts.items():
            here, retaught = self.here[name], self.retaught[name]
            changed = {
                slot: into[a]
                for a, slot in zip(one.arguments, one.program.ins, strict=True)
                if a in into
            }
            changed |= {slot: retaught[slot] for part, slot in answers if part == name}
            after = {
                **here,
                **_moved(one, here, changed, lambda equation, moved: equation.name in ASKS),
            }
            for result, slot in zip(one.results, one.program.outs, strict=True):
                if result.startswith("record."):
                    into[result] = after[slot]
                elif ALONE * np.linalg.norm(after[slot] - here[slot]) > np.linalg.norm(
                    retaught[slot] - after[slot]
                ):
                    return True
        return False

    def slopes(self, round: Round, signalled: bool, learned: bool) -> dict[str, list[str]]:
        """The results that follow the slope of a population's activation, with the populations.

        Args:
            round: what flows through the rule's parts.
            signalled: whether the rule reads any signal: then what it learns from the signal alone
                is looked at.
            learned: whether it learns parameters of its own, besides the weights.
        """
        net = self.steps.net
        taught = {
            p.dst
            for p in net.projections
            if any(name.startswith(f"update.{p.name}.") for name in round.results)
        }
        found: dict[str, list[str]] = {}
        for population in net.populations:
            cell, name = population.cell, population.name
            if (
                not isinstance(cell, Activation)
                or (slope := _slope(cell)) is None
                or not (learned or name in taught)
            ):
                continue
            if not signalled and np.max(np.abs(np.diff(slope(jnp.linspace(-3, 3, 6001))))) > OTHER:
                # A slope that jumps, as of relu, is like any choice; the signal alone tells them
                # apart.
                continue
            slopes = np.asarray(slope(jnp.asarray(SWEEP)), float)
            learnt = self._swept(name, cell, self.here)
            retaught = self._swept(name, cell, self.retaught) if signalled else {}
            own = {p.name for p in net.incoming(name)}
            for result, each in learnt.items():
                if result.startswith("update.") and result.split(".")[1] not in own:
                    continue
                if _follows(
                    each - retaught[result] if signalled else each,
                    slopes,
                    np.max(np.abs(each), initial=0),
                ):
                    found.setdefault(result, []).append(name)
        return found

    def _answers(self, name: str, round: Round) -> Iterator[int]:
        """Slots that hold answers of the signal, or what was made of them out of proportion, and do
        not read the target anyway.
        """
        program, slots = self.parts[name].program, round.slots[name]
        for equation in program.equations:
            for slot in equation.outs:
                flow = whole(slots[slot])
                if (
                    (equation.name in ASKS or flow.bent)
                    and "signal.target" not in flow.reads
                    and jnp.issubdtype(program.dtypes[slot], jnp.floating)
                ):
                    yield slot

    def _put_together(self, name: str, round: Round) -> Iterator[tuple[int, str]]:
        """Arrays that have the shape of weights, and into which currents went that these have
        caused.
        """
        program, slots = self.parts[name].program, round.slots[name]
        for equation in program.equations:
            if len(equation.outs) == 1:
                (out,) = equation.outs
                into = {
                    key.removeprefix(RAN)
                    for s in equation.ins
                    for key in whole(slots[s]).held
                    if key.startswith(RAN)
                }
                for weight in into - whole(slots[out]).raw:
                    shape = np.shape(self.first[weight])
                    if program.shapes[out] in (shape, shape[::-1]) and math.prod(shape) > 1:
                        yield out, weight

    def _given(self, number: int) -> dict[str, Any]:
        """Weights, inputs, a key and targets; the network's wiring is its own."""
        draw = np.random.default_rng(number)
        net = {name: a for name, a in self.steps.start.arguments.items() if name.startswith("net.")}
        for name, a in net.items():
            drawn = jnp.issubdtype(a.dtype, jnp.inexact)
            net[name] = (
                draw.normal(size=a.shape) * np.sqrt(a.shape[-1] / math.prod(a.shape))
                if drawn
                else numbers.number(a)
            )
        target = numbers.number(self.steps.signal.target)
        return {
            **net,
            "x": draw.normal(size=self.steps.x.shape),
            "signal.target": target,
            "key": np.uint64(KEY),
        }

    def _values(self, given: Mapping[str, Any]) -> dict[str, numbers.Values]:
        """The value of every slot of each f and g, from the start of the rule."""
        have = {**given, **self._results(self.steps.start, self._run(self.steps.start, given))}
        found = {}
        for name, one in self.parts.items():
            found[name] = self._run(one, have)
            have |= {
                result: a
                for result, a in self._results(one, found[name]).items()
                if result.startswith("record.")
            }
        return found

    def _run(self, one: Part, have: Mapping[str, Any]) -> numbers.Values:
        return numbers.run(one.program, [have[name] for name in one.arguments])

    def _results(self, one: Part, values: numbers.Values) -> dict[str, Any]:
        return {
            name: values[slot] for name, slot in zip(one.results, one.program.outs, strict=True)
        }

    def _swept(
        self, population: str, cell: Activation, values: Mapping[str, numbers.Values]
    ) -> dict[str, Any]:
        """What is learnt, "sweep entries" for each result, where potentials of a population are set
        to a value.

        What they cause further on, through weights, is held as it was; so is what the signal
        answers.
        """
        stored = {name: _stored(one) for name, one in self.parts.items()}
        made = []
        for value in SWEEP:
            record: dict[str, Any] = {}
            learnt: dict[str, Any] = {}
            phi = float(cell.phi(jnp.asarray(value)))
            for name, one in self.parts.items():
                known = values[name]
                into = {
                    slot: record[a]
                    for a, slot in zip(one.arguments, one.program.ins, strict=True)
                    if a in record
                }
                for a, slot in zip(one.arguments, one.program.ins, strict=True):
                    if a.startswith("record.") and a.endswith(
                        (f".u.{population}", f".post.{population}")
                    ):
                        into[slot] = _with_some(known[slot], value if ".u." in a else phi)

                def stays(equation: Equation, moved: numbers.Values, name: str = name) -> bool:
                    onwards = any(s in stored[name] for s in equation.ins if s not in moved)
                    return (equation.name in SUMS and onwards) or equation.name in numbers.INSIDE

                entered = {
                    slot
                    for slot, entered in one.program.potentials.items()
                    if entered == population
                }
                after = {**known, **_moved(one, known, into, stays, entered, value)}
                results = self._results(one, after)
                record |= {a: v for a, v in results.items() if a.startswith("record.")}
                learnt |= {
                    a: np.ravel(v)
                    for a, v in results.items()
                    if a.startswith(("update.", "gamma."))
                }
            made.append(learnt)
        return {name: np.stack([learnt[name] for learnt in made]) for name in made[0]}


def _retaught(given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, "signal.target": np.roll(given["signal.target"], 1, -1)}


def _stored(one: Part) -> set[int]:
    """The slots that hold what is stored, or follows from it alone."""
    program = one.program
    known = {
        s
        for name, s in zip(one.arguments, program.ins, strict=True)
        if name.startswith(("net.", "gamma.", "memory."))
    }
    known |= set(program.constants)
    for equation in program.equations:
        if all(s in known for s in equation.ins):
            known |= set(equation.outs)
    return known


def _moved(
    one: Part,
    values: numbers.Values,
    changed: numbers.Values,
    stays: Callable[[Equation, numbers.Values], bool],
    some: Collection[int] = (),
    value: float = 0.0,
) -> numbers.Values:
    """The slots that change, with their new values.

    Args:
        one: the part.
        values: of its slots, before.
        changed: what was put in place of some of them.
        stays: the equations whose results are held as they were, of what has changed so far.
        some: slots of which some entries are set to a value, unless they have changed by then.
        value: that value.
    """
    program, after = one.program, dict(changed)
    after |= {
        slot: _with_some(values[slot], value)
        for slot in program.ins
        if slot in some and slot not in after
    }
    for equation in program.equations:
        if any(s in after for s in equation.ins) and not stays(equation, after):
            made = numbers.results(
                equation, program, [after.get(s, values[s]) for s in equation.ins]
            )
            after.update(
                (slot, a)
                for slot, a in zip(equation.outs, made, strict=True)
                if slot not in changed
            )
        after |= {
            slot: _with_some(values[slot], value)
            for slot in equation.outs
            if slot in some and slot not in after
        }
    return after


def _with_some(a: Any, value: float) -> Any:
    """An array "... units" with some units set to a value."""
    a = np.array(a)
    a[..., ::EVERY] = value
    return a


def _slope(cell: Activation) -> Callable[[Array], Array] | None:
    """The slope of an activation; None where it has none, or the same everywhere."""
    slope = cell.slope
    if slope is None or isinstance(slope(jnp.zeros(1)), float | int):
        return None
    return lambda u: jnp.asarray(slope(u))


def _follows(seen: np.ndarray, slope: np.ndarray, size: float) -> bool:
    """Whether some entry, as a function of the potential, is a multiple of the slope."""
    part = slope @ seen / (slope @ slope)
    apart = np.linalg.norm(seen - slope[:, None] * part, axis=0)
    found = np.linalg.norm(seen, axis=0)
    return bool(np.any((found > FELT * size) & (apart <= LIKE * found)))


def _near(a: Any, b: Any, share: float) -> bool:
    """Whether two arrays are the same but for a share of their size."""
    return bool(np.linalg.norm(a - b) <= share * max(np.linalg.norm(a), np.linalg.norm(b)))


def _is_multiple(a: Any, weight: Any) -> bool:
    """Whether a matrix is the weights, or their transpose, times a number."""
    like = [w for w in (weight, weight.T) if w.shape == a.shape]
    return bool(np.any(a)) and any(
        _near(a, w * (np.sum(a * w) / np.sum(w * w)), SAME) for w in like
    )
