"""A training that was stopped, anywhere, is to the bit the one that never was; and what can go
wrong on disk is said, and harms nothing.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.part import some
from tests.wait import until

import byway
from byway.audit.networks import accepted, tiny
from byway.cli.main import main
from byway.core.errors import RuleError, RunError
from byway.network.builders import mlp
from byway.rules import RULES
from byway.rules.backprop.bp import BP
from byway.rules.feedback.dfa import DFA
from byway.training import course, fit
from byway.training.checkpoint import Checkpoints, branch, choose, interrupts, locked

EPOCHS, BATCH, SEEDS = 2, 5, 3
BATCHES = 24 // BATCH * EPOCHS
BITS = [
    "--task",
    "digits",
    "--rule",
    "dfa",
    "--seeds",
    "2",
    "--net.hidden",
    "8",
    "--looks",
    "3",
    "--probe",
    "8",
    "--save-every",
    "0",
]

HISTORY = "jobs/*/*/history.jsonl"


# Other processes compute as this one does.
AS_HERE = os.environ | {"JAX_ENABLE_X64": "1"}


class Stopped(Exception):
    """Stands for whatever ends a process."""


def _problem(name, blobs):
    """A rule with a task and a network that it can learn."""
    rule = byway.rule(name)
    if not rule.in_time:
        net, task = blobs.beside(rule, 6, 5)
        return net, rule, task
    net = byway.rnn(2, 4, 2, **rule.network_options)
    try:
        rule.accepts(net)
    except RuleError:  # it goes back
        cell = tiny(accepted(rule)[0], rule).hidden[0].cell
        net = byway.coupled(2, 4, 2, activation=cell)
    return net, rule, byway.task("delayed_xor", samples=24, gap=2, wait=1)


def _fit(problem, **options):
    net, rule, task = problem
    data = {k: type(s)(s.x[:24], s.y[:24]) for k, s in task.load().items()}
    return fit.fit(
        net,
        rule,
        task,
        epochs=EPOCHS,
        batch=BATCH,
        seeds=SEEDS,
        data=data,
        progress=False,
        **options,
    )


def _bits(tree):
    raw = lambda a: (
        jax.random.key_data(a) if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key) else a
    )
    return [np.asarray(raw(a)).tobytes() for a in jax.tree.leaves(tree)]


def _measured(result):
    curves = {
        name: (c.steps.tolist(), c.epochs.tolist(), _bits(c.values))
        for name, c in result.history.items()
    }
    kept = result.predictions
    return curves, result.looks, _bits(result.test), _bits([kept.values, kept.truth])


def _stop_after(monkeypatch, saves):
    """Let a training be stopped at its so-many-th checkpoint, and cut it in single batches, each
    with a checkpoint.
    """
    whole, count = Checkpoints.save, []

    def save(self, *args):
        whole(self, *args)
        count.append(1)
        if len(count) == saves:
            raise Stopped

    monkeypatch.setattr(Checkpoints, "save", save)
    monkeypatch.setattr(course, "STRETCH", 0.0)


# Of a kind each: what a rule remembers, draws, and sees of time. The others take their turn in
# `make slow`.
QUICK = ("ff", "rtrl")
OURS = RULES.own()


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OURS]
)
def test_a_stopped_training_ends_as_one_that_never_was(name, blobs, tmp_path, monkeypatch):
    problem = _problem(name, blobs)
    straight = _fit(problem)
    with monkeypatch.context() as patch:
        _stop_after(patch, 6)  # in the middle of the second epoch
        with pytest.raises(Stopped):
            _fit(problem, checkpoint=tmp_path, save_every=0.0)
    again = _fit(problem, checkpoint=tmp_path)
    assert _bits(again.learners) == _bits(straight.learners)
    assert _measured(again) == _measured(straight)
    assert straight.learners.step.tolist() == [BATCHES] * SEEDS


def test_what_a_checkpoint_holds_is_told_again_and_nothing_is_trained_twice(
    blobs, tmp_path, monkeypatch
):
    problem, rows, looks = _problem("bp", blobs), [], []
    first = _fit(problem, checkpoint=tmp_path)
    monkeypatch.setattr(fit.Loop, "train", lambda *args: pytest.fail("it had finished"))
    second = _fit(problem, checkpoint=tmp_path, on_epoch=rows.append, on_look=looks.append)
    assert [row.step for row in rows] == [0, 4, 8]
    told = first.history.group("angle").values()
    assert all([look.step for look in looks] == curve.steps.tolist() for curve in told)
    assert _measured(second) == _measured(first) and second.seconds == first.seconds


def test_a_learner_that_failed_before_the_stop_stays_failed(blobs, tmp_path, monkeypatch):
    problem = (mlp(4, 6, 3), BP(), blobs)
    options = {"optimiser": "sgd", "lr": 1e300}
    straight = _fit(problem, **options)
    with monkeypatch.context() as patch:
        _stop_after(patch, 6)
        with pytest.raises(Stopped):
            _fit(problem, checkpoint=tmp_path, save_every=0.0, **options)
    again = _fit(problem, checkpoint=tmp_path, **options)
    assert again.failures == straight.failures and len(again.failures) == SEEDS
    assert _measured(again) == _measured(straight)


def test_the_latest_are_kept_and_ends_of_epochs_have_one(blobs, tmp_path, monkeypatch):
    monkeypatch.setattr(course, "STRETCH", 1e6)
    steps = lambda folder: sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())
    for keep, wanted in ((1, [8]), (2, [4, 8]), (0, [1, 4, 8])):
        _fit(
            _problem("bp", blobs),
            checkpoint=tmp_path / str(keep),
            save_every=0.0,
            keep=keep,
            looks=0,
        )
        # 1: the first stretch of all is a single batch.
        assert steps(tmp_path / str(keep)) == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    some(
        [
            ({"rule": DFA()}, "its rule is bp()"),
            ({"lr": 0.5}, "its lr is None"),
            ({"epochs": 9}, "its epochs is 2"),
            ({"net": mlp(4, 7, 3)}, "its net is"),
            ({"first_seed": 1}, "its seeds is [0, 1, 2]"),
            ({"schedule": "constant"}, "its schedule is "),
            ({"optimiser": "sgd"}, "its optimiser is"),
        ],
        3,
    ),
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else None,
)
def test_a_checkpoint_of_another_training_is_refused_and_left_alone(change, said, blobs, tmp_path):
    mine = {
        "net": mlp(4, 6, 3),
        "rule": BP(),
        "task": blobs,
        "epochs": EPOCHS,
        "batch": BATCH,
        "seeds": SEEDS,
        "checkpoint": tmp_path,
    }
    fit.fit(**mine)
    before = _contents(tmp_path)
    with pytest.raises(RunError, match="of another training") as refused:
        fit.fit(**mine | change)
    assert said in str(refused.value) and "byway branch" in str(refused.value)
    assert _contents(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda split: split._replace(x=split.x.at[3, 0].add(0.5)),
        lambda split: split._replace(y=split.y.at[3].set((split.y[3] + 1) % 3)),
    ],
    ids=["a pixel", "a label"],
)
def test_a_checkpoint_of_other_data_is_refused(change, blobs, tmp_path):
    """One number of one sample is enough."""
    mine = {
        "net": mlp(4, 6, 3),
        "rule": BP(),
        "task": blobs,
        "epochs": EPOCHS,
        "batch": BATCH,
        "checkpoint": tmp_path,
    }
    fit.fit(**mine)
    data = blobs.load()
    with pytest.raises(RunError, match="its data is"):
        fit.fit(**mine, data=data | {"train": change(data["train"])})


@pytest.mark.slow
def test_a_checkpoint_of_another_machine_is_refused(blobs, tmp_path, monkeypatch):
    """Another number of devices, or another precision: the bits could differ."""
    one = lambda folder: fit.fit(
        mlp(4, 6, 3), BP(), blobs, epochs=1, batch=BATCH, looks=0, checkpoint=tmp_path / folder
    )
    with monkeypatch.context() as patch:
        patch.setattr(jax, "device_count", lambda: 7)
        one("devices")
    with pytest.raises(RunError, match="its devices is 7"):
        one("devices")
    with jax.enable_x64(False):
        one("precision")
    with pytest.raises(RunError, match=r"and double precision, .* differ too"):
        one("precision")


def test_a_checkpoint_of_another_version_is_refused(blobs, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.version", lambda name: "0.0.1")
        _fit(_problem("bp", blobs), checkpoint=tmp_path)
    with pytest.raises(RunError, match=r"its byway is 0\.0\.1, and jax, jaxlib differ too"):
        _fit(_problem("bp", blobs), checkpoint=tmp_path)


@pytest.mark.parametrize("bit", [True, False])
def test_a_damaged_checkpoint_is_said_and_the_one_before_can_be_used(bit, blobs, tmp_path):
    problem = _problem("bp", blobs)
    straight = _fit(problem, checkpoint=tmp_path, save_every=0.0, keep=0)
    file = tmp_path / "8" / "default" / "training.safetensors"
    held = file.read_bytes()
    file.write_bytes(held[:-1] + bytes([held[-1] ^ 1]) if bit else held[:100])
    with pytest.raises(RunError, match="cannot be read") as told:
        _fit(problem, checkpoint=tmp_path)
    assert "delete that folder" in str(told.value)
    subprocess.run(["rm", "-r", tmp_path / "8"], check=True)
    assert _measured(_fit(problem, checkpoint=tmp_path)) == _measured(straight)


def test_a_folder_that_cannot_be_written(blobs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        _fit(_problem("bp", blobs), checkpoint=tmp_path / "file" / "below")


def test_two_processes_never_train_in_one_folder(blobs, tmp_path):
    program = (
        "import pathlib, time\nfrom byway.training.checkpoint import locked\nwith "
        f"locked(pathlib.Path({str(tmp_path)!r})):\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-uc", program + "    print('held')\n    time.sleep(600)"],
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="another process is training in"):
            _fit(_problem("bp", blobs), checkpoint=tmp_path)
    finally:
        other.kill()  # and the system lets go of what it held
        other.communicate()
    with locked(tmp_path):
        pass


@pytest.mark.slow
def test_a_full_disk_ends_it_with_a_message_and_the_checkpoint_before_is_whole(tmp_path):
    """No file may grow beyond a limit that the first checkpoints keep to: what a full disk does to
    a write.
    """
    program = """
import resource, sys
import byway.training.checkpoint as c
whole = c.Checkpoints.save
def save(self, learners, progress, best=None):
    if progress.step > 39:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    whole(self, learners, progress, best)
c.Checkpoints.save = save
from byway.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", program, "train", *BITS, "--epochs", "3", "--out", str(run)],
        capture_output=True,
        text=True,
        check=False,
        env=AS_HERE,
    )
    assert done.returncode == 2, done.stderr
    assert (
        "Traceback" not in done.stderr
        and "cannot be written" in done.stderr
        and "byway resume" in done.stderr
    )
    assert main(["resume", str(run)]) == 0
    _same_as_never_stopped(run, 3, tmp_path)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_ctrl_c_saves_and_says_how_to_go_on(number, tmp_path):
    run = tmp_path / "run"
    process = _started(
        "train", *BITS, "--epochs", "4000", "--save-every", "1000", "--out", str(run)
    )
    _wait_for(
        process,
        lambda: any(path.read_text().count("\n") > 100 for path in run.glob(HISTORY)),
    )
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (
        f"byway: stopped; 'byway resume {run}' continues from there" in said
        and "Traceback" not in said
    )
    (step,) = (int(p.name) for p in run.glob("jobs/dfa/0-*/checkpoints/*") if p.name.isdigit())
    assert step >= _lines(run)[-1]["step"] > 39 * 40


def _kill(tmp_path, kills, epochs, seed):
    """Kill a run again and again, then let it end; how often a checkpoint was being written."""
    draw, run, torn = np.random.default_rng(seed), tmp_path / "run", 0
    verb = ["train", *BITS, "--epochs", str(epochs), "--out", str(run)]
    writing = lambda: any("tmp" in p.name for p in run.glob("jobs/dfa/*/checkpoints/*"))
    size = lambda: sum(path.stat().st_size for path in run.glob(HISTORY))
    for _ in range(kills):
        seen = size()
        process = _started(*verb)
        moment = draw.choice(["early", "learning", "writing"], p=[0.3, 0.4, 0.3])
        if moment == "early":  # while it starts, compiles, reads the checkpoint
            time.sleep(draw.uniform(0, 6))
        else:
            _wait_for(process, lambda seen=seen: size() > seen)
            time.sleep(draw.uniform(0, 0.5))
        if moment == "writing":
            _wait_for(process, writing, pause=0.0)
        process.kill()
        process.communicate()
        torn += writing()
        if (run / "config.toml").is_file():
            verb = ["resume", str(run)]
    assert main(["resume", str(run)]) == 0
    _same_as_never_stopped(run, epochs, tmp_path)
    return torn


@pytest.mark.slow
def test_killed_once_it_ends_as_if_it_never_was(tmp_path):
    _kill(tmp_path, 1, 40, 1)


@pytest.mark.slow
def test_killed_at_thirty_random_moments_it_ends_as_if_it_never_was(tmp_path):
    torn = _kill(tmp_path, 30, 1200, 1)
    assert torn >= 3, f"{torn} of 30 kills were inside a checkpoint write"


@pytest.mark.slow
def test_a_comparison_goes_on_as_a_whole(tmp_path, capsys):
    """The rule that had finished is not trained again, the one under way goes on, the one not begun
    begins.
    """
    run, options = tmp_path / "run", ["--rules", "bp,dfa,frozen", "--epochs", "3", *BITS[4:]]
    program = """
import sys
import byway.training.checkpoint as c
whole = c.Checkpoints.save
def save(self, learners, progress, best=None):
    whole(self, learners, progress, best)
    if "dfa" in self.made_of["rule"] and progress.step > 39:
        raise KeyboardInterrupt
c.Checkpoints.save = save
from byway.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "compare", *options, "--out", str(run)],
        capture_output=True,
        text=True,
        check=False,
        env=AS_HERE,
    )
    assert done.returncode == 130 and byway.open(run).finished.keys() == {"bp"}
    (weights,) = run.glob("jobs/bp/*/weights.safetensors")
    stamp = weights.stat().st_mtime_ns
    assert main(["resume", str(run)]) == 0
    assert weights.stat().st_mtime_ns == stamp
    assert main(["compare", *options, "--out", str(tmp_path / "straight")]) == 0
    _same_runs(run, tmp_path / "straight")
    capsys.readouterr()
    assert main(["resume", str(run)]) == 0
    assert "every rule in" in capsys.readouterr().out


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    run = tmp_path_factory.mktemp("parent") / "run"
    assert main(["train", *BITS, "--epochs", "2", "--keep", "0", "--out", str(run)]) == 0
    return run


@pytest.mark.slow
def test_a_branch_goes_on_with_a_change_and_leaves_the_run_as_it_was(parent, tmp_path):
    before = _contents(parent)
    assert (
        main(
            [
                "branch",
                str(parent),
                "--set",
                "epochs=3",
                "schedule=constant",
                "lr=1e-30",
                "--at",
                "39",
                "--out",
                str(tmp_path / "b"),
            ]
        )
        == 0
    )
    assert _contents(parent) == before
    curve = byway.open(tmp_path / "b")["dfa"].history["validation/accuracy"]
    assert curve.epochs.tolist() == [0, 1, 2, 3]
    # At so small a rate nothing moves any more: from the checkpoint on, accuracy stays.
    end = curve.values[0].tolist()
    assert end[1] == end[2] == end[3] != end[0]
    about = byway.open(tmp_path / "b").about
    assert about["branched_from"] == str(parent) and about["branched_at"] == {"dfa": 39}


def test_another_optimiser_starts_with_moments_of_its_own(parent, tmp_path):
    assert (
        main(
            [
                "branch",
                str(parent),
                "--set",
                "epochs=3",
                "optimiser=sgd",
                "lr=0.01",
                "--out",
                str(tmp_path / "b"),
            ]
        )
        == 0
    )
    curve = byway.open(tmp_path / "b")["dfa"].history["validation/accuracy"]
    assert curve.values.shape == (2, 4)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "something left to learn"),
        (["--at", "7"], "has the checkpoints 1, 20, 39, 78"),
        (["--set", "batch=3"], "a change of anything but rule"),
        (["--set", "lr"], "NAME=VALUE"),
        (["--set", "lrr=3"], "did you mean 'lr'"),
        (["--set", "lr=fast"], "lr = 'fast'"),
        (["--set", "digits.lss=1"], "did you mean 'digits.loss'"),
        (["--set", "pc.steps=1"], "a setting of pc, which is not used"),
    ],
)
def test_a_branch_that_cannot_be(parent, tmp_path, flags, said, capsys):
    assert main(["branch", str(parent), *flags, "--out", str(tmp_path / "b")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_resume_of_what_is_no_run(tmp_path, capsys):
    assert main(["resume", str(tmp_path)]) == 2
    assert "has no run.json" in capsys.readouterr().err


def _started(*argv):
    command = [sys.executable, "-m", "byway.cli.main", *argv]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=AS_HERE
    )


def _wait_for(process, ready, pause=0.02):
    def goes_on():
        assert process.poll() is None, process.stderr.read()
        return ready()

    until(goes_on, most=120, every=pause)


def _contents(folder):
    return {
        p.relative_to(folder): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "report.html"
    }


def _lines(run):
    return [
        json.loads(line) for path in run.glob(HISTORY) for line in path.read_text().splitlines()
    ]


def _same_as_never_stopped(run, epochs, tmp_path):
    straight = tmp_path / "straight"
    assert main(["train", *BITS, "--epochs", str(epochs), "--out", str(straight)]) == 0
    _same_runs(run, straight)


def _same_runs(one, other):
    mine, theirs = byway.open(one), byway.open(other)
    assert list(mine) == list(theirs)
    for label, outcome in theirs.items():
        held = mine[label]
        assert held.history.keys() == outcome.history.keys()
        for name, curve in outcome.history.items():
            assert held.history[name].steps.tolist() == curve.steps.tolist(), name
            assert held.history[name].values.tobytes() == curve.values.tobytes(), name
        assert _bits(held.test) == _bits(outcome.test)
        weights = [next(run.glob(f"jobs/{label}/*/weights.safetensors")) for run in (one, other)]
        arrays = [load_file(path) for path in weights]
        assert {k: v.tobytes() for k, v in arrays[0].items()} == {
            k: v.tobytes() for k, v in arrays[1].items()
        }


def test_a_second_ctrl_c_is_obeyed_at_once_and_another_thread_has_no_signals():
    with interrupts() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    held = []

    def elsewhere():
        with interrupts() as asked:
            held.append((asked, signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert held == [([], before)]


def test_a_branch_into_another_network_is_refused_by_the_array_that_does_not_fit(blobs, tmp_path):
    net, rule, task = _problem("bp", blobs)
    _fit((net, rule, task), checkpoint=tmp_path / "one", keep=0)
    branch(tmp_path / "one", tmp_path / "other", choose(tmp_path / "one"))
    with pytest.raises(RunError, match=r"has \.net.* of shape .*\n.*as in this network and rule"):
        _fit((mlp(4, 7, 5, 3, activation="relu"), rule, task), checkpoint=tmp_path / "other")
    with pytest.raises(RunError, match="has no checkpoint"):
        choose(tmp_path)
