"""Forward gradient: how directions are drawn, and what a draw costs."""

import jax
import numpy as np
import pytest
from tests.part import some

import byway
from byway.audit.networks import KINDS
from byway.audit.verdict import audit
from byway.core.errors import ConfigError, RuleError
from byway.network.builders import mlp
from byway.rules.perturbation._directions import drawn
from byway.rules.perturbation.forward_gradient import ForwardGradient


def test_every_array_and_every_draw_has_a_direction_of_its_own():
    """Independent draws correlate by less than 4 / root n; of one key they would be the same."""
    net = mlp(30, 30, 30, 30)
    one, two = (drawn(net, jax.random.key(k)) for k in (0, 1))
    arrays = [np.ravel(w["weight"]) for made in (one, two) for w in made.values()]
    apart = np.abs(np.corrcoef(arrays) - np.eye(len(arrays)))
    assert apart.max() < 4 / np.sqrt(arrays[0].size)
    assert {*np.unique(drawn(net, jax.random.key(0), signs=True)["input-hidden1"]["bias"])} == {
        -1.0,
        1.0,
    }


@pytest.mark.parametrize(
    ("name", "options"),
    some(
        [
            ("forward_gradient", {"draws": 3}),
            ("weight_perturbation", {"draws": 3}),
            ("es", {"pairs": 3}),
            ("reinforce", {"draws": 3}),
            ("node_perturbation", {"draws": 3}),
            ("activity_forward_gradient", {"draws": 3}),
        ],
        2,
    ),
)
def test_the_passes_of_several_draws_are_claimed_and_the_clean_one_is_taken_once(name, options):
    """By the audit: as many as there are draws, twice that where each is tried both ways, and one
    for them all.
    """
    rule = byway.rule(name, **options)
    verdict = audit(rule, KINDS["mlp"](**rule.network_options))
    assert not verdict.disagreements
    both, none = {"weight_perturbation", "es"}, {"activity_forward_gradient"}
    assert verdict.found.phases == 1 + 3 * (2 if name in both else 0 if name in none else 1)


def test_a_black_box_is_refused_and_another_rule_named():
    net = byway.graph(
        {"input": 5, "h": 4, "output": 3},
        [("input", "h"), ("h", "output")],
        activation={"h": "quantised"},
    )
    with pytest.raises(
        RuleError, match="forward_gradient was given a network with a black box"
    ) as e:
        ForwardGradient().accepts(net)
    assert "weight_perturbation" in e.value.fix


def test_no_draws_are_refused():
    with pytest.raises(ConfigError, match=r"ForwardGradient\.draws = 0\n.*from 1 to"):
        ForwardGradient(draws=0)
