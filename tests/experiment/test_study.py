"""Studies: folds of one task or several tasks, each a run of its own, and what they say."""

import json

import numpy as np
import pytest
from scipy import stats

import byway
from byway.cli.main import main
from byway.core.errors import BywayError, RunError
from byway.core.score import ACCURACY, LOSS, RMSE
from byway.experiment.networks import NetSettings
from byway.report.study import FEWEST_TASKS, sentences
from byway.runs.outcomes import Outcomes
from byway.runs.statistics import critical_difference
from byway.runs.study import StudyOutcomes
from byway.training.outcome import Outcome

DRAW = np.random.default_rng(0)
X, Y = DRAW.normal(size=(40, 3)), np.tile([0, 1], 20)
NET = NetSettings(hidden=(3,))
QUICK = {"epochs": 2, "batch": 8, "seeds": 2, "looks": 0, "progress": False}


def _outcome(label, score, test, size=100):
    return Outcome(
        label=label,
        rule_id=label,
        task_id="t",
        seeds=[*range(len(test))],
        scores=(score,),
        test={score.name: np.array(test, float)},
        test_size=size,
        control="frozen" if label != "frozen" else None,
    )


def _study(differs, each, sizes=(70, 25)):
    """Of each run, by rule: a score and its values, one for each seed."""
    runs = {
        name: Outcomes({label: _outcome(label, *held) for label, held in run.items()})
        for name, run in each.items()
    }
    return StudyOutcomes(differs, runs, dict.fromkeys(each, sizes))


def _folds(mine, theirs, score=LOSS, **more):
    each = {
        f"fold-{i}": {"bp": (score, theirs[i]), "dfa": (score, mine[i])} for i in range(len(mine))
    }
    return _study("fold", each, **more)


def test_the_interval_over_folds_is_that_of_nadeau_and_bengio():
    """By hand: t = mean / sqrt((1/k + tested/trained) s²), with k - 1 degrees of freedom."""
    mine, theirs = DRAW.normal(1, 1, (4, 3)), DRAW.normal(0, 1, (4, 3))
    found = _folds(mine, theirs).difference("dfa", "bp")
    d = mine.mean(1) - theirs.mean(1)
    half = stats.t.ppf(0.975, 3) * np.sqrt((1 / 4 + 25 / 70) * d.var(ddof=1))
    np.testing.assert_allclose(
        (found.mean, found.low, found.high, found.n),
        (d.mean(), d.mean() - half, d.mean() + half, 4),
    )


def test_where_all_that_is_not_tested_is_trained_on_the_variance_grows_as_published():
    """By 1 + k/(k - 1), in the form of R. Bouckaert and E. Frank (2004)."""
    mine, theirs = DRAW.normal(1, 1, (5, 2)), np.zeros((5, 2))
    found = _folds(mine, theirs, sizes=(80, 20)).difference("dfa", "bp")
    plain = stats.t.interval(0.95, 4, found.mean, stats.sem(mine.mean(1)))
    assert (found.high - found.mean) == pytest.approx((plain[1] - found.mean) * np.sqrt(1 + 5 / 4))


def test_a_fold_in_which_a_seed_was_lost_counts_as_lost():
    study = _folds([[0.9, 0.8], [0.9, np.nan], [0.7, 0.9]], np.full((3, 2), 0.5), ACCURACY)
    assert study.difference("dfa", "bp").n == 2
    wins = study.across.wins("dfa", "bp")
    assert (wins.won, wins.of) == (2, 3)
    said = " ".join(sentences(study))
    assert "dfa lost 1 of 3 folds" in said and "dfa lost 1 of 2 seeds in fold-1" in said
    assert "correction of Nadeau and Bengio" in said and "2 folds" in said


def test_ranks_are_those_of_scipy():
    """Higher is better in some tasks, lower in others; equals share their ranks."""
    means = {"a": (ACCURACY, [0.9, 0.7, 0.9]), "b": (RMSE, [2.0, 3.0, 1.0]), "c": (LOSS, [1, 1, 1])}
    rules = ("bp", "frozen", "dfa")
    each = {
        task: {rule: (score, [v]) for rule, v in zip(rules, values, strict=True)}
        for task, (score, values) in means.items()
    }
    signs = {ACCURACY: -1, RMSE: 1, LOSS: 1}
    wanted = np.mean(
        [stats.rankdata(signs[score] * np.array(values)) for score, values in means.values()], 0
    )
    assert _study("task", each).ranks() == dict(zip(rules, wanted, strict=True))
    each["c"]["bp"] = (LOSS, [np.nan])
    assert _study("task", each).ranks()["bp"] == pytest.approx((1.5 + 2 + 3) / 3), "lost is last"


def test_the_critical_difference_is_that_of_the_published_table():
    """J. Demšar (2006), table 5: the quantiles of Nemenyi's test at 5 %, by how many rules."""
    for rules, quantile in {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 10: 3.164}.items():
        wanted = quantile * np.sqrt(rules * (rules + 1) / (6 * 12))
        assert critical_difference(rules, 12) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("tasks", [2, FEWEST_TASKS - 1, FEWEST_TASKS])
def test_few_tasks_say_nothing_of_others(tasks):
    each = {f"t{i}": {"bp": (ACCURACY, [0.9]), "dfa": (ACCURACY, [0.8])} for i in range(tasks)}
    said = " ".join(sentences(_study("task", each)))
    assert ("say nothing of other tasks" in said) == (tasks < FEWEST_TASKS)
    assert ("It tells bp from dfa" in said) == (tasks >= FEWEST_TASKS)
    assert stats.binomtest(FEWEST_TASKS, FEWEST_TASKS).pvalue < 0.05
    assert stats.binomtest(FEWEST_TASKS - 1, FEWEST_TASKS - 1).pvalue > 0.05


def test_tasks_have_no_mean():
    each = {"a": {"bp": (ACCURACY, [0.9])}, "b": {"bp": (RMSE, [0.9])}}
    with pytest.raises(BywayError, match="a mean over tasks"):
        _study("task", each).difference("bp", "bp")


@pytest.fixture(scope="module")
def folds():
    """Two folds in memory, never stopped."""
    return byway.compare(["frozen"], NET, byway.Data(X, Y), folds=2, **QUICK)


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on_to_the_same_bits(folds, tmp_path):
    """Stopped in the second fold, opened, and resumed by the same call; each run opens alone."""
    asked = {"task": byway.Data(X, Y), "folds": 2, "out": tmp_path / "cv", **QUICK}
    told = []

    def stop(label, reading):
        told.append(label)
        if label == "fold-2/frozen" and reading.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=f"byway resume {tmp_path / 'cv'}"):
        byway.compare(["frozen"], NET, on_epoch=stop, **asked)
    assert [*dict.fromkeys(told)] == ["fold-1/frozen", "fold-2/frozen"]
    half = byway.open(tmp_path / "cv", byway.Study)
    assert half.unfinished == ["fold-2, frozen"]
    assert half.report().is_file()
    study = byway.compare(["frozen"], NET, resume=True, **asked)
    there = byway.open(tmp_path / "cv", byway.Study)
    assert there.unfinished == [] and [*there.runs] == [*there.sizes] == ["fold-1", "fold-2"]
    for name, run in folds.runs.items():
        alone = byway.open(tmp_path / "cv" / name)
        assert alone.about["fold"] == f"{name[-1]}/2"
        for label, outcome in run.items():
            for held in (study.runs[name], there.runs[name], alone):
                np.testing.assert_array_equal(held[label].main, outcome.main)
    mean = np.mean([run["frozen"].main for run in folds.runs.values()], 1)
    np.testing.assert_array_equal(there.across["frozen"].main, mean)
    page = there.report().read_text(encoding="utf-8")
    assert 'href="fold-2/report.html"' in page
    assert (tmp_path / "cv" / "fold-2" / "report.html").is_file()
    with pytest.raises(RunError, match="holds the runs fold-1, fold-2"):
        byway.compare(["frozen"], NET, resume=True, **asked | {"folds": 3})
    with pytest.raises(RunError, match="exists"):
        byway.compare(["frozen"], NET, **asked)


def test_every_seed_of_every_run_is_a_row(folds):
    frame = folds.to_frame()
    assert [*frame["fold"].unique()] == ["fold-1", "fold-2"] and len(frame) == 2 * 2
    assert "fold-2" in repr(folds) and "fold-2: test accuracy" in folds._repr_html_()
    assert folds.sizes == {"fold-1": (16, 20), "fold-2": (16, 20)}


@pytest.mark.slow
def test_several_data_sets_from_the_command_line(tmp_path, monkeypatch, capsys):
    """A run for each, called as its file is; the study is listed, drawn again, and not branched."""
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=X, y=Y)
    np.savez("b.npz", x=X[:, :2], y=1 - Y)
    flags = ["--net.hidden", "3", "--epochs", "1", "--batch", "8", "--looks", "0", "--seeds", "2"]
    asked = ["compare", "--rules", "frozen", *flags, "--tasks", "a.npz,b.npz", "--out", "two"]
    assert main(asked) == 0
    assert "average" in capsys.readouterr().out
    study = byway.open("two", byway.Study)
    assert {name: run.task_id for name, run in study.runs.items()} == {"a": "a", "b": "b"}
    assert study.runs["b"]["frozen"].input_shape == [2]
    assert main(["runs", "two"]) == 0 and "two/a" in capsys.readouterr().out
    assert main(["report", "two"]) == 0 and main(["resume", "two"]) == 0
    assert "every run in two has finished" in capsys.readouterr().out
    with pytest.raises(RunError, match=r"byway\.Study"):
        byway.open("two")
    for argv in (["branch", "two"], asked):
        assert main(argv) == 2
    assert main(["resume", "two/b"]) == 0, "each is a run as any other"
    capsys.readouterr()
    # An index that names what is not in the folder, or is none.
    index = tmp_path / "two" / "study.json"
    held = json.loads(index.read_text(encoding="utf-8"))
    names = ("../two/a", "..", "", "/", "a/b")
    strange = [{**held, "runs": [{"name": name, "train": 1, "test": 1}]} for name in names]
    for broken in (*strange, {**held, "format": 2}, {}, [], 3, None):
        index.write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(RunError):
            byway.open("two", byway.Study)
        assert main(["report", "two"]) == 2 and main(["resume", "two"]) == 2


@pytest.mark.slow
def test_folds_from_the_command_line(tmp_path, monkeypatch, capsys):
    """Each run's settings say which fold it is, so that it can be run again alone."""
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=X, y=Y)
    flags = ["--net.hidden", "3", "--epochs", "1", "--batch", "8", "--looks", "0"]
    own = ["--task", "data", "--data.path", "a.npz", "--rule", "frozen"]
    assert main(["train", *own, *flags, "--folds", "2", "--out", "cv"]) == 0
    assert 'fold = "2/2"' in (tmp_path / "cv/fold-2/config.toml").read_text(encoding="utf-8")
    assert main(["train", "--config", "cv/fold-2/config.toml", "--out", "again"]) == 0
    one, other = (byway.open(run)["frozen"] for run in ("again", "cv/fold-2"))
    np.testing.assert_array_equal(one.main, other.main)


BAD = {
    "folds = 1": {"folds": 1},
    "folds = 2.0": {"folds": 2.0},
    "folds = True": {"folds": True},
    "a class has 20": {"folds": 21},
    "folds = 1000000": {"folds": 10**6},
    "mnist in folds": {"task": "mnist", "folds": 5},
    "of its fold 1/2": {"task": byway.Data(X, Y, fold="1/2"), "folds": 2},
    "data = {} beside folds": {"folds": 2, "data": {}},
    "tuned = ": {"folds": 2, "tuned": "nowhere"},
    "beside tasks": {"folds": 2, "tasks": ["digits", "copy"], "task": "digits"},
    "the tasks digits": {"tasks": ["digits"], "task": "digits"},
    "the tasks digits, digits": {"tasks": ["digits", "digits"], "task": "digits"},
    "tasks = 'digits,copy'": {"tasks": "digits,copy", "task": "digits"},
    "task = 'data'": {"tasks": ["digits", "copy"]},
    "copy": {"tasks": ["digits", "copy"], "task": "digits"},
    "rate of its own called 'a'": {"folds": 2, "rates": {"a": 0.1}},
}


@pytest.mark.parametrize("given", BAD)
def test_bad_studies_are_refused_before_anything_is_written(given, tmp_path):
    asked = {"task": byway.Data(X, Y), "out": tmp_path / "run", **QUICK, **BAD[given]}
    with pytest.raises(BywayError) as error:
        byway.compare(["bp"], NET, **asked)
    assert given in str(error.value)
    assert not (tmp_path / "run").exists()
