"""The command line as a user meets it: what it writes, what it says, and what it says of
mistakes.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.wait import until

import byway
from byway.audit.verdict import audit
from byway.cli.compare import VERB
from byway.cli.experiment import made
from byway.cli.main import VERBS, main

SMALL = ["--epochs", "2", "--seeds", "2", "--net.hidden", "12", "9", "--probe", "20"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small comparison of two rules, run in a process of its own, as a user would."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    command = [
        sys.executable,
        "-m",
        "byway.cli.main",
        "compare",
        "--rules",
        "bp,frozen",
        "--out",
        str(folder),
        *SMALL,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return folder, done


def test_a_run_folder_holds_everything(finished):
    folder, _ = finished
    assert sorted(p.name for p in folder.iterdir()) == [
        ".lock",
        "config.toml",
        "jobs",
        "report.html",
        "run.json",
    ]
    about = json.loads((folder / "run.json").read_text())
    assert about["format"] == 1 and about["asked"] == ["bp", "frozen"] and about["jax"]
    assert [p.name for p in sorted((folder / "jobs").iterdir())] == ["bp", "frozen"]
    for rule in ("bp", "frozen"):
        job = folder / "jobs" / rule / "0-1"
        assert sorted(p.name for p in job.iterdir()) == [
            "audit.json",
            "checkpoints",
            "history.jsonl",
            "job.json",
            "outcome.json",
            "predictions.safetensors",
            "weights.safetensors",
        ]
        rows = [json.loads(line) for line in (job / "history.jsonl").read_text().splitlines()]
        scored = [row for row in rows if "validation/accuracy" in row["values"]]
        assert [(row["seed"], row["step"], row["epoch"]) for row in scored] == [
            (seed, 39 * epoch, epoch) for epoch in (0, 1, 2) for seed in (0, 1)
        ]
        looks = [row for row in rows if "angle/hidden2-output" in row["values"]]
        assert len(looks) == 8 * 2
        assert [(row["seed"], row["step"], row["epoch"]) for row in looks[-2:]] == [
            (seed, 78, 2.0) for seed in (0, 1)
        ]
        outcome = json.loads((job / "outcome.json").read_text())
        assert outcome["looks"] == 8 and outcome["look_seconds"] > 0
    rows = (folder / "jobs" / "bp" / "0-1" / "history.jsonl").read_text().splitlines()
    values = [json.loads(row)["values"].items() for row in rows]
    angles = [v for some in values for name, v in some if name.startswith("angle/")]
    assert len(angles) == 8 * 2 * 3 and max(angles) < 0.01
    weights = load_file(folder / "jobs" / "bp" / "0-1" / "weights.safetensors")
    assert {k: v.shape for k, v in weights.items() if "." in k} == {
        "input-hidden1.weight": (2, 64, 12),
        "input-hidden1.bias": (2, 12),
        "hidden1-hidden2.weight": (2, 12, 9),
        "hidden1-hidden2.bias": (2, 9),
        "hidden2-output.weight": (2, 9, 10),
        "hidden2-output.bias": (2, 10),
    }


def test_the_weights_give_the_accuracy_that_was_reported(finished):
    """Read back with NumPy alone: the file, the results and the data agree."""
    folder, _ = finished
    test = byway.task("digits").load()["test"]
    w = load_file(folder / "jobs" / "frozen" / "0-1" / "weights.safetensors")
    outcome = json.loads((folder / "jobs" / "frozen" / "0-1" / "outcome.json").read_text())
    reported = outcome["test"]["accuracy"]
    for seed in (0, 1):
        h = np.asarray(test.x, np.float64).reshape(-1, 64) / 16
        for name in ("input-hidden1", "hidden1-hidden2", "hidden2-output"):
            h = h @ w[f"{name}.weight"][seed] + w[f"{name}.bias"][seed]
            h = h if name == "hidden2-output" else np.maximum(h, 0)
        assert np.mean(h.argmax(1) == np.asarray(test.y)) == pytest.approx(reported[seed], abs=1e-6)


def test_the_table_is_printed_and_nothing_moves_when_nobody_watches(finished):
    _, done = finished
    assert "transport" in done.stdout
    assert "report.html" in done.stdout
    assert "\r" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""


@pytest.mark.slow
def test_the_settings_in_a_run_folder_repeat_it_to_the_bit(finished, tmp_path):
    folder, _ = finished
    command = [
        sys.executable,
        "-m",
        "byway.cli.main",
        "compare",
        "--config",
        str(folder / "config.toml"),
        "--out",
        str(tmp_path / "again"),
    ]
    subprocess.run(command, capture_output=True, check=True)
    for rule in ("bp", "frozen"):
        name = f"jobs/{rule}/0-1/weights.safetensors"
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_run_that_was_moved_is_reported_as_before(finished, tmp_path, capsys):
    folder, _ = finished
    there = shutil.copytree(folder, tmp_path / "a" / "moved")
    before = (there / "report.html").read_bytes()
    (there / "report.html").unlink()
    elsewhere = shutil.move(there, tmp_path / "b")
    assert main(["report", str(elsewhere)]) == 0
    assert (elsewhere / "report.html").read_bytes() == before
    assert f"report: {elsewhere}" in capsys.readouterr().out
    assert b"First-layer weights" in before and str(folder).encode() not in before
    assert main(["resume", str(elsewhere)]) == 0
    assert "has finished" in capsys.readouterr().out
    assert (elsewhere / "report.html").read_bytes() == before


@pytest.mark.slow
def test_a_rate_of_one_rule_alone(tmp_path, capsys):
    """By a flag and by a file: of that rule, and of no other."""
    folder = tmp_path / "run"
    quick = ["--epochs", "1", "--seeds", "1", "--net.hidden", "4", "--looks", "0"]
    told = ["--rules", "frozen,dfa", "--lr", "0.5", "--dfa.lr", "0.01", "--out", str(folder)]
    assert main(["compare", *told, *quick]) == 0
    settings = {
        rule: json.loads((folder / "jobs" / rule / "0-0" / "job.json").read_text())["settings"]
        for rule in ("frozen", "dfa")
    }
    assert (settings["frozen"]["lr"], settings["dfa"]["lr"]) == (0.5, 0.01)
    assert "lr 0.01" in (folder / "report.html").read_text(encoding="utf-8")
    kept = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    assert kept["lr"] == 0.5 and kept["dfa"] == {"lr": 0.01}
    own = tmp_path / "own.toml"
    own.write_text('rules = "frozen,dfa,ff"\n[dfa]\nlr = 0.02\n[ff]\npeer = 0.1\nlr = 0.03\n')
    read = VERB.read(["--config", str(own), "--ff.lr", "0.04"])
    experiment = made(VERB.names(read), read)
    rates = {one.label: experiment.plan(one).settings(one.rule) for one in experiment.entries}
    # What each rule says of itself, but for the two.
    assert {label: found["lr"] for label, found in rates.items()} == {
        "frozen": byway.rule("frozen").learning_rate,
        "dfa": 0.02,
        "ff": 0.04,
        "frozen@ff": byway.rule("frozen").learning_rate,
    }
    assert rates["ff"]["rule"]["peer"] == 0.1 and "lr" not in rates["ff"]["rule"]


def fails(capsys, *argv):
    assert main(list(argv)) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["compaer"], ["'compaer'", "'compare'"]),
        (["compare", "--rules", "bp,dfaa"], ["'dfaa'", "'dfa'"]),
        (["compare", "--rules", ""], ["no rules", "one or more"]),
        (["compare", "--rules", "bp,bp"], ["bp, bp", "each once"]),
        (["train", "--rule", "backprop"], ["'backprop'", "bp"]),
        (["train", "--task", "minst"], ["'minst'", "'mnist'"]),
        (["train", "--net.kind", "cnn"], ["'cnn'", "mlp"]),
        (["train", "--net.activation", "rleu"], ["'rleu'", "'relu'"]),
        (["train", "--optimiser", "adan"], ["'adan'", "'adam'"]),
        (["train", "--schedule", "cos"], ["'cos'", "'cosine'"]),
        (["train", "--epochs", "0"], ["epochs = 0", "from 1"]),
        (["train", "--seeds", "-1"], ["seeds = -1", "from 1"]),
        (["train", "--batch", "100000"], ["100000", "1,257"]),
        (["train", "--lr", "-1"], ["-1", "positive"]),
        (["train", "--look-at", "0", "100000"], ["look_at = [0, 100000]", "the last"]),
        (["train", "--lr", "nan"], ["nan", "positive"]),
        (["train", "--ff.peer", "-1", "--rule", "ff"], ["FF.peer = -1", "at least 0"]),
        (["train", "--ff.decay", "2", "--rule", "ff"], ["FF.decay = 2", "from 0"]),
        (["train", "--digits.validation", "5000"], ["5000", "1436"]),
        (["train", "--net.hidden", "0"], ["0", "one unit"]),
        (
            ["train", "--net.kind", "convnet", "--net.channels", "4", "4", "4", "4"],
            ["shrinks", "pooling"],
        ),
        (
            ["train", "--task", "delayed_xor", "--rule", "dfa"],
            ["dfa on the task delayed_xor", "sequences", "bptt"],
        ),
        (
            ["compare", "--task", "adding", "--rules", "rtrl,ff"],
            ["ff on the task adding", "sequences"],
        ),
        (
            ["train", "--task", "delayed_xor", "--rule", "rtrl", "--every", "5"],
            ["every = 5", "divisor of 13"],
        ),
        (
            ["train", "--task", "delayed_xor", "--rule", "bptt", "--every", "5"],
            ["every = 5", "divisor of 13"],
        ),
        (["train", "--rule", "frozen", "--every", "1"], ["every = 1", "a task in time"]),
        (["train", "--rule", "bptt"], ["bptt on the task digits", "a task in time"]),
        (
            ["train", "--rule", "rtrl", "--net.kind", "rnn"],
            ["rtrl was given a network with a cycle", "independent"],
        ),
        (
            ["train", "--task", "adding", "--rule", "bptt", "--net.kind", "convnet"],
            ["shape (2,)", "height, width"],
        ),
        (
            ["train", "--task", "adding", "--rule", "bptt", "--net.hidden"],
            ["a recurrent network of sizes", "a hidden layer"],
        ),
        (
            ["train", "--task", "adding", "--rule", "bptt", "--adding.length", "1"],
            ["length = 1", "from 2"],
        ),
        (
            ["train", "--task", "delayed_xor", "--rule", "bptt", "--delayed-xor.gap", "0"],
            ["gap = 0", "from 1"],
        ),
        (
            ["audit", "bp", "--net", "mlp,rnn"],
            ["bp was given a network with a cycle", "without cycles"],
        ),
        (["audit", "dfaa"], ["'dfaa'", "'dfa'"]),
        (["audit", "dfa", "--net", "cnn"], ["'cnn'", "convnet"]),
        (["report", "nowhere"], ["nowhere"]),
    ],
    ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else None,
)
def test_a_mistake_is_explained(capsys, tmp_path, monkeypatch, argv, parts):
    monkeypatch.chdir(tmp_path)
    said = fails(capsys, *argv)
    assert all(part in said for part in parts), said
    assert all(word in said for word in ("wanted:", "do:"))
    assert list(tmp_path.rglob("*.json")) == []


def test_an_unknown_flag_names_the_nearest(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["compare", "--sedes", "3"])
    assert caught.value.code == 2
    assert "--seeds" in capsys.readouterr().err


def test_an_existing_folder_is_never_written_over_by_chance(finished, tmp_path, capsys):
    folder, _ = finished
    history = folder / "jobs" / "bp" / "0-1" / "history.jsonl"
    before = history.read_bytes()
    assert "exists" in fails(capsys, "train", "--out", str(folder))
    assert history.read_bytes() == before
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter1.tex").write_text("precious")
    assert "no run folder" in fails(capsys, "train", "--out", str(mine), "--overwrite")
    assert (mine / "chapter1.tex").read_text() == "precious"


@pytest.mark.slow
def test_overwrite_replaces_a_run(tmp_path, capsys):
    folder = str(tmp_path / "run")
    assert main(["train", "--rule", "bp", "--out", folder, *SMALL]) == 0
    assert main(["train", "--rule", "frozen", "--out", folder, "--overwrite", *SMALL]) == 0
    assert [p.name for p in (tmp_path / "run" / "jobs").iterdir()] == ["frozen"]


@pytest.mark.slow
def test_a_mistake_with_overwrite_leaves_the_old_run(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["train", "--rule", "bp", "--out", str(folder), *SMALL]) == 0
    fails(capsys, "train", "--rule", "bp", "--batch", "100000", "--out", str(folder), "--overwrite")
    assert (folder / "jobs" / "bp" / "0-1" / "outcome.json").is_file()


@pytest.mark.slow
def test_killed_in_the_middle_what_was_measured_is_there(tmp_path, capsys):
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "byway.cli.main",
        "compare",
        "--rules",
        "bp,fa",
        "--epochs",
        "100000",
        "--out",
        str(folder),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = folder / "jobs" / "bp" / "0-7" / "history.jsonl"

    def goes_on():
        assert process.poll() is None
        return metrics.is_file() and metrics.read_text().count("\n") > 30

    until(goes_on, most=120)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    rows = metrics.read_text().splitlines()
    assert len([json.loads(row) for row in rows[:-1]]) >= 30
    assert "no rule" in fails(capsys, "report", str(folder))


def test_audit_as_json_says_what_each_update_reads(capsys):
    assert main(["audit", "dfa", "--net", "mlp", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["verdict"] == {
        "transport": "no",
        "locking": "yes",
        "derivative": "yes",
        "signal": ["error"],
        "phases": 1,
        "memory": "none",
        "past": "flat",
        "future": "no",
    }
    assert one["jacobian"]["missed"] == []


def test_audit_as_a_table(capsys):
    assert main(["audit", "fa", "--no-numeric"]) == 0
    said = capsys.readouterr().out
    assert "gamma.hidden1-hidden2" in said
    assert "fa on mlp" in said and "fa on convnet" in said
    assert "fa on rnn" not in said, "by default a rule is audited where it can be used"


@pytest.mark.parametrize("verb", VERBS)
def test_help_teaches(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    assert len(capsys.readouterr().out) > 100


def test_the_overview_names_every_verb(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(verb in said for verb in VERBS)


def test_list_names_every_rule_and_task(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("Forward-forward", "mnist", "convnet", "cosine"))


@pytest.mark.slow
def test_a_comparison_in_time_writes_what_any_other_does(tmp_path, capsys):
    """Sequences go to a recurrent network by default, in updates of some steps where `every` says
    so.
    """
    folder = tmp_path / "run"
    small = [
        "--epochs",
        "1",
        "--seeds",
        "1",
        "--batch",
        "8",
        "--net.hidden",
        "3",
        "--delayed-xor.gap",
        "2",
        "--delayed-xor.wait",
        "1",
    ]
    asked = [
        "--task",
        "delayed_xor",
        "--rules",
        "rtrl,frozen",
        "--every",
        "2",
        "--delayed-xor.samples",
        "16",
        "--out",
        str(folder),
    ]
    assert main(["compare", *asked, *small]) == 0
    assert "rtrl on delayed_xor: test accuracy" in capsys.readouterr().out
    weights = load_file(folder / "jobs" / "rtrl" / "0-0" / "weights.safetensors")
    assert {k: v.shape for k, v in weights.items() if k.endswith("weight")} == {
        "input-hidden1.weight": (1, 2, 3),
        "hidden1-hidden1.weight": (1, 3, 3),
        "hidden1-output.weight": (1, 3, 2),
    }
    jobs = {job.parent.name: job for job in folder.glob("jobs/*/0-0")}
    assert jobs.keys() == {"rtrl", "frozen"}
    for job in jobs.values():
        network = json.loads((job / "job.json").read_text())["network"]
        assert "hidden1 3" in network
        assert json.loads((job / "audit.json").read_text())["agrees"]
    assert "every = 2" in (folder / "config.toml").read_text()


def test_what_is_audited_is_what_trains(tmp_path, monkeypatch):
    """A rule may do one thing on small networks and another on large ones."""
    audited = []

    def spy(rule, net):
        audited.append({p.name: p.size for p in net.populations})
        return audit(rule, net)

    monkeypatch.setattr("byway.experiment.experiment.audit", spy)
    small = [
        "--epochs",
        "1",
        "--seeds",
        "1",
        "--net.hidden",
        "5",
        "--probe",
        "20",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(["train", "--rule", "frozen", *small]) == 0
    assert audited == [{"input": 64, "hidden1": 5, "output": 10}]
