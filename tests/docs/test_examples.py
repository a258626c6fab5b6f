"""The code in the docs, run as a reader would: in a fresh process, top to bottom; and what a page
shows as its output. `make docs` runs it all.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = [
    "docs/tutorials/write-a-rule.md",
    "docs/tutorials/compare-rules.md",
    "docs/tutorials/what-the-audit-tells.md",
]
# Short answers, whose blocks are run in one process: a page each, in names of its own.
ANSWERS = sorted((ROOT / "docs/how-to").glob("*.md"))
BREAK = "=== here the page shows what was printed ==="
END = "=== here the page ends ==="


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page that are code or its output, in order: (language, content)."""
    return re.findall(r"```(python|text)\n(.*?)```", text, re.DOTALL)


def words(output: str) -> list[str]:
    """Output without its numbers, which another processor may round otherwise, and without its
    spaces.
    """
    return re.sub(r"[-+−]?\d+(\.\d+)?(e[-+]?\d+)?", "#", output).split()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", *TUTORIALS])
def test_the_code_on_a_page_runs(page, tmp_path):
    found = blocks((ROOT / page).read_text())
    assert any(kind == "python" for kind, _ in found)
    script = tmp_path / "page.py"
    script.write_text(
        "\n".join(content if kind == "python" else f'print("{BREAK}")' for kind, content in found)
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if page in ("README.md", "docs/tutorials/write-a-rule.md"):
        assert "test accuracy" in done.stdout
    printed = done.stdout.split(BREAK + "\n")
    for shown, came in zip(
        [content for kind, content in found if kind == "text"], printed, strict=False
    ):
        assert words(came) == words(shown)


@pytest.mark.slow
def test_the_code_of_the_short_answers_runs(tmp_path):
    """All of them in one process, as each is a matter of seconds and JAX's start would be most of
    it; every page has names of its own.
    """
    found = {page.name: blocks(page.read_text(encoding="utf-8")) for page in ANSWERS}
    script = tmp_path / "answers.py"
    script.write_text(
        f"""
import byway
byway.use_all_cores()  # a page may ask for them too late for this process
for page, blocks in {found!r}.items():
    names = dict()
    for kind, content in blocks:
        if kind == "python":
            exec(compile(content, page, "exec"), names)
        else:
            print({BREAK!r})
    print({END!r})
""",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sum(kind == "python" for page in found.values() for kind, _ in page) >= 15
    for (page, parts), printed in zip(found.items(), done.stdout.split(END + "\n"), strict=False):
        shown = [content for kind, content in parts if kind == "text"]
        for content, came in zip(shown, printed.split(BREAK + "\n"), strict=False):
            assert words(came) == words(content), page


def test_the_audit_tutorial_shows_one_honest_rule_and_three_that_lie():
    found = blocks((ROOT / "docs/tutorials/what-the-audit-tells.md").read_text())
    verdicts = [content.partition("\n")[0] for kind, content in found if kind == "text"]
    # Honest and copied weights, by the definition of transport in docs/audit.md: only the first
    # reads none of another projection.
    assert [v.partition(",")[0] for v in verdicts] == [
        "honest: transport no",
        "liar: transport yes",
        "careful: transport yes",
        "smuggler: transport yes",
    ]
