"""The outer loop: its gradient against finite differences, what it sees of a task, what is kept of
a rule.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.cli.main import main
from byway.core.errors import ConfigError, DataError, RunError
from byway.meta.learn import Episode, episode_loss, meta_learn
from byway.meta.trial import in_words, trial
from byway.rules import RULES
from byway.rules._learned import save
from byway.rules.meta.taylor import DELTA, Taylor, coefficients
from byway.tasks._classes import SomeClasses
from byway.training.result import Result

DIGITS = byway.task("digits")
SOME = SomeClasses(DIGITS, (3, 7, 1))


def test_the_slope_of_an_episode_is_that_of_finite_differences():
    """Through 20 training steps, for every coefficient that is not zero and some that are."""
    net, splits = byway.mlp(SOME.input_shape, 6, 3, activation="tanh"), SOME.load()
    theta = {
        "hidden": jnp.asarray(DELTA),
        "output": jnp.asarray(
            coefficients({(1, 0, 0, 1): -1.0, (1, 1, 0, 0): 0.1, (0, 0, 1, 0): -0.05})
        ),
    }
    args = (
        Taylor(),
        net,
        SOME,
        splits["train"],
        splits["validation"],
        Episode(20, 8, 0.1),
        jax.random.key(4),
    )
    loss = jax.jit(lambda theta: episode_loss(theta, *args))
    slope = jax.jit(jax.grad(loss))(theta)
    step = 1e-5
    for role, powers in [
        ("hidden", (1, 0, 0, 1)),
        ("hidden", (1, 2, 0, 1)),
        ("output", (1, 0, 0, 1)),
        ("output", (1, 1, 0, 0)),
        ("output", (0, 0, 1, 0)),
    ]:
        up, down = (theta | {role: theta[role].at[powers].add(d)} for d in (step, -step))
        assert float(slope[role][powers]) == pytest.approx(
            float(loss(up) - loss(down)) / (2 * step), rel=1e-6
        )


def test_a_task_of_some_classes_is_those_samples_numbered_in_the_order_given():
    whole, some = DIGITS.load(), SOME.load()
    for name, split in some.items():
        x, y = (np.asarray(a) for a in whole[name])
        mine = np.isin(y, [3, 7, 1])
        np.testing.assert_array_equal(split.x, x[mine])
        np.testing.assert_array_equal(np.array([3, 7, 1])[np.asarray(split.y)], y[mine])
    _, signal = SOME.batch(some["train"], jnp.arange(5), jax.random.key(0))
    np.testing.assert_array_equal(signal.target, np.eye(3)[np.asarray(some["train"].y[:5])])


@pytest.mark.parametrize("classes", [(1,), (1, 1), (0, 10), (-1, 2)])
def test_classes_that_are_none_are_refused(classes):
    with pytest.raises(ConfigError, match="classes"):
        SomeClasses(DIGITS, classes)


def test_classes_of_a_task_in_time_are_refused():
    with pytest.raises(ConfigError, match="mnist_rows, whose samples are sequences"):
        SomeClasses(byway.task("mnist_rows"), (0, 1))


@pytest.mark.slow
def test_meta_learning_lowers_the_loss_and_starts_small():
    net = byway.mlp(SOME.input_shape, 6, 3, activation="tanh")
    found = meta_learn(
        Taylor(),
        net,
        SOME,
        meta_steps=100,
        episodes=4,
        episode=Episode(20, 16, 0.3),
        lr=0.01,
        progress=False,
    )
    assert all(np.abs(table).max() < 0.01 for table in found.start.values())
    assert found.losses[-5:].mean() < 0.8 * found.losses[0]
    assert found.skipped == 0


class Unlike(SomeClasses):
    """Those classes, whose validation samples are all zero: what a network that has hardly learned
    says of them is nothing, whatever its weights.
    """

    def load(self):
        splits = super().load()
        blank = jnp.zeros_like(splits["validation"].x)
        return splits | {"validation": splits["validation"]._replace(x=blank)}


def _one_step(lr=1e-6, sparsity=100.0, rate=0.1):
    return meta_learn(
        Taylor(),
        byway.mlp(SOME.input_shape, 6, 3, activation="tanh"),
        Unlike(DIGITS, (3, 7, 1)),
        meta_steps=1,
        episodes=2,
        episode=Episode(3, 4, rate),
        lr=lr,
        sparsity=sparsity,
        progress=False,
    )


@pytest.mark.slow
def test_episodes_are_asked_what_they_did_not_see_and_short_rules_are_preferred():
    """The first loss is log 3, and each coefficient goes lr * sparsity towards zero, give or take
    a slope of norm one.
    """
    found = _one_step()
    assert found.losses == pytest.approx([np.log(3)], abs=0.01)
    for role, start in found.start.items():
        went = (start - found.theta[role]) * np.sign(start)
        np.testing.assert_allclose(went, 1e-4, atol=1.01e-6)


def test_episodes_that_ran_away_are_told_and_move_nothing():
    found = _one_step(sparsity=0.0, rate=1e300)
    assert found.skipped == 2
    for role, start in found.start.items():
        np.testing.assert_array_equal(found.theta[role], start)


def test_an_episode_draws_from_all_of_the_training_samples():
    net, splits = byway.mlp(SOME.input_shape, 6, 3, activation="tanh"), SOME.load()
    batch = 4
    theta = {role: jnp.asarray(DELTA) for role in ("hidden", "output")}
    args = splits["validation"], Episode(10, batch, 0.1), jax.random.key(4)
    loss = jax.jit(lambda train: episode_loss(theta, Taylor(), net, SOME, train, *args))
    train = splits["train"]
    later = train._replace(x=train.x.at[batch:].set(0))
    assert abs(float(loss(train)) - float(loss(later))) > 1e-6


def test_a_trial_takes_the_rate_that_is_best_on_validation(monkeypatch):
    class Told(Result):
        """A result by hand: the better a rate is on validation, the worse on the test split."""

        def __init__(self, rate):
            self.rate = rate

        validated = property(lambda self: {0.1: 0.5, 0.2: 0.9, 0.3: 0.7}[self.rate])

    monkeypatch.setattr("byway.meta.trial.fit", lambda *args, lr, **rest: Told(lr))
    net = byway.mlp(SOME.input_shape, 6, 3)
    best = trial({"taylor": (Taylor(), (0.1, 0.2, 0.3))}, net, SOME, epochs=1)
    assert best["taylor"][0] == 0.2


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("meta_steps", {"meta_steps": 0}),
        ("episodes", {"episodes": 0}),
        ("steps", {"episode": Episode(0, 8, 0.1)}),
    ],
)
def test_numbers_below_one_are_refused(name, setting):
    with pytest.raises(ConfigError, match=name):
        meta_learn(Taylor(), byway.mlp(SOME.input_shape, 6, 3), SOME, **setting)


def test_a_rule_without_coefficients_cannot_be_learned():
    with pytest.raises(ConfigError, match="theta"):
        meta_learn(byway.rule("dfa"), byway.mlp(SOME.input_shape, 6, 3), SOME)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("BYWAY_RULES", str(tmp_path / "rules"))
    return tmp_path / "rules"


def test_a_kept_rule_is_a_rule_like_any_other(shelf):
    table = coefficients({(1, 0, 0, 1): -0.7, (1, 1, 0, 0): 0.25})
    save("my_find", {"hidden": table, "output": DELTA}, {"task": "digits"}, RULES.ids())
    assert RULES.ids()[-1] == "my_find"
    rule = byway.rule("my_find", bound=0.5)
    assert (rule.id, rule.bound) == ("my_find", 0.5)
    gamma = rule.init(byway.mlp(4, 3, 2), jax.random.key(0))
    np.testing.assert_array_equal(gamma["theta"]["hidden"], table)
    assert rule.claims == Taylor.claims


def test_names_that_cannot_be_used_are_refused(shelf):
    tables = {"hidden": DELTA, "output": DELTA}
    for name in ("dfa", "Found", "../up", ""):
        with pytest.raises(ConfigError, match="rule called"):
            save(name, tables, {}, RULES.ids())
    save("again", tables, {}, RULES.ids())
    with pytest.raises(RunError, match="exists"):
        save("again", tables, {}, RULES.ids())
    save("again", tables, {}, RULES.ids(), overwrite=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"theta": {}}',
        json.dumps({"theta": {"hidden": [1.0], "output": [2.0]}, "found": {}}),
        '{"theta": {"hidden": "x", "output": 1}, "found": {}}',
    ],
)
def test_a_broken_file_is_named(shelf, text):
    shelf.mkdir()
    (shelf / "broken.json").write_text(text)
    with pytest.raises(DataError, match=r"broken\.json"):
        RULES.get("broken")


def test_a_polynomial_in_words():
    assert (
        in_words(
            coefficients(
                {(1, 0, 0, 1): -1.0, (0, 2, 1, 0): 0.5, (0, 0, 0, 0): 0.1, (1, 1, 1, 1): 0.01}
            )
        )
        == "-1 pre e +0.5 post² w +0.1 1"
    )


@pytest.mark.slow
def test_the_verb_keeps_what_it_found_under_a_name_like_any_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BYWAY_RULES", str(tmp_path))
    few = [
        "--meta-steps",
        "2",
        "--episodes",
        "2",
        "--steps",
        "3",
        "--seeds",
        "1",
        "--hidden",
        "3",
        "--trial-hidden",
        "4",
    ]
    assert main(["meta", "--name", "mine", *few]) == 0
    said = capsys.readouterr().out
    assert "meta-step    2: loss" in said and "on classes 5, 6, 7, 8, 9" in said
    rows = {
        line.strip(" │").split("│")[0].strip() for line in said.splitlines() if line.startswith("│")
    }
    assert rows == {"mine", "its start", "frozen", "bp"}
    held = json.loads((tmp_path / "mine.json").read_text())
    np.testing.assert_array_equal(
        byway.rule("mine").theta["hidden"], np.array(held["theta"]["hidden"])
    )
    assert main(["list"]) == 0 and "mine" in capsys.readouterr().out
    assert main(["audit", "mine", "--net", "mlp"]) == 0
    assert main(["meta", "--name", "mine", *few]) == 2  # it is not replaced without a word
