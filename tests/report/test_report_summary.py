"""The comparison table against numbers worked out elsewhere."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from byway.core.score import ACCURACY, LOSS, RMSE
from byway.report.page import write_page
from byway.report.table import Table, signed, size
from byway.report.words import reading
from byway.runs.folder import read
from byway.runs.outcomes import Outcomes
from byway.runs.statistics import (
    Interval,
    Wins,
    difference,
    mean_and_spread,
    paired_interval,
    sampling_error,
    wins,
)
from byway.training.outcome import Outcome


def test_interval_of_students_sleep_data():
    # Student, The probable error of a mean, 1908; R documents t.test(extra ~ group, paired) as 1.58
    # (0.7001142, 2.4598858).
    got = paired_interval(np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]))
    assert (got.mean, got.low, got.high, got.n) == (
        pytest.approx(1.58),
        pytest.approx(0.7001142),
        pytest.approx(2.4598858),
        10,
    )


@pytest.mark.parametrize("n", [2, 3, 8, 32])
def test_interval_is_scipys(n):
    a, b = np.random.default_rng(n).normal(size=(2, n))
    want = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
    got = paired_interval(a - b)
    assert (got.low, got.high) == (pytest.approx(want.low), pytest.approx(want.high))


def test_one_pair_has_no_interval():
    assert paired_interval(np.array([1.0])) is None


def test_mean_and_spread_leave_out_what_is_not_finite():
    mean, spread = mean_and_spread(
        np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan], [np.nan, np.inf, np.nan]])
    )
    np.testing.assert_allclose(mean, [2.0, 5.0, np.nan])
    np.testing.assert_allclose(spread, [math.sqrt(2), np.nan, np.nan])


# By hand. One of 400 test images is a quarter of a point; the two roundings of a difference have
# the variance of a sixth of its square. Student's t with 2 degrees of freedom is 4.302653, and with
# one it is Cauchy, of which 97.5 % are below tan(0.475 pi).
ROUNDING = 0.25**2 / 6


def half(variance, n):
    return {2: math.tan(math.pi * 0.475), 3: 4.302653}[n] * math.sqrt((variance + ROUNDING) / n)


def test_the_table_by_hand(folder):
    rows = Table(read(folder)).rows
    assert list(rows) == ["bp", "frozen", "dfa"]
    bp, frozen, dfa = rows.values()
    assert (bp.main.mean, bp.main.deviation, bp.survived, bp.difference, bp.wins) == (
        pytest.approx(92),
        pytest.approx(2),
        3,
        None,
        Wins(3, 3),
    )
    assert (frozen.main.mean, frozen.main.deviation, frozen.means, frozen.wins) == (
        pytest.approx(80),
        pytest.approx(0),
        {},
        None,
    )
    assert (frozen.difference.mean, frozen.difference.n) == (pytest.approx(-12), 3)
    assert frozen.difference.high == pytest.approx(-12 + half(4, 3), abs=1e-5)
    # dfa by seed: 87 and 92 against 90 and 92, so -3 and 0; seed 2 failed. That seed is no win.
    assert (dfa.main.mean, dfa.survived, dfa.seeds, dfa.wins) == (
        pytest.approx(89.5),
        2,
        3,
        Wins(2, 3),
    )
    assert (dfa.difference.low, dfa.difference.high) == (
        pytest.approx(-1.5 - half(4.5, 2)),
        pytest.approx(-1.5 + half(4.5, 2)),
    )
    (angle,) = dfa.means.values()  # of 60 and 80; the output's 1 degree does not count
    assert angle == pytest.approx(70)
    assert [metric.name for metric in dfa.means] == ["angle"]


def test_the_table_in_words(folder):
    table = Table(read(folder))
    cells = {
        label: {column.heading: column.cell(row) for column in table.columns.values()}
        for label, row in table.rows.items()
    }
    assert cells["bp"] == {
        "rule": "bp",
        "test accuracy [%]": "92.00 ± 2.00",
        "difference to bp [points]": "baseline",
        "beats frozen [seeds]": "3 of 3",
        "test loss": "1.00 ± 0.00",
        "training time [s]": "1.25",
        "memory of a step": "474 kB",
        "angle to the true gradient [°]": "0.0",
        "transport": "yes",
        "locking": "yes",
        "derivative": "yes",
        "signal": "error",
    }
    assert table.cell("frozen", "beats frozen") == "control"
    none = ("angle to the true gradient", "transport", "signal")  # no audit of it in this folder
    assert [table.cell("frozen", name) for name in none] == ["–"] * 3
    compared = ("test accuracy", "difference to bp", "beats frozen")  # 1.5 ± 19.0823
    assert [table.cell("dfa", name) for name in compared] == [
        "89.50 ± 3.54 (2 of 3 seeds)",
        "−1.50 (−20.58 to +17.58)",
        "2 of 3",
    ]
    assert table.cell("dfa", "angle to the true gradient") == "70"
    assert table.cell("dfa", "transport") == "no" and table.cell("dfa", "training time") == "3.75"


def test_balanced_accuracy_is_a_column_where_classes_are_imbalanced(with_classes, edit, file_of):
    table = Table(read(with_classes))
    assert table.cell("dfa", "test balanced accuracy") == "77.5 ± 5.9"
    assert table.cell("frozen", "test balanced accuracy") == "–"
    for rule in ("bp", "dfa"):
        with edit(file_of(rule, "outcome.json")) as outcome:
            outcome["test_classes"] = [150, 149, 101]
    assert "test balanced accuracy" not in Table(read(with_classes)).columns


def test_the_reading(folder):
    """12 ± 4.97474. Of 400 images and an accuracy of 80 % one standard error is the root of
    0.8 * 0.2 / 400, 2 points.
    """
    assert reading(Table(read(folder))) == [
        "bp beats the frozen control on every seed; dfa on 2 of 3.",
        "Backprop’s test accuracy is 92.0 %.",
        "Behind it, with 95 % intervals: frozen by 12.00 points (7.03 to 16.97).",
        "Not told apart from it: dfa (on the 2 of 3 seeds that it finished).",
        "The test split has 400 samples, so of its accuracy one standard error is up to 2.0 "
        "points, whatever the seeds.",
        "dfa lost 1 of 3 seeds: the means and intervals are of the seeds that finished.",
    ]


def test_the_reading_without_baseline_and_control(folder):
    run = read(folder)
    dfa = Outcomes({"dfa": run["dfa"]})
    assert reading(Table(dfa))[:2] == [
        "No rule can be held against the frozen control here, so nothing shows whether hidden "
        "layers learnt anything.",
        "Backprop has no result here, so there is no distance to it.",
    ]


def test_in_time_backprop_is_bptt(folder):
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".toml"):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace('"bp"', '"bptt"').replace('"bp,', '"bptt,'), "utf-8")
    run = read(folder)
    table = Table(run)
    assert table.baseline == run.baseline == "bptt"
    assert table.columns["difference to bptt"].heading == "difference to bptt [points]"
    assert table.cell("bptt", "difference to bptt") == "baseline"
    assert table.rows["frozen"].difference.mean == pytest.approx(-12)
    two = Outcomes({label: run[label] for label in ("bptt", "frozen")})
    assert reading(Table(two))[1] == "Backprop’s test accuracy is 92.0 %."
    page = write_page(run, folder / "report.html").read_text(encoding="utf-8")
    assert "test accuracy minus that of bptt" in page and "difference to bptt" in page


def test_the_reading_when_the_control_wins(folder):
    table = Table(read(folder))
    table.rows["dfa"] = dataclasses.replace(
        table.rows["dfa"], wins=Wins(1, 3), difference=Interval(2.0, 1.0, 3.0, 3)
    )
    said = reading(table)
    assert said[0] == "bp beats the frozen control on every seed; dfa on 1 of 3."
    assert (
        "Ahead of it, with 95 % intervals: dfa (on the 2 of 3 seeds that it finished) by 2.00 "
        "points (1.00 to 3.00)." in said
    )
    table.rows["bp"] = dataclasses.replace(table.rows["bp"], wins=Wins(0, 3))
    assert reading(table)[0].startswith(
        "No rule beats the frozen control on every seed: bp on 0 of 3"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(-1.234, "−1.23"), (0.5, "+0.50"), (-0.001, "0.00"), (0.0, "0.00")]
)
def test_signed(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999 B"),
        (474228, "474 kB"),
        (999_999, "1 MB"),
        (7_060_000, "7.06 MB"),
        (3 * 10**9, "3 GB"),
    ],
)
def test_size(count, text):
    assert size(count) == text


def test_a_tie_with_the_control_is_no_win(folder, file_of, edit):
    with edit(file_of("dfa", "outcome.json")) as held:
        held["test"]["accuracy"] = [0.87, 0.8, None]
    assert Table(read(folder)).rows["dfa"].wins == Wins(1, 3)


def outcome(values, seeds=None, size=400, score=ACCURACY, rule="mine", **more):
    seeds = [*range(len(values))] if seeds is None else seeds
    return Outcome(
        label=rule,
        rule_id=rule,
        task_id="digits",
        seeds=seeds,
        scores=(score,),
        test={score.name: np.array(values, float)},
        test_size=size,
        **more,
    )


def run_of(**finished):
    """Each rule held against frozen."""
    made = {
        label: outcome(values, rule=label, control=None if label == "frozen" else "frozen")
        for label, values in finished.items()
    }
    return Outcomes(made)


def test_pairs_are_of_the_same_seed_wherever_it_stands():
    """Seeds 1, 2, 3 of one against 3, 1, 0 of the other: 0.5 - 0.2 and 0.9 - 0.4."""
    one = outcome([0.5, 0.7, 0.9], [1, 2, 3], score=LOSS)
    other = outcome([0.4, 0.2, 0.1], [3, 1, 0], score=LOSS)
    got = difference(one, other, LOSS)
    want = scipy.stats.ttest_rel([0.5, 0.9], [0.2, 0.4]).confidence_interval(0.95)
    assert (got.mean, got.n) == (pytest.approx(0.4), 2)
    assert (got.low, got.high) == (pytest.approx(want.low), pytest.approx(want.high))
    assert wins(one, other, LOSS) == Wins(0, 2) and wins(other, one, LOSS) == Wins(2, 2)
    assert difference(one, outcome([0.1], [1], score=LOSS), LOSS) is None


@pytest.mark.parametrize(("size", "other"), [(100, 100), (360, 10_000), (10_000, 360)])
def test_two_seeds_that_agree_leave_no_interval_of_width_zero(size, other):
    """On N images an accuracy moves in steps of 1/N: what seems the same may differ by a step."""
    one, two = outcome([0.9, 0.8], size=size), outcome([0.85, 0.75], size=other)
    got = difference(one, two, ACCURACY)
    step = 100 / min(size, other)
    wanted = scipy.stats.t(1).ppf(0.975) * math.sqrt(step**2 / 6 / 2)
    assert (got.mean, got.high - got.mean) == (pytest.approx(5), pytest.approx(wanted))


def test_where_nothing_tells_how_far_others_would_lie_there_is_no_interval():
    one, two = outcome([0.9, 0.8], score=RMSE), outcome([0.9, 0.8], score=RMSE)
    assert difference(one, two, RMSE) is None
    assert paired_interval(np.array([1.0, 1.0, 1.0])) is None
    assert difference(outcome([0.9, 0.8], size=0), outcome([0.9, 0.8], size=0), ACCURACY) is None


@pytest.mark.parametrize(("p", "n"), [(0.5, 100), (0.9, 360), (0.98, 10_000)])
def test_the_sampling_error_is_that_of_a_share(p, n):
    """Of a binomial: the root of p (1 - p) / n, by hand and by scipy."""
    got = sampling_error(outcome([p - 0.01, p + 0.01, np.nan], size=n))
    assert got == pytest.approx(100 * math.sqrt(p * (1 - p) / n))
    assert got == pytest.approx(100 * scipy.stats.binom(n, p).std() / n)
    assert sampling_error(outcome([p], size=0)) is None
    assert sampling_error(outcome([p], size=n, score=LOSS)) is None
    assert sampling_error(outcome([np.nan], size=n)) is None


def test_seeds_that_were_lost_count_as_lost():
    """Three of five diverged, and the two that are left beat the control."""
    nan = np.nan
    mine = [0.95, nan, nan, nan, 0.96]
    table = Table(run_of(bp=[0.9, 0.91, 0.9, 0.92, 0.9], frozen=[0.8] * 5, mine=mine))
    assert table.rows["mine"].wins == Wins(2, 5)
    assert table.cell("mine", "beats frozen") == "2 of 5"
    said = reading(table)
    assert said[0] == "bp beats the frozen control on every seed; mine on 2 of 5."
    assert "mine lost 3 of 5 seeds" in said[-1]
    alone = reading(Table(run_of(frozen=[0.8] * 5, mine=mine)))
    assert alone[0] == "No rule beats the frozen control on every seed: mine on 2 of 5."


# What would be a claim.
CLAIMS = ("beat", "every seed", "Behind", "Ahead", "told apart", "intervals:")


@pytest.mark.parametrize("mine", [[0.95], [0.5], [np.nan]])
def test_nothing_is_claimed_from_one_seed(mine):
    table = Table(run_of(bp=[0.9], frozen=[0.8], mine=mine))
    said = " ".join(reading(table))
    assert not any(claim in said for claim in CLAIMS), said
    assert "One seed shows nothing: it may be luck." in said
    assert "With fewer than two seeds in common there is no interval" in said
    assert all(row.difference is None for row in table.rows.values())


def test_nothing_is_claimed_from_one_seed_that_is_left_in_common():
    """Many seeds each, of which two rules share one: wins of one are no wins on every seed."""
    made = {
        "bp": outcome([0.9, 0.9, 0.9], [0, 1, 2], rule="bp", control="frozen"),
        "frozen": outcome([0.8, 0.8, 0.8], [0, 1, 2], rule="frozen"),
        "mine": outcome([0.95, 0.96], [2, 3], control="frozen"),
    }
    said = reading(Table(Outcomes(made)))
    assert said[0] == "bp beats the frozen control on every seed; mine on 1 of 1."


def test_a_rule_is_held_against_the_control_in_its_own_network():
    """ff does better than frozen layers in the network of the others, and worse than in its own."""
    made = {
        "bp": outcome([0.9, 0.91], rule="bp", control="frozen"),
        "frozen": outcome([0.8, 0.8], rule="frozen"),
        "ff": outcome([0.85, 0.86], rule="ff", control="frozen@ff"),
    }
    own = outcome([0.88, 0.87], rule="frozen")
    made["frozen@ff"] = dataclasses.replace(own, label="frozen@ff")
    table = Table(Outcomes(made))
    assert table.rows["ff"].wins == Wins(0, 2) and table.cell("ff", "beats frozen") == "0 of 2"
    assert table.rows["ff"].control == "frozen@ff" and table.rows["frozen@ff"].wins is None
    assert table.cell("frozen@ff", "beats frozen") == "control"
    said = reading(table)
    assert said[0] == "bp beats the frozen control on every seed; ff on 0 of 2."
    assert "ff against frozen@ff" in said[1] and "frozen@ff by" not in " ".join(said[2:])
    without = Outcomes({label: one for label, one in made.items() if label != "frozen@ff"})
    assert Table(without).rows["ff"].wins is None
