"""Pages that are made when the docs are built: from the rules, tasks, cells, policies and kinds of
network that there are.
"""

import re
from pathlib import Path

from markdown.extensions.toc import slugify
from mkdocs.structure.files import File

from byway.audit.networks import KINDS
from byway.audit.page import audit_page, verdicts
from byway.growths import GROWTHS
from byway.network.cells import CELLS
from byway.pages.member import cell_page, cells_page, growth_page, growths_page
from byway.pages.network import network_page, networks_page
from byway.pages.rule import rule_page, rules_page
from byway.pages.task import task_page, tasks_page
from byway.rules import RULES
from byway.system.process import use_all_cores, use_compilation_cache
from byway.tasks import TASKS
from byway.verify.run import verify

HERE = Path(__file__).parent


def on_files(files, config):
    """Add the pages, and name them in the navigation after the page that lists them."""
    use_all_cores()
    use_compilation_cache()
    # Those of this package alone: the docs should not depend on what else is installed.
    rules = [
        RULES.get(name)()
        for name in RULES.ids()
        if RULES.get(name).__module__ == f"byway.rules.{name}"
    ]
    tasks = [
        TASKS.get(name)()
        for name in TASKS.ids()
        if TASKS.get(name).__module__ == f"byway.tasks.{name}"
    ]
    found = list(verdicts(rules))
    pages = {
        "audit.md": audit_page(found),
        "rules.md": rules_page(rules),
        "tasks.md": tasks_page(tasks),
        "networks.md": networks_page(),
    }
    for rule in rules:
        mine = [(kind, verdict) for one, kind, verdict in found if one.id == rule.id]
        drawing = (
            f"../images/rules/{rule.id}.svg"
            if (HERE / f"images/rules/{rule.id}.svg").is_file()
            else None
        )
        pages[f"rules/{rule.id}.md"] = rule_page(
            rule, mine, verify(rule), _figures(rule.id), drawing
        )
    pages |= {f"tasks/{task.id}.md": task_page(task) for task in tasks}
    pages |= {f"networks/{kind}.md": network_page(kind, rules) for kind in KINDS}
    cells, growths = (
        [registry.get(name)() for name in registry.ids()] for registry in (CELLS, GROWTHS)
    )
    pages |= {"cells.md": cells_page(cells), "growths.md": growths_page(growths)}
    pages |= {f"cells/{cell.name}.md": cell_page(cell) for cell in cells} | {
        f"growths/{one.id}.md": growth_page(one) for one in growths
    }
    for address, text in pages.items():
        files.append(File.generated(config, address, content=text))
    config.nav = [_with_pages(entry, list(pages)) for entry in config.nav]
    return files


def _figures(rule: str) -> list[tuple[str, str]]:
    """Title and address of each part of the figures that names a rule."""
    parts = re.split(r"^## ", (HERE / "figures.md").read_text(), flags=re.MULTILINE)[1:]
    named = [
        part.partition("\n")[0]
        for part in parts
        if f"`{rule}`" in part or f"--rule {rule} " in part
    ]
    return [(title, f"../figures.md#{slugify(title, '-')}") for title in named]


def _with_pages(entry, pages):
    """An entry of the navigation; a list such as "rules.md" takes the pages under it along."""
    if isinstance(entry, dict):
        return {
            title: [_with_pages(e, pages) for e in part] if isinstance(part, list) else part
            for title, part in entry.items()
        }
    folder = entry.removesuffix(".md")
    under = [page for page in pages if page.startswith(f"{folder}/")]
    return {folder.capitalize(): [entry, *under]} if under else entry
