"""Credit by differences of a learned inverse: what the equations say, and what is refused."""

import pytest

import byway
from byway.core.errors import RuleError
from byway.network.builders import graph, mlp, rnn
from byway.network.cells.leaky import Leaky
from byway.rules.time.target_rollback import TargetRollback


@pytest.mark.parametrize("number", range(3))
def test_the_update_is_that_of_the_equations(number):
    check = TargetRollback().checks()[number]
    assert check.holds(check.measure())


def test_a_population_that_hands_nothing_on_has_nothing_to_be_told():
    sizes = {"input": 3, "a": 4, "b": 5, "output": 2}
    edges = [("input", "a"), ("a", "a"), ("a", "b"), ("b", "output")]
    with pytest.raises(RuleError, match="was given b, which sends nothing to the next step"):
        TargetRollback().accepts(graph(sizes, edges, activation="tanh"))


def test_an_output_that_remembers_is_refused():
    sizes, edges = {"input": 3, "a": 4, "output": 2}, [("input", "a"), ("a", "a"), ("a", "output")]
    net = graph(sizes, edges, activation={"a": "tanh", "output": Leaky()})
    with pytest.raises(RuleError, match="target_rollback was given an output with a state"):
        TargetRollback().accepts(net)


def test_what_keeps_nothing_is_refused_and_two_layers_of_gated_units_are_not():
    with pytest.raises(RuleError, match="keeps nothing through time"):
        TargetRollback().accepts(mlp(3, 4, 2))
    TargetRollback().accepts(rnn(3, 4, 4, 2, activation="gru"))
    byway.rule("target_rollback", checkpoint=4).accepts(rnn(3, 4, 2, activation="leaky"))
