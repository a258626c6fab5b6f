"""The page as a browser, a screen reader and a mail filter see it."""

import base64
import io
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import byway.report
from byway.core.score import ACCURACY
from byway.metrics.microscope import ANGLE, DESCENT, NORM_RATIO, QUANTITIES, SIGN_AGREEMENT
from byway.report.charts import HUES, even_ticks, line_chart, metric_axis, styles, update_axis
from byway.report.charts import Series as Line
from byway.report.classes import by_class
from byway.report.page import write_page
from byway.report.pictures import BROKEN, NEGATIVE, POSITIVE, ZERO, as_images, colours, png
from byway.report.table import Table
from byway.runs.folder import read
from byway.runs.outcomes import Outcomes
from byway.training.outcome import Outcome

SHAPES = (("predictions", (3, 20)), ("truth", (20,)))
VOID = {"meta", "link", "img", "br", "path", "circle", "rect"}


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


def page_of(folder):
    path = write_page(read(folder), folder / "report.html")
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture
def text(with_classes):
    return page_of(with_classes)


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
    assert len(charts) == 14
    for chart in charts:
        _, _, width, height = map(float, chart.get("viewBox").split())
        for path in chart.iter("path"):
            if path.get("class") == "line" or (path.get("class") or "").startswith("band"):
                numbers = np.array(re.findall(r"-?[\d.]+", path.get("d")), float).reshape(-1, 2)
                assert ((numbers >= 0) & (numbers <= [width, height])).all()


def test_balanced_accuracy_and_confusion_by_hand(text):
    """Balanced accuracies of dfa are 73.33 and 81.67 % where those of bp are 93.33 %: a mean
    difference of -15.83 points; with one degree of freedom half an interval is tan(0.475 pi) times
    the standard error, which is 8.33 / 2.
    """
    words = " ".join(" ".join(Page(text).words).split())
    assert "bp 93.33 ± 0.00 baseline eel: 80.0 %" in words
    low, high = (-95 / 6 + sign * np.tan(0.475 * np.pi) * 25 / 6 for sign in (-1, 1))
    interval = f"−15.83 (−{-low:.2f} to +{high:.2f})"
    assert f"dfa 77.50 ± 5.89 {interval} eel: 45.0 %" in words
    # Recall of 180 and 190 of 200; precision of these among 225 and 215 answers.
    assert "a small <cat> 200 92.5 ± 3.5 84.2 ± 5.9" in words
    (label,) = re.findall('aria-label="(Balanced accuracy of dfa.*?)"', text)
    assert label == (
        "Balanced accuracy of dfa: 77.50 ± 5.89. Most often it takes eel for a small &lt;cat&gt; "
        "(55.0 %), a small &lt;cat&gt; for dog (7.5 %), dog for a small &lt;cat&gt; (5.0 %)."
    )
    # The diagonal has the blue of what is right; the most frequent mistake the strongest orange.
    dfa = text.partition(label)[2].partition("</svg>")[0]
    cells = re.findall('rect class="(.*?)".*?opacity="(.*?)"><title>(.*?)<', dfa)
    assert ("right", str(round(0.45 * 0.925, 3)), "a small &lt;cat&gt; answered right: 92.5 %") in (
        cells
    )
    assert ("mistake", "0.45", "eel taken for a small &lt;cat&gt;: 55.0 %") in cells
    assert len(cells) == 6 and ">55<" in dfa
    # Nothing was kept of the control.
    assert 'aria-label="Scores of each class by frozen"' not in text


@pytest.mark.parametrize(
    ("classes", "letters", "drawn"), [(2, 1, True), (10, 60, True), (30, 3, True), (31, 3, False)]
)
def test_a_confusion_stays_on_its_canvas(with_classes, file_of, edit, classes, letters, drawn):
    with edit(file_of("bp", "job.json")) as job:
        job["labels"] = [f"{number:0{letters}}" for number in range(classes)]
    save_file(
        {name: np.resize(np.arange(20, dtype=np.int32), shape) % classes for name, shape in SHAPES},
        file_of("bp", "predictions.safetensors"),
    )
    matrix = by_class(read(with_classes))["bp"].matrix
    assert (matrix is not None) == drawn
    if matrix is not None:
        assert matrix.left + matrix.side * classes <= matrix.right + 0.5 <= matrix.width
        assert all(len(name) <= 13 for *_, name in matrix.marks)
        assert matrix.side >= 5 and matrix.height > matrix.bottom


def test_a_run_with_one_epoch_one_seed_and_no_audit(folder, edit, edit_lines):
    for rule in ("bp", "frozen", "ff", "hebb"):
        shutil.rmtree(folder / "jobs" / rule)
    job = folder / "jobs" / "dfa" / "0-2"
    (job / "audit.json").unlink()
    with edit(job / "job.json") as held:
        held["seeds"] = [0]
    with edit(job / "outcome.json") as held:
        held |= {"test": {"accuracy": [0.9], "loss": [1.0]}, "failures": {}}
    early = lambda line: line if line["seed"] == 0 and line["step"] < 20 else None
    edit_lines(job / "history.jsonl", early)
    text = page_of(folder)
    words = " ".join(Page(text).words)
    assert "This run holds no audit" in words
    assert "Behind it" not in words and "beat" not in words.partition("How to read")[0].partition(
        "The comparison"
    )[0].replace("beats frozen", "")
    # What was measured once is drawn, too: the accuracy after the one epoch against time.
    timed = chart_of(text, "Validation accuracy against training time")
    assert extents(timed) == [pytest.approx((8.0, 0.0), abs=0.2)]


def chart_of(text, label):
    found = re.search(rf'<svg class="chart"[^>]*aria-label="{label}.*?</svg>', text, re.DOTALL)
    return ET.fromstring(found[0])


def extents(chart):
    """How wide and how high each line is drawn [px]."""
    lines = [path.get("d") for path in chart.iter("path") if path.get("class") == "line"]
    places = [np.array(re.findall(r"-?[\d.]+", line), float).reshape(-1, 2) for line in lines]
    return [tuple(np.ptp(place, axis=0).tolist()) for place in places]


def style_of(*rules):
    one = lambda rule: Outcome(label=rule, rule_id=rule, task_id="digits", seeds=[0])
    return styles(Outcomes({rule: one(rule) for rule in rules}))


def test_a_curve_of_one_point_is_drawn():
    """A path that goes nowhere has no ink: it is as wide as a few pixels, and in its place."""
    line = Line("bp", np.array([3.0]), np.array([50.0]), np.array([np.nan]))
    two = Line("dfa", np.array([1.0, 3.0]), np.array([50.0, 60.0]), np.full(2, np.nan))
    x, y = update_axis([line, two]), metric_axis(ANGLE, [line, two])
    chart = line_chart([line, two], style_of("bp", "dfa"), x, y, "one point")
    one, other = (
        np.array(re.findall(r"-?[\d.]+", drawn.line), float).reshape(-1, 2) for drawn in chart.lines
    )
    assert 4 <= np.ptp(one[:, 0]) <= 12 and np.ptp(one[:, 1]) == 0
    assert one.mean(0).tolist() == pytest.approx([other[1, 0], other[0, 1]], abs=0.2)


def test_a_run_in_which_every_number_was_lost(folder, edit, edit_lines):
    for rule in ("frozen", "dfa", "ff", "hebb"):
        shutil.rmtree(folder / "jobs" / rule)
    job = folder / "jobs" / "bp" / "0-2"
    with edit(job / "outcome.json") as held:
        held |= {"test": {"accuracy": [None] * 3}, "failures": {"0": "a", "1": "b", "2": "c"}}
    edit_lines(job / "history.jsonl", lambda line: line | {"values": dict.fromkeys(line["values"])})
    text = page_of(folder)
    assert "no seed of 3 finished" in text and "nan" not in text.lower()
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


def test_a_run_without_a_microscope_has_no_such_section(folder, edit, edit_lines):
    """As one that never looked."""
    scores = ("train/", "validation/")
    for path in folder.rglob("history.jsonl"):
        edit_lines(
            path,
            lambda line: line if next(iter(line["values"])).startswith(scores) else None,
        )
    for path in folder.rglob("outcome.json"):
        with edit(path) as held:
            held |= {"looks": 0, "look_seconds": 0.0, "look_compile_seconds": 0.0}
    text = page_of(folder)
    assert 'id="microscope"' not in text
    assert Table(read(folder)).rows["bp"].means == {}


def _line(*mean):
    return Line("bp", np.arange(len(mean), dtype=float), np.array(mean), np.full(len(mean), np.nan))


@pytest.mark.parametrize(
    "values", [(1.0, 1.0), (0.03, 40.0), (1e-9, 2.0), (np.nan, 3.0), (0.0, 0.0)]
)
@pytest.mark.parametrize("metric", [*QUANTITIES, None], ids=lambda m: m.name if m else "update")
def test_every_axis_of_the_microscope_holds_what_is_on_it(metric, values):
    line = _line(*values)
    axis = update_axis([line]) if metric is None else metric_axis(metric, [line])
    places = [axis.at(v, 0, 1000) for v in (*values, axis.low, axis.high) if np.isfinite(v)]
    assert axis.low < axis.high
    assert all(0 <= place <= 1000 for place in places)
    assert len(axis.marks(0, 1000, 100)) >= 2


def test_descent_is_drawn_on_both_sides_of_zero():
    axis = metric_axis(DESCENT, [_line(-2.0, 0.0, 2.0)])
    at = [axis.at(v, 0, 1000) for v in (-2, -0.2, 0, 0.2, 2)]
    assert at[2] == 500
    np.testing.assert_allclose([at[0] + at[4], at[1] + at[3]], 1000)
    assert at[3] - at[2] > 200  # a tenth is far from nothing


def test_an_axis_is_where_its_metric_says():
    """Declared ends, and further where a line is beyond; the levels are the first ticks."""
    angle, ratio = metric_axis(ANGLE, [_line(10.0, 80.0)]), metric_axis(NORM_RATIO, [_line(1.0)])
    assert (angle.low, angle.high, angle.ticks[0]) == (0.0, 120.0, 90.0)
    assert metric_axis(ANGLE, [_line(10.0, 170.0)]).high > 170
    assert (ratio.low, ratio.high, ratio.ticks[0]) == (0.5, 2.0, 1.0)
    assert ratio.at(1.0, 0, 1000) == 500  # as far from a half as from two
    signs = metric_axis(SIGN_AGREEMENT, [_line(50.0, 90.0)])
    assert (signs.low, signs.high, signs.ticks[0]) == (40.0, 100.0, 50.0)
    assert [axis.title for axis in (angle, ratio, signs)] == [
        "angle to the true gradient [°]",
        "norm ratio, log scale",
        "sign agreement [%]",
    ]


def test_names_are_text_and_never_markup(folder, edit):
    for part in ("job.json", "audit.json"):
        path = folder / "jobs" / "dfa" / "0-2" / part
        path.write_text(path.read_text(encoding="utf-8").replace('"dfa"', '"<script>x"'), "utf-8")
    with edit(folder / "jobs" / "dfa" / "0-2" / "job.json") as held:
        held["network"] = held["task_id"] = "<script>y"
        held["settings"] |= {"<script>z": "<script>"}
        held["metrics"][0]["title"] = "<script>m"
    with edit(folder / "run.json") as about:
        about |= {"<script>k": "<script>v", "verb": "<script>w"}
    assert "<script" not in page_of(folder)


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
    axis = metric_axis(ACCURACY, [line])
    at = [axis.at(v, 0, 1000) for v in (60, 80, 90, 95, 97.5)]
    np.testing.assert_allclose(np.diff(at), np.diff(at)[0], atol=0.2)
    assert axis.low <= 10
    assert 99 < axis.high < 100


@pytest.mark.parametrize("values", [[100.0, 100.0], [0.0, 0.0], [50.0, 100.0]])
def test_the_accuracy_axis_at_its_ends(values):
    axis = metric_axis(ACCURACY, [Line("bp", np.arange(2.0), np.array(values), np.full(2, np.nan))])
    assert 0 <= axis.low < axis.high <= 100
    assert all(0 <= axis.at(v, 0, 1) <= 1 for v in values)


def test_a_line_without_any_error_lies_at_the_mark_of_100_and_nothing_else_does():
    lines = [
        Line("bp", np.arange(2.0), np.array(values), np.full(2, np.nan))
        for values in ([50.0, 100.0], [50.0, 82.0])
    ]
    axis = metric_axis(ACCURACY, lines)
    marks = dict(axis.marks(300, 0, 24))
    assert marks[axis.at(100, 300, 0)] == "100" and [*marks.values()].count("100") == 1
    assert axis.at(82, 300, 0) > axis.at(90, 300, 0) > axis.at(100, 300, 0) == 0


def test_even_ticks():
    assert even_ticks(0, 30, whole=True) == [0, 5, 10, 15, 20, 25, 30]
    assert even_ticks(0, 2, whole=True) == [0, 1, 2]
    np.testing.assert_allclose(even_ticks(-1.0, 0.4), [-1, -0.5, 0])


def test_thirty_rules_look_different():
    rules = ["bp", "frozen", *(f"rule{i}" for i in range(30))]
    style = style_of(*rules)
    assert len(set(style.values())) == len(rules)
    assert {s.hue for s in style.values()} == {
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
