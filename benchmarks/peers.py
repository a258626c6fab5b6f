"""The peers' environments: `python -m benchmarks.peers` makes those that `peers.txt` lists; `python
-m benchmarks.peers jpc` makes one.

They lie in `.venv/peers`, or in the folder that the variable `BYWAY_PEERS` names. A peer that
cannot be installed is left out of the races, and the others are not held up by it.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

LIST = Path(__file__).parent / "peers.txt"
FOLDER = Path(os.environ.get("BYWAY_PEERS") or Path(__file__).parent.parent / ".venv" / "peers")


def listed() -> dict[str, list[str]]:
    """What each environment holds, by its name."""
    lines = (
        line.split()
        for line in LIST.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    return {name: requirements for name, *requirements in filter(None, lines)}


def python(name: str) -> Path | None:
    """The interpreter of a whole environment, or None where it is not there or holds something else
    than is listed.
    """
    ready = FOLDER / name / ".ready"
    if not ready.exists() or ready.read_text(encoding="utf-8").split() != listed()[name]:
        return None
    return FOLDER / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make(name: str) -> bool:
    """Make an environment unless it is there; whether it is now."""
    if python(name):
        return True
    folder, requirements = FOLDER / name, listed()[name]
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if subprocess.run(
        [interpreter, "-m", "pip", "install", "--quiet", *requirements], check=False
    ).returncode:
        print(
            f"{name} could not be installed (pip says why above): it will be missing from the "
            "races",
            file=sys.stderr,
        )
        return False
    (folder / ".ready").write_text(" ".join(requirements), encoding="utf-8")
    return True


def main() -> None:
    """Make what the command line names, or all of them."""
    names = sys.argv[1:] or list(listed())
    if unknown := set(names) - set(listed()):
        raise SystemExit(
            f"no peer called {', '.join(sorted(unknown))}; there are: {', '.join(listed())}"
        )
    made = [make(name) for name in names]
    raise SystemExit(not all(made))


if __name__ == "__main__":
    main()
