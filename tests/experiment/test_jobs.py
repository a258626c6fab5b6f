"""Jobs in other processes: the same bits as here, and whatever ends a process."""

import functools
import os
import signal
import threading
import time
from pathlib import Path

import cloudpickle
import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.wait import until

import byway
from byway.core.errors import ConfigError, RunError, UnknownNameError
from byway.core.task import Split
from byway.experiment.engines import engine
from byway.experiment.jobs import Job, dealt
from byway.experiment.networks import NetSettings
from byway.experiment.processes import Processes
from byway.experiment.worker import packed

QUICK = {"epochs": 2, "batch": 20, "seeds": 3, "looks": 2, "progress": False}


@pytest.fixture(scope="module")
def data():
    """A few of the digits."""
    splits = byway.task("digits").load()
    return {name: Split(split.x[:60], split.y[:60]) for name, split in splits.items()}


def asked(rules, data, tmp_path, **more):
    """What is compared, and the run of it in this process."""
    asked = {"rules": rules, "net": NetSettings(hidden=(6,)), "data": data, **QUICK, **more}
    return asked, byway.compare(**asked, out=tmp_path / "here")


def same(run, other):
    """Every number of every seed: curves, test scores, weights; to the bit."""
    assert [*run] == [*other]
    for label, one in other.items():
        assert run[label].seeds == one.seeds and run[label].settings == one.settings
        assert run[label].history.keys() == one.history.keys()
        for name, curve in one.history.items():
            np.testing.assert_array_equal(run[label].history[name].values, curve.values)
        assert run[label].test.keys() == one.test.keys()
        for name, values in one.test.items():
            np.testing.assert_array_equal(run[label].test[name], values)
        np.testing.assert_array_equal(run.predictions(label), other.predictions(label))
        mine, theirs = weights(run, label), weights(other, label)
        assert mine.keys() == theirs.keys()
        for name, values in theirs.items():
            np.testing.assert_array_equal(mine[name], values)


def weights(run, label):
    jobs = sorted((run.folder / "jobs" / label).iterdir())
    files = [load_file(job / "weights.safetensors") for job in jobs]
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


@pytest.mark.slow
def test_two_processes_find_the_same_bits_as_one(data, tmp_path):
    """With the settings of JAX that there are here, double precision and all."""
    given, here = asked(["dfa"], data, tmp_path, seeds=2, looks=0)
    run = byway.compare(**given, out=tmp_path / "run", jobs=2)
    assert jobs_of(run) == ["dfa/0-0", "dfa/1-1"]
    same(run, here)


@pytest.mark.slow
def test_how_seeds_are_dealt_changes_no_bit(data, tmp_path):
    """To jobs of one and of two, and those of a rule that settles never alone; with the microscope;
    and resumed by one process what several began.
    """
    given, here = asked(["frozen", "dfa", "pc"], data, tmp_path)
    run = byway.compare(**given, out=tmp_path / "run", jobs=6)
    assert jobs_of(run) == ["dfa/0-0", "dfa/1-2", "frozen/0-0", "frozen/1-2", "pc/0-2"]
    same(run, here)
    for name in ("dfa/1-2", "pc/0-2"):
        (tmp_path / "run" / "jobs" / name / "outcome.json").unlink()
    same(byway.compare(**given, out=tmp_path / "run", resume=True), here)


@pytest.mark.slow
def test_ray_finds_the_same_bits(data, tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install byway[cluster]")
    given, here = asked(["dfa", "pc"], data, tmp_path)
    run = byway.compare(**given, out=tmp_path / "run", on="ray", jobs=4)
    assert jobs_of(run) == ["dfa/0-0", "dfa/1-2", "pc/0-2"]
    same(run, here)


def jobs_of(run):
    folder = run.folder / "jobs"
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*"))


@pytest.mark.slow
def test_a_job_on_ray_that_is_killed_is_begun_again(tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install byway[cluster]")
    do = functools.partial(killed, tmp_path, 1)
    (found,) = engine(2, "ray").run(do, [Job("a", (0,))], False, print)
    assert found == (Job("a", (0,)), 2)
    with pytest.raises(RunError, match="the process of b, seed 0: The worker died"):
        list(
            engine(2, "ray").run(
                functools.partial(killed, tmp_path, 9), [Job("b", (0,))], False, print
            )
        )


@pytest.mark.slow
@pytest.mark.parametrize("more", [{"jobs": 2}, {"jobs": 2, "on": "ray"}], ids=["processes", "ray"])
def test_a_search_finds_the_same_elsewhere(data, more):
    if "on" in more:
        pytest.importorskip("ray", reason="needs Ray: pip install byway[cluster]")
    given = {"data": data, "trials": 3, "epochs": 1, "batch": 20, "progress": False}
    net = NetSettings(hidden=(5,))
    assert byway.tune(["dfa", "pc"], net, **given, **more) == byway.tune(
        ["dfa", "pc"], net, **given
    )


@pytest.mark.parametrize(
    "parts, least, want",
    [
        (1, 1, [(3, 4, 5, 6, 7)]),
        (2, 1, [(3, 4), (5, 6, 7)]),
        (9, 1, [(3,), (4,), (5,), (6,), (7,)]),
        (9, 2, [(3, 4), (5, 6, 7)]),
    ],
)
def test_how_seeds_are_dealt(parts, least, want):
    assert dealt(range(3, 8), parts, least) == want


def killed(folder, times, job, progress, say):
    """Killed so many times; how often it was begun."""
    (folder / f"{job.label}{time.time_ns()}").touch()
    begun = len(list(folder.glob(f"{job.label}*")))
    if begun <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return begun


def seen(job, progress, say):
    """What a process has."""
    progress(1, 2, "half")
    return jax.device_count(), jax.config.jax_enable_x64, len(os.sched_getaffinity(0)), os.getpid()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores can be chosen on Linux")
def test_what_a_process_has(tmp_path):
    """A job that was begun has as many devices as then; a new one its share."""
    jobs = [Job("a", (0, 1), devices=3), Job("b", (0, 1))]
    found = dict(Processes(2).run(seen, jobs, False, print))
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert found[jobs[0]][:3] == (3, True, share)
    assert found[jobs[1]][:3] == (min(2, share), True, share)
    assert found[jobs[0]][3] not in (found[jobs[1]][3], os.getpid())


def test_a_job_whose_process_is_killed_is_begun_again(tmp_path):
    said = []
    (found,) = Processes(1).run(
        functools.partial(killed, tmp_path, 1), [Job("a", (0,))], False, said.append
    )
    assert found == (Job("a", (0,)), 2)
    assert said == [
        "a, seed 0: its process was ended by SIGKILL; it is resumed from its last checkpoint"
    ]


@pytest.mark.slow
def test_a_job_whose_process_is_killed_again_and_again_is_given_up(tmp_path):
    do = functools.partial(killed, tmp_path, 9)
    with pytest.raises(RunError, match="ended 3 times, by SIGKILL"):
        list(Processes(1).run(do, [Job("a", (0,))], False, print))


class Strange(Exception):
    """Cannot travel: made with less than it takes."""

    def __init__(self, one, two):
        super().__init__(one)


def failing(job, progress, say):
    raise Strange(1, 2)


def test_what_a_job_raises_is_raised_here():
    """By its words, where it cannot travel; ours can."""
    with pytest.raises(RuntimeError, match=r"(?s)in failing.*Strange: 1"):
        list(Processes(1).run(failing, [Job("other", (0,))], False, print))
    error = cloudpickle.loads(cloudpickle.dumps(ConfigError("a", "b", "c")))
    assert (type(error), error.given, error.wanted, error.fix) == (ConfigError, "a", "b", "c")


def waiting(folder, job, progress, say):
    (folder / f"{job.label} {os.getpid()}").touch()
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        (folder / f"saved {job.label}").touch()
        raise


def test_ctrl_c_stops_every_job_at_a_checkpoint_and_leaves_no_process(tmp_path):
    def interrupt():
        until(lambda: len(list(tmp_path.iterdir())) >= 2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    jobs = [Job(label, (0,)) for label in "abc"]
    with pytest.raises(KeyboardInterrupt):
        list(Processes(2).run(functools.partial(waiting, tmp_path), jobs, False, print))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split()[0] for name in names] == ["a", "b", "saved", "saved"]
    for name in names[:2]:
        with pytest.raises(ProcessLookupError):
            os.kill(int(name.split()[1]), 0)


def test_an_array_on_disk_travels_by_its_place(tmp_path):
    """A large data set is not sent, whatever it lies in."""
    x = np.arange(100_000.0).reshape(-1, 5)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r", allow_pickle=False)
    sent = packed(byway.Shards([mapped]))  # pyright: ignore[reportArgumentType]
    assert len(sent) < x.nbytes / 100
    np.testing.assert_array_equal(cloudpickle.loads(sent)[:], x)
    part = packed(mapped[3:])  # of which only the values are known
    np.testing.assert_array_equal(cloudpickle.loads(part), x[3:])


def test_jobs_that_cannot_be(data, tmp_path):
    asked = {"net": NetSettings(hidden=(5,)), "data": data, **QUICK}
    with pytest.raises(ConfigError, match="jobs = 2 without a run folder"):
        byway.compare(["bp"], **asked, jobs=2)
    with pytest.raises(ConfigError, match=r"on_epoch = .* beside jobs"):
        byway.compare(["bp"], **asked, jobs=2, out=tmp_path / "a", on_epoch=print)
    with pytest.raises(ConfigError, match="jobs = 0"):
        byway.compare(["bp"], **asked, jobs=0, out=tmp_path / "a")
    with pytest.raises(UnknownNameError, match="cluster"):
        byway.compare(["bp"], **asked, on="rai", out=tmp_path / "a")
    assert not Path(tmp_path / "a").exists()
