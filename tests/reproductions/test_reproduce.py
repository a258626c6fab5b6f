"""Published figures measured again: claims by hand, a tiny figure through the whole machinery, and
whether every file of ours says what it must.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

import byway
from byway.cli.main import main
from byway.core.errors import BywayError
from byway.core.registry import snake_case
from byway.experiment.networks import NetSettings
from byway.network.builders import topdown
from byway.pages.reproduction import MADE, renewed, reproduction_page, reproductions_page
from byway.pages.words import card
from byway.reproductions import REPRODUCTIONS
from byway.reproductions._claims import (
    TEST_ACCURACY,
    TEST_ERROR,
    Attains,
    Keeps,
    Measured,
    Reaches,
    Trails,
)
from byway.reproductions._forward_forward import WIDTH, optimiser
from byway.reproductions._reproduce import measured_again
from byway.reproductions._reproduction import Budget, Comparison
from byway.reproductions.forward_forward_recurrent_mnist import ForwardForwardRecurrentMnist
from byway.reproductions.perturbation_variance import of_groups, of_units

FIGURES = Path(__file__).parents[2] / "docs" / "figures.md"
OURS = [REPRODUCTIONS.get(name)() for name in REPRODUCTIONS.own()]
FAR = 1e3  # no accuracy and no error is so far from another


class Tiny(Comparison):
    """Digits, a moment of training."""

    quantity = TEST_ERROR
    claims = (Reaches("bp", 50.0, within=FAR),)
    budget, quick = Budget(2, 2, 0.1), Budget(1, 1, 0.05)

    def task(self):
        return byway.task("digits")

    def rules(self):
        return ("bp", "fa")

    def net(self):
        return NetSettings(hidden=(6,))

    def options(self, epochs):
        return {"batch": 100, "looks": 0}


class Missed(Tiny):
    """The same with a claim that nothing can meet."""

    claims = (Reaches("bp", 50.0, within=FAR), Reaches("fa", 50 + FAR, within=0.1))


@pytest.fixture(scope="module")
def whole():
    return byway.reproduce(Tiny(), progress=False)


@pytest.mark.slow
def test_the_numbers_are_those_of_a_comparison(whole):
    """The same rules by `compare`; an error is 100 less the accuracy in percent."""
    run = byway.compare(
        ["bp", "fa"], Tiny().net(), "digits", epochs=2, seeds=2, batch=100,
        looks=0, progress=False,
    )  # fmt: skip
    for rule in ("bp", "fa"):
        np.testing.assert_allclose(
            whole.measured.values[rule], 100 - 100 * run[rule].test["accuracy"], atol=1e-4
        )
    assert whole.run["fa"].seeds == [0, 1] and whole.measured.machine


def test_a_figure_holds_or_does_not(whole):
    assert whole.holds and "It holds" in str(whole)
    missed = Missed().judge(whole.measured.values)
    assert missed.holds is False
    assert "fa at 1050.00 %" in str(missed) and "bp" not in str(missed)


def test_a_quick_run_gives_no_verdict():
    quick = byway.reproduce(Tiny(), quick=True, progress=False)
    assert quick.verdict is None and quick.holds is None
    assert "No verdict: a quick run (1 epoch, 1 seed)" in str(quick)
    assert len(quick.measured.values["bp"]) == 1


def test_what_was_stopped_is_resumed(whole, tmp_path):
    """Stopped after the first rule; then that is left alone and the numbers are the same."""
    folder = tmp_path / "run"

    def stop(said):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="byway reproduce tiny --out"):
        measured_again(Tiny(), False, folder, say=stop)
    assert list(byway.open(folder).finished) == ["bp"]
    said = []
    again = measured_again(Tiny(), False, folder, say=said.append)
    assert [one.partition(" on ")[0] for one in said] == ["fa"]
    assert again.measured.values == whole.measured.values
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (about["reproduction"], about["quick"], about["verb"]) == ("tiny", False, "reproduce")
    for other, quick in ((Missed(), False), (Tiny(), True)):
        with pytest.raises(BywayError, match="holds another run"):
            byway.reproduce(other, quick=quick, out=folder)


@pytest.mark.slow
def test_jobs_in_other_processes_find_the_same_numbers(whole, tmp_path):
    found = byway.reproduce(Tiny(), out=tmp_path / "run", progress=False, jobs=2)
    assert found.measured.values == whole.measured.values


def test_jobs_where_there_can_be_none(tmp_path, capsys):
    with pytest.raises(BywayError, match="jobs = 2 without a run folder"):
        byway.reproduce(Tiny(), jobs=2)
    for argv, wanted in (
        (["perturbation-variance", "--jobs", "2"], "jobs of perturbation_variance"),
        (["--jobs", "0"], "--jobs without a figure"),
        (["akrout-mnist", "--jobs", "0"], "jobs = 0"),
    ):
        assert main(["reproduce", *argv]) == 2
        assert wanted in capsys.readouterr().err


def test_a_mean_is_held_against_a_number():
    """By hand: the mean of 1, 2 and 6 is 3, its deviation √7."""
    near, far = (Reaches("a", value, within=0.5).judge({"a": [1, 2, 6]}, TEST_ERROR)
                 for value in (3.5, 3.6))  # fmt: skip
    assert near.holds and not far.holds
    assert near.measured == f"3.00 ± {np.sqrt(7):.2f}" and far.why == "0.60 away, 0.50 allowed"
    lost = Reaches("a", 3.0, within=9.0).judge({"a": [3.0, np.nan]}, TEST_ERROR)
    assert lost.holds is False and lost.why == "1 of 2 seeds were lost"


@pytest.mark.parametrize(("quantity", "sign"), [(TEST_ERROR, 1), (TEST_ACCURACY, -1)])
def test_a_mark_is_met_from_the_better_side(quantity, sign):
    """By hand: the mean of 1, 2 and 6 is 3; an error is met by what is larger, an accuracy not."""
    held = {"a": [1.0, 2.0, 6.0]}
    better, worse = (Attains("a", 3 + sign * by).judge(held, quantity) for by in (0.25, -0.25))
    assert better.holds and better.why == "0.25 better"
    assert not worse.holds and worse.why == "0.25 short of it"
    assert Attains("a", 3.0).judge(held, quantity).holds
    side = {1: "at most", -1: "at least"}[sign]
    assert better.claimed == f"a {side} {3 + sign * 0.25:.2f} %"
    assert Attains("a", 3.0).judge({"a": [3.0, np.nan]}, quantity).why == "1 of 2 seeds were lost"


@pytest.mark.parametrize(("quantity", "sign"), [(TEST_ERROR, 1), (TEST_ACCURACY, -1)])
def test_what_falls_behind_does_so_by_enough_and_beyond_doubt(quantity, sign):
    """Errors that are larger, accuracies that are smaller; the interval is scipy's."""
    best, gaps = np.array([10.0, 11.0, 12.0]), np.array([3.0, 4.0, 5.0])
    values = {"a": (best + sign * gaps).tolist(), "b": best.tolist()}
    low, high = stats.t.interval(0.95, 2, gaps.mean(), stats.sem(gaps))
    found = Trails("a", behind="b", by=9.0, least=4.0).judge(values, quantity)
    assert found.holds and found.measured == f"4.00 ({low:.2f} to {high:.2f})"
    assert found.claimed == "a behind b by 9.00"
    assert Trails("a", "b", None, least=4.0).said(quantity) == "a behind b"
    assert Trails("a", "b", 9.0, least=4.1).judge(values, quantity).holds is False
    assert Trails("b", "a", 9.0, least=-9.0).judge(values, quantity).holds is False
    one = {name: held[:1] for name, held in values.items()}
    assert Trails("a", "b", 9.0, least=1.0).judge(one, quantity).holds is None


@pytest.mark.parametrize(("quantity", "sign"), [(TEST_ERROR, 1), (TEST_ACCURACY, -1)])
def test_what_keeps_up_may_be_behind_by_so_much_on_average(quantity, sign):
    """Gaps of 1, 2 and 3, to the worse side."""
    best = np.array([10.0, 11.0, 12.0])
    values = {"a": (best + sign * np.array([1.0, 2.0, 3.0])).tolist(), "b": best.tolist()}
    found = Keeps("a", up="b", within=2.0).judge(values, quantity)
    assert found.holds and found.measured == "2.00 ± 1.00 behind"
    assert Keeps("a", up="b", within=1.9).judge(values, quantity).holds is False
    assert Keeps("b", up="a", within=0.0).judge(values, quantity).holds
    lost = values | {"a": [10.0, 11.0, np.nan]}
    assert Keeps("a", up="b", within=FAR).judge(lost, quantity).holds is False


def test_the_law_of_perturbation():
    """A + 2 for A units, or for groups of A: the fourth moment of a normal distribution. The
    standard error of 2^14 draws is √304 / 2^7 at A = 8, of one group; of several it is less.
    """
    wanted, error = 8 + 2, np.sqrt(3 * (8 + 4) * (8 + 6) - (8 + 2) ** 2) / 2**7
    assert abs(of_units(8, 2**14, 0) - wanted) < 4 * error
    assert abs(of_groups(8, 2**14, 0) - wanted) < 4 * error


@pytest.mark.parametrize("one", OURS, ids=lambda one: one.id)
def test_a_file_says_all_that_it_must(one):
    about, module = card(type(one)), sys.modules[type(one).__module__]
    assert module.__name__.rpartition(".")[2] == one.id == snake_case(type(one).__name__)
    assert about.headline and {"Source", "Verified"} <= about.facts.keys()
    assert one.claims and all(one.settings().values())
    for quick in (False, True):
        assert one.cost(quick)[0]
    if isinstance(one, Comparison):
        names = {name for claim in one.claims for name in claim.names}
        assert names <= set(one.settings()["rules"].split(", "))
    page = reproduction_page(one)
    assert page.startswith(f"# {one.id}\n") and "**Source.**" in page
    if one.measured is None:
        assert one.status == "not measured yet" and one.status in page and "Miss" not in about.facts
        return
    kept = isinstance(one.measured, Measured) and one.measured.machine and one.measured.when
    assert kept and one.judge(one.measured.values).findings
    assert ("Miss" in about.facts) == (one.status != "holds"), "a miss has its reason"


def test_the_figures_are_made_from_the_files():
    text = FIGURES.read_text(encoding="utf-8")
    assert MADE in text
    assert renewed(text, OURS) == text, "run 'python docs/made.py'"


def test_the_list_names_every_figure_with_its_status(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["reproduce"]) == 0
    said = capsys.readouterr().out
    for one in OURS:
        line = next(line for line in said.splitlines() if line.startswith(f"{one.id} "))
        assert one.status in line and one.cost()[0] in line
    page = reproductions_page(OURS)
    assert all(f"](reproductions/{one.id}.md)" in page for one in OURS)


def test_a_figure_of_a_users_file_from_the_command_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        '"""A figure of mine."""\n'
        "from reproductions.test_reproduce import Tiny\n\n"
        "class Mine(Tiny):\n    pass\n",
        encoding="utf-8",
    )
    assert main(["reproduce", "mine.py:Mine", "--quick"]) == 0
    said = capsys.readouterr().out
    assert "A figure of mine." in said and "No verdict" in said
    assert Path("runs/mine-quick/report.html").is_file()
    assert main(["resume", "runs/mine-quick"]) == 2
    assert "byway reproduce mine --out runs/mine-quick" in capsys.readouterr().err


def test_a_figure_that_there_is_not_names_the_nearest(capsys):
    for argv, near in ((["akrout-mnist-2"], "akrout_mnist"), (["akrout_mnits"], "akrout_mnist")):
        assert main(["reproduce", *argv]) == 2
        assert f"did you mean '{near}'" in capsys.readouterr().err
    assert REPRODUCTIONS.get("akrout-mnist") is REPRODUCTIONS.get("akrout_mnist")
    assert main(["reproduce", "--quick"]) == 2
    assert main(["reproduce", "perturbation-variance", "--quick", "--out", "x"]) == 2


@pytest.mark.slow
def test_recurrent_layers_learn_at_the_rate_of_their_figure_and_fall_silent_at_four_times_that():
    """On digits, with a tenth of the units and ten times the rate: what counts is their product."""
    task, units = byway.task("digits"), 200
    net = topdown(task.input_shape, *[units] * 3, task.outputs, norm=True)
    x, _ = task.batch(task.load()["validation"], np.arange(100), jax.random.key(0))
    rule, silent, accuracy = byway.rule("ff_recurrent"), [], []
    for times in (1, 4):
        rate = times * ForwardForwardRecurrentMnist.rate * WIDTH / units
        given = optimiser(8 * 14, rate)
        result = byway.fit(net, rule, task, epochs=8, batch=100, seeds=1, looks=0, optimiser=given)
        free = rule.f({}, result.learner().net, (), x, None, jax.random.key(0))[1]["free"]
        silent.append(np.mean(np.asarray(free.post["hidden1"]).max(0) <= 0))
        accuracy.append(result.test["accuracy"].item())
    assert accuracy[0] > 0.8 and silent[0] < 0.4
    assert accuracy[1] < 0.3 and silent[1] > 0.8
