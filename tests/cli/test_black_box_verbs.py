"""Black boxes from the command line."""

import json

import numpy as np
import pytest

import byway
from byway.cli.main import main
from byway.network.activations import ACTIVATIONS

SMALL = ["--epochs", "2", "--net.hidden", "12", "--probe", "20"]


@pytest.mark.slow
def test_a_quantiser_is_an_activation_like_any_other(tmp_path, capsys):
    folder = tmp_path / "run"
    assert (
        main(
            [
                "compare",
                "--rules",
                "frozen,node_perturbation",
                "--seeds",
                "2",
                "--net.activation",
                "quantised",
                "--out",
                str(folder),
                *SMALL,
            ]
        )
        == 0
    )
    assert (folder / "report.html").is_file()
    assert "node_perturbation on digits: test accuracy" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert "quantised" in capsys.readouterr().out


def test_a_rule_that_needs_slopes_says_which_do_not(tmp_path, capsys):
    assert (
        main(
            [
                "train",
                "--rule",
                "bp",
                "--net.activation",
                "quantised",
                "--out",
                str(tmp_path / "run"),
                *SMALL,
            ]
        )
        == 2
    )
    said = capsys.readouterr().err
    assert "bp was given a network with a black box in hidden1 (quantised)" in said
    assert "node_perturbation" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_when_a_box_fails_the_rules_that_finished_and_the_rows_are_kept(
    tmp_path, capfd, monkeypatch
):
    """It works for the frozen control, and breaks in the second epoch of the rule after it."""
    folder, began = tmp_path / "run", '"epoch": 1.0'
    history = folder / "jobs" / "node_perturbation" / "0-1" / "history.jsonl"

    def fails_late(u):
        if history.exists() and began in history.read_text():
            raise OSError("the lamp went out")
        return np.maximum(u, 0)

    monkeypatch.setitem(ACTIVATIONS, "lamp", byway.host("lamp", fails_late, gain=2.0))
    command = [
        "compare",
        "--rules",
        "frozen,node_perturbation",
        "--seeds",
        "2",
        "--net.activation",
        "lamp",
        "--out",
        str(folder),
        *SMALL,
    ]
    assert main(command) == 2
    said = capfd.readouterr().err
    assert "byway: the black box 'lamp' raised OSError: the lamp went out" in said
    assert f"all that was measured is in {folder}" in said
    assert "Traceback" not in said
    assert [path.parents[1].name for path in folder.rglob("outcome.json")] == ["frozen"]
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    assert [(row["seed"], row["epoch"]) for row in rows] == [
        (seed, epoch) for epoch in (0, 1) for seed in (0, 1)
    ]
    assert main(["report", str(folder)]) == 0
