"""The studio from Python: `byway.watch` and `byway.Watcher`."""

import importlib
import webbrowser
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from typing_extensions import Unpack, override

from byway.core.errors import not_installed
from byway.core.given import require
from byway.core.task import Split, Task
from byway.experiment.experiment import Experiment, labelled
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.studio.attached import Attached, Seen
from byway.studio.page import HERE
from byway.studio.side import DRAWN
from byway.studio.simulation import Simulation
from byway.studio.steered import Steered
from byway.training.checkpoint import Progress
from byway.training.loop import Loop
from byway.training.options import Options, taking

# How tall it is in a notebook [pixel].
HEIGHT = 720
# What the server needs.
NEEDED = ("starlette", "uvicorn", "websockets")


def server(*given: Any, **named: Any) -> Any:
    """A `Server`, of the optional packages that it needs.

    Raises:
        ConfigError: one of them is not installed; or see `Server`.
    """
    for package in NEEDED:
        try:
            importlib.import_module(package)
        except ImportError:
            raise not_installed(package, "studio") from None
    from byway.studio.server import Server

    return Server(*given, **named)


class Studio:
    """A training that is watched, in threads of its own: open `address` in a browser. In a notebook
    it shows itself.

    As a context manager it ends where the block does.

    Args:
        simulation: what trains.
        serving: what serves it.
    """

    def __init__(self, simulation: Simulation, serving: Any):
        self._simulation, self._server = simulation, serving
        serving.start()
        simulation.start()

    @property
    def address(self) -> str:
        """Where a browser finds it, with the token that lets one in."""
        return self._server.address

    def learner(self, side: int = 0) -> Learner:
        """What has been learned so far; of the second of two rules with `side=1`."""
        return self._simulation.learner(side)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, so long at most [s]; whether it has ended."""
        return self._simulation.wait(seconds)

    def stop(self) -> None:
        """End it. Raises what the training failed of."""
        self._server.stop()
        self._simulation.stop()

    def __enter__(self) -> "Studio":
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    @override
    def __repr__(self) -> str:
        return f"<Studio at {self.address}>"

    def _repr_html_(self) -> str:
        where = escape(self.address, quote=True)
        title = "A network that learns, in the studio"
        return f'<iframe src="{where}" title="{title}" width="100%" height="{HEIGHT}"></iframe>'


class Watcher:
    """Shows a training in a browser while `fit` goes on: `fit(..., watch=watcher)`. The first seed
    is seen. It may be paused, and looked at from all sides; what is learned does not depend on it.

    As a context manager it ends where the block does, and until then shows how the training ended.
    A training that begins meanwhile is shown at an address of its own.

    Args:
        edges: synapses that are drawn at most.
        paused: whether it waits for "run" in the page.
        record: a file to record to from the start on.
        out: the folder for what the page saves and records.
        port: to listen on; a free one by default.
        host: the name or address of this machine that browsers use; no other machine gets in by
            default.
        browser: whether to open a browser.

    Attributes:
        address: where a browser finds it, with the token that lets one in; empty before it begins.
    """

    def __init__(
        self,
        *,
        edges: int = DRAWN,
        paused: bool = False,
        record: Path | str | None = None,
        out: Path | str = "studio",
        port: int = 0,
        host: str = HERE,
        browser: bool = False,
    ):
        self._given = Path(out), edges, paused
        self._serving: dict[str, Any] = {"host": host, "port": port}
        self._record, self._browser, self.address = record, browser, ""
        self._loop: Loop | None = None
        self._attached: Attached | None = None
        self._server: Any = None

    def __call__(self, loop: Loop, at: Progress, left: int) -> int:
        """See `byway.training.course.Watch`."""
        attached = self._attached
        if attached is None or loop is not self._loop:
            self.stop()
            attached = self._begin(loop, at)
        return attached(loop, at, left)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, so long at most [s]; whether it has ended."""
        return self._attached is None or self._attached.wait(seconds)

    def stop(self) -> None:
        """End it; the training goes on."""
        if self._attached is not None:
            self._server.stop()
            self._attached.stop()
        self._attached = self._loop = None

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    @override
    def __repr__(self) -> str:
        return f"<Watcher at {self.address or 'no address yet'}>"

    def _begin(self, loop: Loop, at: Progress) -> Attached:
        attached = Attached(Seen(loop, loop.rule.id, at.step), *self._given)
        self._server = server(attached, **self._serving)
        if self._record is not None:
            attached.record(Path(self._record))
        self._server.start()
        attached.start()
        self._loop, self._attached, self.address = loop, attached, self._server.address
        print(f"watch it at {self.address}", flush=True)
        if self._browser:
            webbrowser.open(self.address)
        return attached


@taking(Options)
def watch(
    net: Network,
    rule: Rule | Sequence[Rule],
    task: Task,
    *,
    data: dict[str, Split] | None = None,
    speed: float | None = None,
    edges: int = DRAWN,
    paused: bool = False,
    record: Path | str | None = None,
    out: Path | str = "studio",
    port: int = 0,
    host: str = HERE,
    browser: bool = False,
    **options: Unpack[Options],
) -> Studio:
    """Train `net` by `rule` on `task` while it is watched and steered in a browser.

    It trains the first seed, as `fit` would: who watches changes nothing in what is learned, and
    who steers does.

    Args:
        net: the network.
        rule: the learning rule, or two, which run side by side on the same samples from the same
            weights.
        task: what to learn.
        data: what `task.load()` gave.
        speed: updates a second at first, 1 to 1000; as many as it can by default.
        edges: synapses that are drawn at most.
        paused: whether it waits for "run" in the page.
        record: a file to record to from the start on.
        out: the folder for what the page saves and records.
        port: to listen on; a free one by default.
        host: the name or address of this machine that browsers use; no other machine gets in by
            default.
        browser: whether to open a browser.
        options: see `Options`.

    Returns:
        The training; it goes on until it is stopped.

    Raises:
        BywayError: whatever `fit` would raise of its arguments; or the page was not built, or the
            address cannot be had.
    """
    require((Rule, Sequence), "rule", rule, "a rule, or two", "for example byway.rule('dfa')")
    rules = [rule] if isinstance(rule, Rule) else list(rule)
    experiment = Experiment(labelled(rules), lambda task, rule: net, task, options, data=data)
    simulation = Steered(experiment, Path(out), speed=speed, edges=edges, paused=paused)
    serving = server(simulation, host=host, port=port)
    if record is not None:
        simulation.record(Path(record))
    studio = Studio(simulation, serving)
    if browser:
        webbrowser.open(studio.address)
    return studio
