"""Reproductions: published figures, one file each, found by listing this folder."""

import sys

from typing_extensions import override

from byway.core.registry import IN_FILE, Registry
from byway.reproductions._reproduction import Reproduction


class Reproductions(Registry[Reproduction]):
    """The registry of reproductions: files, and other packages' entry points."""

    @override
    def get(self, name: str) -> type[Reproduction]:
        """The class called `name`; dashes are as good as underscores."""
        plain = isinstance(name, str) and not IN_FILE.fullmatch(name)
        return super().get(name.replace("-", "_") if plain else name)


REPRODUCTIONS = Reproductions(sys.modules[__name__], Reproduction)
