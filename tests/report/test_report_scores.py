"""A run that is judged by an error: whatever compares goes by the score's direction, and what a run
lacks is absent.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from byway.cli.main import main
from byway.core.score import ACCURACY, LOSS, R2, RMSE, Score
from byway.report.charts import Series, metric_axis, styles
from byway.report.forest import forest
from byway.report.page import write_page
from byway.report.runs import Runs, difference
from byway.report.table import Table
from byway.report.words import reading
from byway.runs.folder import read
from byway.runs.outcomes import Outcomes
from byway.runs.statistics import Wins, paired_interval, wins
from byway.training.outcome import Outcome

# By seed. dfa does worse than backprop on each, frozen much worse; hebb does better.
ERRORS = {
    "bp": [50.0, 52.0, 54.0],
    "frozen": [70.0, 71.0, 70.5],
    "dfa": [51.0, 53.5, 55.0],
    "hebb": [49.0, 50.5, 53.0],
}
SCORES = (dataclasses.replace(RMSE, unit="mm"), R2)


def made(path, source, errors=ERRORS, scores=SCORES):
    """The known run folder as one of a regression."""
    job = json.loads((source / "jobs" / "bp" / "0-2" / "job.json").read_text())
    outcome = json.loads((source / "jobs" / "bp" / "0-2" / "outcome.json").read_text())
    path.mkdir()
    about = json.loads((source / "run.json").read_text()) | {"task": "heights"}
    (path / "run.json").write_text(json.dumps(about | {"asked": [*errors]}))
    (path / "config.toml").write_text(
        f'rules = "{",".join(errors)}"\nseeds = 3\ntask = "heights"\n'
    )
    for rule, values in errors.items():
        folder = path / "jobs" / rule / "0-2"
        folder.mkdir(parents=True)
        named = {"label": rule, "rule_id": rule, "task_id": "heights"}
        named["control"] = None if rule == "frozen" else "frozen"
        declared = {"scores": [s.to_json() for s in scores], "metrics": []}
        (folder / "job.json").write_text(json.dumps(job | named | declared))
        test = {"rmse": values, "r2": [None if v is None else 1 - v / 100 for v in values]}
        others = {"shifted": {"rmse": [2 * v for v in values], "r2": [0.0] * 3}}
        (folder / "outcome.json").write_text(json.dumps(outcome | {"test": test, "others": others}))
        lines = []
        for epoch in range(3):
            for seed, value in enumerate(values):
                scores_then = {
                    "validation/rmse": value + 100 / (1 + epoch),
                    "validation/r2": 1 - value / 100 - 2.0 / (1 + epoch),
                }
                line = {
                    "seed": seed,
                    "step": epoch,
                    "epoch": epoch,
                    "seconds": float(epoch),
                    "values": scores_then,
                }
                lines.append(json.dumps(line))
        (folder / "history.jsonl").write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def heights(folder, tmp_path):
    return made(tmp_path / "heights", folder)


def test_the_table_goes_by_the_error(heights):
    table = Table(read(heights))
    bp, frozen, dfa, hebb = rows = [*table.rows.values()]
    assert (bp.main.mean, bp.main.deviation) == (pytest.approx(52), pytest.approx(2))
    assert (bp.wins, dfa.wins, hebb.wins, frozen.wins) == (Wins(3, 3), Wins(3, 3), Wins(3, 3), None)
    assert dfa.difference == paired_interval(
        np.array([1.0, 1.5, 1.0])
    ) and hebb.difference == paired_interval(np.array([-1.0, -1.5, -1.0]))
    table = {one.heading: [one.cell(row) for row in rows] for one in table.columns.values()}
    assert list(table)[:7] == [
        "rule",
        "test RMSE [mm]",
        "difference to bp [mm]",
        "beats frozen [seeds]",
        "test R²",
        "shifted RMSE [mm]",
        "training time [s]",
    ]
    assert table["test RMSE [mm]"][:3] == ["52.00 ± 2.00", "70.50 ± 0.50", "53.17 ± 2.02"]
    assert table["test R²"][0] == "0.480 ± 0.020" and table["shifted RMSE [mm]"][0] == "104.0 ± 4.0"
    assert table["difference to bp [mm]"][0] == "baseline" and table["difference to bp [mm]"][
        3
    ].startswith("−1.17 (−1.88 to −0.45)")


def test_the_words_go_by_the_error(heights):
    """Student's t with two degrees of freedom is 4.3027: 1.1667 ± 4.3027 * 0.28868 / sqrt(3), 18.5
    ± 4.3027 * 1.8028 / sqrt(3).
    """
    said = reading(Table(read(heights)))
    assert said == [
        "bp, dfa and hebb beat the frozen control on every seed.",
        "Backprop’s test RMSE is 52.0 mm.",
        "Behind it, with 95 % intervals: dfa by 1.17 mm (0.45 to 1.88) and frozen by 18.50 mm "
        "(14.02 to 22.98).",
        "Ahead of it, with 95 % intervals: hebb by 1.17 mm (0.45 to 1.88).",
    ]


def test_the_chart_of_differences_and_the_page_go_by_the_error(heights):
    run = read(heights)
    chart = forest(run, Table(run), styles(run))
    assert chart.worse == "Right" and chart.x_title == "test RMSE minus that of bp, same seed [mm]"
    assert {row.name: row.mean > chart.zero for row in chart.rows} == {
        "frozen": True,
        "dfa": True,
        "hebb": False,
    }
    page = write_page(run, heights / "report.html").read_text(encoding="utf-8")
    assert "Right of the dotted line is worse than backprop" in page and "Less is better." in page
    assert (
        "Validation RMSE against epoch." in page
        and "Validation R² against epoch." in page
        and "shifted RMSE" in page
    )
    assert "accuracy" not in page and "nan" not in page.lower()


def test_the_verb_prints_it(heights, capsys):
    assert main(["report", str(heights)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        said.count("RMSE") >= 3
        and "52.00 ± 2.00" in said
        and "104.0 ± 4.0" in said
        and "Backprop’s test RMSE is 52.0 mm." in said
    )


def _finished(values, score=RMSE, label="mine"):
    return Outcome(
        label=label,
        rule_id=label,
        task_id="heights",
        seeds=list(range(len(values))),
        scores=(score,),
        test={score.name: np.array(values, float)},
        control=None if label == "frozen" else "frozen",
    )


@pytest.mark.parametrize("score", [RMSE, R2])
def test_a_seed_that_was_lost_is_worse_than_any_that_was_not(score):
    """Five seeds: won, lost, tied, the control lost, both lost."""
    nan, sign = np.nan, 1 if score.higher else -1
    mine, control = (
        _finished([sign * 2.0, nan, 1.0, 1.0, nan], score),
        _finished([sign * 1.0, 1.0, 1.0, nan, nan], score),
    )
    assert wins(mine, control, score) == Wins(2, 5)
    assert wins(mine, _finished([], score), score) is None


def run_of(**finished):
    return Outcomes({label: _finished(values, RMSE, label) for label, values in finished.items()})


def test_what_is_said_of_a_rule_that_lost_seeds_says_on_how_many():
    nan = np.nan
    said = reading(
        Table(run_of(bp=[2.0, 2.0, 2.1, 2.0], frozen=[9.0] * 4, mine=[1.0, 1.1, nan, nan]))
    )
    assert said[0] == "bp beats the frozen control on every seed; mine on 2 of 4."
    assert (
        said[2].startswith("Behind it")
        and "Ahead of it, with 95 % intervals: mine (on the 2 of 4 seeds that it finished) by 0.95"
        in said[3]
    )


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (
            1.0,
            "On the one seed there is, bp and mine did better than the frozen control. One seed "
            "shows nothing: it may be luck.",
        ),
        (
            9.0,
            "On the one seed there is, bp did better than the frozen control. One seed shows "
            "nothing: it may be luck.",
        ),
    ],
)
def test_one_seed_is_not_every_seed(mine, said):
    assert reading(Table(run_of(bp=[2.0], frozen=[3.0], mine=[mine])))[0] == said
    nobody = reading(Table(run_of(bp=[4.0], frozen=[3.0])))[0]
    assert nobody.startswith("On the one seed there is, no rule did better")


def test_a_run_whose_scores_nobody_declared_has_a_table_without_them(folder, capsys, edit):
    for path in folder.rglob("job.json"):
        with edit(path) as held:
            held["scores"] = []
    for path in folder.rglob("*.json*"):
        text = path.read_text(encoding="utf-8").replace('"accuracy"', '"beauty"')
        path.write_text(text.replace("/accuracy", "/beauty").replace("/loss", "/charm"), "utf-8")
    table = Table(read(folder))
    assert [*table.columns][:2] == ["rule", "training time"]
    assert (table.rows["bp"].survived, table.rows["dfa"].survived) == (3, 2)
    assert "no result" in reading(table)[1]
    assert main(["report", str(folder)]) == 0 and main(["runs", str(folder)]) == 0
    assert "–" in capsys.readouterr().out


def test_a_declared_score_that_a_run_lacks_is_absent(heights, edit):
    for path in heights.rglob("job.json"):
        with edit(path) as held:
            held["scores"] = [LOSS.to_json(), *held["scores"]]
    table = Table(read(heights))
    cells = [column.cell(table.rows["bp"]) for column in table.columns.values()]
    assert (
        cells[:4] == ["bp", "no seed of 3 finished", "baseline", "0 of 3"] and "52.0 ± 2.0" in cells
    )
    write_page(read(heights), heights / "report.html")
    assert {g.states["failed"] for g in Runs([heights]).groups()} == {3}


def test_runs_of_several_tasks_in_one_list(folder, heights, capsys, tmp_path):
    """The broken one is left out, and said; the others are listed by their own scores, the best of
    each task first.
    """
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "jobs" / "dfa" / "0-2" / "outcome.json").write_text("{")
    runs = Runs([folder, heights, broken])
    assert len(runs.broken) == 1 and "outcome.json" in runs.broken[0]
    groups = {(g.task, g.rule): g for g in runs.groups()}
    assert (
        groups["heights", "dfa"].test == {0: 51.0, 1: 53.5, 2: 55.0}
        and groups["heights", "dfa"].score == SCORES[0]
    )
    assert groups["digits", "bp"].score == ACCURACY and groups[
        "digits", "bp"
    ].test == pytest.approx({0: 90, 1: 92, 2: 94})
    assert difference(groups["heights", "dfa"], groups["digits", "bp"]) is None
    assert difference(groups["heights", "dfa"], groups["heights", "bp"]) == paired_interval(
        np.array([1.0, 1.5, 1.0])
    )
    runs.where(
        "rmse < 60 AND r2 > 0.4 AND test = rmse AND accuracy IS NULL AND score = 'RMSE [mm]'"
    )
    assert {g.rule for g in runs.groups()} == {"bp", "dfa", "hebb"}
    assert (
        main(
            [
                "runs",
                str(folder),
                str(heights),
                str(broken),
                "--sort",
                "score",
                "--against",
                f"{heights}/bp",
            ]
        )
        == 0
    )
    out = capsys.readouterr()
    assert (
        "left out" in out.err
        and "accuracy [%]" in out.out
        and "RMSE [mm]" in out.out
        and "+1.17 (+0.45 to +1.88)" in out.out
    )
    order = [
        line.split()[1]
        for line in out.out.splitlines()
        if "heights" in line and line.split()[1:2] in [[rule] for rule in ERRORS]
    ]
    assert order[:4] == ["hebb", "bp", "dfa", "frozen"]


def test_a_score_called_like_a_column_has_one_of_its_own(folder, tmp_path, edit):
    run = made(tmp_path / "clash", folder, scores=(Score("rmse", higher=False), Score("seconds")))
    for path in run.rglob("outcome.json"):
        with edit(path) as held:
            held["test"]["seconds"] = [7.0] * 3
    runs = Runs([run])
    runs.where("seconds_score = 7 AND seconds < 5")
    assert len(runs.groups()) == 4


def _series(*values):
    return [
        Series(
            "bp",
            np.arange(float(len(values))),
            np.array(values, float),
            np.full(len(values), np.nan),
        )
    ]


@pytest.mark.parametrize(
    ("score", "values"),
    [
        (RMSE, (80.0, 10.0, 5.0)),
        (R2, (-30.0, 0.0, 0.9)),
        (RMSE, (3.0, 0.0)),
        (R2, (0.5, 1.0)),
        (LOSS, (1e-9, 1e-3)),
    ],
)
def test_an_axis_is_even_in_the_logarithm_of_what_is_missing(score, values):
    axis = metric_axis(score, _series(*values))
    assert axis.low <= min(values) and max(values) <= axis.high
    best = score.best
    missing = np.abs(best - np.array([v for v in values if v != best]))
    distance = np.geomspace(missing.min(), max(missing.max(), missing.min() * 1.2), 5)
    at = [axis.at(best + (-d if score.higher else d), 0, 1000) for d in distance]
    np.testing.assert_allclose(np.diff(at), np.diff(at)[0], atol=0.3)
    assert axis.at(max(values), 0, 1) > axis.at(min(values), 0, 1), "more is up, whatever is better"
    marks = axis.marks(0, 300, 24)
    assert len({text for _, text in marks}) == len(marks) >= 1


def test_an_axis_without_a_best_or_beyond_it_is_even():
    for score, values in ((Score("own"), (-5.0, 10.0)), (LOSS, (-5.0, 10.0))):
        axis = metric_axis(score, _series(*values))
        assert (
            axis.low < -5
            and axis.high > 10
            and axis.at(2.5, 0, 1000) == pytest.approx(500, abs=0.1)
        )
    assert metric_axis(RMSE, []).low < metric_axis(RMSE, []).high
