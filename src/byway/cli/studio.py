"""`byway studio`: watch a network learn and grow, and steer it, in a browser."""

import contextlib
import dataclasses
import time
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from byway.cli.experiment import made
from byway.cli.flags import Flag
from byway.cli.resume import restored
from byway.cli.settings import Verb
from byway.core.errors import ConfigError
from byway.core.given import shown
from byway.experiment.controls import Entry
from byway.experiment.experiment import Experiment
from byway.named import task as task_called
from byway.runs.folder import CHECKPOINTS, JOBS, RunFolder, read
from byway.runs.predictors import load, predictor_of
from byway.studio.door import answer, let_in
from byway.studio.page import exported
from byway.studio.recording import SUFFIX
from byway.studio.recording import read as records
from byway.studio.steered import Steered
from byway.studio.video import film
from byway.studio.watching import server
from byway.tasks import TASKS
from byway.training.checkpoint import interrupts, is_locked
from byway.training.predictor import Predictor
from byway.training.start import started
from byway.training.step import Start

DOC = """Watch a network learn and grow, and steer it, live in a browser.

With no argument a small network grows on digits, with a guided tour. 'byway studio RUN' attaches to
a run that another process is training: it is watched, and not steered, as it is kept for its
results. Of a run that has ended it goes on from the weights; 'byway studio FILE.byway' from those
of a saved network. 'byway studio FILE.bywayrec' plays a recording; --export DIR makes a page of it
that any web server can serve, and --video NAME.gif a film. Otherwise flags say what is trained, as
in 'byway train', or two rules side by side: --rules bp,dfa.

It listens on this machine alone, and the address has a token that others need to get in. --host
NAME lets other machines in, by a name or an address of this one."""
# One seed learns, for as long as somebody watches, and nothing of it is a run.
WITHOUT = (
    *("seeds", "patience", "best", "looks", "look_at", "parallel", "save_every", "keep", "jobs"),
    *("on", "track", "overwrite", "folds", "tasks", "tuned"),
)
OWN = [
    Flag("rules", str, "dfa", "the rule to watch, or two to watch side by side"),
    Flag("speed", float | None, 100.0, "updates a second at first, at most 1000"),
    Flag("edges", int, 20_000, "synapses that are drawn at most"),
    Flag("paused", bool, False, "wait for 'run' in the page"),
    Flag("out", Path, Path("studio"), "the folder for what is saved and recorded"),
    Flag("record", Path | None, None, "record to this file from the start on"),
    Flag("export", Path | None, None, "write a page that plays a recording to this folder"),
    Flag("video", Path | None, None, "write a film of a recording to this file, NAME.gif"),
    Flag("browser", bool, True, "print the address and open no browser"),
    Flag("port", int, 0, "the port to listen on; a free one by default"),
    Flag("host", str, "127.0.0.1", "the name or address of this machine that browsers use"),
]
VERB = Verb("studio", DOC, OWN, WITHOUT)
# What grows where nothing is asked for.
TOUR = (
    *("--rules", "dfa", "--net.kind", "grownet", "--net.units", "300", "--net.regions", "3"),
    *("--net.fan-in", "12", "--net.spare", "4", "--net.born", "0.5"),
    *("--growth", "rigl,neurogenesis", "--speed", "30"),
)
# Passes over the data before it pauses by itself; how often it is asked whether it has ended [s].
EPOCHS, SECOND = 1000, 0.5


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    words = list(argv)
    place = Path(words.pop(0)) if words and not words[0].startswith("-") else None
    flags = ["--rules" if word == "--rule" else word for word in words]
    told = {flag.partition("=")[0] for flag in flags}
    tour = place is None and not told & {"--rules", "--task", "--net.kind", "--growth", "--config"}
    settings = VERB.read([*TOUR, *flags] if tour else flags)
    if place is not None and place.suffix == SUFFIX:
        play(place, settings)
        return
    for name, what in (("export", "DIR"), ("video", "NAME.gif")):
        if (given := getattr(settings, name)) is None:
            continue
        raise ConfigError(
            f"--{name} {given} without a recording",
            f"byway studio FILE.bywayrec --{name} {what}",
            "record first, by --record FILE.bywayrec or in the page",
        )
    if place is not None and being_trained(place):
        attach(place, settings)
        return
    experiment, starts = _begun(place, settings)
    watch(experiment, starts, settings, tour)


def watch(
    experiment: Experiment, starts: dict[str, Start], settings: Any, tour: bool = False
) -> None:
    """Train, and serve the page, until it is stopped."""
    print("drawing and compiling the network ...", flush=True)
    simulation = Steered(
        experiment, settings.out, starts, settings.speed, settings.edges, settings.paused, tour
    )
    if settings.record is not None:
        simulation.record(settings.record)
    serving = server(simulation, host=settings.host, port=settings.port)
    with interrupts() as asked, _serving(serving, settings.browser):
        simulation.start()
        try:
            _until(lambda: simulation.wait(SECOND), asked)
        finally:
            simulation.stop()
            for path in simulation.saved:
                print(f"wrote {path}")


def attach(run: Path, settings: Any) -> None:
    """Watch what another process trains, one job after another, until it has ended."""
    wanted = {name: getattr(settings, name) for name in ("host", "port", "edges", "paused")}
    wanted["out"] = str(settings.out.resolve())
    while being_trained(run):
        job = _job_of(run)
        if job is None:
            time.sleep(SECOND)
            continue
        print(f"asking the training in {job} to let us in ...", flush=True)
        ended = partial(_ended, job / CHECKPOINTS)
        with interrupts() as asked, let_in(job, **wanted) as file:
            _until(lambda file=file, ended=ended: answer(file) is not None or ended(), asked)
            if (address := answer(file)) is not None:
                _say(address, settings.browser)
                _until(ended, asked)
    print(f"the training has ended; 'byway report {run}' shows what came of it")


def _ended(checkpoints: Path) -> bool:
    time.sleep(SECOND)
    return not is_locked(checkpoints)


def being_trained(place: Path) -> bool:
    """Whether another process trains a run."""
    return (place / JOBS).is_dir() and is_locked(place)


def _job_of(run: Path) -> Path | None:
    """The folder of a job that is being trained."""
    folder = RunFolder.again(run)
    labels = folder.about.get("asked", [])
    return next(
        (
            job.path
            for label in labels
            for job in folder.jobs(label)
            if job.begun and not job.finished and is_locked(job.checkpoints)
        ),
        None,
    )


def play(recording: Path, settings: Any) -> None:
    """Play a recording, or write a page or a film that does."""
    next(records(recording), None)  # which says if it is none
    if settings.export is not None:
        exported(recording, settings.export)
        print(f"wrote {settings.export / 'index.html'}: put the folder on any web server")
    if settings.video is not None:
        film(recording, settings.video, told=_drawn)
        print(f"wrote {settings.video}")
    if settings.export is not None or settings.video is not None:
        return
    serving = server(None, recording, settings.host, settings.port)
    with interrupts() as asked, _serving(serving, settings.browser):
        _until(lambda: time.sleep(SECOND) or False, asked)


def _drawn(number: int, many: int) -> None:
    """Say how far a film is, ten times."""
    if number * 10 // many > (number - 1) * 10 // many:
        print(f"drew {number} of {many} pictures", flush=True)


def _begun(place: Path | None, settings: Any) -> tuple[Experiment, dict[str, Start]]:
    """What is trained, and what it begins with."""
    if place is None:
        epochs = EPOCHS if settings.epochs is None else settings.epochs
        settings = dataclasses.replace(settings, epochs=epochs)
        return made(VERB.names(settings), settings), {}
    if not place.is_dir():
        return _saved(place, settings)
    _, experiment = restored(place, epochs=EPOCHS, seeds=1)
    run = read(place)
    found = {
        entry.label: _start(predictor_of(run, entry.label), entry)
        for entry in experiment.entries
        if entry.label in run.finished
    }
    return experiment, found


def _saved(place: Path, settings: Any) -> tuple[Experiment, dict[str, Start]]:
    """A saved network, and the task that it was saved from."""
    one = load(place)
    name = one.about.get("task")
    if name not in TASKS.ids():
        raise ConfigError(
            f"{place}, a network of the task {shown(name)}",
            "one of a task that has a name",
            "watch it from Python: byway.studio.watch",
        )
    options = {"epochs": EPOCHS, "lr": settings.lr, "batch": settings.batch}
    build = lambda task, rule: one.net
    experiment = Experiment({one.rule.id: one.rule}, build, task_called(name), options)
    return experiment, {one.rule.id: _start(one, experiment.entries[0])}


def _start(one: Predictor, entry: Entry) -> Start:
    (start,) = started(one.net, entry.net, entry.rule, [0]) or [Start(entry.net)]
    return start._replace(gamma=one.gamma)


def _until(over: Callable[[], bool], asked: list[int]) -> None:
    """Wait; Ctrl-C and SIGTERM, which are noted in `asked`, end it in order."""
    while not asked and not over():
        pass
    if asked:
        raise KeyboardInterrupt


def _say(address: str, browser: bool) -> None:
    print(f"the studio is at {address}\nCtrl-C ends it", flush=True)
    if browser:
        webbrowser.open(address)


@contextlib.contextmanager
def _serving(serving: Any, browser: bool) -> Iterator[None]:
    """Serve, say where, and open a browser."""
    serving.start()
    try:
        _say(serving.address, browser)
        yield
    finally:
        serving.stop()
