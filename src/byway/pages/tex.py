"""The equations of docstrings, typeset.

A docstring is read in an editor, so it writes `delta_l = (W_{l+1}^T delta_{l+1}) * phi'(u_l)`. A
page shows the same as TeX. The notation is small: names with subscripts (`_`), superscripts (`^`)
and primes; Greek letters by name; `<x>` for a mean over the batch; `dX/dY` for a derivative; `<-`
for "becomes"; and words between the formulas. What is none of these is refused, so nothing
unreadable reaches a page.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterator

from byway.core.errors import BywayError

LOWER = (
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau chi psi"
)
UPPER = "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
GREEK = {name: f"\\{name}" for name in f"{LOWER} omega {UPPER}".split()}
GREEK |= {"phi": r"\varphi", "eps": r"\varepsilon"}
SET = {"exp": r"\exp", "log": r"\log", "max": r"\max", "min": r"\min", "in": r"\in"}
SET |= {"sum": r"\textstyle\sum", "sqrt": r"\sqrt"}
APPLIED = ("exp", "log", "max", "min", "mean", "sum")  # also without brackets: max |A|
OPERATORS = {
    "<-": r"\leftarrow",
    "<=": r"\le",
    ">=": r"\ge",
    ":=": r"\mathrel{:=}",
    "+=": r"\mathrel{+}=",
    "-=": r"\mathrel{-}=",
    "=": "=",
    "+": "+",
    "-": "-",
    "*": r"\cdot",
    "/": "/",
    "~": r"\sim",
}
CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
TEX_OF = {"{": r"\{", "}": r"\}", "<": r"\langle ", ">": r"\rangle "}
# Subscripts that are words; all others are indices, which are set one by one.
SUBSCRIPTS = {"in", "out", "rec", "adaptation"}

NAME = r"[A-Za-z]+'*(?:_(?:\{[^}]*\}|[A-Za-z0-9]+))?(?:\^(?:\{[^}]*\}|-?\w+))?"
TOKEN = re.compile(
    rf"""
    (?P<space>\s+)
    | (?P<quoted>"[^"]*")
    | (?P<code>`[^`]*` | \w+\["\w+"\])
    | (?P<edge>\b[a-z]-[a-z]\b)
    | (?P<possessive>[A-Za-z]+'s\b)
    | (?P<ratio>\bd(?:{NAME}|\(\w+\))/d(?:{NAME}|\(\w+\)))
    | (?P<hyphened>[A-Za-z]{{2,}}(?:-[A-Za-z]{{2,}})+)
    | (?P<times>\d+x\d+)
    | (?P<number>\d{{1,3}}(?:,\d{{3}})+|\d+(?:\.\d+)?(?:e-?\d+)?)
    | (?P<name>[A-Za-z]+)
    | (?P<prime>'+)
    | (?P<sub>_(?:\{{[^}}]*\}}|[A-Za-z0-9]+))
    | (?P<sup>\^(?:\{{[^}}]*\}}|-?\w+))
    | (?P<operator><-(?=\s)|<=|>=|:=|\+=|-=|[-=+*/~])
    | (?P<bar>\|)
    | (?P<open>[(\[{{<])
    | (?P<close>[)\]}}>])
    | (?P<stop>[,;:.?])
    """,
    re.VERBOSE,
)
# A line that begins a statement of its own; any other continues the line above it.
STATEMENT = re.compile(
    r"""
    ("\w+" | [A-Za-z][\w\[\]"\ ]*) :(?!=)      # "noisy": or peers:
    | \(?[A-Za-z][\w'^{}+\-/]*(\([^)]*\))?     # h_l, phi(u), (s_t ...
      ((,|\ -)\ *[\w^]+\)?)? \s* (=|<-|\+=|~)    # ... and what it is
    """,
    re.VERBOSE,
)
SCRIPTED = re.compile(r"\b[A-Za-z]+_(\{|[a-z0-9]{1,2}\b)|\w\^\w")
LABEL = re.compile(r"(?:(\w):?|([a-z][a-z ]*?)) {2,}(?=\S)")


@dataclasses.dataclass
class Token:
    """A piece of a line.

    Attributes:
        kind: what it is, a group of `TOKEN`.
        text: as it is written.
        gap: how many spaces stand before it.
        apart: whether a space stands behind it.
    """

    kind: str
    text: str
    gap: int
    apart: bool = False


def equations(block: list[str]) -> list[str]:
    """A block of equations as Markdown: a definition list where its lines have labels ("f:").

    Args:
        block: the lines, without the indentation that they share.

    Raises:
        BywayError: something in it is not of the notation.
    """
    parts = list(_labelled(block))
    lines = [":::{container} equations", ""]
    for label, statements in parts:
        text = "\\\n".join(typeset(statement) for statement in statements)
        if label:
            lines += [f"`{label}`" if len(label) == 1 else label, ": " + text.replace("\n", "\n  ")]
        else:
            lines.append(text)
        lines.append("")
    return [*lines, ":::", ""]


def _labelled(block: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The statements under each label, in order; the label is empty where there is none."""
    label, statements, indent = "", [], 0
    for line in block:
        if not line.strip():
            continue
        found = LABEL.match(line)
        labelled = found is not None and not line.startswith(" ")
        aside = not line.startswith(" ") and indent  # back at the margin, without a label
        if labelled or aside:
            if statements:
                yield label, statements
            label = (found[1] or found[2]) if found and labelled else ""
            statements, indent = [], found.end() if found and labelled else 0
            statements.append(line[indent:])
        elif statements and not _begins(line.strip(), statements[-1]):
            statements[-1] += " " + line.strip()
        else:
            statements.append(line.strip())
    if statements:
        yield label, statements


def _begins(line: str, above: str) -> bool:
    """Whether a line begins a statement, rather than going on with the one above it."""
    open_ = sum(above.count(o) - above.count(c) for o, c in ("()", "[]", "{}"))
    return not open_ and (STATEMENT.match(line) is not None or above.endswith("."))


def formulas(paragraph: str) -> str:
    """A paragraph as Markdown: typeset where it holds a name with a script, such as `h_l`."""
    bare = re.sub(r"`[^`]*`", "", paragraph)
    return typeset(" ".join(paragraph.split())) if SCRIPTED.search(bare) else paragraph


def typeset(statement: str) -> str:
    """One statement as Markdown: its formulas between dollars, its words as they are."""
    tokens = _tokens(statement)
    items = _Reader(tokens, statement).items()
    out = ""
    for i, (kind, text, spaced) in enumerate(items):
        if spaced and i:
            wide = spaced > 1 and items[i - 1][1][-1:] in (",", ";", ".")
            out += " &emsp; " if wide or spaced > 2 else " "
        out += f"${text}$" if kind == "math" else text
    return out


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at, spaces = 0, 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise _unknown(text[at], text)
        at = found.end()
        if found.lastgroup == "space":
            spaces = len(found[0])
            if tokens:
                tokens[-1].apart = True
            continue
        tokens.append(Token(found.lastgroup or "", found[0], spaces))
        spaces = 0
    return tokens


def _unknown(piece: str, text: str) -> BywayError:
    return BywayError(
        f"{piece!r} in the equation {text!r}",
        "names, scripts, Greek letters, brackets, + - * / = <- ~ and words",
        "write it in that notation, or add it to byway.pages.tex",
    )


class _Reader:
    """Reads tokens into items: ("math" or "text", what it says, spaces before it)."""

    def __init__(self, tokens: list[Token], text: str):
        self.tokens, self.text = tokens, text

    def items(self) -> list[tuple[str, str, int]]:
        return _merged(self.read(0, len(self.tokens), inside=False))

    def read(self, start: int, end: int, inside: bool) -> list[tuple[str, str, int]]:
        """Items of the tokens from start to end; `inside` brackets, words are part of a formula."""
        found, at = [], start
        while at < end:
            token = self.tokens[at]
            if token.kind == "open":
                at, item = self.group(at, end, inside)
                found += item
                continue
            kind, text, at = self.atom(at, inside)
            found.append((kind, text, token.gap))
        return found

    def group(self, at: int, end: int, inside: bool) -> tuple[int, list]:
        """A pair of brackets: a formula if all in it is one, or if it is called or averaged."""
        token, last = self.tokens[at], self.matching(at, end)
        called = at > 0 and not token.gap and self.is_math(at - 1)
        whole = inside or called or token.text in "{<"
        items = self.read(at + 1, last, inside=True)
        within = self.read(at + 1, last, inside=False)
        if not whole and any(kind == "text" and text != "," for kind, text, _ in within):
            within = _merged(within)
            kind, text, _ = within[0]
            within[0] = (kind, text, 0)
            closing = self.tokens[last].text
            return last + 1, [("text", token.text, token.gap), *within, ("text", closing, 0)]
        body = _joined([text for _, text, _ in items])
        left, right = (TEX_OF.get(b, b) for b in (token.text, CLOSING[token.text]))
        scripts, last = self.scripts(last + 1, end)
        if called and self.tokens[at - 1].text == "sqrt":
            left, right = "{", "}"
        return last, [("math", f"{left}{body}{right}{scripts}", token.gap)]

    def matching(self, at: int, end: int) -> int:
        opening, depth = self.tokens[at].text, 0
        for i in range(at, end):
            depth += (self.tokens[i].text == opening) - (self.tokens[i].text == CLOSING[opening])
            if not depth:
                return i
        raise _unknown(opening, self.text)

    def scripts(self, at: int, end: int) -> tuple[str, int]:
        held = []
        while at < end and self.tokens[at].kind in ("sub", "sup", "prime"):
            if self.tokens[at].gap:
                break
            held.append(self.tokens[at])
            at += 1
        return _scripts(held), at

    def atom(self, at: int, inside: bool) -> tuple[str, str, int]:
        """One token with its scripts: (kind, text, where to go on)."""
        token = self.tokens[at]
        if token.kind in WORDS:
            return (
                ("math", _in_formula(token), at + 1) if inside else ("text", _said(token), at + 1)
            )
        if token.kind in FORMULAS:
            return "math", FORMULAS[token.kind](token.text), at + 1
        if token.kind == "bar":
            scripts, at = self.scripts(at + 1, len(self.tokens))
            return "math", f"|{scripts}", at
        if not (inside or self.is_math(at)):
            return "text", token.text, at + 1
        if token.kind == "number":
            scripts, at = self.scripts(at + 1, len(self.tokens))
            return "math", token.text + scripts, at
        if token.kind != "name":
            raise _unknown(token.text, self.text)
        sign, after = self.sign(at + 1)
        scripts, after = self.scripts(after, len(self.tokens))
        scripts += f"^{sign}" if sign else ""
        return "math", _letter(token.text, scripts, self.calls(after)), after

    def sign(self, at: int) -> tuple[str, int]:
        """A superscript + or -, as in G+ and h+_l."""
        if at < len(self.tokens) and self.tokens[at].text in "+-" and not self.tokens[at].gap:
            after = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
            if after is None or after.gap or after.kind in ("sub", "stop", "close"):
                return self.tokens[at].text, at + 1
        return "", at

    def calls(self, at: int) -> bool:
        """Whether a bracket follows at once."""
        return (
            at < len(self.tokens)
            and self.tokens[at].kind == "open"
            and self.tokens[at].text == "("
            and not self.tokens[at].gap
        )

    def is_math(self, at: int) -> bool:
        """Whether a token belongs to a formula, and not to the words around it."""
        token = self.tokens[at]
        following = self.tokens[at + 1] if at + 1 < len(self.tokens) else Token("end", "", 1)
        if token.kind not in ("name", "number"):
            return token.kind not in WORDS
        scripted = following.kind in SCRIPTS and not following.gap
        after = following.kind == "operator" and not self.unary(at + 1)
        before = at > 0 and self.tokens[at - 1].kind == "operator"
        if scripted or token.kind == "number":
            return scripted or after or before
        if token.text in ("a", "A") and following.gap and following.kind not in ("operator", "end"):
            return following.text == "in" and self.is_math(at + 1)
        if token.text in ("in", "delta", "Loss"):
            return {"in": following.text == "{", "delta": following.text != "rule"}.get(
                token.text, True
            )
        applied = token.text in APPLIED and following.kind in ("bar", "open")
        return self.calls(at + 1) or _is_symbol(token.text) or applied or after or before

    def unary(self, at: int) -> bool:
        """Whether a sign stands before something alone, as in "of -1"."""
        token = self.tokens[at]
        return token.text in "+-" and bool(token.gap) and not token.apart


def _is_symbol(name: str) -> bool:
    """Whether a name is always part of a formula: a letter, a Greek one, dW, Rbar, RR."""
    changes = name[0] == "d" and name != "do" and (len(name) == 2 or name[1:] in GREEK)
    barred = len(name) == 4 and name.endswith("bar")
    return (
        len(name) == 1 or name in GREEK or changes or barred or (len(name) == 2 and name.isupper())
    )


def _letter(name: str, scripts: str, called: bool) -> str:
    """A name as TeX."""
    if name in GREEK or (name in SET and (scripts or name != "sum")):
        return f"{GREEK.get(name) or SET[name]}{scripts or ' '}"
    if len(name) == 1:
        return (r"\mathcal{N}" if name == "N" and called else name) + scripts
    if len(name) == 4 and name.endswith("bar"):
        return rf"\bar{{{name[0]}}}{scripts}"
    if _is_symbol(name) and name[0] == "d":
        return rf"\mathrm{{d}}{_letter(name[1:], scripts, called)}"
    return rf"\{'operatorname' if called or name == 'mean' else 'mathrm'}{{{name}}}{scripts}"


def _ratio(text: str) -> str:
    above, below = text.split("/d")
    return rf"\dfrac{{\mathrm{{d}}{_name(above[1:])}}}{{\mathrm{{d}}{_name(below)}}}"


def _name(text: str) -> str:
    """What stands in a derivative, such as `h_{t-1}` or `(output)`."""
    name = re.match(r"[A-Za-z]+", text)
    if name is None:
        return rf"(\mathrm{{{text.strip('()')}}})"
    return _letter(name[0], _scripts(_tokens(text[name.end() :])), called=False)


def _scripts(tokens: list[Token]) -> str:
    """Subscript, primes and superscript, in the order in which TeX takes all three."""
    order = ("sub", "prime", "sup")
    tex = {kind: "".join(_script(t) for t in tokens if t.kind == kind) for kind in order}
    if tex["prime"] and tex["sup"]:
        return tex["prime"] + tex["sup"] + tex["sub"]
    return tex["sub"] + tex["prime"] + tex["sup"]


def _script(token: Token) -> str:
    if token.kind == "prime":
        return token.text
    mark, body = token.text[0], token.text[1:].strip("{}")
    if body == "T":
        body = r"\top"
    elif body in GREEK:
        body = GREEK[body]
    elif body in SUBSCRIPTS or (mark == "^" and body.isalpha() and len(body) > 1):
        body = rf"\mathrm{{{body}}}"
    return f"{mark}{{{body}}}"


def _in_formula(token: Token) -> str:
    if token.kind == "stop":
        return rf"{token.text}\ "
    return rf"\text{{{token.text.strip('`')}}}"


def _joined(pieces: list[str]) -> str:
    """Pieces of a formula, with a thin space between a word and what it multiplies."""
    signs = {*OPERATORS.values(), r"\in"}
    text = ""
    for piece, following in itertools.pairwise([*pieces, ""]):
        beside = following and following not in signs and not following.startswith((",", ";"))
        text += piece + (r"\, " if beside and _is_word(piece, following) else " ")
    return text.rstrip()


def _is_word(piece: str, following: str) -> bool:
    """Whether one of two neighbours is a word, and neither calls the other."""
    word = re.compile(r"\\(mathrm|text)\{\w{2,}\}(_|\^|$)")
    return word.match(piece) is not None or (
        word.match(following) is not None and piece not in OPERATORS.values()
    )


def _said(token: Token) -> str:
    """A word of the text, as Markdown."""
    return f"*{token.text[1:-1]}*" if token.kind == "quoted" else token.text


def _merged(items: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Neighbours that are formulas, as one formula."""
    merged: list[tuple[str, str, int]] = []
    for kind, run in itertools.groupby(items, key=lambda item: item[0]):
        pieces = list(run)
        if kind == "math":
            merged.append((kind, _joined([text for _, text, _ in pieces]), pieces[0][2]))
        else:
            merged += pieces
    return merged


WORDS = ("quoted", "code", "possessive", "hyphened", "stop")
SCRIPTS = ("sub", "sup", "prime")
# What is part of a formula wherever it stands.
FORMULAS = {
    "ratio": _ratio,
    "operator": OPERATORS.__getitem__,
    "edge": lambda text: rf"{text[0]}\text{{–}}{text[2]}",
    "times": lambda text: text.replace("x", r" \times "),
}
