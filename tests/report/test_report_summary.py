"""The comparison table against numbers worked out elsewhere."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from byway.report.page import write_page
from byway.report.run import read_run
from byway.report.summary import (
    Interval,
    Wins,
    columns,
    compare,
    mean_and_spread,
    paired_interval,
    signed,
    size,
)
from byway.report.words import reading


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


def test_the_table_by_hand(folder):
    bp, frozen, dfa = compare(read_run(folder))
    assert (bp.main.mean, bp.main.deviation, bp.survived, bp.difference, bp.wins) == (
        pytest.approx(92),
        pytest.approx(2),
        3,
        None,
        Wins(3, 3),
    )
    assert (frozen.main.mean, frozen.main.deviation, frozen.angle, frozen.wins) == (
        pytest.approx(80),
        pytest.approx(0),
        None,
        None,
    )
    assert (frozen.difference.mean, frozen.difference.n) == (pytest.approx(-12), 3)
    # dfa by seed: 87 and 92 against 90 and 92, so -3 and 0; seed 2 failed. One degree of freedom is
    # the Cauchy distribution.
    half = math.tan(math.pi * 0.475) * (3 / math.sqrt(2)) / math.sqrt(2)
    # The seed that was lost is no win.
    assert (dfa.main.mean, dfa.survived, dfa.seeds, dfa.wins) == (
        pytest.approx(89.5),
        2,
        3,
        Wins(2, 3),
    )
    assert (dfa.difference.low, dfa.difference.high) == (
        pytest.approx(-1.5 - half),
        pytest.approx(-1.5 + half),
    )
    assert dfa.angle == pytest.approx(70)  # of 60 and 80; the output's 1 degree does not count
    assert (dfa.seconds, dfa.step_bytes, dfa.transport, dfa.locking, dfa.signal) == (
        3.75,
        474228,
        "no",
        "yes",
        "error",
    )
    assert frozen.transport is None  # no audit of it in this folder


def test_the_table_in_words(folder):
    rows = compare(read_run(folder))
    bp, frozen, dfa = ([column.cell(row) for column in columns(rows)] for row in rows)
    assert bp[:8] == [
        "bp",
        "92.00 ± 2.00",
        "baseline",
        "3 of 3",
        "1.00 ± 0.00",
        "1.25",
        "474 kB",
        "0",
    ]
    assert frozen[3] == "control"
    assert dfa[1:4] == ["89.50 ± 3.54 (2 of 3 seeds)", "−1.50 (−20.56 to +17.56)", "2 of 3"]


def test_the_reading(folder):
    assert reading(compare(read_run(folder))) == [
        "bp beats the frozen control on every seed; dfa on 2 of 3.",
        "Backprop’s test accuracy is 92.0 %.",
        "Behind it, with 95 % intervals: frozen by 12.00 points (7.03 to 16.97).",
        "Not told apart from it: dfa (on the 2 of 3 seeds that it finished).",
        "dfa lost 1 of 3 seeds: the means and intervals are of the seeds that finished.",
    ]


def test_the_reading_without_baseline_and_control(folder):
    dfa = compare(read_run(folder))[2:]
    assert reading(dfa)[1] == "Backprop has no result here, so there is no distance to it."


def test_in_time_backprop_is_bptt(folder):
    for path in folder.iterdir():
        if path.suffix in (".json", ".jsonl", ".toml"):
            path.write_text(path.read_text().replace('"bp"', '"bptt"').replace('"bp,', '"bptt,'))
    run = read_run(folder)
    bptt, frozen, _ = rows = compare(run)
    difference = columns(rows)[2]
    assert (
        difference.heading == "difference to bptt [points]" and difference.cell(bptt) == "baseline"
    )
    assert frozen.difference.mean == pytest.approx(-12)
    assert reading([bptt, frozen])[1] == "Backprop’s test accuracy is 92.0 %."
    page = write_page(folder).read_text()
    assert "test accuracy minus that of bptt" in page and "difference to bptt" in page


def test_the_reading_when_the_control_wins(folder):
    bp, frozen, dfa = compare(read_run(folder))
    dfa = dataclasses.replace(
        dfa, wins=Wins(1, 3), difference=Interval(2.0, 1.0, 3.0, 3), survived=3
    )
    said = reading([bp, frozen, dfa])
    assert said[0] == "bp beats the frozen control on every seed; dfa on 1 of 3."
    assert "Ahead of it, with 95 % intervals: dfa by 2.00 points (1.00 to 3.00)." in said
    assert reading([dataclasses.replace(bp, wins=Wins(0, 3)), frozen, dfa])[0].startswith(
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


def test_a_tie_with_the_control_is_no_win(folder):
    path = folder / "results.json"
    path.write_text(path.read_text().replace("[0.92, 0.87, null]", "[0.8, 0.87, null]"))
    assert compare(read_run(folder))[2].wins == Wins(1, 3)
