"""Many runs as one table, of folders whose every number is known."""

import csv
import math
import shutil

import duckdb
import pytest

from byway.cli.main import main
from byway.report.runs import Runs, difference
from byway.runs.folder import folders


@pytest.fixture
def two(folder, tmp_path):
    """The known run, and a copy of it in which dfa never finished."""
    both = tmp_path / "both"
    shutil.copytree(folder, both / "a")
    shutil.copytree(folder, both / "deep" / "b")
    (both / "deep" / "b" / "jobs" / "dfa" / "0-2" / "outcome.json").unlink()
    return both


def test_runs_are_found_wherever_they_lie(two):
    assert folders([two]) == [two / "a", two / "deep" / "b"] == folders([two / "a", two])


def test_a_group_for_each_rule_of_each_run(two):
    groups = {(g.run.rpartition("/")[2], g.rule): g for g in Runs([two]).groups()}
    assert groups["a", "dfa"].test == pytest.approx({1: 92.0, 0: 87.0}) and groups[
        "a", "dfa"
    ].states == {"finished": 2, "failed": 1}
    assert groups["b", "dfa"].states == {"stopped": 3} and groups["b", "dfa"].test == {}
    assert groups["b", "dfa"].epoch == 2
    assert groups["a", "bp"].validation == pytest.approx(92.0)


def test_differences_are_taken_seed_by_seed_across_runs(two):
    groups = {(g.run.rpartition("/")[2], g.rule): g for g in Runs([two]).groups()}
    # dfa of the one run against bp of the other, by seed: 87 - 90 and 92 - 92; seed 2 failed. With
    # one degree of freedom t is Cauchy; one of 400 images is a quarter of a point, and the two
    # roundings of a difference have the variance of a sixth of its square.
    half = math.tan(math.pi * 0.475) * math.sqrt((4.5 + 0.25**2 / 6) / 2)
    got = difference(groups["a", "dfa"], groups["b", "bp"])
    assert (got.mean, got.n) == (pytest.approx(-1.5), 2)
    assert (got.low, got.high) == (pytest.approx(-1.5 - half), pytest.approx(-1.5 + half))
    assert difference(groups["a", "dfa"], groups["b", "dfa"]) is None


def test_a_condition_leaves_what_it_holds_for(two):
    runs = Runs([two])
    runs.where("accuracy > 91 AND rule = 'bp'")
    assert sorted((g.rule, tuple(g.test)) for g in runs.groups()) == [
        ("bp", (1, 2)),
        ("bp", (1, 2)),
    ]


def test_the_rate_and_the_budget_are_the_resolved_ones(two, capsys, edit):
    """Of each rule its own; none where the optimiser has no name."""
    with edit(two / "a" / "jobs" / "dfa" / "0-2" / "job.json") as held:
        held["settings"]["lr"] = 0.0125
    for path in (two / "deep").rglob("job.json"):
        with edit(path) as held:
            del held["settings"]["lr"], held["settings"]["optimiser"]
    runs = Runs([two])
    rates = {(g.run.rpartition("/")[2], g.rule): g.lr for g in runs.groups()}
    assert rates["a", "dfa"] == 0.0125 and rates["a", "bp"] == 0.01 and rates["b", "bp"] is None
    runs.where("optimiser = 'adam' AND epochs = 2 AND batch = 32 AND schedule = 'cosine'")
    assert {g.run.rpartition("/")[2] for g in runs.groups()} == {"a"}
    assert main(["runs", str(two / "a")]) == 0
    assert "0.0125" in capsys.readouterr().out
    assert main(["runs", str(two / "deep")]) == 0
    assert " lr" not in capsys.readouterr().out


def test_the_table_as_csv_and_parquet_has_a_row_for_each_seed(two, tmp_path):
    """Three seeds of bp, frozen, dfa, ff and hebb in each of the two."""
    runs = Runs([two])
    for name in ("table.csv", "table.parquet"):
        runs.export(tmp_path / name)
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert len(rows) == 30 and {row["state"] for row in rows} == {"finished", "failed", "stopped"}
    again = duckdb.sql(
        f"SELECT count(*), sum(accuracy), sum(angle) FROM '{tmp_path / 'table.parquet'}'"
    ).fetchall()[0]
    assert again[0] == 30
    assert again[1] == pytest.approx(2 * (90 + 92 + 94 + 3 * 80) + 92 + 87)
    assert again[2] == pytest.approx(2 * (80 + 60))  # of hidden projections, by both runs of dfa


def test_the_verb(two, capsys, tmp_path):
    assert main(["runs", str(two), "--sort", "score", "--against", f"{two / 'a'}/bp"]) == 0
    said = capsys.readouterr().out
    assert (
        "baseline" in said
        and "−12.00" in said
        and "2 finished, 1 failed" in said
        and said.strip().endswith("2 runs")
    )
    assert main(["runs", "--columns"]) == 0
    assert "that score on the validation split" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--where", "nonsense >"], "SQL over the columns run, started"),
        (["--sort", "beauty"], "one of started"),
        (["--against", "x/bp"], "RUN/RULE of one that is listed"),
        (["--export", "x.xlsx"], "ends in .csv or .parquet"),
        (["--export", "/nowhere/x.csv"], "a file in a folder that is there"),
        (["nowhere"], "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_is_said(two, flags, said, capsys):
    assert main(["runs", str(two), *flags]) == 2
    assert said in capsys.readouterr().err
