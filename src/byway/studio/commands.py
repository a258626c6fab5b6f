"""What a page may ask for: a list of commands, each with the values that it takes. Whatever else
comes is refused in words, and harms nobody.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from byway.core.given import is_number, is_whole, shown

MOST_STEPS, MOST_SPEED, MOST_EDGES = 1000, 1000.0, 200_000


class Refused(ValueError):
    """A command that is none, or whose value is none of those that it takes."""


class Command(NamedTuple):
    """What is asked for.

    Attributes:
        do: its name.
        value: checked.
    """

    do: str
    value: Any = None


class Limits(NamedTuple):
    """What there is to be asked for.

    Attributes:
        units: how many each side has.
        controls: the least and the most of each number that may be set.
        quantities: what units may be coloured by.
        tasks: what may be switched to.
        samples: how many each split has.
        inputs: how many numbers an input has.
    """

    units: Sequence[int]
    controls: Mapping[str, tuple[float, float]]
    quantities: Sequence[str]
    tasks: Sequence[str]
    samples: Mapping[str, int]
    inputs: int


def read(text: str | bytes, limits: Limits) -> tuple[Any, Command]:
    """A message of a page.

    Returns:
        Its number, to answer to, or None; and the command.

    Raises:
        Refused: it asks for nothing that there is.
    """
    try:
        said = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as problem:
        raise Refused("a message that is no JSON") from problem
    if not isinstance(said, dict):
        raise Refused("a message that is no object")
    number, do = said.get("id"), said.get("do")
    if number is not None and not is_whole(number):
        raise Refused("an id that is no whole number")
    if not isinstance(do, str) or do not in COMMANDS:
        raise Refused(f"no command {shown(do)}; there are {', '.join(sorted(COMMANDS))}")
    return number, Command(do, COMMANDS[do](said.get("value"), limits))


def _no_number(word: str) -> float:
    raise ValueError(word)


def _none(value: Any, limits: Limits) -> None:
    if value is not None:
        raise Refused(f"a value, {shown(value)}, where none is taken")


def _whole(low: int, high: int) -> Callable[[Any, Limits], int]:
    def check(value: Any, limits: Limits) -> int:
        if not is_whole(value) or not low <= value <= high:
            raise Refused(f"{shown(value)}, where a whole number from {low} to {high} is wanted")
        return int(value)

    return check


def _speed(value: Any, limits: Limits) -> float | None:
    return None if value is None else _number(value, 1.0, MOST_SPEED)


def _flag(value: Any, limits: Limits) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{shown(value)}, where true or false is wanted")
    return value


def _set(value: Any, limits: Limits) -> tuple[str, float]:
    name, number = _fields(value, "name", "value")
    _one_of(name, list(limits.controls))
    return name, _number(number, *limits.controls[name])


def _colour(value: Any, limits: Limits) -> str:
    return _one_of(value, limits.quantities)


def _task(value: Any, limits: Limits) -> str:
    return _one_of(value, limits.tasks)


def _select(value: Any, limits: Limits) -> tuple[int, list[int]]:
    units, side = _fields(value, "units", "side")
    side = _whole(0, len(limits.units) - 1)(side, limits)
    chosen = _units(units, limits.units[side])
    if len(chosen) > 2:
        raise Refused(f"{len(chosen)} units, where two at most can be picked")
    return side, chosen


def _region(value: Any, limits: Limits) -> dict[str, Any]:
    """Units, or a ball."""
    if isinstance(value, dict) and value.keys() == {"units"}:
        return {"units": _units(value["units"], min(limits.units))}
    centre, radius = _fields(value, "centre", "radius")
    if not isinstance(centre, list) or len(centre) != 3:
        raise Refused(f"{shown(centre)}, where three coordinates are wanted")
    far = 1e9
    return {
        "centre": [_number(one, -far, far) for one in centre],
        "radius": _number(radius, 0.0, far),
    }


def _sample(value: Any, limits: Limits) -> dict[str, Any]:
    if value == {"random": True}:
        return value
    if isinstance(value, dict) and value.keys() == {"input"}:
        numbers = value["input"]
        if not isinstance(numbers, list) or len(numbers) != limits.inputs:
            raise Refused(f"an input that is not a list of {limits.inputs} numbers")
        return {"input": [_number(one, 0.0, 1.0) for one in numbers]}
    split, index = _fields(value, "split", "index")
    _one_of(split, list(limits.samples))
    return {"split": split, "index": _whole(0, limits.samples[split] - 1)(index, limits)}


def _fields(value: Any, *names: str) -> list[Any]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise Refused(f"{shown(value)}, where {' and '.join(names)} are wanted")
    return [value[name] for name in names]


def _one_of(value: Any, names: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in names:
        raise Refused(f"{shown(value)}, where one of {', '.join(names)} is wanted")
    return value


def _number(value: Any, low: float, high: float) -> float:
    if not is_number(value) or not low <= value <= high or not math.isfinite(float(value)):
        raise Refused(f"{shown(value)}, where a number from {low:g} to {high:g} is wanted")
    return float(value)


def _units(value: Any, size: int) -> list[int]:
    if not isinstance(value, list) or len(value) > size:
        raise Refused(f"{shown(value)}, where a list of units is wanted")
    for one in value:
        if not is_whole(one) or not 0 <= one < size:
            raise Refused(f"{shown(one)}, where a unit from 0 to {size - 1} is wanted")
    return [int(one) for one in value]


# By name, what makes the checked value of a given one.
COMMANDS: dict[str, Callable[[Any, Limits], Any]] = {
    "ready": _none,
    "run": _none,
    "pause": _none,
    "step": _whole(1, MOST_STEPS),
    "speed": _speed,
    "set": _set,
    "colour": _colour,
    "edges": _whole(0, MOST_EDGES),
    "select": _select,
    "silence": _region,
    "lesion": _region,
    "restore": _none,
    "sample": _sample,
    "task": _task,
    "save": _none,
    "branch": _none,
    "record": _flag,
}
