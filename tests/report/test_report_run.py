"""What a run folder says, whole or cut short."""

import json

import numpy as np
import pytest

from byway.core.errors import RunError
from byway.report.run import read_run


def test_a_killed_run_is_read_up_to_the_cut(folder):
    run = read_run(folder)
    assert list(run.finished) == ["bp", "frozen", "dfa"]
    assert run.unfinished == ["ff", "hebb"]
    assert run.curves["ff"].epochs.tolist() == [0]
    assert run.curves["bp"].seconds.tolist() == [0.0, 0.5, 1.0]


def test_curves_are_sorted_by_seed_and_null_is_nan(folder):
    got = read_run(folder).curves["dfa"].validation["accuracy"]  # its rows come as seeds 1, 0, 2
    np.testing.assert_array_equal(
        got, [[0.1, 0.87, 0.87], [0.1, 0.92, 0.92], [0.1, np.nan, np.nan]]
    )


def test_what_the_microscope_saw_is_read_up_to_the_cut(folder):
    looks = read_run(folder).looks
    assert [*looks] == ["bp", "frozen", "dfa"]
    assert looks["dfa"].steps.tolist() == [0, 5, 20]
    np.testing.assert_array_equal(
        looks["dfa"].seen["angle"]["input-hidden1"], [[90, 90, 80], [90, 90, 60], [90, 90, np.nan]]
    )
    assert looks["frozen"].seen["descent"].keys() == {"hidden1-output"}


def test_of_an_epoch_that_a_resumed_run_repeats_the_last_row_counts(folder):
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines()[:-1]
    again = json.loads(lines[0]) | {"validation": {"accuracy": 0.25, "loss": 1.0}}
    path.write_text("\n".join([*lines, json.dumps(again)]) + "\n")
    assert read_run(folder).curves["bp"].validation["accuracy"][0, 0] == 0.25


def test_the_one_rule_of_a_training_that_never_got_there(folder):
    (folder / "config.toml").write_text('rule = "hebb"\n')
    assert read_run(folder).unfinished == ["hebb", "ff"]


def test_a_broken_line_in_the_middle_is_no_cut(folder):
    path = folder / "metrics.jsonl"
    path.write_text("{oops\n" + path.read_text())
    with pytest.raises(RunError, match=r"line 1 of .*metrics\.jsonl"):
        read_run(folder)


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(RunError, match="there is no folder"):
        read_run(tmp_path / "nowhere")


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(
        RunError, match=r"no config\.toml and no versions\.json and no metrics\.jsonl"
    ):
        read_run(tmp_path)


@pytest.mark.parametrize("results", [None, '{"task": "digits", "rules": {}}'])
def test_a_run_without_a_finished_rule(folder, results):
    (folder / "results.json").unlink()
    if results is not None:
        (folder / "results.json").write_text(results)
    with pytest.raises(RunError, match="no rule has finished"):
        read_run(folder)


def test_results_that_are_no_json(folder):
    (folder / "results.json").write_text("{")
    with pytest.raises(RunError, match=r"results\.json is no JSON"):
        read_run(folder)
