"""Equations of docstrings as TeX, held to TeX written by hand; nothing is left over on any card."""

import re

import pytest

from byway.core.errors import BywayError
from byway.growths import GROWTHS
from byway.network.cells import CELLS
from byway.pages.tex import equations, typeset
from byway.pages.words import body, card
from byway.rules import RULES
from byway.tasks import TASKS

CARDS = [
    pytest.param(registry.get(name), id=name)
    for registry in (RULES, CELLS, GROWTHS, TASKS)
    for name in registry.ids()
]


def squeezed(text: str) -> str:
    """TeX without the spaces that mean nothing to it."""
    return re.sub(r"(?<!\\) +", "", text)


@pytest.mark.parametrize(
    ("written", "tex"),
    [
        ("u_l = W_l h_{l-1} + b_l", r"$u_{l} = W_{l} h_{l-1} + b_{l}$"),
        ("W_{l+1}^T delta_{l+1}", r"$W_{l+1}^{\top} \delta_{l+1}$"),
        ("h'_{l+1}^T", r"$h'^{\top}_{l+1}$"),
        ("e * phi'(u_L)", r"$e \cdot \varphi' (u_{L})$"),
        (
            "dW_l = <delta_l h_{l-1}^T>",
            r"$\mathrm{d}W_{l} = \langle \delta_{l} h_{l-1}^{\top}\rangle$",
        ),
        ("<-pi_i eps_i>", r"$\langle - \pi_{i} \varepsilon_{i}\rangle$"),
        ("m <- decay m", r"$m \leftarrow \mathrm{decay}\, m$"),
        ("dh_t/ds_{t-1}", r"$\dfrac{\mathrm{d}h_{t}}{\mathrm{d}s_{t-1}}$"),
        ("dLoss/d(output)", r"$\dfrac{\mathrm{d}\mathrm{Loss}}{\mathrm{d}(\mathrm{output})}$"),
        ("G+ - theta n_l", r"$G^+ - \theta n_{l}$"),
        ("<h+_l>", r"$\langle h_{l}^+\rangle$"),
        ("sqrt(| |W_k| - 1 |)", r"$\sqrt {| | W_{k} | - 1 |}$"),
        ("(R - Rbar)^2", r"$(R - \bar{R})^{2}$"),
        ("a in {0, 1}", r"$a \in \{0,\ 1\}$"),
        ("a ~ softmax(y)", r"$a \sim \operatorname{softmax} (y)$"),
        ("W_in x_t", r"$W_{\mathrm{in}} x_{t}$"),
        ("(s_t, h_t) = cell(s, u)", r"$(s_{t} ,\ h_{t}) = \operatorname{cell} (s ,\ u)$"),
    ],
)
def test_a_formula_becomes_its_tex(written, tex):
    assert squeezed(typeset(written)) == squeezed(tex)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("at rest, a unit keeps x", "at rest, a unit keeps $x$"),
        ("the delta rule", "the delta rule"),
        ("a feed-forward pass of 45,000 samples", "a feed-forward pass of 45,000 samples"),
        ("the layer's weights of -1", "the layer's weights of $- 1$"),
        ('"noisy": the same with x (units older than `maturity`)',
         "*noisy*: the same with $x$ (units older than `maturity`)"),
        ("x = 1,   y = 2", "$x = 1$, &emsp; $y = 2$"),
    ],
)  # fmt: skip
def test_words_stay_words(written, said):
    assert typeset(written) == said


def test_labels_and_statements_become_a_list():
    block = ["f:  u = W x,", "    h = phi(u), one", "    unit each", "g:  dW = <e h^T>"]
    said = "\n".join(equations(block))
    assert squeezed(said) == squeezed(
        ":::{container} equations\n\n`f`\n: $u = W x$,\\\n  $h = \\varphi (u)$, one unit each\n\n"
        "`g`\n: $\\mathrm{d}W = \\langle e h^{\\top}\\rangle$\n\n:::\n"
    )


@pytest.mark.parametrize("written", ["x ! y", "x = (y", "a @ b", "50 % of x"])
def test_what_is_no_notation_is_refused(written):
    with pytest.raises(BywayError):
        typeset(written)


@pytest.mark.parametrize("owner", CARDS)
def test_a_card_leaves_nothing_unparsed(owner):
    """Between its formulas there are words and marks alone: no script, operator or Greek name."""
    text = "\n".join(body(card(owner)))
    shown = re.findall(r":::\{container\} equations\n(.*?)\n:::", text, re.DOTALL)
    assert shown or "    " not in card(owner).body
    words = re.sub(r"`[^`]*`|\$[^$]*\$|\*[\w +]+\*|&emsp;|\\$", "", "\n".join(shown), flags=re.M)
    assert not re.search(r"[_^=<>|{}$\\/~+]|\b(phi|eps|theta|sigma|beta|softmax\()\b", words), words
