"""Plant defects, one at a time, and see whether the tests that are named for them fail: `python -m
tests.mutate [--part K/N] [NAME ...]`.

Each defect of `defects.py` is applied to a copy of the tree, in a temporary folder, and its tests
are run there. A defect is caught where one of them fails; where none does it survived, and a test
is missing. First all those tests run on a copy without any defect, where they must pass: a test
that always fails catches nothing.

Exits with 1 if a defect survived, if its old text is not in its file exactly once, or if its tests
cannot be run.
"""

import argparse
import ast
import concurrent.futures
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutate.defects import DEFECTS, Defect
from tests.part import Part, part

ROOT = Path(__file__).resolve().parents[2]
# Defects tried at once; how long the tests of one may take, and those of the copy without any [s].
AT_ONCE, LIMIT, LIMIT_OF_ALL = 2, 300.0, 1200.0
CAUGHT, SURVIVED, BROKEN = "caught", "SURVIVED", "BROKEN"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of one defect.

    Attributes:
        name: the defect.
        outcome: caught, survived, or broken where nothing can be said.
        why: the test that failed, or what is wrong with the entry.
        seconds: how long its tests took [s].
    """

    name: str
    outcome: str
    why: str
    seconds: float


def pattern(code: str) -> re.Pattern[str]:
    """Finds code however its lines are wrapped: space counts as space, within brackets as none."""
    found = r"\s+".join(re.escape(word) for word in code.split())
    found = re.sub(r"(\\[(\[{])", r"\1\\s*", found)
    return re.compile(re.sub(r"(,?)(\\[)\]}])", r"\1,?\\s*\2", found))


def misplaced(defect: Defect) -> str | None:
    """Why a defect cannot be planted; None if it can."""
    path = ROOT / "src" / "byway" / defect.file
    if not path.is_file():
        return f"there is no {path.relative_to(ROOT)}"
    times = len(pattern(defect.old).findall(path.read_text(encoding="utf-8")))
    if times != 1:
        return f"its old text is {times} times in {defect.file}"
    try:
        ast.parse(planted(defect))
    except SyntaxError as error:
        return f"with it {defect.file} is no program: {error}"
    return None


def planted(defect: Defect) -> str:
    """The file of a defect with the defect in it."""
    text = (ROOT / "src" / "byway" / defect.file).read_text(encoding="utf-8")
    return pattern(defect.old).sub(lambda _: defect.new, text)


def copied(folder: Path) -> Path:
    """The tree, as far as tests need it, copied into a folder."""
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def tested(
    folder: Path, tests: Sequence[str], limit: float, stop: bool
) -> tuple[int | None, list[str], str]:
    """Run tests on a copy of the tree.

    Returns:
        pytest's exit status, None if it took too long; the tests that failed; and all that was
        said.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-rfE",
        "--tb=line",
        *(["-x"] if stop else []),
        *tests,
    ]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return None, [], f"its tests took more than {limit:g} s"
    failed = [
        line.split(" ", 1)[1].partition(" - ")[0]
        for line in done.stdout.splitlines()
        if line.startswith(("FAILED ", "ERROR "))
    ]
    return done.returncode, failed, done.stdout + done.stderr


def tried(defect: Defect) -> Verdict:
    """Plant one defect and run its tests."""
    started = time.perf_counter()

    def verdict(outcome: str, why: str) -> Verdict:
        return Verdict(defect.name, outcome, why, time.perf_counter() - started)

    if problem := misplaced(defect):
        return verdict(BROKEN, problem)
    with tempfile.TemporaryDirectory(prefix="byway-defect-") as made:
        folder = copied(Path(made))
        path = folder / "src" / "byway" / defect.file
        path.write_text(planted(defect), encoding="utf-8")
        status, failed, said = tested(folder, defect.tests, LIMIT, stop=True)
    if status == 1 and failed:
        return verdict(CAUGHT, failed[0])
    if status == 0:
        return verdict(SURVIVED, "a test is missing")
    return verdict(BROKEN, said.strip().rpartition("\n")[2])


def sound(defects: Sequence[Defect]) -> Verdict:
    """Run all the tests on a copy without a defect."""
    started = time.perf_counter()
    tests = list(dict.fromkeys(test for defect in defects for test in defect.tests))
    with tempfile.TemporaryDirectory(prefix="byway-defect-") as made:
        status, failed, said = tested(copied(Path(made)), tests, LIMIT_OF_ALL, stop=False)
    why = "all pass" if status == 0 else ", ".join(failed) or said.strip().rpartition("\n")[2]
    return Verdict(
        "(no defect)", "passes" if status == 0 else BROKEN, why, time.perf_counter() - started
    )


def main(words: Sequence[str]) -> int:
    """Try the defects of the names given, all by default, or a part of them."""
    parser = argparse.ArgumentParser("python -m tests.mutate")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which defects; all by default")
    parser.add_argument(
        "--part", type=part, default=Part(1, 1), metavar="K/N", help="a part of them"
    )
    asked = parser.parse_args(words)
    names = asked.names
    known = {defect.name: defect for defect in DEFECTS}
    if unknown := [name for name in names if name not in known]:
        print(
            f"no defect is called {', '.join(unknown)}\n  wanted: some of {', '.join(known)}\n  "
            "do: choose among these",
            file=sys.stderr,
        )
        return 2
    listed = [known[name] for name in names] or DEFECTS
    chosen = [defect for position, defect in enumerate(listed) if position in asked.part]
    started, verdicts = time.perf_counter(), []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(sound, chosen), *(pool.submit(tried, defect) for defect in chosen)]
        for number, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            verdicts.append(one := job.result())
            print(
                f"[{number}/{len(jobs)}] {one.name}: {one.outcome} ({one.why}) {one.seconds:.0f} s",
                flush=True,
            )
    order = {name: i for i, name in enumerate(["(no defect)", *known])}
    width = max(len(one.name) for one in verdicts)
    print()
    for one in sorted(verdicts, key=lambda one: order[one.name]):
        print(f"{one.name:{width}}  {one.outcome:8}  {one.seconds:4.0f} s  {one.why}")
    count = {
        outcome: sum(one.outcome == outcome for one in verdicts)
        for outcome in (CAUGHT, SURVIVED, BROKEN)
    }
    minutes = (time.perf_counter() - started) / 60
    print(
        f"\n{len(chosen)} defects: {count[CAUGHT]} caught, {count[SURVIVED]} survived, "
        f"{count[BROKEN]} broken; {minutes:.1f} minutes"
    )
    return 1 if count[SURVIVED] or count[BROKEN] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
