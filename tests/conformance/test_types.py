"""What a type checker says of a user's program, in strict mode, with Byway installed: nothing of a
good one, and what is wrong with a wrong one.
"""

import ast
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import byway

ROOT = Path(byway.__file__).parent
PROGRAMS = Path(__file__).parents[1] / "typed"


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, dict[int, str]]:
    """By program and line, what pyright says of it."""
    folder = tmp_path_factory.mktemp("user")
    # A place for packages in which ours lies as an installed one, beside all that it needs.
    packages = folder / "env" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "byway").symlink_to(ROOT)
    (packages / "needed.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    for program in PROGRAMS.glob("*.py"):
        (folder / program.name).write_text(program.read_text(encoding="utf-8"), encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "venvPath": ".", "venv": "env", "include": ["*.py"]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "-p", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = {program.name: {} for program in PROGRAMS.glob("*.py")}
    for problem in json.loads(done.stdout)["generalDiagnostics"]:
        line = problem["range"]["start"]["line"] + 1
        found[Path(problem["file"]).name][line] = problem["message"]
    return found


@pytest.mark.parametrize("program", ["good.py", "more.py"])
def test_a_good_program_gives_no_error_in_strict_mode(program, said):
    assert said[program] == {}


def test_each_mistake_is_found_where_it_is(said):
    lines = (PROGRAMS / "wrong.py").read_text(encoding="utf-8").splitlines()
    wanted = {number for number, line in enumerate(lines, 1) if line.endswith("# found")}
    assert said["wrong.py"].keys() == wanted, said["wrong.py"]


def test_the_programs_use_every_public_name():
    text = "".join((PROGRAMS / name).read_text(encoding="utf-8") for name in ("good.py", "more.py"))
    assert {name for name in byway.__all__ if f"byway.{name}" not in text} == set()


def test_the_public_page_names_what_there_is_and_nothing_else():
    page = ast.parse((ROOT / "__init__.pyi").read_text(encoding="utf-8"))
    listed = {}
    for node in page.body:
        if isinstance(node, ast.ImportFrom):
            (name,) = node.names
            assert name.name == name.asname, "a name is passed on as it is"
            listed[name.name] = node.module
    assert listed == {name: f"byway.{home}" for name, home in byway._HOME.items()}
    for name in byway.__all__:
        assert getattr(byway, name).__module__.startswith("byway.")


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "py.typed").exists()
