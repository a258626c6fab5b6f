"""The code in the docs, run as a reader would: in a fresh process, top to bottom; and what a page
shows as its output.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = [
    "docs/write-a-rule.md",
    "docs/tutorials/compare-rules.md",
    "docs/tutorials/what-the-audit-tells.md",
]
PAGES = ["README.md", "docs/your-data.md", "docs/your-network.md", *TUTORIALS]
BREAK = "=== here the page shows what was printed ==="


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page that are code or its output, in order: (language, content)."""
    return re.findall(r"```(python|text)\n(.*?)```", text, re.DOTALL)


def words(output: str) -> list[str]:
    """Output without its numbers, which another processor may round otherwise, and without its
    spaces.
    """
    return re.sub(r"[-+−]?\d+(\.\d+)?(e[-+]?\d+)?", "#", output).split()


@pytest.mark.parametrize("page", PAGES)
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
    if page in ("README.md", "docs/write-a-rule.md"):
        assert "test accuracy" in done.stdout
    printed = done.stdout.split(BREAK + "\n")
    for shown, came in zip(
        [content for kind, content in found if kind == "text"], printed, strict=False
    ):
        assert words(came) == words(shown)


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
