"""What stands in for a training where only the server is looked at."""

import pytest

from byway.studio.board import Board
from byway.studio.commands import Limits
from byway.studio.frames import encode


class Live:
    """Nothing that learns: a board, and a list of what was asked for."""

    def __init__(self):
        self.board, self.asked, self.deaf = Board(), [], False
        self.clients = self.watchers = 0
        self.recorded = None
        self.limits = Limits([10], {"lr": (0.0, 1.0)}, ["activity"], ["a"], {"validation": 5}, 3)
        self.say("hello")

    def say(self, text, size=0):
        self.board.post("state", encode("state", 0, 0, {"text": text, "filled": "x" * size}))

    def ask(self, command):
        if not self.deaf:
            self.asked.append(command)
        return not self.deaf


@pytest.fixture
def live():
    return Live()


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """A page that was not built: the server does not care."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<!doctype html><title>studio</title>", encoding="utf-8")
    (folder / "assets" / "studio.js").write_text("0", encoding="utf-8")
    (folder / "icon.svg").write_text("<svg/>", encoding="utf-8")
    return folder
