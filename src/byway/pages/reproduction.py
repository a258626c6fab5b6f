"""The pages of reproductions, and the part of the figures that is made from them: what was
published, what was measured here, and whether it holds.
"""

from collections.abc import Sequence

from byway.pages.words import body, card, sentences, table
from byway.reproductions._claims import Measured
from byway.reproductions._reproduction import Comparison, Reproduction

UNKNOWN = "not measured yet"
# What stands between these lines of a page is made from the files.
MADE = "<!-- made by 'python docs/made.py' from src/byway/reproductions/: change it there -->"
END = "<!-- made until here -->"
LIST = """A published figure is one file here: its source, how far the number is verified, settings,
budget, what we measured, and the reason for a miss. Failures that should happen are among them.

    byway reproduce                       # this list
    byway reproduce akrout_mnist          # measure one; again, to resume it
    byway reproduce akrout_mnist --quick  # a fraction of the budget, and no verdict

```python
import byway

found = byway.reproduce("perturbation_variance", quick=True)
print(found)
```

A figure holds if each mean over seeds lies within the tolerance that its file declares; one that is
to fall behind another must do so by as much as is declared, with an interval that does not reach
zero. A seed that was lost counts against it. The numbers on these pages were measured once, on the
machine that is named, and are never typed a second time.

To add one, put a file with one `Comparison` or `Law` beside them, in
`src/byway/reproductions/`; `byway reproduce path/to/file.py:Class` runs one that lies elsewhere.
`print(found.measured)` prints the numbers as they stand in such a file.
"""


def reproduction_page(one: Reproduction) -> str:
    """The page of a reproduction, as Markdown."""
    about = card(type(one))
    words, time = one.cost()
    lines = [f"# {one.id}", "", f"**{about.headline}**", "", *body(about), ""]
    lines += sentences(about, "Source", "Verified", "Differs")
    lines += ["## What was measured", "", *measured(one), *sentences(about, "Miss")]
    lines += ["## Settings", "", *table(["setting", "value"], _settings(one))]
    lines += [f"Its budget is {words}; estimated on two cores: {minutes(time)}.", ""]
    quick, sooner = one.cost(quick=True)
    lines += [f"With `--quick` it is {quick}, {minutes(sooner)}, and nothing is said of the claim."]
    lines += ["", f"    byway reproduce {one.id}", ""]
    return "\n".join(lines)


def reproductions_page(known: Sequence[Reproduction]) -> str:
    """The list of all reproductions, as Markdown."""
    rows = []
    for one in known:
        _, time = one.cost()
        name = f"[`{one.id}`](reproductions/{one.id}.md)"
        rows.append([name, card(type(one)).headline, claimed(one), one.status, minutes(time)])
    head = ["name", "what it is", "claimed", "here", "estimated on two cores"]
    return "\n".join(["# Reproductions", "", *table(head, rows), LIST])


def reproductions_section(known: Sequence[Reproduction]) -> str:
    """The part of the figures that is made from the files: a table, a row for each claim."""
    rows = []
    for one in known:
        name = f"[`{one.id}`](reference/reproductions/{one.id}.md)"
        for said, found, holds in _claims(one):
            shown = f"{one.quantity.title}: {said}"
            rows.append([name, shown, found, holds.partition(":")[0]])
            name = ""
    return "\n".join(table(["figure", "claimed", "measured", "holds"], rows)).strip()


def renewed(page: str, known: Sequence[Reproduction]) -> str:
    """A page with its part about reproductions made anew."""
    head, _, rest = page.partition(MADE)
    _, _, tail = rest.partition(END)
    return f"{head}{MADE}\n\n{reproductions_section(known)}\n\n{END}{tail}"


def measured(one: Reproduction) -> list[str]:
    """What was measured, beside what was claimed, as Markdown."""
    rows = [list(row) for row in _claims(one)]
    lines = table([f"claimed: {_quantity(one)}", "measured", "holds"], rows)
    if one.measured is None:
        return [*lines, "Nobody has measured it with the whole budget yet.", ""]
    held = [
        [f"`{name}`", one.quantity.spread(values), ", ".join(map(one.quantity.printed, values))]
        for name, values in one.measured.values.items()
    ]
    of, each = ("rule", "each seed") if isinstance(one, Comparison) else ("what", "each time")
    lines += table([of, "mean ± standard deviation", each], held)
    return [*lines, f"Measured on {_where(one, one.measured)}.", ""]


def claimed(one: Reproduction) -> str:
    """All claims in a few words."""
    return ", ".join(claim.said(one.quantity) for claim in one.claims)


def recorded(one: Reproduction) -> str:
    """What was measured, in a few words."""
    if one.measured is None:
        return UNKNOWN
    found = one.judge(one.measured.values).findings
    said = [f"{finding.claimed}, measured {finding.measured}" for finding in found]
    return f"{'; '.join(said)} ({_where(one, one.measured)})"


def minutes(time: float | None) -> str:
    """About how long it takes."""
    if time is None:
        return "not timed yet"
    if time < 1:
        return f"about {max(1, round(60 * time))} s"
    return f"about {round(time)} min" if time < 90 else f"about {round(time / 60)} h"


def _claims(one: Reproduction) -> list[tuple[str, str, str]]:
    """Each claim, what was measured of it, and whether it holds."""
    if one.measured is None:
        return [(claim.said(one.quantity), UNKNOWN, "–") for claim in one.claims]
    words = {True: "yes", False: "**no**", None: "cannot be told"}
    found = one.judge(one.measured.values).findings
    return [(f.claimed, f.measured, f"{words[f.holds]}: {f.why}") for f in found]


def _quantity(one: Reproduction) -> str:
    unit = f" [{one.quantity.unit}]" if one.quantity.unit else ""
    return f"{one.quantity.title}{unit}"


def _where(one: Reproduction, held: Measured) -> str:
    """On what machine, when, on how many seeds and for how long."""
    count = max(len(values) for values in held.values.values())
    of = "seed" if isinstance(one, Comparison) else "time"
    spent = [] if held.minutes is None else [f"{held.minutes:g} min"]
    counted = f"{count} {of}{'' if count == 1 else 's'}"
    return ", ".join([held.machine, held.when, counted, *spent])


def _settings(one: Reproduction) -> list[list[str]]:
    return [[name, value] for name, value in one.settings().items()]
