"""What holds for every rule found in the folder, on every kind of network it accepts: the laws of `byway.testing`."""

import dataclasses
import functools
import importlib
import re

import equinox as eqx
import pytest

import byway
from byway.audit.networks import accepted
from byway.core.errors import RuleError
from byway.network.builders import graph
from byway.rules import RULES
from byway.testing import laws
from byway.testing.case import Case
from byway.testing.check import trained_on

# What `accepts` takes decides what is tested; some tests only on an mlp and, for rules that see time, on an rnn.
KINDS = {name: accepted(byway.rule(name)) for name in RULES.ids()}
PAIRS = [(name, kind) for name, kinds in KINDS.items() for kind in kinds]
FEW = [(name, kind) for name, kinds in KINDS.items() for kind in laws.few(byway.rule(name), kinds)]
TRAINED = [(name, task) for name, kinds in KINDS.items() for task in trained_on(byway.rule(name), kinds)]

every_rule = pytest.mark.parametrize("name", RULES.ids())


def pairs(of, second="kind"):
    """Parametrise over pairs of a rule and a network or task."""
    return pytest.mark.parametrize(("name", second), of, ids=map("-".join, of))


def each(of):
    """Parametrise over laws."""
    return pytest.mark.parametrize("law", of, ids=lambda law: law.__name__)


case = functools.cache(lambda name, kind: Case(byway.rule(name), kind))


@each(laws.BY_ITSELF)
@every_rule
def test_by_itself(name, law):
    law(byway.rule(name))


@each(laws.ON_NETWORKS)
@pairs(PAIRS)
def test_on_every_network(name, kind, law):
    law(case(name, kind))


@each(laws.ON_FEW)
@pairs(FEW)
def test_on_few_networks(name, kind, law):
    law(case(name, kind))


@pairs(TRAINED, "task")
def test_a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits(name, task):
    laws.a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits(byway.rule(name), byway.task(task))


@pytest.mark.parametrize("name", [name for name in RULES.ids() if (name, "cyclic") not in PAIRS])
def test_a_cycle_is_refused_by_the_rules_name(name):
    rule = byway.rule(name)
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    looped = graph({"input": 6, "a": 3, "b": 3, "output": 3}, edges, **rule.network_options)
    with pytest.raises(RuleError, match=f"{name} was given a network with a cycle"):
        rule.accepts(looped)


@every_rule
def test_class_id_and_file_have_one_name(name):
    cls = RULES.get(name)
    assert cls.__module__ == f"byway.rules.{name}"
    assert cls().id == name
    assert re.sub("[^a-z0-9]", "", cls.__name__.lower()) == name.replace("_", "")
    assert eqx.Module in cls.__mro__


def _sections(doc):
    """The labelled lines of a module docstring, continued lines joined."""
    found, label = {}, None
    for line in doc.splitlines():
        if start := re.match(r"(?:    )?(f:|g:|Shapes|Units|Claims|Limits|Source)\s+(.*)", line):
            label = start[1]
            found[label] = start[2]
        elif label and line.startswith("  "):
            found[label] += " " + line.strip()
    return found


@every_rule
def test_docstring_states_all_and_its_claims_are_the_claims(name):
    doc = importlib.import_module(f"byway.rules.{name}").__doc__
    sections = _sections(doc)
    assert sections.keys() == {"f:", "g:", "Shapes", "Units", "Claims", "Limits", "Source"}
    assert all(sections.values())
    claims = RULES.get(name).claims
    said = dict(part.strip().split(" ", 1) for part in sections["Claims"].split("|"))
    fields = {f.name: f.default for f in dataclasses.fields(claims) if f.name != "signal"}
    assert said.keys() - {"signal"} <= fields.keys()
    # What a claim is by default need not be said.
    assert {k: said.get(k, str(default)) for k, default in fields.items()} == {k: str(getattr(claims, k)) for k in fields}
    assert set(re.findall(r"target|error|loss", said["signal"])) == set(claims.signal)
    assert f"({name.upper()})" in doc.splitlines()[0]
