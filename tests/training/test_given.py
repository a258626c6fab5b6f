"""What is given has an effect, or is refused; and what a task hands out has the shapes that it
promises.
"""

import json

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import byway
from byway.cli import compare
from byway.cli.experiment import made
from byway.cli.main import main
from byway.core.errors import BywayError, ConfigError, ShapeError
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.core.task import Split, Task
from byway.learning.rule import Update
from byway.network.builders import mlp
from byway.rules import RULES
from byway.rules.backprop.bp import BP
from byway.training.fit import fit


class Shifting(BP):
    """A test rule with a number of its own that learns."""

    def init(self, net, key):
        return jnp.zeros(())

    def g(self, gamma, net, memory, record, signal):
        return memory, Update(super().g({}, net, memory, record, signal)[1].net, jnp.ones(()))


def _fit(task, rule=BP(), **options):  # noqa: B008
    return fit(mlp(4, 5, 3), rule, task, epochs=1, batch=6, progress=False, **options)


WITHOUT_EFFECT = {
    "a rate beside an optimiser that has one": (
        {"optimiser": optax.sgd(1e-3), "lr": 5.0},
        "lr = 5.0 beside an optax",
    ),
    "a schedule beside it": (
        {"optimiser": optax.sgd(1e-3), "schedule": "constant"},
        "schedule = 'constant' beside",
    ),
    "a rate of gamma beside it": (
        {"optimiser": optax.sgd(1e-3), "lr_gamma": 1.0},
        "lr_gamma = 1.0 beside",
    ),
    "a rate of what does not learn": ({"lr_gamma": 1.0}, "lr_gamma = 1.0 for bp"),
    "samples for no look": ({"looks": 0, "probe": 5}, "probe = 5 where the microscope never looks"),
    "samples for no moment": (
        {"look_at": [], "probe": 5},
        "probe = 5 where the microscope never looks",
    ),
    "a pause between no checkpoints": ({"save_every": 3.0}, "save_every = 3.0 without checkpoints"),
    "how many of none to keep": ({"keep": 2}, "keep = 2 without checkpoints"),
}


@pytest.mark.parametrize("case", WITHOUT_EFFECT)
def test_an_option_without_effect_is_refused(case, blobs):
    options, said = WITHOUT_EFFECT[case]
    with pytest.raises(ConfigError) as caught:
        _fit(blobs, **options)
    assert said in str(caught.value) and "leave" in str(caught.value)


@pytest.mark.parametrize("options", [{"looks": 2}, {"look_at": [0]}])
def test_looks_at_a_black_box_are_refused(options, blobs):
    box = mlp(4, 5, 3, activation=byway.quantised(2))
    with pytest.raises(ConfigError, match="black boxes leave no true gradient"):
        fit(
            box,
            byway.rule("node_perturbation"),
            blobs,
            epochs=1,
            batch=6,
            progress=False,
            **options,
        )


def test_a_rate_of_gamma_is_taken_where_gamma_learns(blobs):
    """Five updates of one at a rate of 1/8."""
    options = {"optimiser": "sgd", "schedule": "constant", "lr_gamma": 0.125, "looks": 0}
    assert float(_fit(blobs, Shifting(), **options).learner().gamma) == -4 * 0.125


def test_beside_rules_whose_gamma_learns_the_others_have_no_rate_for_it(monkeypatch):
    found = RULES.get
    monkeypatch.setattr(RULES, "get", lambda name: Shifting if name == "fa" else found(name))
    plan = lambda *names: made(
        [*names], compare.VERB.read(["--rules", ",".join(names), "--lr-gamma", "0.1"])
    )
    with pytest.raises(ConfigError, match=r"lr_gamma = 0\.1 for bp"):
        plan("bp", "dfa")
    both = plan("bp", "fa")
    assert [entry.options.get("lr_gamma") for entry in both.entries] == [None, 0.1]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ["--rules", "bp,fa", "--net.channels", "4"],
            "net.channels = (4,) for a network of the kind mlp",
        ),
        (["--rules", "bp,fa", "--net.kernel", "5"], "net.kernel = 5"),
        (["--rules", "bp,fa", "--net.own-delays"], "net.own_delays = True for a network of"),
        (["--rules", "bp,fa", "--net.pool", "3", "--net.kind", "mlp"], "net.pool = 3"),
        (["--rules", "bp", "--tuned", "TUNED", "--lr", "0.1"], "lr = 0.1 beside what was tuned"),
    ],
)
def test_a_flag_without_effect_is_refused(argv, said, tmp_path, capsys):
    (tmp_path / "tuned.json").write_text(
        json.dumps({"bp": {"values": {"lr": 0.5}}}), encoding="utf-8"
    )
    assert (
        main(
            [
                "compare",
                *(str(tmp_path) if word == "TUNED" else word for word in argv),
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 2
    )
    assert said in capsys.readouterr().err


def test_a_search_has_no_flags_for_what_a_trial_does_not_leave(capsys):
    for flag in ("--looks", "--probe", "--keep", "--track"):
        with pytest.raises(SystemExit):
            main(["tune", flag, "3"])
        assert f"Unrecognized options: {flag}" in capsys.readouterr().err


class Line(Task):
    """A number to predict; what it hands out can be changed."""

    input_shape = (3,)
    outputs = 1
    target: tuple[int, ...] = (-1, 1)
    score_axis: int = -1
    weight: bool = False

    def load(self):
        x = np.random.default_rng(0).normal(size=(20, 3))
        return dict.fromkeys(
            ("train", "validation", "test"), Split(jnp.asarray(x), jnp.asarray(2 * x[:, 0]))
        )

    def batch(self, split, index, key):
        y = split.y[index].reshape(self.target)
        return split.x[index], Signal(
            y, SquaredError(), jnp.ones(y.shape[:1]) if self.weight else None
        )

    def score(self, output, signal):
        loss = ((output - signal.target.reshape(-1, 1)) ** 2).sum(self.score_axis)
        return {"loss": loss}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": (-1,)}, ["targets of shape (5,)", "(5, 1)"]),
        ({"target": (1, -1)}, ["targets of shape (1, 5)", "(5, 1)"]),
        ({"score_axis": 0}, ["score loss is of shape (1,)", "(5,)"]),
        ({"weight": True}, ["weights of shape (5,)", "None"]),
    ],
)
@pytest.mark.parametrize("rule", ["bp", "pc", "node_perturbation"])
def test_what_would_be_broadcast_is_refused(change, said, rule):
    with pytest.raises(BywayError) as caught:
        fit(mlp(3, 4, 1), byway.rule(rule), Line(**change), epochs=1, batch=5, progress=False)
    assert all(part in str(caught.value) for part in said)


def test_a_task_that_hands_out_what_it_promises_is_learnt():
    result = fit(mlp(3, 4, 1), BP(), Line(), epochs=30, batch=5, lr=1e-2, looks=0, progress=False)
    assert (
        result.history["validation/loss"].last[0]
        < 0.5 * result.history["validation/loss"].values[:, 0][0]
    )


@pytest.mark.parametrize("criterion", [SquaredError(), CrossEntropy()])
def test_a_signal_of_another_shape_than_the_output_has_neither_error_nor_loss(criterion):
    signal = Signal(jnp.zeros((4,)), criterion)
    for ask in (signal.error, signal.loss):
        with pytest.raises(ShapeError, match=r"an output of shape \(4, 1\)"):
            ask(jnp.zeros((4, 1)))
