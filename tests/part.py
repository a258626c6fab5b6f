"""A part of a long list of checks, so that CI can take turns: all the parts together are it."""

import argparse
from typing import NamedTuple


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
