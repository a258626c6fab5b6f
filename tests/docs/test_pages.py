"""Pages and drawings that are made from the code: what they show, held to what can be counted."""

import inspect
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.part import some
from tests.scripts import loaded

import byway
from byway.audit.networks import KINDS, learns_samples, tiny
from byway.audit.verdict import audit
from byway.core.check import Check
from byway.growths import GROWTHS
from byway.network.cells import CELLS
from byway.pages import in_space
from byway.pages.drawing import images_svg, network_svg, sequence_svg
from byway.pages.member import cell_page, growth_page
from byway.pages.network import ABOUT, network_page
from byway.pages.rule import rule_page, rules_page
from byway.pages.task import EMBEDDED, task_page
from byway.pages.teaching import teaching_page, teaching_part
from byway.pages.words import card
from byway.rules import RULES
from byway.tasks import TASKS
from byway.tasks._sequences import DrawnTask
from byway.tasks._series import SeriesTask
from byway.verify.run import verify

DOCS = Path(__file__).parents[2] / "docs"
RULE_IDS = RULES.own()
SVG = "{http://www.w3.org/2000/svg}"


def pictures(page: str) -> list[ET.Element]:
    """The drawings in a page, parsed: each must be well-formed, and without an empty line, at which
    Markdown would end it.
    """
    found = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert not any("\n\n" in svg for svg in found)
    return [ET.fromstring(svg) for svg in found]


def with_class(svg: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in svg.iter() if e.get("class") == name]


@pytest.mark.parametrize(
    ("kind", "lines", "maps"),
    [("mlp", 8 * 7 + 7 * 6 + 6 * 4, 0), ("rnn", 5 * 6 + 6 * 4, 0), ("convnet", 3 + 9 + 15 + 20, 7)],
)
def test_a_network_has_a_line_for_each_weight(kind, lines, maps):
    """Counted by hand from the sizes: 8-7-6-4; 5-6-4; 1 to 3 to 3 feature maps, then 5 and 4
    units.
    """
    (svg,) = pictures(network_svg(KINDS[kind]()))
    assert len(with_class(svg, "weight")) == lines
    assert len(with_class(svg, "map")) == maps


def test_a_network_with_cycles_has_an_arc_for_each_other_projection():
    """Twelve ordered pairs of four populations and a loop: three are drawn as fans, six of the ten
    arcs go back, one loops.
    """
    (svg,) = pictures(network_svg(KINDS["cyclic"]()))
    arcs = [e for e in svg.iter() if e.get("marker-end")]
    assert len(arcs) == 12 + 1 - 3
    assert sum(e.get("stroke-dasharray") is not None for e in arcs) == 6 + 1


def test_names_are_escaped():
    net = byway.graph({"in<put": 2, "out": 2}, [("in<put", "out")], input="in<put", output="out")
    (svg,) = pictures(network_svg(net))
    assert "in<put" in "".join(svg.itertext())


def test_an_image_has_the_ink_of_its_pixels():
    image = load_digits().images[:1] / 16
    (svg,) = pictures(images_svg(image, ["0"]))
    assert sum(float(e.get("fill-opacity")) for e in svg.iter("rect")) == pytest.approx(
        image.sum(), abs=0.5 * 64 * 1e-3
    )


def test_a_sequence_is_filled_where_it_counts():
    x, target = np.array([[1.0, -0.5], [0.0, 0.25]]), np.array([[1.0], [1.0]])
    (svg,) = pictures(sequence_svg(x, target, np.array([0.0, 1.0]), "two steps"))
    shown = [(e.get("fill"), e.get("fill-opacity")) for e in svg.iter("rect")]
    blue, orange = "#3b82c4", "#d9772b"
    assert shown == [
        (blue, "1"),
        (blue, "0"),
        (orange, "0.5"),
        (blue, "0.25"),
        ("none", None),
        (blue, "1"),
    ]


def test_a_long_sequence_is_drawn_as_lines_of_the_steps_that_count():
    x, counts = np.arange(100.0)[:, None], np.arange(100) >= 40
    (svg,) = pictures(sequence_svg(x, -x, counts / 60, "many steps"))
    shown, wanted = (
        [tuple(map(float, at.split(","))) for at in line.get("points").split()]
        for line in svg.iter("polyline")
    )
    assert (len(shown), len(wanted)) == (100, 60)
    assert shown[0] == (56.0, 30.0) and shown[-1][1] == 4.0
    assert wanted[0] == (56 + 330 * 0.4, 34.0)


@pytest.mark.parametrize("name", some(TASKS.ids(), 8))
def test_a_task_has_its_page(name, monkeypatch):
    def refuse(*_):
        raise AssertionError("a page of the docs must not download")

    monkeypatch.setattr("byway.tasks._files._download", refuse)
    monkeypatch.setattr("byway.tasks._images.locate", refuse)
    page = task_page(task := byway.task(name))
    assert page.startswith(f"# {name}\n")
    assert f"byway compare --task {name} " in page
    made = isinstance(task, DrawnTask | SeriesTask)
    assert len(pictures(page)) == (2 if made else 1 if name == "digits" else 0)
    assert ("samples in test" in page) == (made or name in EMBEDDED)


def test_the_page_of_digits_states_what_is_known_of_it():
    """1,797 images (scikit-learn's own count), of which 180 and 360 are kept apart."""
    page = task_page(byway.task("digits"))
    for row in (
        "| samples in train | 1,257 |",
        "| samples in validation | 180 |",
        "| samples in test | 360 |",
        "| one input | 8x8x1 |",
    ):
        assert row in page
    assert (
        "| `validation` | images kept from training for validation | `180` | at least 1 | "
        "`--digits.validation` |" in page
    )


@pytest.mark.parametrize("name", some(RULE_IDS, 12))
def test_a_rule_has_its_page(name):
    rule = byway.rule(name)
    page = rule_page(rule, [], [], [("A title", "/figures.md#a-title")])
    assert page.startswith(f"# {name}\n")
    for label in ("Limits", "Source"):
        assert f"**{label}.** " in page, label
    assert "\n`f`\n: " in page
    assert "\n`g`\n: " in page
    assert "- [A title](/figures.md#a-title)" in page
    assert (
        "byway compare --task "
        f"{'digits' if learns_samples(rule) else 'delayed_xor'} --rules " in page
    )


def test_hyper_parameters_have_their_range():
    page = rule_page(byway.rule("node_perturbation"), [], [], [])
    row = (
        "| `sigma` | standard deviation of the noise on each potential | `0.01` | at least 1e-06 "
        "| `--node-perturbation.sigma` |"
    )
    assert row in page
    assert (
        "| `decay` | share of the running mean activity kept at each step | `0.9` | 0 to 1 | "
        "`--ff.decay` |" in rule_page(byway.rule("ff"), [], [], [])
    )


def test_a_page_shows_what_was_found_and_measured():
    rule = byway.rule("bp")

    class Checked(type(rule)):
        def checks(self):
            return [
                Check("one | two", lambda: 0.25, 1e-3, "arithmetic", wanted=0.5),
                Check("fails", lambda: 1 / 0, 1e-3, "arithmetic"),
            ]

    page = rule_page(rule, [("mlp", audit(rule, KINDS["mlp"]()))], verify(Checked()), [])
    assert "| claimed | yes | yes | yes | error | 1 | none | flat | no |" in page
    assert (
        "| found on [mlp](../networks/mlp.md) | yes | yes | yes | error | 1 | none | flat | no |"
        in page
    )
    assert "0 of 2 hold" in page
    assert "| one \\| two | 0.25 | 0.5 ± 0.001 | **no** | arithmetic |" in page
    assert (
        "| fails | raised ZeroDivisionError: division by zero | ≤ 0.001 | **no** | arithmetic |"
        in page
    )


def test_the_lists_link_every_page():
    rules = [byway.rule(name) for name in RULE_IDS]
    page = rules_page(rules)
    assert all(f"](rules/{name}.md)" in page for name in RULE_IDS)
    assert ABOUT.keys() == KINDS.keys()
    willing = network_page("blackbox", rules)
    # By their claims: those that read no slope of a hidden unit.
    found = re.findall(r"\(\.\./rules/(\w+)\.md\)", willing)
    assert found == [
        "cafo",
        "ep",
        "es",
        "esn",
        "ff",
        "frozen",
        "node_perturbation",
        "pepita",
        "reinforce",
        "scff",
        "soft_hebb",
        "symba",
        "taylor",
        "three_factor",
        "weight_perturbation",
    ]


@pytest.mark.parametrize(
    ("name", "teacher", "read", "waits"),
    [
        ("dfa", "A vector of errors", "error, phase *free*", "yes"),
        ("mono_forward", "A vector of errors", "error, phase *free*", "no"),
        ("dni", "The target", "target, phase *free*", "no"),
        ("pepita", "A contrast of phases", "phase *free*, phase *modulated*", "yes"),
        ("pc", "Activity that was moved", "phase *settled*", "yes"),
        ("node_perturbation", "One number, the loss", "loss, phase *clean*, phase *noisy*", "yes"),
        ("three_factor", "One number, a reward", "reward, phase *tried*", "yes"),
        ("soft_hebb", "Its own activity", "phase *free*", "no"),
        ("frozen", "Nothing", "none", "no"),
    ],
)
def test_a_rule_is_sorted_by_what_teaches_its_hidden_layers(name, teacher, read, waits):
    """As the papers say it, and the audit reads it."""
    rule = byway.rule(name)
    part = teaching_part(rule, [("mlp", audit(rule, tiny("mlp", rule)))])
    assert part.kind == teacher
    assert (part.row[2], part.row[4]) == (read, waits)
    page = teaching_page([part])
    assert f"## {teacher}\n" in page and page.count("\n## ") == 1
    assert f"](rules/{name}.md)" in page


def test_a_card_keeps_all_that_was_said():
    for name in RULE_IDS:
        about = card(RULES.get(name))
        text = " ".join([about.headline, about.body, *(f"{k} {v}" for k, v in about.facts.items())])
        assert text.split() == inspect.getdoc(inspect.getmodule(RULES.get(name))).split()


@pytest.fixture(scope="module")
def drawings():
    return loaded("docs/drawings.py")


def test_the_drawings_are_those_of_the_script(drawings):
    for name, text in drawings.drawn().items():
        assert (DOCS / "images" / name).read_text() == text, (
            f"{name}: run 'python docs/drawings.py'"
        )
        assert ET.fromstring(text).tag == SVG + "svg"


def test_every_rule_is_drawn_and_every_drawing_fits_a_telephone(drawings):
    assert set(drawings.RULES) == set(RULE_IDS)
    for text in drawings.drawn().values():
        root = ET.fromstring(text)
        _, _, width, height = map(float, root.get("viewBox").split())
        assert width <= 360
        for circle in root.iter(SVG + "circle"):
            x, y, r = (float(circle.get(k)) for k in ("cx", "cy", "r"))
            assert r <= x <= width - r
            assert r <= y <= height - r


@pytest.mark.parametrize("name", CELLS.ids())
def test_a_cell_has_its_page(name):
    page = cell_page(CELLS.get(name)())
    assert page.startswith(f"# {name}\n") and "**Source.**" in page and "| flag |" not in page


@pytest.mark.parametrize("name", GROWTHS.ids())
def test_a_growth_policy_has_its_page(name):
    page = growth_page(GROWTHS.get(name)())
    assert (
        page.startswith(f"# {name}\n")
        and f"`--{name.replace('_', '-')}.every`" in page
        and "**Claims.** Reads" in page
    )


def test_every_public_name_has_an_entry_in_the_page_of_the_interface():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    entries = re.findall(r"^\.\. auto\w+:: byway\.(\w+)$", page, flags=re.MULTILINE)
    assert sorted(entries) == sorted(byway.__all__)


@pytest.mark.slow  # it makes the whole table
def test_who_trains_networks_in_space_is_what_the_rules_say():
    page = (DOCS / "how-to/in-space.md").read_text(encoding="utf-8")
    rules = [RULES.get(name)() for name in RULE_IDS]
    assert in_space.renewed(page, rules) == page, "run 'python docs/made.py'"
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", in_space.who_trains(rules), re.MULTILINE))
    assert rows["bp"] == "yes | · | · | ·"
    assert rows["pc"] == "yes | yes | · | ·"
    assert rows["eprop"] == "yes | · | yes | yes"
