"""The drawings of the page on credit assignment and of the rules, and the mark of Byway: `python
docs/drawings.py` writes them to docs/images.

Each is an SVG that follows the reader's choice of light or dark, and is narrow enough for a
telephone.
"""

import math
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
STYLE = """<style>
svg{color:#24292f}text{fill:currentColor;font:13px sans-serif;text-anchor:middle}
.small{font-size:11.5px}.left{text-anchor:start}
.ink{stroke:currentColor}.back{stroke:#b6490f}.here{stroke:#1f6fb5}.t-back{fill:#b6490f}.t-here{fill:#1f6fb5}.faint{opacity:.45}
path,circle,rect{fill:none;stroke-width:1.5}.tip-ink{fill:currentColor}.tip-back{fill:#b6490f}.tip-here{fill:#1f6fb5}
@media(prefers-color-scheme:dark){svg{color:#dfe3ea}.back{stroke:#f2a065}.here{stroke:#7db8ee}.t-back,.tip-back{fill:#f2a065}
.t-here,.tip-here{fill:#7db8ee}}
</style>"""
X = (34.0, 126.0, 218.0, 310.0)  # the columns of a chain: x, h1, h2, y
# The row of activities, the row of what goes back, the radius of a circle.
TOP, LOW, R = (
    64.0,
    158.0,
    17.0,
)
NAMES = ("x", "h₁", "h₂", "y")


class Drawing:
    """An SVG in the making."""

    def __init__(self, label: str, width: float = 344, height: float = 200):
        self.label, self.width, self.height = label, width, height
        self.parts: list[str] = []

    def text(self, x, y, words, kind=""):
        """Words, centred at x."""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>')
        return self

    def node(self, x, y, words, kind="ink", radius=R, faint=False):
        """A circle with words in it."""
        self.parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" '
            f'class="{kind}{" faint" if faint else ""}"/>'
        )
        return self.text(x, y + 4.5, words, f"t-{kind}")

    def box(self, x, y, width, height, words, kind="ink"):
        """A box around a point, with lines of words in it."""
        self.parts.append(
            f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" '
            f'height="{height:g}" rx="6" class="{kind}"/>'
        )
        lines = words.split("\n")
        for i, line in enumerate(lines):
            self.text(x, y + 4.5 + 16 * (i - (len(lines) - 1) / 2), line, f"t-{kind}")
        return self

    def arrow(
        self,
        start,
        end,
        words="",
        kind="ink",
        *,
        bend=0.0,
        gap=(R, R),
        dashed=False,
        side=-7.0,
        small=True,
    ):
        """From one point to another, `bend` off the straight line, with words beside its middle.

        Args:
            start: where from.
            end: where to.
            words: what to write.
            kind: whose colour it has.
            bend: how far its middle lies beside the straight line.
            gap: how far from either point it keeps.
            dashed: whether it is dashed.
            side: how far from it the words are; above where negative.
            small: whether the words are small.
        """
        (x1, y1), (x2, y2) = start, end
        length = math.hypot(x2 - x1, y2 - y1)
        nx, ny = -(y2 - y1) / length, (x2 - x1) / length
        cx, cy = (x1 + x2) / 2 + 2 * bend * nx, (y1 + y2) / 2 + 2 * bend * ny
        a, b = _towards((x1, y1), (cx, cy), gap[0]), _towards((x2, y2), (cx, cy), gap[1] + 3)
        if not bend:  # the ends may have passed the middle
            cx, cy = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<path d="M{a[0]:.4g} {a[1]:.4g}Q{cx:.4g} {cy:.4g} {b[0]:.4g} {b[1]:.4g}" '
            f'class="{kind}"{dash} marker-end="url(#{kind})"/>'
        )
        if words:
            mx, my = (a[0] + 2 * cx + b[0]) / 4, (a[1] + 2 * cy + b[1]) / 4
            upright = abs(x2 - x1) < abs(y2 - y1) / 2
            where = (mx + 5, my + 4) if upright else (mx, my + (side if side < 0 else side + 8))
            self.text(
                *where, words, f"t-{kind}{' small' if small else ''}{' left' if upright else ''}"
            )
        return self

    def svg(self) -> str:
        """The file."""
        tips = "".join(
            f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" '
            'markerHeight="6" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" class="tip-{kind}"/></marker>'
            for kind in ("ink", "back", "here")
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} '
            f'{self.height:g}" width="330" role="img" '
        )
        return "\n".join(
            [
                f'{head}aria-label="{escape(self.label)}">',
                STYLE,
                f"<defs>{tips}</defs>",
                *self.parts,
                "</svg>",
                "",
            ]
        )


def _towards(a, b, by):
    length = math.hypot(b[0] - a[0], b[1] - a[1]) or 1.0
    return a[0] + (b[0] - a[0]) / length * by, a[1] + (b[1] - a[1]) / length * by


def chain(label: str, title: str, weights=("W₁", "W₂", "W₃"), height: float = 200) -> Drawing:
    """Input, two hidden layers and output, with the weights between them."""
    drawing = Drawing(label, height=height).text(172, 18, title)
    for i, name in enumerate(NAMES):
        drawing.node(X[i], TOP, name)
    for i, name in enumerate(weights):
        drawing.arrow((X[i], TOP), (X[i + 1], TOP), name)
    return drawing


def errors(drawing: Drawing, deltas=("δ₁", "δ₂"), slopes=True) -> Drawing:
    """The error under the output and a delta under each hidden layer, with the slope that it takes
    from above.
    """
    drawing.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    for i, name in enumerate(deltas, 1):
        drawing.node(X[i], LOW, name, "back")
        if slopes:
            drawing.arrow((X[i], TOP), (X[i], LOW), "φ′", "here", dashed=True)
    return drawing


def bp() -> Drawing:
    """Backpropagation."""
    d = errors(
        chain(
            "Backprop: the error goes back through the transposed weights",
            "bp: back through the same weights",
        )
    )
    return d.arrow((X[3], LOW), (X[2], LOW), "W₃ᵀ", "back").arrow(
        (X[2], LOW), (X[1], LOW), "W₂ᵀ", "back"
    )


def fa() -> Drawing:
    """Feedback alignment."""
    d = errors(
        chain(
            "Feedback alignment: the error goes back through fixed random weights",
            "fa: back through fixed random weights",
        )
    )
    return d.arrow((X[3], LOW), (X[2], LOW), "B₃", "back", dashed=True).arrow(
        (X[2], LOW), (X[1], LOW), "B₂", "back", dashed=True
    )


def kolen_pollack() -> Drawing:
    """Feedback that learns with the weights."""
    d = chain(
        "Kolen and Pollack: both directions learn the same and forget the same",
        "kolen_pollack: both ways learn the same",
        height=226,
    )
    d = (
        errors(d)
        .arrow((X[3], LOW), (X[2], LOW), "B₃", "back")
        .arrow((X[2], LOW), (X[1], LOW), "B₂", "back")
    )
    for i in (1, 2):
        d.arrow(
            ((X[i] + X[i + 1]) / 2, 106),
            ((X[i] + X[i + 1]) / 2, TOP),
            "",
            "here",
            gap=(0, 6),
            dashed=True,
        )
        d.arrow(
            ((X[i] + X[i + 1]) / 2, 106),
            ((X[i] + X[i + 1]) / 2, LOW),
            "",
            "here",
            gap=(0, 22),
            dashed=True,
        )
    d.text(172, 200, "W and B: the same δ h, the same share forgotten;", "small t-here")
    return d.text(172, 218, "so W − Bᵀ dies away", "small t-here")


def dfa() -> Drawing:
    """Direct feedback alignment."""
    d = errors(
        chain(
            "Direct feedback alignment: the error goes to each layer by itself",
            "dfa: straight to each layer",
            height=224,
        )
    )
    d.arrow((X[3], LOW), (X[2], LOW), "B₂", "back", dashed=True)
    return d.arrow((X[3], LOW), (X[1], LOW), "B₁", "back", bend=-20, dashed=True, side=5)


def frozen() -> Drawing:
    """The frozen control."""
    d = chain(
        "The frozen control: only the readout learns",
        "frozen: only the readout learns",
        ("W₁ stays", "W₂ stays", ""),
    )
    d.text((X[2] + X[3]) / 2, TOP - 7, "W₃", "small").node(X[3], LOW, "e", "back").arrow(
        (X[3], TOP), (X[3], LOW), "−t", "back"
    )
    return d.arrow((X[3], LOW), ((X[2] + X[3]) / 2, TOP), "", "back", gap=(R, 4))


def ff() -> Drawing:
    """Forward-forward."""
    d = chain(
        "Forward-forward: each layer tells right labels from wrong ones by its own activity",
        "ff: each layer judges for itself",
        height=226,
    )
    for i in (1, 2):
        d.box(X[i], LOW, 74, 30, f"Σ h{'₁₂'[i - 1]}² ?", "here")
        d.arrow((X[i] - 8, TOP), (X[i] - 8, LOW), "", "here", gap=(R, 15)).arrow(
            (X[i] + 8, LOW), (X[i] + 8, TOP), "", "here", gap=(15, R)
        )
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    d.text(X[0], LOW - 6, "label", "small").text(X[0], LOW + 9, "written in", "small").arrow(
        (X[0], LOW - 12), (X[0], TOP), "", gap=(4, R)
    )
    return d.text(172, 200, "right label: be active", "small t-here").text(
        172, 217, "wrong label: be quiet", "small t-here"
    )


def _judging(d: Drawing, sums=("Σ h₁² ?", "Σ h₂² ?")) -> Drawing:
    """Under each hidden layer what it judges by, and the error of the readout."""
    for i, words in enumerate(sums, 1):
        d.box(X[i], LOW, 78, 30, words, "here")
        d.arrow((X[i] - 8, TOP), (X[i] - 8, LOW), "", "here", gap=(R, 15)).arrow(
            (X[i] + 8, LOW), (X[i] + 8, TOP), "", "here", gap=(15, R)
        )
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    return d.arrow((X[3], LOW), ((X[2] + X[3]) / 2, TOP), "", "back", gap=(R, 4))


def ff_unsupervised() -> Drawing:
    """Forward-forward without labels."""
    d = chain(
        "Forward-forward without labels: each layer tells images from hybrids of two images",
        "ff_unsupervised: image or hybrid?",
        height=226,
    )
    d.text(X[0], LOW - 6, "m x +", "small").text(X[0], LOW + 9, "(1 − m) x′", "small").arrow(
        (X[0], LOW - 14), (X[0], TOP), "", gap=(4, R)
    )
    _judging(d).text(172, 200, "an image: be active", "small t-here")
    return d.text(172, 217, "pieces of two images: be quiet", "small t-here")


def scff() -> Drawing:
    """Self-contrastive forward-forward."""
    d = chain(
        "SCFF: each layer tells a sample beside itself from a sample beside another",
        "scff: itself, or another beside it?",
        height=226,
    )
    d.text(X[0], LOW + 2, "x + x′", "small").arrow((X[0], LOW - 12), (X[0], TOP), "", gap=(4, R))
    _judging(d).text(172, 200, "x + x: be active", "small t-here")
    return d.text(172, 217, "x + x′: be quiet", "small t-here")


def symba() -> Drawing:
    """SymBa."""
    d = chain(
        "SymBa: each layer compares its activity for the right label with that for a wrong one",
        "symba: more for right than for wrong",
        height=226,
    )
    d.text(X[0], LOW - 6, "a pattern", "small").text(X[0], LOW + 9, "laid over", "small").arrow(
        (X[0], LOW - 16), (X[0], TOP), "", gap=(4, R)
    )
    _judging(d, ("G⁺ − G⁻", "G⁺ − G⁻"))
    d.text(172, 200, "what counts is the difference;", "small t-here")
    return d.text(172, 217, "there is no threshold", "small t-here")


def distance_forward() -> Drawing:
    """Learning by distance to the centres of classes."""
    d = chain(
        "Learning by distance: each layer brings its activity near the centre of the right class",
        "distance_forward: near your own centre",
        height=226,
    )
    _judging(d, ("|h₁ − c|²", "|h₂ − c|²"))
    d.text(172, 200, "nearer to the right centre than", "small t-here")
    return d.text(172, 217, "to any other, by a margin", "small t-here")


def ff_recurrent() -> Drawing:
    """Recurrent forward-forward."""
    d = Drawing(
        "Recurrent forward-forward: image below, label above, and layers that see both neighbours",
        height=226,
    ).text(172, 18, "ff_recurrent: image and label, both held")
    for i, name in enumerate(("x", "h₁", "h₂", "label")):
        d.node(X[i], TOP + 16, name, radius=R if i < 3 else 20)
    for i, name in enumerate(("W₁", "W₂")):
        d.arrow((X[i], TOP + 16), (X[i + 1], TOP + 16), name, bend=9 if i else 0)
    d.arrow((X[2], TOP + 16), (X[1], TOP + 16), "U₁", bend=9, side=6)
    d.arrow((X[3], TOP + 16), (X[2], TOP + 16), "U₂", gap=(20, R))
    for i in (1, 2):
        d.box(X[i], LOW, 78, 30, f"Σ h{'₁₂'[i - 1]}² ?", "here")
        d.arrow((X[i] - 8, TOP + 16), (X[i] - 8, LOW), "", "here", gap=(R, 15)).arrow(
            (X[i] + 8, LOW), (X[i] + 8, TOP + 16), "", "here", gap=(15, R)
        )
    d.text(172, 200, "they belong together: be active", "small t-here")
    return d.text(172, 217, "they do not: be quiet; eight times over", "small t-here")


def predsim() -> Drawing:
    """Local error signals."""
    d = chain(
        "Local error signals: each layer has heads of its own",
        "predsim: heads of one's own",
        height=226,
    )
    for i in (1, 2):
        d.box(X[i], LOW, 78, 30, "V h = t ?", "back")
        d.arrow((X[i] - 8, TOP), (X[i] - 8, LOW), "", "ink", gap=(R, 15)).arrow(
            (X[i] + 8, LOW), (X[i] + 8, TOP), "", "back", gap=(15, R)
        )
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    d.text(172, 200, "V predicts the target, R compares samples;", "small")
    return d.text(172, 217, "nothing comes from the layers above", "small t-back")


def subtask() -> Drawing:
    """Subtasks."""
    d = Drawing("Subtasks: no error crosses a code", height=226).text(
        172, 18, "subtask: no error crosses a code"
    )
    for i, name in enumerate(("x", "h", "c′", "y′")):
        d.node(X[i], TOP, name)
    for i, name in enumerate(("", "B₁", "B₂")):
        d.arrow((X[i], TOP), (X[i + 1], TOP), name)
    d.node(X[2], LOW, "c", "here").node(X[3], LOW, "y", "ink")
    d.arrow((X[3], LOW), (X[2], LOW), "R", "here")
    d.arrow((X[2], LOW), (X[2], TOP), "c′ − c", "back").arrow(
        (X[3], LOW), (X[3], TOP), "y′ − y", "back"
    )
    d.arrow((X[2], TOP), ((X[1] + X[2]) / 2, TOP), "", "back", bend=-18, gap=(R, 4))
    d.arrow((X[3], TOP), ((X[2] + X[3]) / 2, TOP), "", "back", bend=-18, gap=(R, 4))
    d.text(172, 200, "R turns the target into a code of fixed variance:", "small t-here")
    return d.text(172, 217, "each part learns to say its own", "small t-back")


def soft_hebb() -> Drawing:
    """Soft winner-take-all Hebbian layers."""
    d = chain(
        "SoftHebb: the units of a layer compete for what they see",
        "soft_hebb: compete for what you see",
        height=226,
    )
    for i in (1, 2):
        d.box(X[i], LOW, 74, 30, f"softmax u{'₁₂'[i - 1]}", "here")
        d.arrow((X[i], TOP), (X[i], LOW), "", "here", gap=(R, 15))
        d.arrow((X[i], LOW), ((X[i - 1] + X[i]) / 2, TOP), "", "here", gap=(18, 4))
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    d.arrow((X[3], LOW), ((X[2] + X[3]) / 2, TOP), "", "back", gap=(R, 4))
    d.text(172, 200, "the winner moves towards what it sees,", "small t-here")
    return d.text(172, 217, "all others away from it", "small t-here")


def pepita() -> Drawing:
    """The error added to the input."""
    d = chain(
        "PEPITA: the network runs again on an input to which its error was added",
        "pepita: run again, with the error put in",
        height=236,
    )
    for i, name in enumerate(("x'", "h₁'", "h₂'", "y'")):
        d.node(X[i], LOW, name, "back")
        if i:
            d.arrow((X[i - 1], LOW), (X[i], LOW), f"W{'₁₂₃'[i - 1]}", "back", side=11)
            d.arrow((X[i], TOP), (X[i], LOW), "−" if i < 3 else "", "here", dashed=True)
    d.arrow((X[0], TOP), (X[0], LOW), "", "ink")
    d.arrow((X[3], TOP), (X[0], LOW), "F e", "back", bend=9, dashed=True, side=-7)
    d.text(172, 206, "each layer learns from what its own activity", "small t-here")
    return d.text(172, 223, "lost from one pass to the other: h − h'", "small t-here")


def _guessing(d: Drawing) -> Drawing:
    """A predictor of what the loss owes, under each hidden layer; and what corrects it."""
    for i in (1, 2):
        d.box(X[i], LOW, 64, 30, f"M{'₁₂'[i - 1]} h ≈ d", "here")
        d.arrow((X[i] - 8, TOP), (X[i] - 8, LOW), "", "ink", gap=(R, 15)).arrow(
            (X[i] + 8, LOW), (X[i] + 8, TOP), "", "here", gap=(15, R)
        )
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    d.arrow((X[3], LOW), (X[2], LOW), "W₃ᵀ", "back", gap=(R, 32), dashed=True, side=14)
    return d.arrow((X[2], LOW), (X[1], LOW), "W₂ᵀ", "back", gap=(32, 32), dashed=True, side=14)


def dni() -> Drawing:
    """Synthetic gradients."""
    d = _guessing(
        chain(
            "Synthetic gradients: each layer learns at once from a guess of what comes back",
            "dni: guess what will come back",
            height=230,
        )
    )
    d.text(172, 202, "a layer learns from the guess at once;", "small t-here")
    return d.text(172, 219, "one layer up, the guess is corrected", "small t-back")


def unlocked_dni() -> Drawing:
    """Synthetic inputs and gradients."""
    d = Drawing("Synthetic inputs and gradients: no layer waits for any other", height=244).text(
        172, 18, "unlocked_dni: guess what comes, too"
    )
    for i, name in enumerate(NAMES):
        d.node(X[i], TOP + 12, name)
    d.arrow((X[0], TOP + 12), (X[1], TOP + 12), "W₁")
    for i in (1, 2):
        middle = (X[i] + X[i + 1]) / 2
        d.node(middle, 42, "s", "here", 11)
        d.arrow((middle, 42), (X[i + 1], TOP + 12), "", "ink", gap=(11, R))
        d.arrow(
            (X[0], TOP + 12), (middle, 42), "", "here", bend=-12 if i == 1 else -20, gap=(R, 11)
        )
        d.arrow((X[i], TOP + 12), (middle, 42), "", "back", gap=(R, 11), dashed=True)
    low = LOW + 8
    for i in (1, 2):
        d.box(X[i], low, 64, 30, f"M{'₁₂'[i - 1]} h ≈ d", "here")
        d.arrow((X[i] - 8, TOP + 12), (X[i] - 8, low), "", "ink", gap=(R, 15)).arrow(
            (X[i] + 8, low), (X[i] + 8, TOP + 12), "", "here", gap=(15, R)
        )
    d.node(X[3], low, "e", "back").arrow((X[3], TOP + 12), (X[3], low), "−t", "back")
    d.arrow((X[3], low), (X[2], low), "W₃ᵀ", "back", gap=(R, 32), dashed=True, side=14)
    d.arrow((X[2], low), (X[1], low), "W₂ᵀ", "back", gap=(32, 32), dashed=True, side=14)
    d.text(172, 216, "layers run and learn on guesses, in any order;", "small t-here")
    return d.text(172, 233, "what is dashed corrects them, and may be late", "small t-back")


def block_local() -> Drawing:
    """Blocks that agree with messages."""
    d = chain(
        "Block-local learning: a block learns from how far what it sends and a message agree",
        "block_local: agree with what the target says",
        height=236,
    )
    d.arrow((X[2], TOP), (X[1], TOP), "W₂ᵀ", "back", bend=-26, side=-10)
    d.box(X[2], LOW, 66, 30, "m = V t", "here").node(X[3], LOW, "t", "here")
    d.arrow((X[3], LOW), (X[2], LOW), "", "here", gap=(R, 34))
    d.arrow((X[2] - 8, TOP), (X[2] - 8, LOW), "", "ink", gap=(R, 15)).arrow(
        (X[2] + 8, LOW), (X[2] + 8, TOP), "h ≈ m ?", "back", gap=(15, R), side=28
    )
    d.arrow((X[3], LOW), (X[3], TOP), "−t", "back", side=14)
    d.text(172, 204, "inside a block errors go back, outside they do not;", "small t-back")
    return d.text(
        172, 221, "a message knows nothing but the target, and learns too", "small t-here"
    )


def mono_forward() -> Drawing:
    """Scores in place of goodness."""
    d = chain(
        "Mono-forward: each layer gives every class a score, and learns by its own answer",
        "mono_forward: every layer answers",
        height=226,
    )
    for i in (1, 2):
        d.box(X[i], LOW, 78, 30, f"M{'₁₂'[i - 1]} h = t ?", "back")
        d.arrow((X[i] - 8, TOP), (X[i] - 8, LOW), "", "ink", gap=(R, 15)).arrow(
            (X[i] + 8, LOW), (X[i] + 8, TOP), "", "back", gap=(15, R)
        )
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    d.text(172, 200, "M scores the classes; nothing comes from above;", "small")
    return d.text(172, 217, "asked in the end: the last one, or all together", "small")


def cafo() -> Drawing:
    """Cascaded random blocks."""
    d = chain(
        "Cascaded blocks: random layers, and a solved predictor for each",
        "cafo: random blocks, solved predictors",
        ("W₁ stays", "W₂ stays", ""),
        height=226,
    )
    d.text((X[2] + X[3]) / 2, TOP - 7, "V₂", "small")
    d.box(X[1], LOW, 64, 30, "V₁ h₁", "here").arrow(
        (X[1], TOP), (X[1], LOW), "", "ink", gap=(R, 15)
    )
    d.arrow((X[1], LOW), (X[3], TOP), "+", "ink", bend=8, gap=(32, R), side=12)
    d.text(172, 200, "nothing learns step by step: V is solved from", "small t-here")
    return d.text(172, 217, "sums of products of h and h, and of h and t", "small t-here")


def gim() -> Drawing:
    """Greedy InfoNCE."""
    d = chain(
        "Greedy InfoNCE: each map tells what lies below in the same image, among other images",
        "gim: tell what lies below",
        height=226,
    )
    for i in (1, 2):
        d.box(X[i], LOW, 78, 30, "V ↑ = ↓ ?", "here")
        d.arrow((X[i] - 8, TOP), (X[i] - 8, LOW), "", "ink", gap=(R, 15)).arrow(
            (X[i] + 8, LOW), (X[i] + 8, TOP), "", "here", gap=(15, R)
        )
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    d.arrow((X[3], LOW), ((X[2] + X[3]) / 2, TOP), "", "back", gap=(R, 4))
    d.text(172, 200, "from a place, V tells what is some rows below,", "small t-here")
    return d.text(172, 217, "among what is there in other images; no labels", "small t-here")


def _tried(d: Drawing, back: str, told: str) -> Drawing:
    """Noise into every layer, and one number for all of them."""
    for i in (1, 2, 3):
        d.text(X[i] - 26, 102, "ξ", "t-here").arrow(
            (X[i] - 20, 96), (X[i], TOP), "", "here", gap=(0, R)
        )
    d.box(156, 182, 252, 28, back, "back")
    d.parts.append(
        f'<path d="M{X[3]:g} {TOP + R:g}V182H286" class="back" marker-end="url(#back)"/>'
    )
    for x in (80, 172, 264):
        d.arrow((x, 168), (x, TOP + 2), "", "back", gap=(0, 0), dashed=True)
    return d.text(X[3] + 13, 140, told, "t-back")


def node_perturbation() -> Drawing:
    """Node perturbation."""
    d = chain(
        "Node perturbation: one number comes back to all",
        "node_perturbation: one number for all",
        height=206,
    )
    return _tried(d, "C(noisy) − C(clean)", "C")


def _moved(label: str, title: str, weights: tuple[str, str, str], back: str) -> Drawing:
    """Weights that are moved, and one number that comes back to each of them."""
    d = chain(label, title, weights, height=206)
    d.box(156, 182, 252, 28, back, "back")
    d.parts.append(
        f'<path d="M{X[3]:g} {TOP + R:g}V182H286" class="back" marker-end="url(#back)"/>'
    )
    for x in (80, 172, 264):
        d.arrow((x, 168), (x, TOP + 2), "", "back", gap=(0, 0), dashed=True)
    return d


def weight_perturbation() -> Drawing:
    """Weight perturbation."""
    d = _moved(
        "Weight perturbation: all weights one way, then the other, and one number back",
        "weight_perturbation: all weights at once",
        ("W ± σV", "W ± σV", "W ± σV"),
        "C(W + σV) − C(W − σV)",
    )
    return d.text(X[3] + 13, 140, "C", "t-back").text(
        126, 128, "V is drawn again from its key", "small t-here"
    )


def es() -> Drawing:
    """Evolution strategies."""
    d = Drawing(
        "Evolution strategies: many networks around one, ranked by their loss", height=206
    ).text(172, 18, "es: many networks, ranked")
    d.node(70, 102, "W", "ink", 15)
    for k, turn in enumerate((-70, -20, 38)):
        x, y = 58 * math.cos(math.radians(turn)), 58 * math.sin(math.radians(turn))
        for sign, name in ((1, "+"), (-1, "−")):
            at = (70 + sign * x, 102 + sign * y)
            d.node(*at, f"{name}{'₁₂₃'[k]}", "here", 12)
            d.arrow((70, 102), at, "", "here", gap=(15, 12))
    d.arrow((138, 102), (196, 102), "rank by C", gap=(0, 0))
    for place, name in enumerate(("+₂", "−₁", "−₃", "+₃", "+₁", "−₂")):
        y = 36 + 26 * place
        d.node(216, y, name, "here", 11)
        d.text(284, y + 4, f"{place / 5 - 0.5:+.1f}".replace("-", "−"), "t-back")
    d.text(284, 188, "r", "small t-back")
    return d.text(100, 196, "W moves away from high ranks", "small t-back")


def forward_gradient() -> Drawing:
    """Forward gradient."""
    d = chain(
        "Forward gradient: how the output moves along a random direction is computed forwards",
        "forward_gradient: the slope along one direction",
        height=226,
    )
    for i, name in enumerate(("h′₁", "h′₂", "y′"), 1):
        d.node(X[i], 128, name, "here")
        d.arrow(
            (X[i - 1], TOP), (X[i], 128), f"V{'₁₂₃'[i - 1]}" if i == 1 else "", "here", dashed=True
        )
        if i > 1:
            d.arrow((X[i - 1], 128), (X[i], 128), f"W{'₁₂₃'[i - 1]}", "here", side=4)
    d.box(156, 198, 252, 28, "e · y′: one number, times V", "back")
    d.parts.append(
        f'<path d="M{X[3]:g} {128 + R:g}V198H286" class="back" marker-end="url(#back)"/>'
    )
    return d.text(60, 168, "V is kept for each weight", "small left t-here")


def activity_forward_gradient() -> Drawing:
    """Forward gradient of activity."""
    d = chain(
        "Forward gradient of activity: noise on units, and a slope for each small group",
        "activity_forward_gradient: one slope a group",
        height=226,
    )
    for i in (1, 2):
        d.text(X[i] - 26, 102, "ξ", "t-here").arrow(
            (X[i] - 20, 96), (X[i], TOP), "", "here", gap=(0, R)
        )
        for k, at in enumerate((-26, 0, 26)):
            d.box(X[i] + at, 138, 22, 22, f"s{'₁₂₃'[k]}", "back")
            d.arrow((X[i] + at, 138), (X[i] + at / 4, TOP), "", "back", gap=(11, R), dashed=True)
        d.text(X[i], 168, "e · V φ′ξ", "small")
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "−t", "back")
    d.text(172, 200, "V: a head of the layer, run forwards on ξ of one group;", "small")
    return d.text(172, 217, "nothing comes from the layers above", "small t-back")


def reinforce() -> Drawing:
    """REINFORCE."""
    d = chain(
        "REINFORCE: units fire by chance, and what they did is judged by one number",
        "reinforce: fire by chance, and be judged",
        height=206,
    )
    for i in (1, 2):
        d.text(X[i], TOP - 23, "fires?", "small t-here")
    d.box(156, 182, 252, 28, "C(fired) − C(mean), times s − φ(u)", "back")
    d.parts.append(
        f'<path d="M{X[3]:g} {TOP + R:g}V182H286" class="back" marker-end="url(#back)"/>'
    )
    for x in (80, 172):
        d.arrow((x, 168), (x, TOP + 2), "", "back", gap=(0, 0), dashed=True)
    d.text(X[3] + 13, 140, "C", "t-back").node(264, 122, "e", "back", 12)
    d.arrow((X[3], TOP), (264, 122), "", "back", gap=(R, 12))
    return d.arrow((264, 122), (264, TOP), "", "back", gap=(12, 4))


def three_factor() -> Drawing:
    """Three factors."""
    d = chain(
        "Three factors: what arrived, what was tried, and a reward",
        "three_factor: try, and be paid",
        height=206,
    )
    return _tried(d, "R − R̄, times what was tried", "R")


def _predicting(label: str, title: str) -> Drawing:
    d = Drawing(label, height=206).text(172, 18, title)
    for i, name in enumerate(("x held", "v₁", "v₂", "t held")):
        d.node(X[i], TOP, name.split()[0])
        if "held" in name:
            d.text(X[i], TOP - 23, "held", "small")
    for i in range(3):
        middle = (X[i] + X[i + 1]) / 2
        d.node(middle, 130, "ε", "back", 12)
        d.arrow((X[i], TOP), (middle, 130), gap=(R, 12)).text(
            X[i] + 12, 114, f"W{'₁₂₃'[i]}", "small"
        )
        d.arrow((X[i + 1], TOP), (middle, 130), "", gap=(R, 12))
        if i:
            d.arrow((middle, 130), (X[i], TOP), "", "back", bend=12, gap=(12, R))
    return d


def pc() -> Drawing:
    """Predictive coding."""
    d = _predicting(
        "Predictive coding: units settle between the predictions from both sides",
        "pc: settle first, then learn",
    )
    d.text(172, 172, "v moves, pushed by ε and by Wᵀε from above, till it rests;", "small").text(
        172, 190, "then dW = −ε φ(v)ᵀ: each weight sees its own ends", "small"
    )
    return d


def ipc() -> Drawing:
    """Incremental predictive coding."""
    d = _predicting(
        "Incremental predictive coding: values and weights move at the same moment",
        "ipc: settle and learn at once",
    )
    d.text(172, 172, "again and again, at the same moment:", "small")
    return d.text(172, 190, "v moves by ε and Wᵀε, W moves by −ε φ(v)ᵀ", "small t-here")


def ep() -> Drawing:
    """Equilibrium propagation."""
    d = Drawing(
        "Equilibrium propagation: couplings pull both ways, and the output is nudged", height=226
    ).text(172, 18, "ep: settle, nudge, compare")
    for i, name in enumerate(("x", "s₁", "s₂", "s₃")):
        d.node(X[i], TOP, name)
        if i:
            d.arrow((X[i - 1], TOP), (X[i], TOP), "", bend=-7 if i > 1 else 0.0)
            d.text((X[i - 1] + X[i]) / 2, TOP - 20, f"W{'₁₂₃'[i - 1]}", "small")
            if i > 1:
                d.arrow((X[i], TOP), (X[i - 1], TOP), "", "back", bend=-7)
    d.text(X[0], TOP - 23, "held", "small")
    d.node(X[3], 138, "±β", "back", 14).arrow(
        (X[3], 138), (X[3], TOP), "", "back", gap=(14, R), dashed=True
    )
    d.text(X[3], 166, "nudge", "small t-back")
    for i in (0, 1, 2):
        d.arrow((172, 138), ((X[i] + X[i + 1]) / 2, TOP + 10), "", "here", gap=(18, 4))
    d.box(150, 148, 196, 34, "W: s s pushed − s s pulled", "here")
    return d.text(172, 194, "the same W pulls at both of its ends;", "small").text(
        172, 212, "what the nudge moved there is all it learns from", "small"
    )


def dtp() -> Drawing:
    """Difference target propagation."""
    d = chain(
        "Difference target propagation: targets go back through learned inverses",
        "dtp: send targets back",
        height=216,
    )
    d.node(X[3], LOW, "t₃", "back").arrow((X[3], TOP), (X[3], LOW), "− e", "back")
    for i in (2, 1):
        d.node(X[i], LOW, f"t{'₁₂'[i - 1]}", "back").arrow(
            (X[i + 1], LOW), (X[i], LOW), f"V{'₂₃'[i - 1]}", "here"
        )
        d.arrow((X[i], TOP), (X[i], LOW), "", "ink", dashed=True)
    d.text(X[0], LOW - 8, "ΔW makes", "small").text(X[0], LOW + 7, "h like t", "small")
    return d.text(
        172, 192, "V learns to undo W: from h + noise, one layer on,", "small t-here"
    ).text(172, 209, "it guesses h + noise", "small t-here")


def _in_time(label: str, title: str) -> Drawing:
    d = Drawing(label, height=222).text(172, 18, title)
    for t, x in enumerate(X):
        d.node(x, 112, f"h{'₁₂₃₄'[t]}").arrow((x, 186), (x, 112), "", gap=(10, R)).text(
            x, 198, f"x{'₁₂₃₄'[t]}"
        )
        if t:
            d.arrow((X[t - 1], 112), (x, 112), "")
    return d.text(172, 217, "time →", "small")


def bptt() -> Drawing:
    """Backpropagation through time."""
    d = _in_time(
        "Backprop through time: the sequence is kept, errors go back along it",
        "bptt: keep everything, then go back",
    )
    d.node(X[3], 50, "e", "back", 13).arrow((X[3], 50), (X[3], 112), "", "back", gap=(13, R))
    for t in (3, 2, 1):
        d.arrow((X[t], 112), (X[t - 1], 112), "Wᵀ", "back", bend=16, side=-4)
    return d


def reversible() -> Drawing:
    """Backpropagation through time without stored activity."""
    d = _in_time(
        "Going back: each state is had again from the one after it, and the error goes back along",
        "reversible: keep the end, then undo each step",
    )
    d.node(X[3], 50, "e", "back", 13).arrow((X[3], 50), (X[3], 112), "", "back", gap=(13, R))
    for t in (3, 2, 1):
        d.arrow((X[t], 112), (X[t - 1], 112), "Wᵀ", "back", bend=16, side=-4)
        d.arrow((X[t], 112), (X[t - 1], 112), "", "here", bend=-14, dashed=True)
    return d.text(140, 50, "s = s′ − h φ(u), told by the other half", "small t-here")


def reversible_exact() -> Drawing:
    """Going back bit for bit."""
    d = _in_time(
        "Going back bit for bit: what a gate destroys is kept in a buffer, and given back",
        "reversible_exact: keep what is forgotten",
    )
    for t, x in enumerate(X):
        d.box(x, 58, 40, 24, "bits", "here")
        d.arrow((x - 6, 112), (x - 6, 58), "", "here", gap=(R, 12))
        d.arrow((x + 6, 58), (x + 6, 112), "", "back", gap=(12, R))
        if t:
            d.arrow((x, 112), (X[t - 1], 112), "", "back", bend=-14, dashed=True)
    return d.text(172, 40, "s′ = z s + w: −log₂ z bits of s, no more", "small t-here")


def rollback() -> Drawing:
    """Going back by a learned inverse."""
    d = _in_time(
        "Going back by a learned inverse: a second network tells each state from the one after it",
        "rollback: learn what was before",
    )
    d.node(X[3], 50, "e", "back", 13).arrow((X[3], 50), (X[3], 112), "", "back", gap=(13, R))
    for t in (3, 2, 1):
        d.arrow((X[t], 112), (X[t - 1], 112), "Wᵀ", "back", bend=16, side=-4)
        d.arrow((X[t], 112), (X[t - 1], 112), "g", "here", bend=-14, dashed=True, side=4)
    return d.text(140, 50, "s = g(s′, x), learned as the net runs", "small t-here")


def target_rollback() -> Drawing:
    """Credit by a learned inverse."""
    d = _in_time(
        "A learned inverse tells each state, and what it should have been, from the one after it",
        "target_rollback: send back what should have been",
    )
    d.node(X[3], 50, "e", "back", 13).arrow((X[3], 50), (X[3], 112), "V", "back", gap=(13, R))
    for t in (3, 2, 1):
        d.arrow((X[t], 112), (X[t - 1], 112), "Δg", "back", bend=16, side=-4)
        d.arrow((X[t], 112), (X[t - 1], 112), "g", "here", bend=-14, dashed=True, side=4)
    return d.text(140, 50, "c = (g(s′ + ηc′) − g(s′)) / η, no Wᵀ", "small t-here")


def rtrl() -> Drawing:
    """Real-time recurrent learning."""
    d = _in_time(
        "Real-time recurrent learning: the influence of each weight is carried forwards",
        "rtrl: carry the influence along",
    )
    for t, x in enumerate(X):
        d.box(x, 58, 40, 24, f"J{'₁₂₃₄'[t]}", "here")
        d.arrow((x, 112), (x, 58), "", "here", gap=(R, 12), dashed=True)
        if t:
            d.arrow((X[t - 1], 58), (x, 58), "", "here", gap=(20, 20))
    return d.text(172, 40, "J = ∂h/∂W, a number for each unit and weight", "small t-here")


def eprop() -> Drawing:
    """Eligibility propagation."""
    d = _in_time(
        "Eligibility propagation: each synapse carries a trace of its own unit",
        "eprop: carry what the synapse can know",
    )
    for t, x in enumerate(X):
        d.box(x, 58, 40, 24, f"ε{'₁₂₃₄'[t]}", "here")
        d.arrow((x, 112), (x, 58), "", "here", gap=(R, 12), dashed=True)
        if t:
            d.arrow((X[t - 1], 58), (x, 58), "α" if t == 1 else "", "here", gap=(20, 20))
    d.node(X[3] - 46, 34, "e", "back", 11).arrow(
        (X[3] - 46, 34), (X[3] - 12, 46), "", "back", gap=(11, 2), dashed=True
    )
    return d.text(120, 40, "ε = ∂(own state)/∂W; e by random B", "small t-here")


def tbptt() -> Drawing:
    """Truncated backpropagation through time."""
    d = _in_time(
        "Truncated backprop through time: errors go back through the last steps and no further",
        "tbptt: keep the last steps, go back so far",
    )
    d.node(X[3], 50, "e", "back", 13).arrow((X[3], 50), (X[3], 112), "", "back", gap=(13, R))
    for t in (3, 2):
        d.arrow((X[t], 112), (X[t - 1], 112), "Wᵀ", "back", bend=16, side=-4)
    cut = (X[0] + X[1]) / 2
    d.arrow((cut, 78), (cut, 150), "", "ink", gap=(0, 0), dashed=True)
    return d.text(cut, 68, "k₂ steps back", "small t-here")


def uoro() -> Drawing:
    """Unbiased online recurrent optimisation."""
    d = _in_time(
        "Unbiased online recurrent optimisation: the influence as a product of two vectors",
        "uoro: carry a guess that is right on average",
    )
    for t, x in enumerate(X):
        d.box(x, 58, 48, 24, f"s̃θ̃{'₁₂₃₄'[t]}", "here")
        d.arrow((x, 112), (x, 58), "", "here", gap=(R, 12), dashed=True)
        if t:
            d.arrow((X[t - 1], 58), (x, 58), "±" if t == 1 else "", "here", gap=(24, 24))
    return d.text(172, 40, "J ≈ s̃ θ̃ᵀ, by random signs", "small t-here")


def snap() -> Drawing:
    """The sparse n-step approximation."""
    d = _in_time(
        "The sparse n-step approximation: influence on the unit itself and near ones alone",
        "snap: carry what stays near",
    )
    for t, x in enumerate(X):
        d.box(x, 58, 48, 24, f"M J{'₁₂₃₄'[t]}", "here")
        d.arrow((x, 112), (x, 58), "", "here", gap=(R, 12), dashed=True)
        if t:
            d.arrow((X[t - 1], 58), (x, 58), "wᵢᵢ" if t == 1 else "", "here", gap=(24, 24))
    return d.text(172, 40, "J on units reached in n − 1 steps, else 0", "small t-here")


def ostl() -> Drawing:
    """Online spatio-temporal learning."""
    d = _in_time(
        "Online spatio-temporal learning: exact within a layer, the error at once between layers",
        "ostl: time and space apart",
    )
    for t, x in enumerate(X):
        d.box(x, 58, 40, 24, f"ε{'₁₂₃₄'[t]}", "here")
        d.arrow((x, 112), (x, 58), "", "here", gap=(R, 12), dashed=True)
        if t:
            d.arrow((X[t - 1], 58), (x, 58), "", "here", gap=(20, 20))
    return d.text(172, 40, "ε = ∂(own layer)/∂W; Wᵀe from above at once", "small t-here")


def ottt() -> Drawing:
    """Online training through time."""
    d = _in_time(
        "Online training through time: a trace of what each unit received, the error at once",
        "ottt: remember what came in",
    )
    for t, x in enumerate(X):
        d.box(x, 58, 40, 24, f"â{'₁₂₃₄'[t]}", "here")
        d.arrow((x, 112), (x, 58), "", "here", gap=(R, 12), dashed=True)
        if t:
            d.arrow((X[t - 1], 58), (x, 58), "λ" if t == 1 else "", "here", gap=(20, 20))
    return d.text(172, 40, "â = λ â + s of the unit before; Wᵀe at once", "small t-here")


def eventprop() -> Drawing:
    """Exact gradients in continuous time."""
    d = Drawing(
        "EventProp: errors move the times of spikes, and go back from spike to spike", height=222
    )
    d.text(172, 18, "eventprop: keep the times of spikes")
    for y, name in ((150, "i"), (90, "j")):
        d.text(14, y + 4, name).arrow((24, y), (330, y), "", "ink", gap=(0, 0))
    before, after = ((70, 150), (160, 150)), ((110, 90), (250, 90))
    for x, y in (*before, *after):
        d.node(x, y, "t", "ink", 9)
    for one, other in zip(before, after, strict=True):
        d.arrow(one, other, "w", "ink", gap=(9, 9))
        d.arrow(other, one, "λ", "back", gap=(9, 9), bend=18)
    d.node(300, 40, "e", "back", 13).arrow((300, 40), after[1], "", "back", gap=(13, 9))
    d.arrow(after[1], after[0], "λ", "back", gap=(9, 9), bend=16)
    d.text(172, 192, "∂t/∂v = −1/v̇ where v meets the threshold", "small t-here")
    return d.text(172, 217, "time →, without steps", "small")


def _by_solver(label: str, title: str) -> Drawing:
    """States of a solver, from the start to the error at the end."""
    d = Drawing(label, height=190).text(172, 18, title)
    for t, x in enumerate(X):
        d.node(x, 112, f"s{'₀₁₂₃'[t]}", "ink")
        if t:
            d.arrow((X[t - 1], 112), (x, 112), "Ψ", "ink", side=-5)
    return d.node(X[3], 50, "e", "back", 13).arrow((X[3], 50), (X[3], 112), "", "back", gap=(13, R))


def reversible_ode() -> Drawing:
    """A neural ODE by a reversible solver."""
    d = _by_solver(
        "A reversible solver: two values, each changed by the other, so each step is undone",
        "reversible_ode: keep the end, undo the solver",
    )
    for t in (3, 2, 1):
        d.arrow((X[t], 112), (X[t - 1], 112), "a", "back", bend=16, side=-4)
        d.arrow((X[t], 112), (X[t - 1], 112), "", "here", bend=-14, dashed=True)
    d.text(140, 50, "z = z′ + Ψ₋ₕ(s′),  s from z", "small t-here")
    return d.text(172, 182, "s and z change by turns: no step forgets", "small")


def backsolve() -> Drawing:
    """A neural ODE by its continuous adjoint."""
    d = _by_solver(
        "The continuous adjoint: the equation is solved back from its end, beside what it owes",
        "backsolve: keep the end, solve backwards",
    )
    for t in (3, 2, 1):
        d.arrow((X[t], 112), (X[t - 1] + 8 * t, 146), "", "here", bend=-4, dashed=True)
        d.arrow((X[t], 112), (X[t - 1], 112), "a", "back", bend=16, side=-4)
    d.text(140, 50, "da/dt = −(∂f/∂s)ᵀ a", "small t-back")
    return d.text(172, 182, "what contracted expands on the way back", "small t-here")


def checkpointed() -> Drawing:
    """A neural ODE with checkpoints."""
    d = _by_solver(
        "Checkpoints: some states are kept, and the others computed again from them",
        "checkpointed: keep some, run the others again",
    )
    for t in (0, 2):
        d.box(X[t], 112, 44, 44, "", "here")
    for t in (1, 3):
        d.arrow((X[t - 1], 112), (X[t], 112), "Ψ", "here", bend=18, side=6, gap=(24, R))
    for t in (3, 2, 1):
        d.arrow((X[t], 112), (X[t - 1], 112), "a", "back", bend=16, side=-4)
    return d.text(172, 182, "kept: every K-th of n, K the root of n", "small t-here")


def esn() -> Drawing:
    """An echo state network."""
    d = Drawing(
        "An echo state network: only the readout is learned, and it is solved", height=206
    ).text(172, 18, "esn: listen to the echo")
    for x, name in ((X[0], "xₜ"), (172.0, "hₜ"), (X[3], "yₜ")):
        d.node(x, 104, name)
    d.arrow((X[0], 104), (172, 104), "as drawn").arrow((172, 104), (X[3], 104), "W_out", "here")
    d.arrow((160, 92), (184, 92), "", "ink", bend=-40, gap=(4, 4)).text(
        224, 64, "W, as drawn", "small"
    )
    d.text(172, 162, "W_out = (⟨h hᵀ⟩ + ridge)⁻¹ ⟨h tᵀ⟩,", "t-here")
    return d.text(172, 184, "from sums, when somebody looks", "small t-here")


def taylor() -> Drawing:
    """The learnable polynomial."""
    d = Drawing("A polynomial in what a synapse sees", height=216).text(
        172, 18, "taylor: learn the rule itself"
    )
    d.node(60, TOP, "pre").node(284, TOP, "post").arrow((60, TOP), (284, TOP), "weight")
    d.text(284, 140, "e, by fixed random B", "small t-back").arrow(
        (284, 128), (284, TOP), "", "back", gap=(0, R), dashed=True
    )
    d.box(140, 170, 240, 34, "ΔW = Σ θ · preᵃ postᵇ Wᶜ eᵈ", "here")
    d.arrow((140, 153), (172, TOP), "", "here", gap=(0, 4))
    return d.text(140, 207, "θ is gamma: the same for all synapses, learned", "small t-here")


def pair() -> Drawing:
    """The functions f and g, and what goes between them."""
    d = Drawing("The pair f and g: f runs the network, g learns from the record", height=262).text(
        172, 18, "every rule is a pair"
    )
    d.box(172, 58, 200, 36, "f: everything dynamic").box(
        172, 172, 200, 36, "g: everything plastic", "here"
    )
    d.arrow((172, 76), (172, 154), "record", gap=(0, 0), small=False)
    d.text(30, 62, "x").arrow((36, 58), (72, 58), "", gap=(2, 0))
    d.text(298, 62, "output", "left").arrow((272, 58), (294, 58), "", gap=(0, 0))
    d.text(36, 176, "signal", "t-back").arrow((58, 172), (72, 172), "", "back", gap=(0, 0))
    d.text(60, 118, "gamma", "t-here").arrow((64, 108), (100, 76), "", "here", gap=(0, 0)).arrow(
        (64, 124), (100, 154), "", "here", gap=(0, 0)
    )
    d.arrow((172, 190), (172, 236), "update", "here", gap=(0, 0), small=False)
    return d.text(172, 254, "optimiser → weights", "small")


def needs() -> Drawing:
    """What backprop needs to change one weight."""
    d = Drawing("What backprop needs to change the weights W2", height=270).text(
        172, 18, "what backprop needs to change W₂"
    )
    for i, name in enumerate(NAMES):
        d.node(X[i], TOP, name)
    for i, name in enumerate(("W₁", "W₂", "W₃")):
        d.arrow((X[i], TOP), (X[i + 1], TOP), name, "here" if i == 1 else "ink")
    d.node(X[3], LOW, "e", "back").arrow((X[3], TOP), (X[3], LOW), "②", "back").node(
        X[2], LOW, "δ₂", "back"
    )
    d.arrow((X[3], LOW), (X[2], LOW), "① W₃ᵀ", "back").arrow(
        (X[2], TOP), (X[2], LOW), "③ φ′(u₂)", "back", dashed=True
    )
    d.arrow((X[2], LOW), ((X[1] + X[2]) / 2, TOP), "", "here", gap=(R, 4)).arrow(
        (X[1], TOP + 60), ((X[1] + X[2]) / 2, TOP), "", "here", gap=(0, 4)
    )
    d.text(X[1] - 14, TOP + 76, "④ h₁, kept", "t-here small")
    notes = (
        "① transport: the weights of another projection",
        "② locking: wait for y, then e = y − t, then δ₂",
    )
    notes += ("③ derivative: the slope of each unit", "④ memory: its own activity, kept till then")
    for i, note in enumerate(notes):
        d.text(20, 204 + 18 * i, note, "small left")
    return d


DRAWN = (
    bp,
    fa,
    kolen_pollack,
    dfa,
    frozen,
    ff,
    ff_unsupervised,
    scff,
    symba,
    distance_forward,
    ff_recurrent,
    predsim,
    mono_forward,
    cafo,
    gim,
    subtask,
    soft_hebb,
    node_perturbation,
    forward_gradient,
    weight_perturbation,
    es,
    activity_forward_gradient,
    reinforce,
    three_factor,
    pc,
    ipc,
    ep,
    dtp,
    pepita,
    dni,
    unlocked_dni,
    block_local,
    bptt,
    reversible,
    reversible_exact,
    rollback,
    target_rollback,
    tbptt,
    rtrl,
    uoro,
    snap,
    ostl,
    ottt,
    eprop,
    eventprop,
    reversible_ode,
    backsolve,
    checkpointed,
    esn,
    taylor,
)
RULES = {d.__name__: d for d in DRAWN}
CONCEPTS = {d.__name__: d for d in (pair, needs)}


# Three layers, the straight way back between them, and the way round it: a B.
MARK = "\n".join(
    [
        '<path d="M17 55V9" class="straight"/>',
        '<path d="M17 9C52 6 52 31 17 32C58 32 58 58 17 55" class="round"/>',
        *(f'<circle cx="17" cy="{y}" r="7"/>' for y in (9, 32, 55)),
    ]
)
# The letters y, w, a, y as strokes, so that no font is needed.
LETTERS = (
    "M62 27L73 54M84 27L68 68M94 27L102 54L111 31L120 54L128 27M164 27V55M164 41A13 13 0 1 0 138 41"
    "A13 13 0 1 0 164 41M175 27L186 54M197 27L181 68"
)
LIGHT, DARK = ("#17705a", "#c25a1c", "#1d2a27"), ("#5fc7a5", "#f2a065", "#e6ece9")


def _painted(colours: tuple[str, str, str]) -> str:
    way, straight, ink = colours
    return (
        f".round,.letters{{fill:none;stroke:{way};stroke-width:7;stroke-linejoin:round;"
        f"stroke-linecap:round}}.letters{{stroke:{ink};stroke-width:6.5}}circle{{fill:{way}}}"
        f".straight{{fill:none;stroke:{straight};stroke-width:6.5;stroke-dasharray:5.5 4.5}}"
    )


def mark() -> str:
    """The mark alone, in the colours of the reader's choice: for the tab of a browser."""
    dark = f"@media(prefers-color-scheme:dark){{{_painted(DARK)}}}"
    return _mark("0 0 64 64", _painted(LIGHT) + dark, MARK)


def name_mark(colours: tuple[str, str, str]) -> str:
    """The mark as the first letter of the name."""
    letters = f'<path d="{LETTERS}" class="letters"/>'
    return _mark("4 0 202 74", _painted(colours), f"{MARK}\n{letters}")


def _mark(box: str, style: str, body: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" aria-label="Byway">'
    return f"{head}\n<style>{style}</style>\n{body}\n</svg>\n"


def drawn() -> dict[str, str]:
    """Every drawing, by its file below docs/images."""
    found = {f"rules/{name}.svg": draw() for name, draw in RULES.items()} | {
        f"concepts/{name}.svg": d() for name, d in CONCEPTS.items()
    }
    marks = {
        "mark.svg": mark(),
        "name.svg": name_mark(LIGHT),
        "name-dark.svg": name_mark(DARK),
    }
    return {name: drawing.svg() for name, drawing in found.items()} | marks


if __name__ == "__main__":
    for file, text in drawn().items():
        path = IMAGES / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
