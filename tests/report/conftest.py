"""A small run folder whose every number is known, as text: format 1, which has to be readable for
ever.
"""

import contextlib
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

ASKED = ["bp", "frozen", "dfa", "ff", "hebb"]
RUN = """{
 "format": 1,
 "byway": "0.1.0",
 "device": "cpu",
 "started": "2026-03-02T14:05:11+00:00",
 "task": "digits",
 "asked": ["bp", "frozen", "dfa", "ff", "hebb"],
 "verb": "compare"
}"""
CONFIG = """rules = "bp,frozen, dfa,ff,hebb"
seeds = 3
task = "digits"
out = "PATH"
overwrite = true

[net]
kind = "mlp"
"""
SCORES = """[
 {"name": "accuracy", "title": "accuracy", "unit": "%", "scale": 100.0, "higher": true,
  "best": 1.0, "meaning": "", "level": null, "column": false, "counts": true,
  "axis": {"kind": "BestScale", "low": null, "high": null}},
 {"name": "loss", "title": "loss", "unit": "", "scale": 1.0, "higher": false, "best": 0.0,
  "meaning": "", "level": null, "column": false, "counts": false,
  "axis": {"kind": "BestScale", "low": null, "high": null}}
]"""
METRICS = """[
 {"name": "angle", "title": "angle to the true gradient", "unit": "°", "scale": 1.0,
  "higher": false, "best": 0.0, "meaning": "Which way the update points.", "level": 90.0,
  "column": true, "axis": {"kind": "Scale", "low": 0.0, "high": 120.0}},
 {"name": "norm_ratio", "title": "norm ratio", "unit": "", "scale": 1.0,
  "higher": true, "best": null, "meaning": "How long the update is.", "level": 1.0,
  "column": false, "axis": {"kind": "LogScale", "low": 0.5, "high": 2.0}},
 {"name": "sign_agreement", "title": "sign agreement", "unit": "%", "scale": 100.0,
  "higher": true, "best": 1.0, "meaning": "The share of weights.", "level": 0.5,
  "column": false, "axis": {"kind": "Scale", "low": 40.0, "high": 100.0}},
 {"name": "descent", "title": "descent per unit of update", "unit": "", "scale": 1.0,
  "higher": true, "best": null, "meaning": "How much the loss falls.", "level": 0.0,
  "column": false, "axis": {"kind": "SignedLogScale", "low": 0.0, "high": 0.0}}
]"""
JOB = """{
 "label": "LABEL",
 "rule_id": "LABEL",
 "task_id": "digits",
 "seeds": [0, 1, 2],
 "network": "input 2x2x1 > hidden1 3 relu > output 10",
 "projections": {"input-hidden1": "hidden", "hidden1-output": "output"},
 "first": ["input-hidden1"],
 "input_shape": [2, 2, 1],
 "control": CONTROL,
 "settings": {"epochs": 2, "batch": 32, "every": null, "optimiser": "adam", "lr": 0.01,
              "lr_gamma": 0.01, "schedule": "cosine", "rule": {}},
 "test_size": 400,
 "scores": SCORES,
 "metrics": METRICS
}"""
OUTCOME = """{
 "test": {"accuracy": ACCURACY, "loss": [1.0, 1.0, 1.0]},
 "others": {},
 "failures": FAILURES,
 "advice": {},
 "stopped": null,
 "seconds": SECONDS,
 "compile_seconds": 3.0,
 "looks": 3,
 "look_seconds": 0.03,
 "look_compile_seconds": 1.0,
 "step_bytes": 474228
}"""
AUDIT = """{
 "about": "A rule <of ours>.",
 "verdict": {"transport": "FOUND", "locking": "yes", "derivative": "yes", "signal": ["error"],
             "phases": 1, "memory": "none"},
 "claims": {"transport": "no", "locking": "yes", "derivative": "yes", "signal": ["error"],
            "phases": 1, "memory": "none"},
 "agrees": AGREES,
 "updates": {"input-hidden1": {
  "reads": ["record.free.pre.input-hidden1", "signal.error"READ],
  "transported": [CARRIED],
  "waits_for": ["hidden1-output"]}},
 "learned": {},
 "dead_gamma": [],
 "findings": ["the Jacobian agrees"]
}"""
# One line for each seed and moment; a job may tell its seeds in any order.
EPOCH = """{"seed": SEED, "step": STEP, "epoch": EPOCH, "seconds": SECONDS, "values": """
TOLD = {"bp": [0, 1, 2], "frozen": [0, 1, 2], "dfa": [1, 0, 2]}
ACCURACY = {"bp": [0.90, 0.92, 0.94], "frozen": [0.80, 0.80, 0.80], "dfa": [0.87, 0.92, None]}
# Of the hidden projection, at the end; the frozen one has no update.
ANGLE = {"bp": [0.0, 0.0, 0.0], "frozen": None, "dfa": [80.0, 60.0, None]}
CUT = '{"seed": 0, "st'


def filled(text, **words):
    """A text with its words in capitals replaced."""
    for word, value in words.items():
        text = text.replace(word, value if isinstance(value, str) else json.dumps(value))
    return text


def epoch_line(seed, epoch, accuracy):
    head = filled(EPOCH, SEED=seed, STEP=10 * epoch, EPOCH=float(epoch), SECONDS=0.5 * epoch)
    trained = {"train/accuracy": accuracy} if epoch else {}
    scores = {"validation/accuracy": accuracy, "validation/loss": 1.0}
    return head + json.dumps(trained | scores) + "}"


def look_line(seed, step, hidden):
    """The gradient has length 0.5, and the update twice that."""
    angles = {"hidden1-output": 1.0} | ({} if hidden is None else {"input-hidden1": hidden[0]})
    values = {}
    for name, angle in angles.items():
        gone = angle is None
        values |= {
            f"angle/{name}": angle,
            f"norm_ratio/{name}": None if gone else 2.0,
            f"sign_agreement/{name}": None if gone else 1 - angle / 180,
            f"descent/{name}": None if gone else 0.5 * np.cos(np.radians(angle)),
        }
    head = filled(EPOCH, SEED=seed, STEP=step, EPOCH=step / 10, SECONDS=0.05 * step)
    return head + json.dumps(values) + "}"


def history(rule):
    """Three epochs of three seeds, and looks at updates 0, 5 and 20."""
    lines = []
    for epoch in range(3):
        scores = [0.1] * 3 if epoch == 0 else ACCURACY[rule]
        lines += [epoch_line(seed, epoch, scores[seed]) for seed in TOLD[rule]]
        if epoch != 1:
            step, angles = 10 * epoch, ANGLE[rule] if epoch else [90.0] * 3
            steps = [(step, angles)] + ([] if epoch else [(5, [90.0] * 3)])
            lines += [
                look_line(seed, at, None if ANGLE[rule] is None else [some[seed]])
                for at, some in steps
                for seed in TOLD[rule]
            ]
    return "\n".join(lines) + "\n"


def job_text(label, control="frozen"):
    return filled(
        JOB,
        LABEL=label,
        CONTROL=json.dumps(None if label == control else control),
        SCORES=SCORES,
        METRICS=METRICS,
    )


def begin_job(path, label):
    """A job's folder before its training; where it is."""
    job = path / "jobs" / label / "0-2"
    job.mkdir(parents=True)
    (job / "job.json").write_text(job_text(label), encoding="utf-8")
    return job


@pytest.fixture
def folder(tmp_path):
    """bp, frozen and dfa finished; dfa lost seed 2; ff had begun, and hebb was to begin, when the
    run was killed, in mid-line.
    """
    path = tmp_path / "demo"
    path.mkdir()
    (path / "run.json").write_text(RUN, encoding="utf-8")
    (path / "config.toml").write_text(CONFIG.replace("PATH", str(path)), encoding="utf-8")
    for n, rule in enumerate(TOLD, 1):
        job = begin_job(path, rule)
        (job / "history.jsonl").write_text(history(rule), encoding="utf-8")
        lost = {"2": "a number stopped being finite at update 7"} if rule == "dfa" else {}
        text = filled(OUTCOME, ACCURACY=ACCURACY[rule], FAILURES=lost, SECONDS=1.25 * n)
        (job / "outcome.json").write_text(text, encoding="utf-8")
        weight = np.full((3, 4, 3), float(n), np.float32)
        weight[0, :, 0], weight[0, :, 1] = [1, -1, 0, 0.5], 0
        save_file({"input-hidden1.weight": weight}, job / "weights.safetensors")
    for rule, carried in (("bp", '"hidden1-output"'), ("dfa", "")):
        text = filled(
            AUDIT,
            FOUND="yes" if carried else "no",
            AGREES="false" if carried else "true",
            READ=', "net.hidden1-output.weight"' if carried else "",
            CARRIED=carried,
        )
        (path / "jobs" / rule / "0-2" / "audit.json").write_text(text, encoding="utf-8")
    begun = begin_job(path, "ff")
    (begun / "history.jsonl").write_text(epoch_line(0, 0, 0.1) + "\n" + CUT, encoding="utf-8")
    begin_job(path, "hebb")
    return path


# Of three classes 200, 150 and 50 test samples; what each seed of a rule takes them for. The last
# seed of dfa was lost.
NAMES = ["a small <cat>", "dog", "eel"]
TAKEN = {
    "bp": [[[200, 0, 0], [0, 150, 0], [0, 10, 40]]] * 3,
    "dfa": [[[180, 20, 0], [15, 135, 0], [30, 0, 20]], [[190, 10, 0], [0, 150, 0], [25, 0, 25]]],
}
BALANCED_SCORE = {
    "name": "balanced_accuracy",
    "title": "balanced accuracy",
    "unit": "%",
    "scale": 100.0,
}
BALANCED = {"bp": [280 / 300] * 3, "dfa": [220 / 300, 245 / 300, None]}


@pytest.fixture
def with_classes(folder, file_of, edit):
    """The known run with the predictions of bp and dfa, on classes with names."""
    declared = [*json.loads(SCORES), BALANCED_SCORE]
    for rule in TOLD:
        with edit(file_of(rule, "job.json")) as job:
            job["labels"], job["scores"] = NAMES, declared
    for rule, taken in TAKEN.items():
        said = [np.concatenate([np.repeat([0, 1, 2], row) for row in seed]) for seed in taken]
        said += [np.full(400, -1)] * (3 - len(said))
        truth = np.repeat(np.arange(3, dtype=np.int32), [200, 150, 50])
        arrays = {"predictions": np.stack(said).astype(np.int32), "truth": truth}
        save_file(arrays, file_of(rule, "predictions.safetensors"))
        with edit(file_of(rule, "outcome.json")) as outcome:
            outcome["test"]["balanced_accuracy"] = BALANCED[rule]
            outcome["test_classes"] = [200, 150, 50]
    return folder


@pytest.fixture
def file_of(folder):
    """Where a file of a job of the known run is."""
    return lambda rule, name: folder / "jobs" / rule / "0-2" / name


@pytest.fixture
def edit():
    """Change a JSON file: what comes out of `with` is written back."""

    @contextlib.contextmanager
    def changing(path):
        held = json.loads(path.read_text(encoding="utf-8"))
        yield held
        path.write_text(json.dumps(held), encoding="utf-8")

    return changing


@pytest.fixture
def edit_lines():
    """Change each line of a history that is whole."""

    def change(path, function):
        lines = path.read_text(encoding="utf-8").splitlines()
        whole = [function(json.loads(line)) for line in lines if line.endswith("}")]
        text = "".join(json.dumps(line) + "\n" for line in whole if line is not None)
        path.write_text(text, encoding="utf-8")

    return change
