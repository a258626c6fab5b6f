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
from byway.report.charts import HUES, accuracy_axis, even_ticks, styles
from byway.report.charts import Series as Line
from byway.report.page import write_page
from byway.report.pictures import BROKEN, NEGATIVE, POSITIVE, ZERO, as_images, colours, png

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
    assert "a number stopped being finite at update 7" in words
    assert "transport: claimed no, found yes." in words
    assert text.count('<code class="carried">net.hidden1-output.weight</code>') == text.count('class="carried"') == 1
    assert "nan" not in text.lower()


def test_the_page_can_be_read_without_eyes(text):
    page = Page(text)
    assert page.all("html")[0]["lang"] == "en-GB"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert all(attrs.get("aria-hidden") or (attrs["role"] == "img" and attrs["aria-label"]) for attrs in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_charts_stay_on_their_canvas(text):
    charts = [ET.fromstring(found) for found in re.findall(r'<svg class="chart".*?</svg>', text, re.DOTALL)]
    assert len(charts) == 5  # differences, accuracy twice, two projections
    for chart in charts:
        _, _, width, height = map(float, chart.get("viewBox").split())
        for path in chart.iter("path"):
            if path.get("class") == "line" or (path.get("class") or "").startswith("band"):
                numbers = np.array(re.findall(r"-?[\d.]+", path.get("d")), float).reshape(-1, 2)
                assert ((numbers >= 0) & (numbers <= [width, height])).all()


def test_a_run_with_one_epoch_one_seed_and_no_audit(folder):
    (folder / "audit.json").unlink()
    results = json.loads((folder / "results.json").read_text())
    entry = results["rules"]["dfa"] | {"seeds": [0], "test": {"accuracy": [0.9], "loss": [1.0]}, "failures": {}}
    (folder / "results.json").write_text(json.dumps(results | {"rules": {"dfa": entry}}))
    lines = [line for line in (folder / "metrics.jsonl").read_text().splitlines()[:-1] if json.loads(line)["seed"] == 0]
    (folder / "metrics.jsonl").write_text("\n".join(line for line in lines if json.loads(line)["epoch"] < 2) + "\n")
    words = " ".join(Page(write_page(folder).read_text(encoding="utf-8")).words)
    assert "This run holds no audit" in words
    assert "Behind it" not in words


def test_a_run_in_which_every_number_was_lost(folder):
    results = json.loads((folder / "results.json").read_text())
    results["rules"] = {"bp": results["rules"]["bp"] | {"test": {"accuracy": [None] * 3}, "failures": {"0": "a", "1": "b", "2": "c"}}}
    (folder / "results.json").write_text(json.dumps(results))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()[:-1]]
    lost = [row | {"validation": dict.fromkeys(row["validation"]), "angle": dict.fromkeys(row["angle"])} for row in rows]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lost)) + "\n")
    text = write_page(folder).read_text(encoding="utf-8")
    assert "no seed of 3 finished" in text
    assert "No seed of backprop finished." in text


def test_names_are_text_and_never_markup(folder):
    results = (folder / "results.json").read_text()
    (folder / "results.json").write_text(results.replace('"dfa"', '"<script>x"'))
    assert "<script" not in write_page(folder).read_text(encoding="utf-8")


def test_weights_are_the_pixels_they_should_be(folder, text):
    frozen, dfa = (
        re.search(rf'<h3>.*?{rule}</h3>\n<img class="weights" src="data:image/png;base64,([^"]+)"', text) for rule in ("frozen", "dfa")
    )
    assert frozen and dfa
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(frozen[1]))))
    tile = 44  # 2 x 2 weights, each 22 pixels a side; the next unit starts after a gap of 4
    assert pixels.shape == (tile, 3 * tile + 8, 4)
    # The first unit of seed 0 is [1, -1, 0, 0.5] in reading order, on a scale that ends near 2, its largest weight; the second is all zero.
    assert pixels[33, 11].tolist() == [*ZERO.astype(int), 255]
    assert pixels[11, tile + 4 + 11].tolist() == [*ZERO.astype(int), 255]
    assert pixels[11, 2 * (tile + 4) + 11].tolist() == [*POSITIVE.astype(int), 255]
    assert pixels[11, tile + 2, 3] == 0
    np.testing.assert_allclose(pixels[11, 11, :3], (ZERO + POSITIVE) / 2, atol=1)
    np.testing.assert_allclose(pixels[11, 33, :3], (ZERO + NEGATIVE) / 2, atol=1)
    assert "1 unit has weights that are all zero or not finite" in text


def test_what_learning_changed_is_the_difference_to_the_control(text):
    # bp's weights are the control's, but for the third unit: 1 instead of 2. So only that one is coloured, and negative.
    found = re.search(r'src="data:image/png;base64,([^"]+)"[^>]*alt="What training by bp', text)
    assert found
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))
    assert pixels[11, 11, :3].tolist() == ZERO.astype(int).tolist()
    assert pixels[11, 2 * 48 + 11, :3].tolist() == NEGATIVE.astype(int).tolist()


def test_colours_of_three_channels_and_of_broken_weights():
    images = np.array([1.0, -1.0, 0.0]).reshape(1, 1, 1, 3)
    assert colours(images, 1.0).ravel().tolist() == [255, 0, 128]
    assert colours(np.full((1, 1, 1, 1), np.nan), 1.0).ravel().tolist() == BROKEN.astype(int).tolist()
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
    axis = accuracy_axis([line])
    at = [axis.at(v, 0, 1000) for v in (60, 80, 90, 95, 97.5)]
    np.testing.assert_allclose(np.diff(at), np.diff(at)[0], atol=0.2)
    assert axis.low <= 10
    assert 99 < axis.high < 100


@pytest.mark.parametrize("values", [[100.0, 100.0], [0.0, 0.0], [50.0, 100.0]])
def test_the_accuracy_axis_at_its_ends(values):
    axis = accuracy_axis([Line("bp", np.arange(2.0), np.array(values), np.full(2, np.nan))])
    assert 0 <= axis.low < axis.high < 100
    assert all(0 <= axis.at(v, 0, 1) <= 1 for v in values)


def test_even_ticks():
    assert even_ticks(0, 30, whole=True) == [0, 5, 10, 15, 20, 25, 30]
    assert even_ticks(0, 2, whole=True) == [0, 1, 2]
    np.testing.assert_allclose(even_ticks(-1.0, 0.4), [-1, -0.5, 0])


def test_thirty_rules_look_different():
    rules = ["bp", "frozen", *(f"rule{i}" for i in range(30))]
    assert len(set(styles(rules).values())) == len(rules)
    assert {s.hue for s in styles(rules).values()} == {"ink", "grey", *(f"s{i}" for i in range(HUES))}


def luminance(colour):
    channel = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_is_what_wcag_asks(theme):
    css = (Path(byway.report.__file__).parent / "page.css").read_text()
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[theme]
    colour = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))

    def contrast(a, b):
        low, high = sorted((luminance(colour[a]), luminance(colour[b])))
        return (high + 0.05) / (low + 0.05)

    for ground in ("paper", "card"):
        assert all(contrast(text, ground) >= 4.5 for text in ("ink", "soft", "accent", "warn"))
        assert all(contrast(line, ground) >= 3 for line in ("grey", "mark", *(f"s{i}" for i in range(HUES))))
