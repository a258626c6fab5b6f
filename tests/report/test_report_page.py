"""The page as a browser, a screen reader and a mail filter see it."""

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import byway.report
from byway.core.score import ACCURACY
from byway.metrics.microscope import QUANTITIES
from byway.report.charts import (
    HUES,
    angle_axis,
    descent_axis,
    even_ticks,
    ratio_axis,
    score_axis,
    share_axis,
    styles,
    update_axis,
)
from byway.report.charts import Series as Line
from byway.report.page import write_page
from byway.report.pictures import BROKEN, NEGATIVE, POSITIVE, ZERO, as_images, colours, png
from byway.report.run import read_run
from byway.report.summary import compare

VOID = {"meta", "link", "img", "br", "path", "circle"}


class Page(HTMLParser):
    """Checks nesting, and keeps every tag and all text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def text(folder):
    path = write_page(folder)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def test_the_page_stands_on_its_own(text, folder):
    assert len(text.encode()) < 3_000_000
    page = Page(text)
    assert not page.all("script")
    for _, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attrs.get(name, "#").startswith(("#", "data:"))
    assert "url(" not in text
    assert "@import" not in text
    assert str(folder.parent) not in text


def test_the_page_says_what_the_run_was(text):
    words = " ".join(Page(text).words)
    for part in (
        "bp",
        "frozen",
        "dfa",
        "ff",
        "hebb",
        "digits",
        "2026-03-02 14:05",
        "byway compare --config config.toml --out again",
        "seeds = 3",
    ):
        assert part in words
    assert "ff and hebb did not finish" in words
    assert words.count("A rule <of ours>.") == 2  # those of the two that the audit has seen
    assert "a number stopped being finite at update 7" in words
    assert "transport: claimed no, found yes." in words
    assert (
        text.count('<code class="carried">net.hidden1-output.weight</code>')
        == text.count('class="carried"')
        == 1
    )
    assert "nan" not in text.lower()


def test_the_page_can_be_read_without_eyes(text):
    page = Page(text)
    assert page.all("html")[0]["lang"] == "en-GB"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert all(
        attrs.get("aria-hidden") or (attrs["role"] == "img" and attrs["aria-label"])
        for attrs in page.all("svg")
    )
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_charts_stay_on_their_canvas(text):
    charts = [
        ET.fromstring(found)
        for found in re.findall(r'<svg class="chart".*?</svg>', text, re.DOTALL)
    ]
    # Differences, accuracy twice, the loss, four quantities of two projections.
    assert len(charts) == 12
    for chart in charts:
        _, _, width, height = map(float, chart.get("viewBox").split())
        for path in chart.iter("path"):
            if path.get("class") == "line" or (path.get("class") or "").startswith("band"):
                numbers = np.array(re.findall(r"-?[\d.]+", path.get("d")), float).reshape(-1, 2)
                assert ((numbers >= 0) & (numbers <= [width, height])).all()


def test_a_run_with_one_epoch_one_seed_and_no_audit(folder):
    (folder / "audit.json").unlink()
    results = json.loads((folder / "results.json").read_text())
    entry = results["rules"]["dfa"] | {
        "seeds": [0],
        "test": {"accuracy": [0.9], "loss": [1.0]},
        "failures": {},
    }
    (folder / "results.json").write_text(json.dumps(results | {"rules": {"dfa": entry}}))
    lines = [
        line
        for line in (folder / "metrics.jsonl").read_text().splitlines()[:-1]
        if json.loads(line)["seed"] == 0
    ]
    (folder / "metrics.jsonl").write_text(
        "\n".join(line for line in lines if json.loads(line)["epoch"] < 2) + "\n"
    )
    words = " ".join(Page(write_page(folder).read_text(encoding="utf-8")).words)
    assert "This run holds no audit" in words
    assert "Behind it" not in words


def test_a_run_in_which_every_number_was_lost(folder):
    results = json.loads((folder / "results.json").read_text())
    results["rules"] = {
        "bp": results["rules"]["bp"]
        | {"test": {"accuracy": [None] * 3}, "failures": {"0": "a", "1": "b", "2": "c"}}
    }
    (folder / "results.json").write_text(json.dumps(results))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()[:-1]]
    lost = [row | {"validation": dict.fromkeys(row["validation"])} for row in rows]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lost)) + "\n")
    looks = [
        json.loads(line) for line in (folder / "microscope.jsonl").read_text().splitlines()[:-1]
    ]
    lost = [
        look | {quantity: dict.fromkeys(look[quantity]) for quantity in QUANTITIES}
        for look in looks
    ]
    (folder / "microscope.jsonl").write_text("\n".join(map(json.dumps, lost)) + "\n")
    text = write_page(folder).read_text(encoding="utf-8")
    assert "no seed of 3 finished" in text
    assert "No seed of backprop finished." in text


def charts_of(text, title):
    """The labels of the charts of one quantity, by projection."""
    part = re.search(rf"<h3[^>]*>{title}</h3>(.*?)(?=<h[23]|<p class=\"note\")", text, re.DOTALL)[1]
    return dict(
        zip(
            re.findall(r"<strong>(.*?)</strong>", part),
            re.findall(r'aria-label="(.*?)"', part),
            strict=True,
        )
    )


def test_the_microscope_shows_four_quantities_of_each_projection_from_the_input_on(text):
    titles = (
        "Angle to the true gradient",
        "Norm ratio",
        "Sign agreement",
        "Descent per unit of update",
    )
    shown = [charts_of(text, title) for title in titles]
    assert [[*charts] for charts in shown] == [["input-hidden1", "hidden1-output"]] * 4
    assert [charts["input-hidden1"].rpartition(": ")[2] for charts in shown] == [
        "bp 0° and dfa 70°.",
        "bp 2 and dfa 2.",
        "bp 100 % and dfa 61.1 %.",
        "bp 0.5 and dfa 0.168.",
    ]
    assert "took bp 0.03\u00a0s, frozen 0.03\u00a0s and dfa 0.03\u00a0s" in text


def test_a_run_without_a_microscope_has_no_such_section(folder):
    """As one that never looked, or from before there was one."""
    (folder / "microscope.jsonl").unlink()
    results = json.loads((folder / "results.json").read_text())
    for entry in results["rules"].values():
        for name in ("looks", "look_seconds", "look_compile_seconds"):
            del entry[name]
    (folder / "results.json").write_text(json.dumps(results))
    text = write_page(folder).read_text(encoding="utf-8")
    assert 'id="microscope"' not in text
    assert compare(read_run(folder))[0].angle is None


def _line(*mean):
    return Line("bp", np.arange(len(mean), dtype=float), np.array(mean), np.full(len(mean), np.nan))


@pytest.mark.parametrize(
    "values", [(1.0, 1.0), (0.03, 40.0), (1e-9, 2.0), (np.nan, 3.0), (0.0, 0.0)]
)
@pytest.mark.parametrize("make", [ratio_axis, descent_axis, angle_axis, share_axis, update_axis])
def test_every_axis_of_the_microscope_holds_what_is_on_it(make, values):
    axis = make([_line(*values)])
    places = [axis.at(v, 0, 1000) for v in (*values, axis.low, axis.high) if np.isfinite(v)]
    assert axis.low < axis.high
    assert all(0 <= place <= 1000 for place in places)
    assert len(axis.marks(0, 1000, 100)) >= 2


def test_descent_is_drawn_on_both_sides_of_zero():
    axis = descent_axis([_line(-2.0, 0.0, 2.0)])
    at = [axis.at(v, 0, 1000) for v in (-2, -0.2, 0, 0.2, 2)]
    assert at[2] == 500
    np.testing.assert_allclose([at[0] + at[4], at[1] + at[3]], 1000)
    assert at[3] - at[2] > 200  # a tenth is far from nothing


def test_names_are_text_and_never_markup(folder):
    results = (folder / "results.json").read_text()
    (folder / "results.json").write_text(results.replace('"dfa"', '"<script>x"'))
    assert "<script" not in write_page(folder).read_text(encoding="utf-8")


def test_weights_are_the_pixels_they_should_be(folder, text):
    frozen, dfa = (
        re.search(
            rf'<h3>.*?{rule}</h3>\n<img class="weights" src="data:image/png;base64,([^"]+)"', text
        )
        for rule in ("frozen", "dfa")
    )
    assert frozen and dfa
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(frozen[1]))))
    tile = 44  # 2 x 2 weights, each 22 pixels a side; the next unit starts after a gap of 4
    assert pixels.shape == (tile, 3 * tile + 8, 4)
    # The first unit of seed 0 is [1, -1, 0, 0.5] in reading order, on a scale that ends near 2, its
    # largest weight; the second is all zero.
    assert pixels[33, 11].tolist() == [*ZERO.astype(int), 255]
    assert pixels[11, tile + 4 + 11].tolist() == [*ZERO.astype(int), 255]
    assert pixels[11, 2 * (tile + 4) + 11].tolist() == [*POSITIVE.astype(int), 255]
    assert pixels[11, tile + 2, 3] == 0
    np.testing.assert_allclose(pixels[11, 11, :3], (ZERO + POSITIVE) / 2, atol=1)
    np.testing.assert_allclose(pixels[11, 33, :3], (ZERO + NEGATIVE) / 2, atol=1)
    assert "1 unit has weights that are all zero or not finite" in text


def test_what_learning_changed_is_the_difference_to_the_control(text):
    # bp's weights are the control's, but for the third unit: 1 instead of 2. So only that one is
    # coloured, and negative.
    found = re.search(r'src="data:image/png;base64,([^"]+)"[^>]*alt="What training by bp', text)
    assert found
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))
    assert pixels[11, 11, :3].tolist() == ZERO.astype(int).tolist()
    assert pixels[11, 2 * 48 + 11, :3].tolist() == NEGATIVE.astype(int).tolist()


def test_colours_of_three_channels_and_of_broken_weights():
    images = np.array([1.0, -1.0, 0.0]).reshape(1, 1, 1, 3)
    assert colours(images, 1.0).ravel().tolist() == [255, 0, 128]
    assert (
        colours(np.full((1, 1, 1, 1), np.nan), 1.0).ravel().tolist() == BROKEN.astype(int).tolist()
    )
    assert colours(np.zeros((1, 1, 1, 1)), 0.0).ravel().tolist() == ZERO.astype(int).tolist()


def test_dense_and_convolution_weights_as_images():
    dense = np.arange(12.0).reshape(6, 2)  # two units that look at 1 x 2 pixels of 3 channels
    assert as_images(dense, (1, 2, 3))[1].ravel().tolist() == [1, 3, 5, 7, 9, 11]
    conv = np.arange(18.0).reshape(3, 3, 1, 2)
    assert as_images(conv, (8, 8, 1))[0, :, :, 0].tolist() == [[0, 2, 4], [6, 8, 10], [12, 14, 16]]
    assert as_images(np.zeros((3, 3, 16, 2)), (8, 8, 16)) is None
    assert as_images(dense, (5,)) is None
    assert as_images(dense, (2, 2, 1)) is None


def test_png_is_what_a_reader_of_png_reads():
    rgba = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(rgba)))), rgba)


def test_each_halving_of_the_error_is_as_far():
    line = Line("bp", np.arange(3.0), np.array([10.0, 90.0, 99.0]), np.full(3, np.nan))
    axis = score_axis(ACCURACY, [line])
    at = [axis.at(v, 0, 1000) for v in (60, 80, 90, 95, 97.5)]
    np.testing.assert_allclose(np.diff(at), np.diff(at)[0], atol=0.2)
    assert axis.low <= 10
    assert 99 < axis.high < 100


@pytest.mark.parametrize("values", [[100.0, 100.0], [0.0, 0.0], [50.0, 100.0]])
def test_the_accuracy_axis_at_its_ends(values):
    axis = score_axis(ACCURACY, [Line("bp", np.arange(2.0), np.array(values), np.full(2, np.nan))])
    assert 0 <= axis.low < axis.high <= 100
    assert all(0 <= axis.at(v, 0, 1) <= 1 for v in values)


def test_a_line_without_any_error_lies_at_the_mark_of_100_and_nothing_else_does():
    lines = [
        Line("bp", np.arange(2.0), np.array(values), np.full(2, np.nan))
        for values in ([50.0, 100.0], [50.0, 82.0])
    ]
    axis = score_axis(ACCURACY, lines)
    marks = dict(axis.marks(300, 0, 24))
    assert marks[axis.at(100, 300, 0)] == "100" and [*marks.values()].count("100") == 1
    assert axis.at(82, 300, 0) > axis.at(90, 300, 0) > axis.at(100, 300, 0) == 0


def test_even_ticks():
    assert even_ticks(0, 30, whole=True) == [0, 5, 10, 15, 20, 25, 30]
    assert even_ticks(0, 2, whole=True) == [0, 1, 2]
    np.testing.assert_allclose(even_ticks(-1.0, 0.4), [-1, -0.5, 0])


def test_thirty_rules_look_different():
    rules = ["bp", "frozen", *(f"rule{i}" for i in range(30))]
    assert len(set(styles(rules).values())) == len(rules)
    assert {s.hue for s in styles(rules).values()} == {
        "ink",
        "grey",
        *(f"s{i}" for i in range(HUES)),
    }


STYLES = Path(byway.report.__file__).parent


def hues():
    """The colours of lines where no theme sets others."""
    return dict(re.findall(r"var\(--(\w+), (#[0-9a-f]{6})\)", (STYLES / "shared.css").read_text()))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    channel = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_is_what_wcag_asks(theme):
    block = re.findall(r":root \{(.*?)\}", (STYLES / "page.css").read_text(), re.DOTALL)[theme]
    colour = hues() | dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for ground in ("paper", "card"):
        assert all(
            contrast(colour[text], colour[ground]) >= 4.5
            for text in ("ink", "soft", "accent", "warn")
        )
        assert all(
            contrast(colour[line], colour[ground]) >= 3
            for line in ("grey", "mark", *(f"s{i}" for i in range(HUES)))
        )


@pytest.mark.parametrize("ground", ["#ffffff", "#212121", "#111111"])
def test_the_hues_of_a_notebook_stand_out_on_light_and_on_dark(ground):
    """White, and the two dark greys of JupyterLab's themes: a notebook has one set of hues for
    all.
    """
    assert len(hues()) == 1 + HUES
    assert all(contrast(colour, ground) >= 3 for colour in hues().values())
