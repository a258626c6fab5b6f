"""The pages that are made from the code each time the docs are built: rules, tasks, cells, growth
policies, kinds of network, reproductions, the audit and what teaches.

`python docs/made.py` makes those parts of other pages anew that are made from the code: of the
figures what the reproductions say, and the table of who trains networks in space.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from mdit_py_plugins.anchors.index import slugify

from byway.audit.networks import KINDS, accepted, tiny
from byway.audit.page import AuditPart, audit_page, audit_part
from byway.audit.verdict import audit
from byway.growths import GROWTHS
from byway.network.cells import CELLS
from byway.pages import in_space
from byway.pages.member import cell_page, cells_page, growth_page, growths_page
from byway.pages.network import network_page, networks_page
from byway.pages.reproduction import renewed, reproduction_page, reproductions_page
from byway.pages.rule import rule_page, rules_page
from byway.pages.task import task_page, tasks_page
from byway.pages.teaching import TeachingPart, teaching_page, teaching_part
from byway.reproductions import REPRODUCTIONS
from byway.rules import RULES
from byway.system.machine import cores
from byway.system.process import use_compilation_cache
from byway.tasks import TASKS
from byway.verify.run import verify

HERE = Path(__file__).parent


def write(folder: Path) -> None:
    """Write all pages into a folder, and remove what is no page any more.

    A page that says what it said before is left alone, so that it isn't read again.
    """
    pages = made()
    for old in set(folder.rglob("*.md")) - {folder / address for address in pages}:
        old.unlink()
    for address, text in pages.items():
        page = folder / address
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def made() -> dict[str, str]:
    """Every page, by its address."""
    rules, tasks = list(ours(RULES)), list(ours(TASKS))
    cells, growths = list(ours(CELLS)), list(ours(GROWTHS))
    reproductions = list(ours(REPRODUCTIONS))
    # Audits and exact tests take nearly all of the time: a process for each core shares them.
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
        examined = list(pool.map(examine, [rule.id for rule in rules]))
    pages = {
        "audit.md": audit_page([part for _, part, _ in examined]),
        "teaching.md": teaching_page([part for *_, part in examined]),
    }
    pages |= {f"rules/{rule.id}.md": page for rule, (page, *_) in zip(rules, examined, strict=True)}
    pages |= {f"tasks/{task.id}.md": task_page(task) for task in tasks}
    pages |= {f"networks/{kind}.md": network_page(kind, rules) for kind in KINDS}
    pages |= {f"cells/{cell.name}.md": cell_page(cell) for cell in cells}
    pages |= {f"growths/{growth.id}.md": growth_page(growth) for growth in growths}
    pages |= {f"reproductions/{one.id}.md": reproduction_page(one) for one in reproductions}
    lists = {
        "rules": rules_page(rules),
        "tasks": tasks_page(tasks),
        "networks": networks_page(),
        "cells": cells_page(cells),
        "growths": growths_page(growths),
        "reproductions": reproductions_page(reproductions),
    }
    for name, text in lists.items():
        pages[f"{name}.md"] = text + _contents(p for p in pages if p.startswith(f"{name}/"))
    return pages


def examine(name: str) -> tuple[str, AuditPart, TeachingPart]:
    """The page of a rule, audited and tested, and its parts of the page of the audit and of that of
    what teaches.
    """
    use_compilation_cache()
    rule = RULES.get(name)()
    found = [(kind, audit(rule, tiny(kind, rule))) for kind in accepted(rule)]
    page = rule_page(rule, found, verify(rule), figures(name), drawing(name))
    return page, audit_part(rule, found), teaching_part(rule, found)


def ours(registry) -> Iterator:
    """One of each member of this package: the docs do not depend on what else is installed."""
    for name in registry.ids():
        member = registry.get(name)
        if member.__module__.startswith("byway."):
            yield member()


def drawing(rule: str) -> str | None:
    """The address of the drawing of a rule, if there is one."""
    return f"/images/rules/{rule}.svg" if (HERE / f"images/rules/{rule}.svg").is_file() else None


def figures(rule: str) -> list[tuple[str, str]]:
    """Title and address of each part of the figures that names a rule."""
    text = (HERE / "figures.md").read_text(encoding="utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    named = [
        part.partition("\n")[0]
        for part in parts
        if f"`{rule}`" in part or f"--rule {rule} " in part
    ]
    return [(title, f"/figures.md#{slugify(title)}") for title in named]


def _contents(addresses) -> str:
    """The pages under a list, for the navigation."""
    names = (address.removesuffix(".md") for address in addresses)
    return "\n".join(["", "```{toctree}", ":hidden:", "", *names, "```", ""])


if __name__ == "__main__":
    page = HERE / "figures.md"
    text = renewed(page.read_text(encoding="utf-8"), list(ours(REPRODUCTIONS)))
    page.write_text(text, encoding="utf-8")
    page = HERE / "how-to/in-space.md"
    text = in_space.renewed(page.read_text(encoding="utf-8"), list(ours(RULES)))
    page.write_text(text, encoding="utf-8")
