"""The page of a rule: its equations, settings, what its updates read, its exact tests as measured,
where its figures are.
"""

from collections.abc import Sequence

import jax

from byway.audit.networks import accepted, learns_samples
from byway.audit.page import COLUMNS, cells
from byway.audit.verdict import Verdict
from byway.core.words import QUESTIONS
from byway.learning.rule import Rule
from byway.pages.words import body, card, sentences, settings, table
from byway.verify.run import Result, wanted


def rule_page(
    rule: Rule,
    verdicts: Sequence[tuple[str, Verdict]],
    results: Sequence[Result],
    figures: Sequence[tuple[str, str]],
    drawing: str | None = None,
) -> str:
    """The page, as Markdown.

    Args:
        rule: the rule.
        verdicts: the audit on each kind of network that it accepts.
        results: its exact tests, as run.
        figures: title and address of each part of the figures that names it.
        drawing: the address of a drawing of it, if there is one.
    """
    about = card(type(rule))
    lines = [f"# {rule.id}", "", f"**{about.headline}**", ""]
    lines += [f"![How {rule.id} carries its signal]({drawing})", ""] if drawing else []
    lines += [*body(about), ""]
    lines += [
        f"- *{label}*: `{about.facts[label]}`"
        for label in ("Shapes", "Units")
        if label in about.facts
    ]
    lines += ["", *sentences(about, "Limits", "Source")]
    lines += ["## Hyper-parameters", "", *settings(rule)]
    lines += [
        f"Adam trains it on the default task at a rate of {rule.learning_rate:g} unless told "
        "otherwise (`--lr`).",
        "",
    ]
    options = [f"`{name}={value}`" for name, value in rule.network_options.items()]
    lines += [f"It asks the builders of networks for {', '.join(options)}.", ""] if options else []
    lines += _audit(rule, verdicts) + _checks(rule, results)
    lines += ["## Figures", "", *(f"- [{title}]({address})" for title, address in figures)]
    lines += [
        ""
        if figures
        else "None yet. The [figures](/figures.md) name every rule that was measured.",
        "",
    ]
    return "\n".join(lines + _run(rule))


def rules_page(rules: Sequence[Rule]) -> str:
    """The table of all rules, by what they claim, as Markdown; a script of the docs filters it."""
    lines = [
        "# Rules",
        "",
        "All of them in one table. Tick what you can live with, and see who is left. What a rule "
        "claims here is held to what [the audit](audit.md) reads from its program; [credit "
        "assignment](/concepts.md) explains the words.",
        "",
        ":::{container} all-rules",
        "",
    ]
    rows = []
    for rule in rules:
        kinds = ", ".join(f"[{kind}](networks/{kind}.md)" for kind in accepted(rule))
        name = f"[`{rule.id}`](rules/{rule.id}.md)"
        rows.append([name, card(type(rule)).headline, *cells(rule.claims), kinds])
    words = [f"- **{name}**: {text}" for name, text in QUESTIONS.items()]
    filtered = [*table(["rule", "what it is", *COLUMNS, "networks"], rows), ":::", ""]
    return "\n".join([*lines, *filtered, "## What the words mean", "", *words, ""])


def _audit(rule: Rule, verdicts: Sequence[tuple[str, Verdict]]) -> list[str]:
    rows = [["claimed", *cells(rule.claims)]]
    rows += [
        [f"found on [{kind}](../networks/{kind}.md)", *cells(verdict.found)]
        for kind, verdict in verdicts
    ]
    notes = list(
        dict.fromkeys(
            note for _, verdict in verdicts for note in verdict.disagreements + verdict.findings
        )
    )
    return [
        "## What its updates read",
        "",
        "What it claims, and what the audit found in its program when this page was built; "
        f"[update by update](../audit.md#{rule.id}), with what the words mean.",
        "",
        *table(["verdict", *COLUMNS], rows),
        *(f"- {note}" for note in notes),
        "",
    ]


def _checks(rule: Rule, results: Sequence[Result]) -> list[str]:
    lines = ["## Exact tests", ""]
    if not results:
        return [*lines, "It brings none along.", ""]
    good = sum(r.holds for r in results)
    rows = [
        [
            r.check.name,
            r.problem or f"{r.measured:.3g}",
            wanted(r.check),
            "yes" if r.holds else "**no**",
            r.check.source,
        ]
        for r in results
    ]
    where = f"in float64, with JAX {jax.__version__} on {jax.default_backend()}"
    return [
        *lines,
        f"Measured when this page was built, {where}: {good} of {len(results)} hold. "
        f"`byway verify {rule.id}` measures them on your machine.",
        "",
        *table(["check", "measured", "wanted", "holds", "source"], rows),
    ]


def _run(rule: Rule) -> list[str]:
    """How to run it: on the default task, or on one in time where it needs a past."""
    in_time = not learns_samples(rule)
    task, baseline, kind = ("delayed_xor", "bptt", "rnn") if in_time else ("digits", "bp", "mlp")
    own, asked = "", ""
    # Of the digits an mlp sees images, too.
    if kind not in (kinds := accepted(rule)) and (in_time or "convnet" not in kinds):
        kind = "coupled" if in_time else "topdown" if "cyclic" in kinds else "ode"
        asked = f" --net.kind {kind}"
        if kind not in kinds:
            own, asked = ', activation="gru"', f"{asked} --net.activation gru"
    names = ",".join(dict.fromkeys([baseline, "frozen", rule.id]))
    options = "".join(f", {name}={value}" for name, value in rule.network_options.items())
    hidden = "32" if in_time else "128, 128"
    return [
        "## Run it",
        "",
        f"    byway train --task {task} --rule {rule.id}{asked}",
        f"    byway compare --task {task} --rules {names}{asked}",
        f"    byway audit {rule.id}",
        f"    byway verify {rule.id}",
        "",
        "```python",
        "import byway",
        "",
        f'task = byway.task("{task}")',
        f"net = byway.{kind}(task.input_shape, {hidden}, task.outputs{own}{options})",
        f'print(byway.fit(net, byway.rule("{rule.id}"), task, epochs={10 if in_time else 30}, '
        "batch=32, seeds=4))",
        "```",
        "",
    ]
