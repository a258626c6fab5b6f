"""A black box in the middle: where it is put, what counts as training, and what the audit says of
it.
"""

import json

import numpy as np
import pytest

import byway
from byway.cli.main import main
from byway.experiment.blackbox import BOXES, Boxed, Trial, blackbox, candidates, with_box
from byway.network.builders import mlp

DRAW = np.random.default_rng(0)
CENTRES = DRAW.normal(size=(3, 6))
LABELS = np.arange(90) % 3
TASK = byway.Data(CENTRES[LABELS] + 0.3 * DRAW.normal(size=(90, 6)), LABELS)


def test_the_layer_in_the_middle_is_the_box_and_all_else_is_as_the_rule_wants_it():
    for name, phi, norm in (("bp", "relu", False), ("ff", "relu", True), ("dtp", "tanh", False)):
        rule = byway.rule(name)
        plain, boxed = (
            with_box(TASK, rule, BOXES[box](), (5, 4, 3)) for box in ("known", "quantised")
        )
        assert [p.cell.name for p in plain.hidden] == [phi] * 3
        assert [p.cell.name for p in boxed.hidden] == [phi, "quantised", phi]
        assert {p.norm for p in boxed.hidden} == {norm}
        assert {n: w["weight"].shape for n, w in plain.theta.items()} == {
            n: w["weight"].shape for n, w in mlp(6, 5, 4, 3, 3).theta.items()
        }


@pytest.mark.parametrize(
    ("reached", "control", "higher", "trains"),
    [
        ([0.9, 0.8, 0.9], [0.7, 0.6, 0.7], True, True),
        ([0.9, 0.8, 0.6], [0.7, 0.6, 0.7], True, False),
        ([0.99, 0.71, 0.7], [0.6, 0.7, 0.69], True, False),
        ([0.9, 0.8, 0.9], [0.7, 0.6, 0.7], False, False),
        ([0.1, 0.2], [0.7, 0.6], False, True),
        ([0.9], [0.7], True, True),
    ],
)
def test_it_trains_if_every_seed_is_ahead_and_surely(reached, control, higher, trains):
    assert Trial(np.array(reached), np.array(control), higher).trains is trains


def test_who_reads_slopes_refuses_and_who_reads_none_does_not():
    tried, one = Trial(np.array([1.0]), np.array([0.5])), Trial(None, None)
    assert one.gain is None and not one.trains
    assert Boxed("yes", {"known": tried, "device": one}).agrees
    assert Boxed("no", {"known": one, "device": tried}).agrees
    assert not Boxed("no", {"known": tried, "device": one}).agrees
    assert not Boxed("yes", {"known": tried, "device": tried}).agrees


def test_all_static_rules_are_candidates():
    names = candidates()
    assert {"bp", "dfa", "pepita", "pc", "ff", "node_perturbation"} <= set(names)
    assert not {"frozen", "esn", "gim", "eventprop", "subtask"} & set(names)


@pytest.mark.slow
def test_what_was_tried_is_what_the_audit_says():
    rules, boxes = ("bp", "node_perturbation"), ("known", "quantised")
    options = {"hidden": (6, 5, 4), "epochs": 2, "batch": 30, "seeds": 2}
    found = dict(blackbox(rules, TASK, boxes, lr=1e-3, **options))
    assert tuple(found) == rules
    bp, noisy = found.values()
    assert (bp.derivative, noisy.derivative) == ("yes", "no")
    assert bp.agrees and noisy.agrees
    assert bp.trials["quantised"].reached is None
    reached = noisy.trials["quantised"].reached
    assert reached is not None and reached.shape == (2,)
    np.testing.assert_array_equal(bp.trials["known"].control, noisy.trials["known"].control)
    own = dict(blackbox(rules[1:], TASK, boxes[:1], **options))["node_perturbation"]
    at = blackbox(rules[:1], TASK, boxes[:1], lr=byway.rule(rules[1]).learning_rate, **options)
    control = dict(at)["bp"].trials["known"].control
    np.testing.assert_array_equal(own.trials["known"].control, control)


@pytest.mark.slow
def test_on_the_command_line(capsys):
    few = ["--boxes", "quantised", "--epochs", "1", "--seeds", "2", "--hidden", "4", "4", "4"]
    assert main(["blackbox", "dfa", "pepita", *few]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert rows["dfa"] == ["dfa", "yes", "refused", "yes"]
    assert rows["pepita"][:2] == ["pepita", "no"] and rows["pepita"][-1] == "yes"
    assert main(["blackbox", "pepita", *few, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["pepita"]
    assert found["derivative"] == "no" and found["agrees"]
    assert len(found["boxes"]["quantised"]["reached"]) == 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nope"], "no rule called 'nope'"),
        (["esn"], "esn, which trains no network of this kind"),
        (["bp", "--boxes", "nope"], "no black box called 'nope'"),
        (["bp", "--hidden", "0"], "hidden = 0"),
        (["bp", "--task", "delayed_xor"], "a task of independent samples"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_trains(argv, said, capsys):
    assert main(["blackbox", *argv]) == 2
    assert said in capsys.readouterr().err
