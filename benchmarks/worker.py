"""A process that holds contestants and runs them when told to: JAX and PyTorch never share a
process or its threads.

The parent writes one JSON request a line and reads one JSON answer a line:

    {"make": name, "target": "module:function", "args": {...}}
    builds a contestant; answers its facts
    {"run": name}
    runs it once; answers the seconds that took
    {"accuracy": name}
    answers the test accuracy it has reached, or null
    {"ask": "module:function", "args": {...}}                   answers what that function returns
"""

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
# Where JAX computes; `device.sh` says so of an accelerator.
PLATFORM = os.environ.get("BYWAY_BENCH_PLATFORM", "cpu")


@dataclasses.dataclass
class Contestant:
    """What a worker holds.

    Attributes:
        run: trains for one epoch and waits for its end.
        accuracy: scores the weights on the test split.
        facts: what else is known of it.
    """

    run: Callable[[], Any]
    accuracy: Callable[[], float] | None = None
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


class WorkerError(Exception):
    """A worker that stopped before it answered."""


class Worker:
    """The parent's end: a context that starts the process and stops it.

    Args:
        python: the interpreter it runs in; a peer has its own.
        env: environment variables of the process, besides this one's. JAX computes on `PLATFORM`,
            and keeps no programs on disk.
    """

    def __init__(self, python: str = sys.executable, **env: str):
        inherited = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker"],
            cwd=ROOT,
            env=inherited | {"JAX_PLATFORMS": PLATFORM} | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def make(self, name: str, target: str, **args) -> dict:
        """Build a contestant; its facts."""
        return self._answer(make=name, target=target, args=args)

    def run(self, name: str) -> float:
        """Run it once; the seconds that took."""
        return self._answer(run=name)

    def accuracy(self, name: str) -> float | None:
        """The test accuracy it has reached."""
        return self._answer(accuracy=name)

    def ask(self, target: str, **args) -> Any:
        """What a function returns over there."""
        return self._answer(ask=target, args=args)

    def _answer(self, **request) -> Any:
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"a worker stopped when asked {request}: it says why above")
        return json.loads(line)


def _serve() -> None:
    """Answer requests until the parent hangs up. Whatever else is printed goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    held: dict[str, Contestant] = {}
    for line in sys.stdin:
        print(json.dumps(_reply(json.loads(line), held)), file=answers, flush=True)


def _reply(request: dict, held: dict[str, Contestant]) -> Any:
    match request:
        case {"make": name, "target": target, "args": args}:
            held[name] = _find(target)(**args)
            return held[name].facts
        case {"run": name}:
            started = time.perf_counter()
            held[name].run()
            return time.perf_counter() - started
        case {"accuracy": name}:
            accuracy = held[name].accuracy
            return None if accuracy is None else accuracy()
        case {"ask": target, "args": args}:
            return _find(target)(**args)


def _find(target: str) -> Callable:
    module, name = target.split(":")
    return getattr(importlib.import_module(f"benchmarks.{module}"), name)


if __name__ == "__main__":
    _serve()
