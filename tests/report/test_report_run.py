"""What a run folder says, whole or cut short; and that its format is the one it has always been."""

import dataclasses
import json
import math

import numpy as np
import pytest
from tests.part import some

import byway
from byway.core.errors import RunError
from byway.core.metric import LogScale, Metric, Scale
from byway.core.score import ACCURACY, LOSS
from byway.experiment.run import Run
from byway.report.page import write_page
from byway.report.table import NONE, Table
from byway.runs.folder import RunFolder, folders, read
from byway.runs.weights import weights_of


def test_a_killed_run_is_read_up_to_the_cut(folder):
    run = read(folder)
    assert list(run.finished) == ["bp", "frozen", "dfa"]
    assert list(run.unfinished) == ["ff", "hebb"]
    assert run["ff"].history["validation/accuracy"].epochs.tolist() == [0]
    assert run["hebb"].history == {} and run["hebb"].settings["epochs"] == 2
    assert run["bp"].history["validation/accuracy"].seconds.tolist() == [0.0, 0.5, 1.0]
    assert run["bp"].history["validation/accuracy"].steps.tolist() == [0, 10, 20]


def test_curves_are_in_the_order_of_the_seeds_and_null_is_nan(folder):
    got = read(folder)["dfa"].history["validation/accuracy"]  # its lines come as seeds 1, 0, 2
    want = [[0.1, 0.87, 0.87], [0.1, 0.92, 0.92], [0.1, np.nan, np.nan]]
    np.testing.assert_array_equal(got.values, want)


def test_what_the_microscope_saw_is_read_up_to_the_cut(folder):
    run = read(folder)
    angle = run["dfa"].history["angle/input-hidden1"]
    assert angle.steps.tolist() == [0, 5, 20] and angle.epochs.tolist() == [0.0, 0.5, 2.0]
    want = [[90, 90, 80], [90, 90, 60], [90, 90, np.nan]]
    np.testing.assert_array_equal(angle.values, want)
    assert run["frozen"].history.group("descent").keys() == {"hidden1-output"}
    assert run["ff"].history.group("angle") == {}


def test_of_an_epoch_that_is_told_again_the_last_line_counts(folder, file_of):
    path = file_of("bp", "history.jsonl")
    first = json.loads(path.read_text().splitlines()[0])
    again = first | {"values": {"validation/accuracy": 0.25, "validation/loss": 1.0}}
    path.write_text(path.read_text() + json.dumps(again) + "\n")
    got = read(folder)["bp"].history["validation/accuracy"].values
    assert got[:, 0].tolist() == [0.25, 0.1, 0.1]


def test_lines_of_one_moment_may_name_different_things(folder, file_of):
    path = file_of("bp", "history.jsonl")
    values = {"validation/accuracy": 0.93, "validation/f1": 0.5}
    line = {"seed": 1, "step": 20, "epoch": 2.0, "seconds": 1.0, "values": values}
    path.write_text(path.read_text() + json.dumps(line) + "\n")
    history = read(folder)["bp"].history
    assert history["validation/accuracy"].last.tolist() == [0.9, 0.93, 0.94]
    np.testing.assert_array_equal(history["validation/f1"].last, [np.nan, 0.5, np.nan])


def test_a_broken_line_in_the_middle_is_no_cut(folder, file_of):
    path = file_of("dfa", "history.jsonl")
    path.write_text("{oops\n" + path.read_text())
    with pytest.raises(RunError, match=r"line 1 of .*history\.jsonl"):
        read(folder)


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(RunError, match="there is no folder"):
        read(tmp_path / "nowhere")


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(RunError, match=r"no run\.json"):
        read(tmp_path)


def test_a_run_without_a_finished_rule(folder):
    for path in folder.rglob("outcome.json"):
        path.unlink()
    with pytest.raises(RunError, match="no rule has finished"):
        read(folder, finished=True)
    assert list(read(folder).unfinished) == ["bp", "frozen", "dfa", "ff", "hebb"]


def test_a_run_in_which_nothing_has_begun(folder):
    for path in folder.rglob("job.json"):
        path.unlink()
    run = Run.of(read(folder))
    assert len(run) == 0 and run.task_id == "" and run.scores == ()
    assert "nothing has begun" in repr(run)


def test_an_outcome_that_is_no_json(folder, file_of):
    file_of("bp", "outcome.json").write_text("{")
    with pytest.raises(RunError, match=r"outcome\.json is not as a run writes it"):
        read(folder)


def test_a_format_of_a_later_byway_is_not_guessed_at(folder, edit):
    with edit(folder / "run.json") as about:
        about["format"] = 2
    with pytest.raises(RunError, match="format 2 of a later Byway"):
        read(folder)


def test_what_was_written_by_hand_is_what_is_read(folder):
    """Every value of the fixture, as the text there has it."""
    run = read(folder)
    dfa = run["dfa"]
    assert run.about["device"] == "cpu" and run.task_id == "digits" and run.folder == folder
    assert run.config.startswith('rules = "bp,frozen, dfa,ff,hebb"')
    assert run.scores == (ACCURACY, LOSS)
    assert (dfa.label, dfa.rule_id, dfa.task_id, dfa.seeds) == ("dfa", "dfa", "digits", [0, 1, 2])
    assert dfa.network == "input 2x2x1 > hidden1 3 relu > output 10"
    assert dfa.projections == {"input-hidden1": "hidden", "hidden1-output": "output"}
    assert (dfa.first, dfa.input_shape) == (["input-hidden1"], [2, 2, 1])
    assert (dfa.control, run["frozen"].control) == ("frozen", None)
    assert (dfa.settings["lr"], dfa.settings["every"], dfa.test_size) == (0.01, None, 400)
    np.testing.assert_array_equal(dfa.test["accuracy"], [0.87, 0.92, np.nan])
    assert dfa.failures == {2: "a number stopped being finite at update 7"}
    assert (dfa.advice, dfa.stopped, dfa.others) == ({}, None, {})
    assert (dfa.seconds, dfa.compile_seconds, dfa.step_bytes) == (3.75, 3.0, 474228)
    assert (dfa.looks, dfa.look_seconds, dfa.look_compile_seconds) == (3, 0.03, 1.0)
    assert dfa.audit["verdict"]["locking"] == "yes" and run["frozen"].audit == {}
    angle, ratio, signs, descent = dfa.metrics
    assert angle == Metric(
        "angle",
        "angle to the true gradient",
        unit="°",
        higher=False,
        best=0.0,
        meaning="Which way the update points.",
        level=90.0,
        axis=Scale(0.0, 120.0),
        column=True,
    )
    assert ratio.axis == LogScale(0.5, 2.0) and (signs.scale, signs.level) == (100.0, 0.5)
    assert descent.name == "descent" and type(descent.axis).__name__ == "SignedLogScale"
    assert weights_of(run, "dfa", "input-hidden1.weight", 1).tolist() == [[3.0] * 3] * 4
    assert weights_of(run, "dfa", "input-hidden1.weight", 3) is None
    assert weights_of(run, "dfa", "input-hidden1.mask", 0) is None
    assert weights_of(run, "ff", "input-hidden1.weight", 0) is None


def test_what_is_read_and_written_again_is_the_text_by_hand(folder, tmp_path, file_of):
    """Writers and readers agree with the fixture, not just with each other."""
    again = RunFolder.begin(tmp_path / "again", {})
    for label, outcome in read(folder).finished.items():
        job = again.job(label, outcome.seeds)
        job.save(outcome)
        assert job.path.relative_to(again.path).as_posix() == f"jobs/{label}/0-2"
        for name in ("job.json", "outcome.json", "audit.json"):
            if file_of(label, name).exists():
                wrote = json.loads((job.path / name).read_text(encoding="utf-8"))
                assert wrote == json.loads(file_of(label, name).read_text(encoding="utf-8"))
            else:
                assert not (job.path / name).exists()
        assert lines(job.path / "history.jsonl") == lines(file_of(label, "history.jsonl"))


def lines(path):
    """Every number of a history, by seed, step and name."""
    held = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    at = [(one["seed"], one["step"], one["epoch"], one["seconds"], one["values"]) for one in held]
    return {(*moment, name): v for *moment, values in at for name, v in values.items()}


def unknown(path):
    """Add to a JSON file what a later Byway might, at every level."""

    def more(value):
        if isinstance(value, dict):
            return {k: more(v) for k, v in value.items()} | {"later": {"deep": [1, None, "x"]}}
        return value

    held = json.loads(path.read_text(encoding="utf-8"))
    # What is keyed by names of its own is no place for a word of the format.
    names = ("test", "others", "failures", "advice", "updates", "verdict", "claims", "projections")
    names += ("settings",)
    wide = {k: v if k in names else more(v) for k, v in held.items()}
    path.write_text(json.dumps(wide | {"later": 3, "also": {"a": None}}), encoding="utf-8")


def test_what_a_later_byway_adds_is_ignored(folder, edit_lines):
    """Keys in every file, files and folders beside them, metrics and axes nobody knows."""
    before = page_of(folder)
    for path in (*folder.rglob("job.json"), *folder.rglob("outcome.json")):
        unknown(path)
    for path in folder.rglob("job.json"):
        held = json.loads(path.read_text(encoding="utf-8"))
        held["scores"] = [one | {"later": True} for one in held["scores"]]
        held["metrics"] = [one | {"later": [1]} for one in held["metrics"]]
        path.write_text(json.dumps(held), encoding="utf-8")
    for path in folder.rglob("history.jsonl"):
        if path.parents[1].name != "ff":
            edit_lines(path, lambda line: line | {"later": {"x": 1}})
    for path in folder.rglob("audit.json"):
        unknown(path)
    with (folder / "run.json").open("r+", encoding="utf-8") as file:
        held = json.load(file)
        file.seek(0)
        json.dump(held | {"later": {"a": [1]}, "cells": [None]}, file)
    (folder / "jobs" / "dfa" / "0-2" / "predictions.bin").write_bytes(b"\x00\xff")
    (folder / "jobs" / "later.txt").write_text("a file of a later Byway", encoding="utf-8")
    (folder / "studies" / "a").mkdir(parents=True)
    assert page_of(folder) == before
    assert folders([folder.parent]) == [folder]


def page_of(folder):
    text = write_page(read(folder), folder / "report.html").read_text(encoding="utf-8")
    (folder / "report.html").unlink()
    return text


def test_a_metric_that_nobody_here_knows_is_shown_as_it_declares_itself(folder, edit, edit_lines):
    """Its axis falls back on an even one, if that is not known either."""
    for path in folder.rglob("job.json"):
        with edit(path) as held:
            held["metrics"].append(
                {"name": "rank", "title": "rank of the update", "unit": "1", "scale": 2.0,
                 "column": True, "axis": {"kind": "SpiralScale", "low": 0.0, "turns": 3}}
            )  # fmt: skip
    for path in folder.rglob("history.jsonl"):
        edit_lines(path, ranked)
    table = Table(read(folder))
    # 3, 4 and 5 of the three seeds, twice that as it is printed; the output's 99 are none of it.
    assert table.columns["rank of the update"].heading == "rank of the update [1]"
    assert table.cell("bp", "rank of the update") == "8.0"
    assert table.cell("frozen", "rank of the update") == NONE
    page = page_of(folder)
    assert 'id="rank"' in page and "Rank of the update of input-hidden1 against update" in page


def ranked(line):
    values = line["values"]
    ranks = {"rank/input-hidden1": 3.0 + line["seed"], "rank/hidden1-output": 99.0}
    found = {rank: v for rank, v in ranks.items() if rank.replace("rank", "angle") in values}
    return line | {"values": values | found}


# What is left of a rule when a key is: the value that stands for "not there".
OPTIONAL = {
    "job.json": {
        "scores": (),
        "metrics": (),
        "network": "",
        "projections": {},
        "first": [],
        "input_shape": [],
        "control": None,
        "settings": {},
        "test_size": 0,
    },
    "outcome.json": {
        "test": {},
        "others": {},
        "failures": {},
        "advice": {},
        "stopped": None,
        "seconds": 0.0,
        "compile_seconds": 0.0,
        "looks": 0,
        "look_seconds": 0.0,
        "look_compile_seconds": 0.0,
        "step_bytes": 0,
    },
}
KEYS = [(file, key) for file, keys in OPTIONAL.items() for key in keys]


@pytest.mark.parametrize(("file", "key"), some(KEYS, 7, "-".join))
def test_what_an_earlier_byway_did_not_write_is_missing(folder, edit, file, key):
    """Of every rule; the page, the table and the list of runs are made without it."""
    for path in folder.rglob(file):
        with edit(path) as held:
            del held[key]
    run = Run.of(read(folder))
    assert getattr(run["dfa"], key) == OPTIONAL[file][key]
    for one in (field.name for field in dataclasses.fields(run["dfa"])):
        if one != key and one in (*OPTIONAL["job.json"], *OPTIONAL["outcome.json"]):
            kept = getattr(run["dfa"], one) != OPTIONAL[file].get(one, math.nan)
            assert kept or one in ("others", "advice", "stopped")
    assert str(run) and "nan" not in page_of(folder).lower()
    assert run.to_frame().shape[0] == 15
    if key in ("seconds", "step_bytes"):
        title = {"seconds": "training time", "step_bytes": "memory of a step"}[key]
        assert Table(run).cell("dfa", title) == NONE


WORDS = ["name", "title", "unit", "scale", "higher", "best", "meaning", "level", "axis", "column"]


@pytest.mark.parametrize("key", WORDS)
def test_a_metric_says_as_little_as_it_likes_but_its_name(folder, edit, key):
    for path in folder.rglob("job.json"):
        with edit(path) as held:
            for one in (*held["scores"], *held["metrics"]):
                del one[key]
    if key == "name":
        with pytest.raises(RunError, match=r"job\.json is not as a run writes it"):
            read(folder)
        return
    assert "nan" not in page_of(folder).lower()
    assert Table(read(folder)).rows["bp"].survived == 3


@pytest.mark.parametrize("name", ["history.jsonl", "weights.safetensors", "audit.json"])
def test_a_file_that_is_not_there_is_missing(folder, name):
    for path in folder.rglob(name):
        path.unlink()
    page = page_of(folder)
    absent = {"history.jsonl": 'id="microscope"', "weights.safetensors": 'id="weights"'}
    assert absent.get(name, "Update by update") not in page
    assert Table(read(folder)).cell("bp", "test accuracy") == "92.00 ± 2.00"


def test_without_settings_a_run_made_in_python_is_as_good(folder):
    (folder / "config.toml").unlink()
    page = page_of(folder)
    assert read(folder).config == "" and "config.toml" not in page and "How to repeat it" in page


@pytest.mark.parametrize("key", ["byway", "device", "started", "task", "asked", "verb"])
def test_what_a_run_does_not_say_of_itself_is_missing(folder, edit, key):
    with edit(folder / "run.json") as about:
        del about[key]
    assert sorted(read(folder)) == ["bp", "dfa", "ff", "frozen", "hebb"]
    assert "Behind it" in page_of(folder)


def test_jobs_of_one_rule_are_one_outcome(folder, file_of, edit, edit_lines, tmp_path):
    """bp in two jobs, seeds 0 and 1 to 2, as two processes write them: what it says is the same,
    and what all seeds took is the sum.
    """
    one = folder / "jobs" / "bp"
    (one / "0-2").rename(one / "1-2")
    (one / "0-0").mkdir()
    for name in ("job.json", "outcome.json", "audit.json", "history.jsonl"):
        (one / "0-0" / name).write_bytes((one / "1-2" / name).read_bytes())
    whole = {"0-0": [0], "1-2": [1, 2]}
    for job, seeds in whole.items():
        with edit(one / job / "job.json") as held:
            held["seeds"] = seeds
        with edit(one / job / "outcome.json") as held:
            held["test"] = {k: [v[seed] for seed in seeds] for k, v in held["test"].items()}
        edit_lines(
            one / job / "history.jsonl",
            lambda line, seeds=seeds: line if line["seed"] in seeds else None,
        )
    run = read(folder)
    assert run["bp"].seeds == [0, 1, 2]
    assert run["bp"].test["accuracy"].tolist() == [0.90, 0.92, 0.94]
    curve = run["bp"].history["validation/accuracy"]
    assert curve.values[:, -1].tolist() == [0.90, 0.92, 0.94]
    assert curve.seconds.tolist() == [0.0, 1.0, 2.0] and run["bp"].seconds == 2.5
    assert Table(run).cell("bp", "test accuracy") == "92.00 ± 2.00"
    with edit(one / "0-0" / "outcome.json") as held:  # as by a Byway that did not measure it
        del held["test"]["loss"]
    assert np.isnan(read(folder)["bp"].test["loss"]).tolist() == [True, False, False]
    (one / "0-0" / "outcome.json").unlink()  # one of its jobs has not finished, so it has not
    assert list(read(folder).unfinished) == ["bp", "ff", "hebb"]


def test_a_run_that_kept_no_predictions_says_so(folder, with_classes, file_of):
    run = byway.open(with_classes)
    assert run.predictions("dfa").values.shape == (3, 400) and 'id="classes"' in page_of(folder)
    for rule in ("bp", "dfa"):
        file_of(rule, "predictions.safetensors").unlink()
    for ask in (run.predictions, run.confusion):
        with pytest.raises(RunError, match="dfa, without predictions"):
            ask("dfa")
    assert 'id="classes"' not in page_of(folder)


def test_byway_opens_it(folder):
    run = byway.open(folder)
    assert run.difference("frozen", "bp").mean == pytest.approx(-12)
    assert byway.open(str(folder))["bp"].test["accuracy"].tolist() == [0.90, 0.92, 0.94]
    assert str(run).count("\n") > 5 and "92.00 ± 2.00" in str(run)
    with pytest.raises(byway.BywayError, match="did you mean 'dfa'"):
        run["dfaa"]
    with pytest.raises(byway.BywayError, match="did you mean 'accuracy'"):
        run.difference("dfa", "bp", "acuracy")


def test_a_saved_run_is_the_run(folder, tmp_path):
    run = byway.open(folder)
    there = run.save(tmp_path / "copy")
    assert str(byway.open(there)) == str(run)
    with pytest.raises(RunError, match="exists"):
        run.save(there)
    assert run.save(there, overwrite=True) == there
