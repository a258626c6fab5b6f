"""Who may import whom, and what nobody may: the shape of the house and the promises of SECURITY.md,
read from the source.
"""

import ast
from pathlib import Path

import pytest

import byway

ROOT = Path(byway.__file__).parent
MAY_IMPORT = {
    "system": {"core"},
    "core": set(),
    "network": {"core"},
    "rules": {"core", "network"},
    "growths": {"core", "network"},
    "tasks": {"core", "network"},
    "metrics": {"core", "network"},
    "training": {"core", "network", "metrics"},
    "verify": {"core", "network", "rules", "tasks", "metrics", "audit"},
    "testing": {"core", "network", "rules", "tasks", "metrics", "audit", "training", "verify"},
    "meta": {"core", "network", "rules", "tasks", "training"},
    "audit": {"core", "network", "rules", "tasks", "metrics"},
    "report": {"core", "network", "metrics", "training"},
    "pages": {"core", "network", "rules", "growths", "tasks", "metrics", "audit", "verify"},
    "cli": {
        "core",
        "network",
        "rules",
        "growths",
        "tasks",
        "metrics",
        "training",
        "audit",
        "report",
        "verify",
        "meta",
    },
}
# What is around the house is for every room.
EVERYWHERE = {"system"}
# Draws what is in the other rooms, which ask it to: only in the middle of a function, so that
# nothing loads it before.
LATE = "notebook"
FILES = sorted(p for p in ROOT.rglob("*.py") if p.parent != ROOT)


# What reads a pickle, starts a program, or listens. Ruff's S rules look at how these and others are
# called.
NEVER = {
    "pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "subprocess",
    "pty",
    "socket",
    "socketserver",
    "http",
    "torch",
}


def imported(path: Path, walk=ast.walk) -> set[str]:
    """The dotted names that a file imports, wherever in the file, or where `walk` goes."""
    found = set()
    for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def ours(path: Path, walk=ast.walk) -> set[str]:
    """Those of ours."""
    return {name for name in imported(path, walk) if name.split(".")[0] == "byway"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    room = path.relative_to(ROOT).parts[0]
    for name in ours(path):
        if name == "byway":  # its version
            continue
        other = name.split(".")[1]
        assert other in {room, *MAY_IMPORT[room], LATE} | EVERYWHERE, (
            f"{path.relative_to(ROOT)} imports {name}"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_loads_the_notebooks_drawings_before_they_are_asked_for(path):
    assert f"byway.{LATE}" not in imported(path, ast.iter_child_nodes)


def test_nothing_is_imported_that_reads_pickles_starts_programs_or_listens():
    for path in ROOT.rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & NEVER, path


def test_arrays_are_never_loaded_from_pickles():
    """NumPy refuses pickles by default, too; here it is said at every call, so that no default has
    to be remembered.
    """
    calls = []
    for path in ROOT.rglob("*.py"):
        nodes = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        ]
        calls += [
            node
            for node in nodes
            if ast.unparse(node.func) in ("np.load", "numpy.load", "jnp.load")
        ]
    assert calls
    for call in calls:
        assert {k.arg: ast.unparse(k.value) for k in call.keywords}.get(
            "allow_pickle"
        ) == "False", ast.unparse(call)


@pytest.mark.parametrize("room", ["rules", "tasks"])
def test_no_member_imports_a_member(room):
    for path in (ROOT / room).glob("[!_]*.py"):
        members = {
            name
            for name in imported(path)
            if name.startswith(f"byway.{room}.") and not name.split(".")[2].startswith("_")
        }
        assert members == set(), path.name


def test_every_folder_has_its_line_in_the_table():
    assert {p.name for p in ROOT.iterdir() if p.is_dir() and p.name != "__pycache__"} == set(
        MAY_IMPORT
    )
