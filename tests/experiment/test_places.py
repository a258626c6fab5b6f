"""Data of one's own are told apart, and found again after they or the run were moved."""

import json
import shutil

import numpy as np
import pytest

import byway
from byway.cli.main import main
from byway.core.errors import ConfigError, RunError
from byway.experiment.places import noted, other_data, places

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.tile([0, 1], 20)


def _saved(path, x=X):
    np.savez(path, x=x, y=Y)
    return path


@pytest.mark.parametrize(
    "name, called",
    [
        ("wine.npz", "wine"),
        ("red wine.v2.npz", "red wine.v2"),
        ("a(1).npz", "a-1-"),
    ],
)
def test_data_in_a_file_are_called_as_the_file_is(tmp_path, name, called):
    assert byway.Data(path=_saved(tmp_path / name)).id == called
    assert byway.Data(path=tmp_path / name, name="other").id == "other"


def test_data_in_arrays_are_called_as_somebody_says():
    assert (byway.Data(X, Y).id, byway.task("data", name="mine").id) == ("data", "mine")
    for name in ("a/b", ".hidden", "-"):
        with pytest.raises(ConfigError, match="name ="):
            byway.Data(X, Y, name=name)


def test_where_data_may_lie(tmp_path):
    """Where they were; else where they were as seen from the run; else where somebody says."""
    old, run = tmp_path / "old", tmp_path / "old" / "runs" / "a"
    run.mkdir(parents=True)
    task = byway.Data(path=_saved(old / "wine.npz"))
    about = json.loads(json.dumps({"data": noted(task, task.load(), run)}))
    assert places(about, run) == [old / "wine.npz"]
    shutil.copytree(old, tmp_path / "new")
    here = tmp_path / "new" / "runs" / "a"
    assert places(about, here) == [old / "wine.npz", tmp_path / "new" / "wine.npz"]
    shutil.rmtree(old)
    assert places(about, here) == [tmp_path / "new" / "wine.npz"]
    (tmp_path / "new" / "wine.npz").rename(tmp_path / "elsewhere.npz")
    with pytest.raises(RunError, match="--data PATH"):
        places(about, here)
    assert places(about, here, tmp_path / "elsewhere.npz") == [tmp_path / "elsewhere.npz"]


def test_data_that_differ_in_one_number_are_others(tmp_path):
    task = byway.Data(X, Y, standardise=False)
    about = {"data": noted(task, task.load(), tmp_path)}
    assert other_data(about, byway.Data(X.copy(), Y, standardise=False).load()) is None
    changed = X.copy()
    changed[-1, -1] += 1e-9
    other = byway.Data(changed, Y, standardise=False).load()
    assert "in place of" in (other_data(about, other) or "")
    assert other_data({}, other) is None, "a run that says nothing of its data can be read"


@pytest.mark.slow
def test_a_run_is_resumed_where_it_and_its_data_are_now(tmp_path, monkeypatch, capsys):
    """Given by a path that meant something in another folder; and never on other data."""
    old = tmp_path / "old"
    old.mkdir()
    _saved(old / "wine.npz")
    monkeypatch.chdir(old)
    flags = ["--data.path", "wine.npz", "--epochs", "1", "--batch", "8", "--looks", "0"]
    asked = ["train", "--task", "data", "--rule", "frozen", *flags, "--out", "runs/a"]
    assert main(asked) == 0
    first = byway.open("runs/a")["frozen"]
    assert first.task_id == "wine"
    monkeypatch.chdir(tmp_path)
    old.rename(tmp_path / "new")
    run, data = tmp_path / "new" / "runs" / "a", tmp_path / "new" / "wine.npz"
    next(run.glob("jobs/*/*/outcome.json")).unlink()
    assert main(["resume", str(run)]) == 0
    for name, values in byway.open(run)["frozen"].test.items():
        np.testing.assert_array_equal(values, first.test[name])
    data.rename(tmp_path / "moved.npz")
    capsys.readouterr()
    assert main(["resume", str(run)]) == 2
    assert "--data PATH" in capsys.readouterr().err
    _saved(data, X[::-1])  # others where the run's own were
    for given in ([], ["--data", str(data)]):
        assert main(["resume", str(run), *given]) == 2
        assert "made with other data" in capsys.readouterr().err
    assert main(["resume", str(run), "--data", str(tmp_path / "moved.npz")]) == 0
    assert json.loads((run / "run.json").read_text())["data"]["beside"] == "../../../moved.npz"
