"""What is sent on is what was measured, whoever it is sent to."""

import json
import sys
import types

import pytest

from byway.cli.main import main

SMALL = [
    "train",
    "--rule",
    "dfa",
    "--seeds",
    "2",
    "--epochs",
    "2",
    "--net.hidden",
    "6",
    "--looks",
    "2",
    "--probe",
    "8",
]


def _sent(run, seed):
    """By step, what the run folder says of one seed, under the names that are sent."""
    steps = {}
    for path in run.glob("jobs/*/*/history.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            held = json.loads(line)
            if held["seed"] == seed:
                values = {name: v for name, v in held["values"].items() if v is not None}
                steps.setdefault(held["step"], {}).update(values)
    return steps


class Book:
    """Stands for a service: it writes down what it is told."""

    def __init__(self):
        self.steps, self.told, self.closed = {}, {}, 0


@pytest.fixture
def wandb(monkeypatch):
    books = []

    def init(**told):
        book = Book()
        book.told = told
        books.append(book)
        book.log = lambda values, step: book.steps.setdefault(step, {}).update(values)
        book.finish = lambda: setattr(book, "closed", book.closed + 1)
        return book

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    return books


@pytest.fixture
def mlflow(monkeypatch):
    books = {}

    class Client:
        def get_experiment_by_name(self, name):
            return types.SimpleNamespace(experiment_id="7") if books else None

        def create_experiment(self, name):
            return "7"

        def create_run(self, experiment, tags):
            assert experiment == "7"
            books[str(len(books))] = book = Book()
            book.told = {"tags": tags, "params": {}}
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id=str(len(books) - 1)))

        def log_param(self, run, name, value):
            books[run].told["params"][name] = value

        def log_metric(self, run, name, value, step):
            books[run].steps.setdefault(step, {})[name] = value

        def set_terminated(self, run):
            books[run].closed += 1

    monkeypatch.setitem(sys.modules, "mlflow", types.SimpleNamespace(MlflowClient=Client))
    return books


def test_every_number_of_the_run_folder_reaches_each_of_them(tmp_path, wandb, mlflow):
    run = tmp_path / "run"
    assert main([*SMALL, "--out", str(run), "--track", "wandb", "mlflow", "tensorboard"]) == 0
    for seed, books in enumerate(zip(wandb, mlflow.values(), strict=True)):
        for book in books:
            assert book.steps == _sent(run, seed) and book.closed == 1
            assert set(book.steps) == {0, 39, 78}
    assert wandb[1].told["config"]["seed"] == 1 and wandb[1].told["group"] == "run"
    assert mlflow["1"].told["params"]["rule"] == "dfa"
    assert _scalars(run / "tensorboard" / "dfa-1") == {
        (step, name): pytest.approx(value, rel=1e-6)
        for step, values in _sent(run, 1).items()
        for name, value in values.items()
    }


def _scalars(folder):
    """The scalars of an event file, read by the format's description: length, its checksum, the
    event, its checksum.
    """
    import struct

    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.iterdir()
    raw, at, found = path.read_bytes(), 0, {}
    while at < len(raw):
        (size,) = struct.unpack_from("<Q", raw, at)
        event = Event.FromString(raw[at + 12 : at + 12 + size])
        at += 16 + size
        found |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
    return found


def test_one_that_does_not_exist_or_is_not_installed(tmp_path, capsys, monkeypatch):
    assert main([*SMALL, "--out", str(tmp_path / "a"), "--track", "tensorbord"]) == 2
    assert "did you mean 'tensorboard'" in capsys.readouterr().err and not (tmp_path / "a").exists()
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main([*SMALL, "--out", str(tmp_path / "b"), "--track", "wandb"]) == 2
    assert "pip install 'byway[track]'" in capsys.readouterr().err and not (tmp_path / "b").exists()
