"""A small run folder whose every number is known."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

SEEDS = {"bp": [0, 1, 2], "frozen": [0, 1, 2], "dfa": [1, 0, 2]}
ACCURACY = {"bp": [0.90, 0.92, 0.94], "frozen": [0.80, 0.80, 0.80], "dfa": [0.92, 0.87, None]}
# Of the hidden projection, at the end.
ANGLE = {
    "bp": [0.0, 0.0, 0.0],
    "frozen": None,
    "dfa": [60.0, 80.0, None],
}
VERDICT = {
    "transport": "no",
    "locking": "yes",
    "derivative": "yes",
    "signal": ["error"],
    "phases": 1,
    "memory": "none",
}


def row(rule, seed, epoch, accuracy):
    return {
        "rule": rule,
        "seed": seed,
        "epoch": epoch,
        "step": 10 * epoch,
        "seconds": 0.5 * epoch,
        "train": {"accuracy": accuracy} if epoch else {},
        "validation": {"accuracy": accuracy, "loss": 1.0},
    }


def rows(rule, epochs=3):
    for epoch in range(epochs):
        for i, seed in enumerate(SEEDS[rule]):
            yield row(rule, seed, epoch, 0.1 if epoch == 0 else ACCURACY[rule][i])


def looks(rule, steps=(0, 5, 20)):
    """The gradient has length 0.5, and the update twice that."""
    for step in steps:
        for i, seed in enumerate(SEEDS[rule]):
            angle = {"hidden1-output": 1.0}
            if ANGLE[rule] is not None:
                angle["input-hidden1"] = 90.0 if step < steps[-1] else ANGLE[rule][i]
            yield {
                "rule": rule,
                "seed": seed,
                "epoch": step / 10,
                "step": step,
                "seconds": 0.01,
                "angle": angle,
                "norm_ratio": {name: None if a is None else 2.0 for name, a in angle.items()},
                "sign_agreement": {
                    name: None if a is None else 1 - a / 180 for name, a in angle.items()
                },
                "descent": {
                    name: None if a is None else 0.5 * np.cos(np.radians(a))
                    for name, a in angle.items()
                },
            }


def audit_entry(transported=()):
    reads = [
        "record.free.pre.input-hidden1",
        "signal.error",
        *(f"net.{name}.weight" for name in transported),
    ]
    update = {"reads": reads, "transported": list(transported), "waits_for": ["hidden1-output"]}
    verdict = VERDICT | {"transport": "yes" if transported else "no"}
    return {
        "network": "mlp",
        "about": "A rule <of ours>.",
        "verdict": verdict,
        "claims": VERDICT,
        "agrees": not transported,
        "updates": {"input-hidden1": update},
        "dead_gamma": [],
        "findings": ["the Jacobian agrees"],
    }


@pytest.fixture
def folder(tmp_path):
    """bp, frozen and dfa finished; dfa lost seed 2; ff had begun and hebb had not when the run was
    killed, in mid-line.
    """
    path = tmp_path / "demo"
    (path / "weights").mkdir(parents=True)
    (path / "config.toml").write_text(
        f'rules = "bp,frozen, dfa,ff,hebb"\nseeds = 3\ntask = "digits"\nout = "{path}"\noverwrite '
        '= true\n\n[net]\nkind = "mlp"\n'
    )
    (path / "versions.json").write_text(
        json.dumps({"byway": "0.1.0", "device": "cpu", "started": "2026-03-02T14:05:11+00:00"})
    )
    lines = [json.dumps(r) for rule in SEEDS for r in rows(rule)] + [
        json.dumps(row("ff", 0, 0, 0.1))
    ]
    (path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"rule": "ff", "se')
    lines = [json.dumps(r) for rule in SEEDS for r in looks(rule)]
    (path / "microscope.jsonl").write_text("\n".join(lines) + '\n{"rule": "ff", "seed": 0, "ep')
    entries = {}
    for n, rule in enumerate(SEEDS, 1):
        entries[rule] = {
            "seeds": SEEDS[rule],
            "test": {"accuracy": ACCURACY[rule], "loss": [1.0, 1.0, 1.0]},
            "seconds": 1.25 * n,
            "compile_seconds": 3.0,
            "looks": 3,
            "look_seconds": 0.03,
            "look_compile_seconds": 1.0,
            "step_bytes": 474228,
            "failures": {"2": "a number stopped being finite at update 7"} if rule == "dfa" else {},
            "network": "input 2x2x1 > hidden1 3 relu > output 10",
        }
        weight = np.full((3, 4, 3), float(n), np.float32)
        weight[0, :, 0], weight[0, :, 1] = [1, -1, 0, 0.5], 0
        save_file(
            {"input-hidden1.weight": weight},
            path / "weights" / f"{rule}.safetensors",
            {"input_shape": "2,2,1"},
        )
    (path / "results.json").write_text(json.dumps({"task": "digits", "rules": entries}))
    (path / "audit.json").write_text(
        json.dumps({"bp": audit_entry(["hidden1-output"]), "dfa": audit_entry()})
    )
    return path
