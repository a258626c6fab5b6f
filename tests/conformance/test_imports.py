"""Who may import whom, and what nobody may: the shape of the house and the promises of SECURITY.md,
read from the source.
"""

import ast
from pathlib import Path

import pytest

import byway
from byway.growths import GROWTHS
from byway.network.cells import CELLS
from byway.reproductions import REPRODUCTIONS
from byway.rules import RULES
from byway.tasks import TASKS

ROOT = Path(byway.__file__).parent
# Each may import those before it, and nothing that stands after it, wherever in a file.
LAYERS = [
    "core",
    "system",
    "network",
    "learning",
    "tasks",
    "metrics",
    "audit",
    "training",
    "verify",
    "rules",
    "growths",
    "named",
    "meta",
    "runs",
    "report",
    "experiment",
    "reproductions",
    "pages",
    "notebook",
    "sklearn",
    "studio",
    "cli",
    "__main__",
]
FILES = sorted(ROOT.rglob("*.py"))


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


# What starts this program again and hands it its work, from process to process: nothing of it is
# read from a file. SECURITY.md says so.
JOBS = {
    "experiment/processes.py": {"subprocess"},
    "experiment/worker.py": {"cloudpickle", "pickle"},
    "experiment/cluster.py": {"cloudpickle"},
}
# The one that listens, where 'byway studio' or byway.watch asks for it.
LISTENS = {"studio/server.py": {"socket"}}


def named(path: Path) -> str:
    """The dotted name of a module."""
    parts = ("byway", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {named(path): path for path in FILES}


def imported(path: Path) -> set[str]:
    """The dotted names that a file imports, wherever in it, by a statement or by a name in
    `import_module`; of `from a import b` that is a.b where it is a module of ours, and a
    otherwise.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=str(module), level=0):
                names = {f"{module}.{alias.name}" for alias in node.names}
                found |= names & MODULES.keys() or {module}
            case ast.ImportFrom():
                raise AssertionError(f"{path}: imports have whole names")
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if ast.unparse(
                node.func
            ).endswith("import_module"):
                found.add(name)
    return found


IMPORTS = {name: imported(path) & MODULES.keys() for name, path in MODULES.items()}


def layer(name: str) -> str:
    """The package, or the file beside the packages, that a module belongs to."""
    return name.split(".")[1] if "." in name else name


def test_every_package_stands_in_the_one_list_of_layers():
    assert {layer(name) for name in MODULES} - {"byway"} == set(LAYERS)


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"byway"}))
def test_imports_point_down(name):
    path, place = MODULES[name], LAYERS.index(layer(name))
    allowed = LAYERS[: place + 1]
    upwards = {other for other in IMPORTS[name] - {"byway"} if layer(other) not in allowed}
    assert not upwards, f"{path.relative_to(ROOT)} imports what stands above it"
    top = name == "byway.cli.main"  # which prints the version
    assert top or "byway" not in imported(path), "import it from the module that defines it"


def test_the_top_imports_almost_nothing_before_it_is_asked_for():
    assert IMPORTS["byway"] == {"byway.core.display"}


def test_no_module_imports_itself_by_way_of_others():
    """Neither at the top of a file nor within a function."""
    left = {name: set(others) - {"byway", name} for name, others in IMPORTS.items()}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"a circle is among {sorted(left)}"


def test_nothing_is_imported_that_reads_pickles_starts_programs_or_listens():
    for path in ROOT.rglob("*.py"):
        allowed = (JOBS | LISTENS).get(path.relative_to(ROOT).as_posix(), set())
        assert {name.split(".")[0] for name in imported(path)} & NEVER == allowed, path


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


@pytest.mark.parametrize(
    "registry", [RULES, TASKS, GROWTHS, CELLS, REPRODUCTIONS], ids=lambda r: r.kind
)
def test_no_member_imports_a_member(registry):
    members = set(registry._own.values())
    assert members <= MODULES.keys()
    for name in members:
        assert not IMPORTS[name] & members, name


def test_every_file_of_a_family_is_a_member_or_its_checks_or_machinery():
    """So a rule that is forgotten under a wrong name is noticed, and none has a namesake."""
    members = list(RULES._own.values())
    names = [name.rpartition(".")[2] for name in members]
    assert len(set(names)) == len(names)
    for path in (ROOT / "rules").glob("*/*.py"):
        name = path.stem
        assert name.startswith("_") or name.removesuffix("_checks") in names, path.name
