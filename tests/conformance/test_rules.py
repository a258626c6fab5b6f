"""What holds for every rule found in the folder, on every kind of network it accepts: the laws of
`byway.verify`.
"""

import dataclasses
import functools
import re
import sys

import equinox as eqx
import pytest
from tests.part import some

import byway
from byway.audit.networks import KINDS, accepted
from byway.audit.verdict import audit
from byway.core.errors import RuleError
from byway.network.activations import ACTIVATIONS
from byway.network.builders import convnet, graph, mlp, rnn
from byway.rules import RULES
from byway.verify import laws
from byway.verify.case import Case
from byway.verify.rule import trained_on

# What `accepts` takes decides what is tested; some tests only on an mlp and, for rules that see
# time, on an rnn.
ACCEPTED = {name: accepted(byway.rule(name)) for name in RULES.ids()}
PAIRS = [(name, kind) for name, kinds in ACCEPTED.items() for kind in kinds]
FEW = [
    (name, kind) for name, kinds in ACCEPTED.items() for kind in laws.few(byway.rule(name), kinds)
]
TRAINED = [
    (name, task) for name, kinds in ACCEPTED.items() for task in trained_on(byway.rule(name), kinds)
]
# Laws that trace a program and compile none.
TRACED = (
    laws.shapes_and_types_are_those_of_what_changes,
    laws.arguments_are_left_as_they_were,
    laws.the_audit_bears_out_the_claims,
)
# Of a kind each: memory and chance, settling, time. The others take their turn in `make slow`.
QUICK = [("ff", "digits"), ("pc", "digits"), ("rtrl", "delayed_xor")]

# What networks of one kind can differ in, beyond the tiny ones: each is the rule's own with one
# thing changed.
SKIPPING = (
    {"input": 8, "a": 7, "b": 6, "output": 4},
    [("input", "a"), ("input", "b"), ("a", "b"), ("a", "output"), ("b", "output")],
)
VARIANTS = {
    **{
        f"mlp of {phi}": lambda phi=phi, **options: mlp(
            8, 7, 6, 4, **{**options, "activation": phi}
        )
        for phi in ACTIVATIONS
    },
    "mlp normalised": lambda **options: mlp(8, 7, 6, 4, **{**options, "norm": True}),
    "mlp read from two layers": lambda **options: mlp(8, 7, 6, 4, **options, readout_from=(0, 1)),
    "mlp without biases": lambda **options: mlp(8, 7, 6, 4, **options, bias=False),
    "mlp without hidden layers": lambda **options: mlp(8, 4, **options),
    "mlp with a black box as output": lambda **options: graph(
        {"input": 8, "hidden1": 7, "output": 4},
        [("input", "hidden1"), ("hidden1", "output")],
        **{**options, "activation": {"output": "quantised"}},
    ),
    "graph that skips layers": lambda **options: graph(*SKIPPING, **options),
    "convnet normalised and strided": lambda **options: convnet(
        (9, 8, 2), (3, 2), 4, stride=2, pool=1, padding="VALID", **{**options, "norm": True}
    ),
    "rnn normalised": lambda **options: rnn(5, 6, 4, **{**options, "norm": True}),
    "rnn of two layers": lambda **options: rnn(5, 6, 3, 4, **options, bias=False),
    "rnn with a black box": lambda **options: rnn(
        5, 6, 4, **{**options, "activation": "quantised"}
    ),
}


# The slope of a linear layer is the number one; and a readout alone has nothing to pass through,
# nor to wait for.
LITTLE = {
    "mlp of identity": ["derivative"],
    "mlp of code": ["derivative"],
    "mlp without hidden layers": ["transport", "locking", "derivative"],
}


def variant(name, of):
    """A network with the options that a rule needs."""
    return (VARIANTS | KINDS)[of](**options(name, of))


def options(name, of):
    """What a rule needs of a builder; a code is for the one that makes any."""
    needed = byway.rule(name).network_options.items()
    return {option: value for option, value in needed if option != "code" or of == "mlp"}


@functools.cache
def outline(of, **options):
    """The shapes of a network."""
    return eqx.filter_eval_shape(functools.partial((VARIANTS | KINDS)[of], **options))


@functools.cache
def refusal(name, of):
    """The error with which a rule refuses a network, of which it sees the shapes alone; or None."""
    rule = byway.rule(name)
    try:
        rule.accepts(outline(of, **options(name, of)))
    except RuleError as refused:
        return refused
    return None


REFUSED = [(name, of) for name in RULES.ids() for of in VARIANTS | KINDS if refusal(name, of)]
VARIED = [(name, of) for name in RULES.ids() for of in VARIANTS if not refusal(name, of)]
# A rule for each variant, all of them in turn.
ONE_EACH = [
    able[i % len(able)]
    for i, of in enumerate(VARIANTS)
    if (able := [pair for pair in VARIED if pair[1] == of])
]

every_rule = pytest.mark.parametrize("name", RULES.ids())


def pairs(of, second="kind"):
    """Parametrise over pairs of a rule and a network or task."""
    return pytest.mark.parametrize(("name", second), of, ids=map("-".join, of))


def each(of):
    """Parametrise over laws."""
    return pytest.mark.parametrize("law", of, ids=lambda law: law.__name__)


# Every so many pairs of a rule and a network all laws, which share what they compile; halfway
# between those that compile nothing; the others in `make slow`.
APART = max(1, round(len(PAIRS) / 5))
LAWS = [
    pytest.param(
        *pair,
        law,
        marks=() if i % APART in ((0, APART // 2) if law in TRACED else (0,)) else pytest.mark.slow,
        id="-".join([*pair, law.__name__]),
    )
    for i, pair in enumerate(PAIRS)
    for law in laws.ON_NETWORKS
]


case = functools.cache(lambda name, kind: Case(byway.rule(name), kind))


@each(laws.BY_ITSELF)
@every_rule
def test_by_itself(name, law):
    law(byway.rule(name))


@pytest.mark.parametrize(("name", "kind", "law"), LAWS)
def test_on_every_network(name, kind, law):
    law(case(name, kind))


@each(laws.ON_FEW)
@pytest.mark.parametrize(("name", "kind"), some(FEW, 4, "-".join))
def test_on_few_networks(name, kind, law):
    law(case(name, kind))


@pytest.mark.parametrize(
    ("name", "task"),
    [pair if pair in QUICK else pytest.param(*pair, marks=pytest.mark.slow) for pair in TRAINED],
)
def test_a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits(name, task):
    laws.a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits(
        byway.rule(name), byway.task(task)
    )


def ruled(name, of):
    """A rule for a variant. Noise that crosses no step of a quantised output leaves loss and reward
    as they were: there it is loud.
    """
    loud = of == "mlp with a black box as output" and hasattr(byway.rule(name), "sigma")
    return byway.rule(name, **({"sigma": 1.0} if loud else {}))


varied = functools.cache(
    lambda name, of: Case(ruled(name, of), of, functools.partial(variant, name, of))
)


@pytest.mark.parametrize(("name", "of"), some(ONE_EACH, 4, "-".join))
def test_every_variant_of_a_network_with_one_of_its_rules(name, of):
    laws.learning_changes_the_readout_and_stays_finite(varied(name, of))


@pytest.mark.slow
@each(
    [
        laws.shapes_and_types_are_those_of_what_changes,
        laws.learning_changes_the_readout_and_stays_finite,
    ]
)
@pairs(VARIED, "of")
def test_every_variant_of_a_network_with_all_of_its_rules(name, of, law):
    law(varied(name, of))


@pytest.mark.slow
@pairs([pair for pair in VARIED if pair[1] not in LITTLE], "of")
def test_the_claims_hold_on_every_variant_of_a_network(name, of):
    laws.the_audit_bears_out_the_claims(varied(name, of))


@pytest.mark.slow
@pairs([pair for pair in VARIED if pair[1] in LITTLE], "of")
def test_the_audit_finds_nothing_where_there_is_nothing_to_read(name, of):
    found = audit(byway.rule(name), varied(name, of).net).found
    assert {getattr(found, field) for field in LITTLE[of]} == {"no"}


@pairs(REFUSED, "of")
def test_a_refusal_names_a_rule_that_takes_the_network(name, of):
    refused = refusal(name, of)
    assert refused.given.startswith(f"{name} was given ")
    named = [other for other in RULES.ids() if re.search(rf"\b{other}\b", refused.fix)]
    assert name not in named
    assert any(refusal(other, of) is None for other in named), refused.fix


@every_rule
def test_a_cycle_is_refused_by_that_name_or_taken(name):
    refused = refusal(name, "cyclic")
    # To one that goes back, through time or an equation, what matters is whether it can.
    back = refused is not None and any(
        why in refused.given for why in ("cannot be taken back", "without flowing units")
    )
    assert refused is None or back or refused.given == f"{name} was given a network with a cycle"


@every_rule
def test_class_id_and_file_have_one_name(name):
    cls = RULES.get(name)
    assert cls.__module__.startswith("byway.rules.")
    assert cls.__module__.rpartition(".")[2] == name
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
    doc = sys.modules[RULES.get(name).__module__].__doc__
    sections = _sections(doc)
    assert sections.keys() == {"f:", "g:", "Shapes", "Units", "Claims", "Limits", "Source"}
    assert all(sections.values())
    claims = RULES.get(name).claims
    said = dict(part.strip().split(" ", 1) for part in sections["Claims"].split("|"))
    fields = {f.name: f.default for f in dataclasses.fields(claims) if f.name != "signal"}
    assert said.keys() - {"signal"} <= fields.keys()
    # What a claim is by default need not be said.
    assert {k: said.get(k, str(default)) for k, default in fields.items()} == {
        k: str(getattr(claims, k)) for k in fields
    }
    assert set(re.findall(r"target|error|loss|reward", said["signal"])) == set(claims.signal)
    assert f"({name.upper()})" in doc.splitlines()[0]
