"""Answers over time: what is drawn of which sequences, and where nothing is."""

import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from byway.report.charts import styles
from byway.report.over_time import MOST_STEPS, TRUTH, over_time
from byway.report.page import write_page
from byway.runs.folder import read

STEPS = np.arange(8.0)


@pytest.fixture
def answered(folder, file_of, edit):
    """Lets bp and dfa answer numbers: what is given, plus 1, 2 and 3 by the seeds of bp; the last
    seed of dfa was lost.
    """

    def answer(kind, truth):
        truth = np.asarray(truth, np.float32)
        for rule, lost in (("bp", []), ("dfa", [2])):
            with edit(file_of(rule, "job.json")) as job:
                job["over_time"] = kind
            said = np.stack([truth + n for n in (1, 2, 3)])
            said[lost] = np.nan
            save_file(
                {"predictions": said, "truth": truth}, file_of(rule, "predictions.safetensors")
            )
        run = read(folder)
        return over_time(run, styles(run))

    return answer


def _values(chart, name):
    """By what its dots say, the value of a line at each step that has one."""
    line = next(one for one in chart.lines if one.name == name)
    said = [re.fullmatch(rf"{name}, (.*?): (.*?)(?: ± (.*))?", text) for *_, text in line.dots]
    return {float(m[1]): (float(m[2]), m[3]) for m in said}


def test_each_sequence_shows_the_truth_and_the_mean_of_seeds_at_the_steps_that_count(answered):
    truth = np.stack([STEPS, 10 * STEPS, STEPS - 5, STEPS])
    truth[:, :3] = np.nan
    found = answered("steps", truth)
    assert [what for what, _ in found.charts] == ["Sequence 1", "Sequence 2", "Sequence 3"]
    assert list(found.style) == [TRUTH, "bp", "dfa"] and not found.cut
    for number, (_, chart) in enumerate(found.charts):
        assert (chart.x_title, chart.y_title) == ("time step", "answer")
        wanted = dict(zip(STEPS[3:], truth[number, 3:], strict=True))
        assert _values(chart, TRUTH) == {t: (v, None) for t, v in wanted.items()}
        assert _values(chart, "bp") == {t: (v + 2, "1") for t, v in wanted.items()}
        assert _values(chart, "dfa") == {t: (v + 1.5, "0.71") for t, v in wanted.items()}


def test_of_many_steps_and_outputs_some_are_shown(answered):
    truth = np.broadcast_to(np.arange(400.0)[:, None], (9, 400, 5))
    found = answered("steps", truth)
    assert [what for what, _ in found.charts] == [
        f"Sequence {n}, output {k}" for n in (1, 2) for k in (1, 2, 3)
    ]
    assert found.cut
    steps = sorted(_values(found.charts[0][1], TRUTH))
    assert (steps[0], steps[-1]) == (400 - MOST_STEPS, 399)


def test_a_series_is_drawn_along_its_samples_from_the_nearest_to_the_farthest(answered, folder):
    truth = np.stack([STEPS, STEPS + 100, STEPS + 200], 1)
    found = answered("samples", truth)
    assert [what for what, _ in found.charts] == ["The series, output 1", "The series, output 3"]
    assert _values(found.charts[1][1], TRUTH)[3] == (203, None)
    write_page(read(folder), folder / "report.html")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert ">Answers over time<" in page
    assert "output 3 against sample of the test split" in page


def test_an_answer_that_is_far_off_lies_on_the_edge(answered):
    found = answered("steps", np.stack([STEPS / 1e3]))
    _, chart = found.charts[0]
    line = next(one for one in chart.lines if one.name == "bp")
    assert all(y == chart.top for _, y, _ in line.dots)


@pytest.mark.parametrize(("kind", "shape"), [("", (4, 8)), ("steps", (8,)), ("other", (4, 8))])
def test_what_does_not_follow_in_time_is_not_drawn(answered, kind, shape):
    assert answered(kind, np.zeros(shape)) is None
