"""The pages of cells and of growth policies: what each does, what it reads, its numbers, how to use
it.
"""

from collections.abc import Sequence

from byway.learning.growth import Growth
from byway.network.cell import StatefulCell
from byway.pages.words import body, card, sentences, settings, table

CELLS = """Units whose cell has a state live in time: `bptt` and `rtrl` train any of them, from
its local derivatives, and a random layer of them is a reservoir for `frozen`. An activation is a
cell without a state; every network takes either.

    byway train --task delayed_xor --rule bptt --net.activation NAME

```python
import byway

net = byway.rnn(2, 64, 2, activation=byway.cell("lif", tau=30.0), readout=byway.cell("leaky",
phi="identity", scaled=False))
```

To write one, put a file with one `StatefulCell` beside them: `rest`, `step` and, written out,
its derivatives in `local`.
"""
GROWTH = """A policy acts beside any rule, every so many updates, inside the compiled program:
shapes never change, so nothing is compiled anew.

    byway compare --task mnist --rules bp,fa,frozen --growth set --net.fan-in 32

```python
import byway

task = byway.task("digits")
net = byway.mlp(task.input_shape, 128, 128, task.outputs, fan_in=16)
print(byway.fit(net, byway.rule("fa"), task, growth=byway.growth("set", every=50)))
```

To write one, put a file with one `Growth` beside them: what it remembers (`start`), what it
makes of each call of f and g (`watch`), and what it changes (`grow`), with the masks of what
began anew.
"""


def cell_page(cell: StatefulCell) -> str:
    """The page of a cell, as Markdown."""
    return _page(cell.name, cell, ["Shapes", "Units", "Limits", "Source"], flags=False)


def growth_page(growth: Growth) -> str:
    """The page of a growth policy, as Markdown."""
    return _page(growth.id, growth, ["Shapes", "Units", "Claims", "Limits", "Source"], flags=True)


def cells_page(cells: Sequence[StatefulCell]) -> str:
    """The list of all cells, as Markdown."""
    return _list("Cells", "cells", {cell.name: cell for cell in cells}, CELLS)


def growths_page(growths: Sequence[Growth]) -> str:
    """The list of all growth policies, as Markdown."""
    return _list("Growth", "growths", {growth.id: growth for growth in growths}, GROWTH)


def _page(name: str, owner: StatefulCell | Growth, labels: Sequence[str], flags: bool) -> str:
    about = card(type(owner))
    return "\n".join(
        [
            f"# {name}",
            "",
            f"**{about.headline}**",
            "",
            *body(about),
            "",
            *sentences(about, *labels),
            "## Settings",
            "",
            *settings(owner, flags),
        ]
    )


def _list(title: str, folder: str, owners: dict[str, StatefulCell | Growth], text: str) -> str:
    rows = [
        [f"[`{name}`]({folder}/{name}.md)", card(type(owner)).headline]
        for name, owner in owners.items()
    ]
    return "\n".join([f"# {title}", "", *table(["name", "what it is"], rows), text])
