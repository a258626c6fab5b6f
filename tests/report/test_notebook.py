"""A notebook, executed in a kernel of its own: what its cells show, held to numbers that it prints
and to what can be counted.
"""

import json
import math
import os
import re
import statistics
import xml.etree.ElementTree as ET

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

CELLS = [
    """import dataclasses, json, numpy as np, byway
from byway.audit.verdict import audit
byway.use_all_cores()
task = byway.task("digits")
net = byway.mlp(task.input_shape, 12, task.outputs)
net""",
    """result = byway.fit(
    net, byway.rule("dfa"), task, epochs=3, batch=32, lr=0.01, seeds=2, looks=3, probe=16
)""",
    """result""",
    """seen = result.history["angle/input-hidden1"].values.T.tolist()
curve = result.history["validation/accuracy"]
rows, steps = curve.values.T.tolist(), int(curve.steps[-1])
test = result.accuracy.tolist()
print(json.dumps({"test": test, "rows": rows, "angle": seen, "steps": steps}))""",
    """lost = np.full(2, np.nan)
history = type(result.history).of({
    name: dataclasses.replace(curve, values=np.full_like(curve.values, np.nan))
    for name, curve in result.history.items() if name == "validation/accuracy"
})
failures = dict.fromkeys(result.seeds, "a number stopped being finite at update 1")
dataclasses.replace(result, test={"accuracy": lost}, history=history, failures=failures)""",
    """failures = {0: "<script>a && b</script>"}
dataclasses.replace(result, failures=failures, advice={1: "try <i>this</i>"})""",
    """audit(byway.rule("dfa"), byway.mlp(5, 4, 3))""",
    """byway.Run({"dfa": result, "<i>again": dataclasses.replace(result, label="<i>again")})""",
    """from byway.training.progress import bar
with bar("quiet", 2, False) as tell:
    tell(1, "a note")
with bar("resumed at its end", 2) as tell:
    pass""",
]
DRAWN, TRAINED, SHOWN, NUMBERS, LOST, HOSTILE, AUDITED, COMPARED, SILENT = range(len(CELLS))


class Watched(NotebookClient):
    """Keeps what each cell showed for a while and then replaced."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.watched.setdefault(cell_index, []).append(msg["content"]["data"]["text/html"])
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The outputs of each cell, and what was shown on the way."""
    home = str(tmp_path_factory.mktemp("jupyter"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, home)
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
        client = Watched(
            book, timeout=120, kernel_name="python3", resources={"metadata": {"path": home}}
        )
        client.watched = {}
        client.execute(env=dict(os.environ))
    if folder := os.environ.get("BYWAY_NOTEBOOK"):  # to look at it: jupyter nbconvert --to html
        nbformat.write(book, os.path.join(folder, "shown.ipynb"))
    return [cell["outputs"] for cell in book.cells], client.watched


@pytest.fixture(scope="module")
def numbers(notebook):
    return json.loads(notebook[0][NUMBERS][0]["text"])


def html(outputs):
    """The block that a cell ends on, which must be the last thing below it."""
    assert outputs[-1]["output_type"] == "execute_result"
    return outputs[-1]["data"]["text/html"]


def charts(text):
    return [ET.fromstring(found) for found in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def number(text):
    return float(text.replace("−", "-"))


def line_of(chart, warp):
    """The points of the first line of a chart, in the units of its axes: straight between the
    outermost ticks, once warped.
    """
    ticks = [e for e in chart.iter("text") if e.get("class") == "tick"]
    across = [
        (float(e.get("x")), number(e.text)) for e in ticks if e.get("text-anchor") == "middle"
    ]
    up = [
        (float(e.get("y")) - 4.5, warp(number(e.text)))
        for e in ticks
        if e.get("text-anchor") == "end"
    ]
    drawn = next(e.get("d") for e in chart.iter("path") if e.get("class") == "line")
    points = np.array([pair.split(" ") for pair in drawn[1:].split("L")], float)
    (x0, a0), (x1, a1) = min(across), max(across)
    (y0, b0), (y1, b1) = min(up), max(up)
    return a0 + (points[:, 0] - x0) * (a1 - a0) / (x1 - x0), b0 + (points[:, 1] - y0) * (
        b1 - b0
    ) / (y1 - y0)


def test_the_bar_is_one_line_that_grows_and_ends_full(notebook, numbers):
    outputs, watched = notebook
    (only,) = outputs[TRAINED]
    assert only["output_type"] == "display_data"
    done = [
        tuple(map(int, re.search(r'value="(\d+)" max="(\d+)"', text).groups()))
        for text in watched[TRAINED]
    ]
    assert (
        done[0][0] == 0
        and done == sorted(done)
        and {total for _, total in done} == {numbers["steps"]} == {done[-1][0]}
    )
    assert "compiling" in watched[TRAINED][0] and "left" not in only["data"]["text/html"]
    percent = 100 * statistics.mean(numbers["rows"][-1])
    said = (
        rf"dfa: {numbers['steps']} of {numbers['steps']}, epoch 3 of 3, validation accuracy "
        rf"{percent:.1f} %, after [\d.]+ s"
    )
    assert re.fullmatch(said, only["data"]["text/plain"])


def test_no_cell_is_blank_or_noisy(notebook):
    outputs, _ = notebook
    kinds = [[(o["output_type"], o.get("name")) for o in some] for some in outputs]
    bar, block = ("display_data", None), ("execute_result", None)
    assert kinds == [
        [block],
        [bar],
        [block],
        [("stream", "stdout")],
        [block],
        [block],
        [block],
        [block],
        [bar],
    ]
    for output in (o for some in outputs for o in some if "data" in o):
        text = re.sub("<style>.*?</style>", "", output["data"]["text/html"], flags=re.DOTALL)
        assert len("".join(ET.fromstring(f"<a>{text}</a>").itertext()).strip()) > 10
        assert "<script" not in text and "nan" not in text.lower()
    assert "2 of 2, after" in outputs[SILENT][0]["data"]["text/plain"]


def test_a_result_shows_accuracy_with_its_spread(notebook, numbers):
    text = html(notebook[0][SHOWN])
    test, last = (
        [100 * value for value in some] for some in (numbers["test"], numbers["angle"][-1])
    )
    cells = re.findall(r"<td>(.*?)</td>", text)
    assert cells[0] == f"{statistics.mean(test):.2f} ± {statistics.stdev(test):.2f}"
    assert cells[-1] == f"{statistics.mean(last) / 100:.0f}"
    assert (
        "input 8x8x1 &gt; hidden1 12 relu &gt; output 10" in text
        and "After 3 epochs" in text
        and "over 2 seeds" in text
    )
    assert notebook[0][SHOWN][0]["data"]["text/plain"].startswith(
        f"<Result: dfa on digits: test accuracy {statistics.mean(test):.2f} %"
    )


def test_the_curve_lies_where_the_accuracies_are(notebook, numbers):
    """Even in the logarithm of the errors; a pixel is 0.1 wide."""
    accuracy, angle = charts(html(notebook[0][SHOWN]))
    x, y = line_of(accuracy, lambda v: -math.log(100 - v))
    assert x == pytest.approx([0, 1, 2, 3], abs=0.01)
    want = [100 * statistics.mean(row) for row in numbers["rows"]]
    assert 100 - np.exp(-y) == pytest.approx(want, abs=0.3)
    titles = [e.text for e in accuracy.iter("title")]
    assert (
        titles[-1] == f"dfa, 3: {want[-1]:.4g} ± {100 * statistics.stdev(numbers['rows'][-1]):.2g}"
    )
    _, degrees = line_of(angle, float)
    assert degrees == pytest.approx([statistics.mean(look) for look in numbers["angle"]], abs=0.5)
    assert [e.text for e in angle.iter("text") if e.get("class") == "name"] == [
        "input-hidden1",
        "hidden1-output",
    ]


def test_a_training_that_failed_says_so_and_draws_nothing(notebook):
    text = html(notebook[0][LOST])
    assert (
        "no seed of 2 finished" in text
        and text.count("failed</strong>: a number stopped being finite at update 1") == 2
    )
    assert charts(text) == []


def test_what_others_wrote_is_escaped(notebook):
    text = html(notebook[0][HOSTILE])
    assert (
        "&lt;script&gt;a &amp;&amp; b&lt;/script&gt;" in text
        and "try &lt;i&gt;this&lt;/i&gt;" in text
    )


def test_a_network_is_drawn_and_counted(notebook):
    text = html(notebook[0][DRAWN])
    assert f"{64 * 12 + 12 + 12 * 10 + 10} weights and biases" in text and len(charts(text)) == 1


def test_a_verdict_shows_what_dfa_reads(notebook):
    """Its definition: a fixed matrix, the error, its own slope and presynaptic activity; no weights
    of others.
    """
    text = html(notebook[0][AUDITED])
    rows = dict(re.findall(r'<th scope="row">(\w+)</th><td>(.*?)</td>', text))
    assert (rows["transport"], rows["locking"], rows["derivative"], rows["signal"]) == (
        "no",
        "yes",
        "yes",
        "error",
    )
    assert re.findall(r"<li><code>(.*?)</code>", text)[:4] == [
        "gamma.hidden1",
        "record.free.pre.input-hidden1",
        "record.free.slope.hidden1",
        "signal.error",
    ]


def test_a_run_shows_its_table_what_it_says_and_the_curves(notebook, numbers):
    text = html(notebook[0][COMPARED])
    test = [100 * value for value in numbers["test"]]
    heads = re.findall(r'<th scope="col">(.*?)</th>', text)
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in text.split('<th scope="row">')[1:]]
    assert heads[:2] == ["rule", "test accuracy [%]"] and len(rows) == 2
    told = f"{statistics.mean(test):.2f} ± {statistics.stdev(test):.2f}"
    assert [row[0] for row in rows] == [told] * 2
    assert "Backprop has no result here" in text and "&lt;i&gt;again" in text
    assert len(charts(text)) == 2  # against epochs, and against time
