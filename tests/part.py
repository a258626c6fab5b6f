"""A part of a long list of checks: so that CI can take turns, where all the parts together are it,
and so that a run takes as long however many rules there are.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest


class Part(NamedTuple):
    """One of several equal parts.

    Attributes:
        number: which, from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __contains__(self, position: int) -> bool:
        """Whether what stands at a position of the list, from 0, is in this part."""
        return position % self.of == self.number - 1


def part(text: str) -> Part:
    """The part that is written as "2/5"."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no part; wanted: its number and how many there are, as in 2/5"
        )
    return Part(int(number), int(of))


def some(of: Sequence[Any], wanted: int, named: Callable[[Any], str] | None = None) -> list[Any]:
    """What to parametrise over: about so many of a list, evenly spread, and, in `make slow`, the
    others too.
    """
    apart = max(1, round(len(of) / wanted))
    return [
        pytest.param(
            *(one if isinstance(one, tuple) else (one,)),
            marks=pytest.mark.slow if position % apart else (),
            id=named and named(one),
        )
        for position, one in enumerate(of)
    ]
