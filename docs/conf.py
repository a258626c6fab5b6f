"""How Sphinx builds the docs: `make docs`."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import made

import byway
from byway.core.words import QUESTIONS

project = "Byway"
author = "the authors of Byway"
version = release = byway.__version__
copyright = author

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "typeset",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images"]
nitpicky = False
html_math_renderer = "katex"

myst_enable_extensions = [
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "html_image",
    "substitution",
]
myst_substitutions = QUESTIONS  # {{ transport }}: what it means, in one sentence
myst_heading_anchors = 3
myst_dmath_double_inline = False
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 76
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
add_module_names = False
default_role = "code"
pygments_style = "a11y-high-contrast-light"

html_theme = "pydata_sphinx_theme"
html_title = "Byway"
html_static_path = ["static"]
html_css_files = ["byway.css"]
html_js_files = [("rules.js", {"defer": "defer"})]
html_favicon = "images/mark.svg"
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "reference/rules": []}
html_theme_options = {
    "logo": {
        "image_light": "images/name.svg",
        "image_dark": "images/name-dark.svg",
        "alt_text": "Byway",
    },
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "show_prev_next": False,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": [],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "back_to_top_button": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "reference/rules": []},
}


def _literal(app, what, name, obj, options, lines):
    """Docstrings are Markdown in what they use of it: `code` and indented blocks of code."""
    text = "\n".join(lines)
    pieces = re.split(r"(`+[^`]+`+)", text)  # every other one is code
    pieces[::2] = [re.sub(r"\*(?=\w)", r"\*", piece) for piece in pieces[::2]]
    pieces[1::2] = [f"``{piece.strip('`')}``" for piece in pieces[1::2]]
    text = "".join(pieces)
    out, inside = [], False
    for line in text.split("\n"):
        code = line.startswith("    ") and (inside or (bool(out) and not out[-1].strip()))
        if code and not inside:
            out += ["::", ""]
        inside = code or (inside and not line.strip())
        out.append(line)
    lines[:] = out


def _readable(app, what, name, obj, options, signature, returns):
    """Show a default that is a function by its name, a lambda as dots, and a frozen dict as a dict.

    The defaults of the source will not do: a function may have options that are declared elsewhere.
    """
    if signature is None:
        return None
    named = re.sub(r"<function [\w.]*?(\w+)>", r"\1", signature)
    named = re.sub(r"<function [\w.]*<lambda>>", "...", named)
    return named.replace("mappingproxy({})", "{}"), returns


def setup(app):
    """What Sphinx calls: pages that are made from the code are written before it reads them."""
    app.connect("builder-inited", lambda app: made.write(Path(app.srcdir) / "reference"))
    app.connect("autodoc-process-docstring", _literal, priority=1)
    app.connect("autodoc-process-signature", _readable)
