"""What each part answers alone: a line for each readout, and nothing where there are none."""

import numpy as np
import pytest

import byway
from byway.report.page import write_page
from byway.report.readouts import WHOLE, read_alone
from byway.runs.outcomes import Outcomes


@pytest.fixture(scope="module")
def run():
    """Forward-forward, whose layers and head can be read, and backprop."""
    task = byway.task("digits")
    net = byway.mlp(task.input_shape, 16, 12, task.outputs, norm=True)
    return byway.compare(["ff", "bp"], net=net, task=task, epochs=2, seeds=2, looks=0)


def test_a_chart_has_a_line_for_each_part_and_one_for_the_prediction(run):
    ((said, chart),) = read_alone(run)
    assert said.startswith("ff: validation accuracy of each part alone")
    assert [line.name for line in chart.lines] == [WHOLE, "head", "hidden1", "hidden2"]
    assert len({(line.style.hue, line.style.dash) for line in chart.lines}) == 4
    for line in chart.lines:
        part = "" if line.name == WHOLE else f"/{line.name}"
        last = 100 * np.mean(run["ff"].history[f"validation/accuracy{part}"].last)
        assert f"{line.name} {last:.4g}" in chart.label


def test_the_page_shows_it_beside_the_learning_curves(run, tmp_path):
    page = write_page(run, tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index('id="learning"') < page.index('id="readouts"')
    assert page.count("of each part alone against epoch") >= 2  # for eyes, and for who reads aloud


def test_a_rule_that_answers_as_a_whole_has_no_such_chart(run):
    assert not read_alone(Outcomes({"bp": run["bp"]}))
