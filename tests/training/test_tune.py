"""The search, on scores whose best is known; trials side by side, which are those of `fit`; and the
verb.
"""

import dataclasses
import json
import math
import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import byway
from byway.cli.main import main
from byway.core.errors import RunError
from byway.core.hyper import hyper, hypers
from byway.core.score import ACCURACY, LOSS
from byway.learning.rule import Update
from byway.network.builders import mlp
from byway.rules import RULES
from byway.rules.backprop.bp import BP
from byway.rules.energy.pc import PC
from byway.rules.local.ff import FF
from byway.rules.perturbation.node_perturbation import NodePerturbation
from byway.training import abreast
from byway.training.abreast import validated
from byway.training.plan import Plan
from byway.training.result import judged
from byway.training.step import GAMMA, WEIGHTS, branch
from byway.training.tune import Range, search, space, start
from byway.verify.case import with_calls_of_f

SMALL = ["--rules", "dfa,frozen", "--epochs", "1", "--seeds", "2", "--net.hidden", "6"]


def peak(values):
    """Highest at lr = 3e-3 and peer = 0.1: one minus the squared distance in decades."""
    return 1 - math.log10(values["lr"] / 3e-3) ** 2 / 4 - math.log10(values["peer"] / 0.1) ** 2 / 4


def each(score):
    """Of one trial -> of several."""
    return lambda trials: [score(values) for values in trials]


def test_it_finds_the_top_of_a_hill(tmp_path):
    seen = []
    found = search(
        FF(),
        each(peak),
        40,
        tmp_path / "ff.jsonl",
        on_trial=lambda number, value: seen.append((number, value)),
    )
    assert [number for number, _ in seen] == [*range(1, 41)] and found.trials == 40
    assert seen[0][1] == found.start == peak(start(FF()))
    assert found.score == max(value for _, value in seen) > 0.97 > found.start
    assert (
        abs(math.log10(found.values["lr"] / 3e-3)) < 0.3
        and abs(math.log10(found.values["peer"] / 0.1)) < 0.3
    )


def test_it_goes_on_as_if_it_had_not_been_stopped(tmp_path):
    def killed(trials):
        killed.rounds -= 1
        if killed.rounds < 0:
            raise KeyboardInterrupt
        return each(peak)(trials)

    killed.rounds = 1
    whole = search(FF(), each(peak), 12, tmp_path / "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        search(FF(), killed, 12, tmp_path / "cut.jsonl")
    again = []
    assert (
        search(
            FF(),
            lambda trials: again.extend(trials) or each(peak)(trials),
            12,
            tmp_path / "cut.jsonl",
        )
        == whole
    )
    assert len(again) == 7
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert (
        search(
            FF(), lambda trials: pytest.fail("nothing is left to do"), 12, tmp_path / "cut.jsonl"
        )
        == whole
    )


@pytest.mark.parametrize("kept", [0, 1, 4, 5, 8, 11])
@pytest.mark.parametrize("torn", ["", '{"values": {"lr": 0.0'])
def test_a_file_cut_anywhere_is_gone_on_with(tmp_path, kept, torn):
    """In mid-round too, and in a line that was being written."""
    whole = search(FF(), each(peak), 12, tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:kept]) + torn)
    assert search(FF(), each(peak), 12, tmp_path / "cut.jsonl") == whole
    assert (tmp_path / "cut.jsonl").read_text() == "".join(lines)


def test_less_may_be_better(tmp_path):
    found = search(
        FF(),
        each(lambda values: math.nan if values["lr"] > 0.005 else -peak(values)),
        30,
        tmp_path / "ff.jsonl",
        higher=False,
    )
    assert found.score == -peak(found.values) < found.start and found.values["lr"] <= 0.005
    assert '"score": null' in (tmp_path / "ff.jsonl").read_text()


def test_where_nothing_is_better_the_rule_stays_as_it_stands(tmp_path):
    found = search(PC(), each(lambda values: 0.5), 6, tmp_path / "pc.jsonl")
    assert found.values == start(PC()) == {"lr": 1e-3, "steps": 20, "rate": 0.05, "precision": 1.0}


def test_a_trial_that_failed_is_no_best(tmp_path):
    found = search(
        BP(),
        each(lambda values: math.nan if values["lr"] > 1e-3 else 0.1),
        8,
        tmp_path / "bp.jsonl",
    )
    assert found.score == 0.1 and found.values["lr"] <= 1e-3


def test_what_is_searched_is_what_the_fields_declare():
    class Searched(BP):
        learning_rate = 0.2
        depth: int = hyper(3, "a whole number", search=(1, 4))
        left: float = hyper(1.0, "no range")

    assert space(Searched()) == {"lr": Range(0.02, 2.0), "depth": Range(1, 4, whole=True)}
    assert (space(Searched())["lr"].log, space(Searched())["depth"].log, Range(0.0, 5.0).log) == (
        True,
        False,
        False,
    )
    assert space(Searched(), 1.0)["lr"] == Range(0.1, 10.0)
    assert space(Searched(depth=9))["depth"] == Range(1, 9, whole=True), "what stands is tried too"


@pytest.mark.parametrize("name", RULES.ids())
def test_every_range_lies_within_what_is_allowed_and_holds_the_default(name):
    rule = byway.rule(name)
    for field in hypers(type(rule)):
        if (search := field.metadata["search"]) is not None:
            assert search[0] <= getattr(rule, field.name) <= search[1]
            for value in search:
                byway.rule(name, **{field.name: value})


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{]\n",
        '{"values": {"lr": 0.1, "peer": 1.0}, "score": 0.5}\n',
        '{"op_code": 0}\n',
        "[1]\n",
    ],
)
def test_a_file_that_is_no_search(tmp_path, content):
    if content is None:
        (tmp_path / "bp.jsonl").mkdir()
    else:
        (tmp_path / "bp.jsonl").write_text(content)
    with pytest.raises(RunError, match="cannot be used"):
        search(BP(), each(lambda values: 0.0), 1, tmp_path / "bp.jsonl")


class Breaking(BP):
    """A test rule that makes NaN of seed 1 from its third update on, if it is told to."""

    harm: float = hyper(0.0, "whether it does", low=0.0)

    def init(self, net, key):
        mine = jax.random.key_data(branch(jax.random.key(1), GAMMA))
        return jnp.where(jnp.all(jax.random.key_data(key) == mine), 1.0, 0.0)

    def start(self, gamma, net, batch):
        return net.rest(batch), jnp.zeros((), int)

    def g(self, gamma, net, memory, record, signal):
        _, update = super().g(gamma, net, (), record, signal)
        factor = jnp.where((gamma * self.harm > 0) & (memory >= 2), jnp.nan, 1.0)
        return memory + 1, Update(jax.tree.map(lambda a: factor * a, update.net))


def _plan(task, **change):
    given = {"epochs": 3, "batch": 5, "seeds": 2, "first_seed": 0, "looks": 0} | change
    return given, Plan(task, given)


def _by_fit(net, rule, rate, task, given):
    return byway.fit(net, rule, task, **given | {"lr": rate}, progress=False)


CASES = {
    "numbers": [
        (NodePerturbation(sigma=s), rate) for s, rate in ((0.01, 1e-2), (0.3, 1e-2), (0.3, 0.2))
    ],
    "shapes": [(PC(steps=n, rate=r), 1e-2) for n, r in ((3, 0.1), (5, 0.1), (3, 0.3))],
    "lost seeds": [(Breaking(harm=h), 1e-2) for h in (0.0, 1.0)],
}


@pytest.mark.parametrize("case", some(list(CASES), 1))
def test_trials_side_by_side_are_trainings_by_fit(blobs, case):
    class ByLoss(type(blobs)):
        """Judged by a number that shows every change of a weight."""

        scores = (LOSS, ACCURACY)

    blobs, net = ByLoss(), mlp(4, 6, 3, activation="tanh")
    given, options = _plan(blobs, optimiser="sgd")
    rules, rates = zip(*CASES[case], strict=True)
    together = validated(net, rules, rates, blobs, blobs.load(), options)
    alone = [_by_fit(net, rule, rate, blobs, given) for rule, rate in CASES[case]]
    np.testing.assert_allclose(together, [result.validated for result in alone], rtol=1e-12)
    # Nobody takes this from the code under test: networks after training, on the validation split,
    # by NumPy.
    split = blobs.load()["validation"]
    for found, result in zip(together, alone, strict=True):
        right = []
        for i in range(2):
            net_i = (
                result.learner(i).net
                if i not in result.failures
                else net.redraw(branch(jax.random.key(i), WEIGHTS))
            )
            w1, w2 = ({k: np.asarray(a) for k, a in w.items()} for w in net_i.theta.values())
            y = np.tanh(np.asarray(split.x) @ w1["weight"] + w1["bias"]) @ w2["weight"] + w2["bias"]
            right.append(
                np.mean(np.log(np.exp(y).sum(1)) - y[np.arange(len(y)), np.asarray(split.y)])
            )
        assert found == pytest.approx(np.mean(right), rel=1e-9)
    assert [len(result.failures) for result in alone] == (
        [0, 1] if case == "lost seeds" else [0, 0, 0]
    )
    assert np.unique(np.round(together, 9)).size == len(together), "the values make a difference"


def test_a_lost_seed_counts_as_it_was_before_it_learned():
    """And a training of which nothing was ever a number is worse than any."""
    nan = math.nan
    assert judged(ACCURACY, np.array([0.1, 0.3]), np.array([nan, 0.9])) == 0.5
    assert judged(LOSS, np.array([2.0, 3.0]), np.array([1.0, nan])) == 2.0
    assert judged(ACCURACY, np.array([nan]), np.array([nan])) == -math.inf
    assert judged(LOSS, np.array([nan, 1.0]), np.array([nan, 1.0])) == math.inf


def test_trials_that_differ_in_numbers_share_one_program(blobs):
    rule, traced = with_calls_of_f(NodePerturbation())
    net, (_, options) = mlp(4, 6, 3), _plan(blobs)

    def go(draws, *sigmas):
        rules = [dataclasses.replace(rule, sigma=s, draws=draws) for s in sigmas]
        validated(net, rules, [1e-2 * s for s in sigmas], blobs, blobs.load(), options)
        return len(traced)

    once = go(1, 0.1, 0.2, 0.3)
    assert go(1, 0.4, 0.5, 0.6) == once > 0
    assert go(2, 0.1, 0.2, 0.3) > once


@pytest.mark.slow
def test_where_there_is_a_black_box_each_trial_has_it_to_itself(blobs, monkeypatch):
    """It may remember what it was asked."""
    loops, real = [], abreast.Loop
    monkeypatch.setattr(
        abreast,
        "Loop",
        lambda rules, *rest: loops.append([rule.sigma for rule in rules]) or real(rules, *rest),
    )
    net = mlp(4, 6, 3, activation=byway.host("relu", lambda u: np.maximum(u, 0)))
    rules = [NodePerturbation(sigma=s) for s in (0.1, 0.2)]
    boxed = validated(net, rules, [1e-2, 1e-2], blobs, blobs.load(), _plan(blobs)[1])
    assert loops == [[0.1, 0.1], [0.2, 0.2]]
    assert boxed == pytest.approx(
        validated(mlp(4, 6, 3), rules, [1e-2, 1e-2], blobs, blobs.load(), _plan(blobs)[1]), rel=1e-9
    )


def test_the_verb_searches_alike_and_never_sees_the_test_split(tmp_path, capsys, monkeypatch):
    seen, real = [], abreast.Loop

    def watched(rules, net, task, splits, optimisers, *rest):
        assert splits.keys() == {"train", "validation"}
        seen.extend(
            (rule.id, pair.theta.rate) for rule, pair in zip(rules, optimisers, strict=True)
        )
        return real(rules, net, task, splits, optimisers, *rest)

    monkeypatch.setattr(abreast, "Loop", watched)
    out = tmp_path / "search"
    assert main(["tune", *SMALL, "--trials", "2", "--out", str(out)]) == 0
    # Two trials of two seeds each.
    assert [name for name, _ in seen] == ["dfa"] * 4 + ["frozen"] * 4
    assert (
        seen[0] == ("dfa", 1e-3)
        and seen[4] == ("frozen", 1e-3)
        and seen[2][1] == seen[6][1] != 1e-3
    )
    assert "byway compare --task digits" in capsys.readouterr().out
    assert main(["tune", *SMALL, "--trials", "2", "--out", str(out)]) == 0
    assert len(seen) == 8, "the same command again has nothing left to do"
    assert main(["tune", *SMALL, "--trials", "3", "--out", str(out)]) == 2
    assert "a search with other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_what_the_verb_keeps_of_a_trial_is_what_fit_makes_of_its_values(tmp_path):
    small = [
        "--task",
        "digits",
        "--epochs",
        "4",
        "--net.hidden",
        "6",
        "--batch",
        "32",
        "--seeds",
        "2",
    ]
    assert (
        main(
            [
                "tune",
                *small,
                "--rules",
                "node_perturbation",
                "--trials",
                "3",
                "--lr",
                "0.03",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    task = byway.task("digits")
    trials = [
        json.loads(line)
        for line in (tmp_path / "trials" / "node_perturbation.jsonl").read_text().splitlines()
    ]
    assert (
        trials[0]["values"] == {"lr": 0.03, "sigma": 0.01}
        and len({t["values"]["sigma"] for t in trials}) == 3
    )

    def by_fit(values):
        rule, net = (
            byway.rule("node_perturbation", sigma=values["sigma"]),
            mlp(task.input_shape, 6, 10),
        )
        return byway.fit(
            net, rule, task, epochs=4, batch=32, seeds=2, lr=values["lr"], looks=0, progress=False
        )

    results = [by_fit(trial["values"]) for trial in trials]
    for trial, result in zip(trials, results, strict=True):
        assert trial["score"] == pytest.approx(
            result.history["validation/accuracy"].last.mean(), rel=1e-12
        )
    assert (
        len({trial["score"] for trial in trials}) > 1
        and trials[0]["score"] != results[0].history["validation/accuracy"].values[:, 0].mean()
    )
    best = max(trials, key=lambda trial: trial["score"])
    assert (
        json.loads((tmp_path / "tuned.json").read_text())["node_perturbation"]["values"]
        == best["values"]
    )

    # What was found is what a comparison trains with: another value of it than the rule's own.
    held = {"node_perturbation": {"values": trials[1]["values"]}}
    (tmp_path / "other.json").write_text(json.dumps(held))
    run = tmp_path / "run"
    flags = [
        "--rules",
        "node_perturbation",
        "--looks",
        "0",
        "--tuned",
        str(tmp_path / "other.json"),
        "--out",
        str(run),
    ]
    assert main(["compare", *small, *flags]) == 0
    last = byway.open(run)["node_perturbation"].history["validation/loss"].last
    np.testing.assert_allclose(last, results[1].history["validation/loss"].last, rtol=1e-12)


@pytest.mark.slow
def test_a_comparison_takes_what_was_found_and_keeps_a_copy(tmp_path, capsys):
    file = tmp_path / "tuned.json"
    file.write_text(
        json.dumps(
            {name: {"values": {"lr": rate}} for name, rate in (("dfa", 1e-30), ("frozen", 1e-2))}
        )
    )
    run = tmp_path / "run"
    assert main(["compare", *SMALL, "--tuned", str(tmp_path), "--out", str(run)]) == 0
    curves = {label: one.history["validation/accuracy"] for label, one in byway.open(run).items()}
    gain = {label: np.ptp(curve.values[0]) for label, curve in curves.items()}
    assert gain["dfa"] == 0 < gain["frozen"]
    file.unlink()
    capsys.readouterr()
    assert main(["resume", str(run)]) == 0
    settings = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))
    assert settings["dfa"]["lr"] == 1e-30 and settings["frozen"]["lr"] == 1e-2
    one = {"bp": {"values": {"lr": 0.1}}}
    file.write_text(json.dumps(one))
    flags = ["--tuned", str(tmp_path), "--out", str(tmp_path / "b")]
    assert main(["compare", *SMALL, *flags]) == 2
    assert "without " in capsys.readouterr().err
    file.unlink()
    assert main(["compare", *SMALL, "--tuned", str(tmp_path), "--out", str(tmp_path / "b")]) == 2
    assert "is no result of a search" in capsys.readouterr().err
