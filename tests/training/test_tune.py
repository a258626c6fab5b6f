"""The search, on scores whose best is known; and the verb, that it keeps its hands off the test split and goes on where it was."""

import json
import math

import numpy as np
import pytest

import byway
from byway.cli import tune as verb
from byway.cli.main import main
from byway.core.errors import RunError
from byway.core.hyper import hyper
from byway.rules import RULES
from byway.rules.bp import BP
from byway.rules.ff import FF
from byway.rules.pc import PC
from byway.training.tune import Range, space, start, tune

SMALL = ["--rules", "dfa,frozen", "--epochs", "1", "--seeds", "2", "--net.hidden", "6"]


def peak(values):
    """Highest at lr = 3e-3 and peer = 0.1: one minus the squared distance in decades."""
    return 1 - math.log10(values["lr"] / 3e-3) ** 2 / 4 - math.log10(values["peer"] / 0.1) ** 2 / 4


def test_it_finds_the_top_of_a_hill(tmp_path):
    seen = []
    found = tune(FF(), peak, 40, tmp_path / "ff.jsonl", on_trial=lambda number, value: seen.append((number, value)))
    assert [number for number, _ in seen] == [*range(1, 41)] and found.trials == 40
    assert seen[0][1] == found.start == peak(start(FF()))
    assert found.score == max(value for _, value in seen) > 0.97 > found.start
    assert abs(math.log10(found.values["lr"] / 3e-3)) < 0.3 and abs(math.log10(found.values["peer"] / 0.1)) < 0.3


def test_it_goes_on_as_if_it_had_not_been_stopped(tmp_path):
    def killed(values):
        killed.left -= 1
        if killed.left < 0:
            raise KeyboardInterrupt
        return peak(values)

    killed.left = 7
    whole = tune(FF(), peak, 12, tmp_path / "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        tune(FF(), killed, 12, tmp_path / "cut.jsonl")
    again = []
    assert tune(FF(), lambda values: again.append(values) or peak(values), 12, tmp_path / "cut.jsonl") == whole
    assert len(again) == 5
    assert tune(FF(), peak, 12, tmp_path / "cut.jsonl") == whole  # nothing is left to do


def test_where_nothing_is_better_the_rule_stays_as_it_stands(tmp_path):
    found = tune(PC(), lambda values: 0.5, 6, tmp_path / "pc.jsonl")
    assert found.values == start(PC()) == {"lr": 1e-3, "steps": 20, "rate": 0.05, "precision": 1.0}


def test_a_trial_that_failed_is_no_best(tmp_path):
    found = tune(BP(), lambda values: math.nan if values["lr"] > 1e-3 else 0.1, 8, tmp_path / "bp.jsonl")
    assert found.score == 0.1 and found.values["lr"] <= 1e-3


def test_what_is_searched_is_what_the_fields_declare():
    class Searched(BP):
        learning_rate = 0.2
        depth: int = hyper(3, "a whole number", search=(1, 4))
        left: float = hyper(1.0, "no range")

    assert space(Searched()) == {"lr": Range(0.02, 2.0), "depth": Range(1, 4, whole=True)}
    assert (space(Searched())["lr"].log, space(Searched())["depth"].log, Range(0.0, 5.0).log) == (True, False, False)
    assert space(Searched(), 1.0)["lr"] == Range(0.1, 10.0)


@pytest.mark.parametrize("name", RULES.ids())
def test_every_range_lies_within_what_is_allowed_and_holds_the_default(name):
    rule = byway.rule(name)
    for field, where in space(rule).items():
        if field != "lr":
            assert where.low <= getattr(rule, field) <= where.high
            for value in (where.low, where.high):
                byway.rule(name, **{field: int(value) if where.whole else value})


def test_a_file_that_is_no_search(tmp_path):
    (tmp_path / "bp.jsonl").mkdir()
    with pytest.raises(RunError, match="cannot be used"):
        tune(BP(), lambda values: 0.0, 1, tmp_path / "bp.jsonl")


def test_the_verb_searches_alike_and_never_sees_the_test_split(tmp_path, capsys, monkeypatch):
    seen, real = [], verb.fit

    def watched(net, rule, task, *, data, **options):
        assert data["test"] is data["validation"]
        seen.append((rule.id, options["lr"]))
        return real(net, rule, task, data=data, **options)

    monkeypatch.setattr(verb, "fit", watched)
    out = tmp_path / "search"
    assert main(["tune", *SMALL, "--trials", "2", "--out", str(out)]) == 0
    assert [name for name, _ in seen] == ["dfa", "dfa", "frozen", "frozen"]
    assert seen[0][1] == seen[2][1] == 1e-3
    assert "byway compare --task digits" in capsys.readouterr().out
    assert main(["tune", *SMALL, "--trials", "2", "--out", str(out)]) == 0
    assert len(seen) == 4, "the same command again has nothing left to do"
    assert main(["tune", *SMALL, "--trials", "3", "--out", str(out)]) == 2
    assert "a search with other settings" in capsys.readouterr().err


def test_a_comparison_takes_what_was_found_and_keeps_a_copy(tmp_path, capsys):
    file = tmp_path / "tuned.json"
    file.write_text(json.dumps({name: {"values": {"lr": rate}} for name, rate in (("dfa", 1e-30), ("frozen", 1e-2))}))
    run = tmp_path / "run"
    assert main(["compare", *SMALL, "--tuned", str(tmp_path), "--out", str(run)]) == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    gain = {r: np.ptp([row["validation"]["accuracy"] for row in rows if row["rule"] == r and row["seed"] == 0]) for r in ("dfa", "frozen")}
    assert gain["dfa"] == 0 < gain["frozen"]
    file.unlink()
    capsys.readouterr()
    assert main(["resume", str(run)]) == 0
    assert main(["compare", *SMALL, "--rules", "bp", "--tuned", str(run), "--out", str(tmp_path / "b")]) == 2
    assert "without bp" in capsys.readouterr().err
    assert main(["compare", *SMALL, "--tuned", str(tmp_path), "--out", str(tmp_path / "b")]) == 2
    assert "is no result of a search" in capsys.readouterr().err
