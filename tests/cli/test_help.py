"""What `--help` says: a screen for a verb and one for each topic, and nothing is imported for it
that is not asked for.
"""

import json
import subprocess
import sys

import pytest

from byway.cli import train
from byway.cli.main import main
from byway.experiment.networks import NetSettings
from byway.growths import GROWTHS
from byway.rules import RULES
from byway.tasks import TASKS

SCREEN, WIDE = 45, 100


@pytest.fixture
def helped(monkeypatch, capsys):
    """What a verb says of a topic in a terminal of 100 columns."""

    def ask(*argv):
        monkeypatch.setenv("COLUMNS", str(WIDE))
        with pytest.raises(SystemExit) as left:
            main(list(argv))
        assert left.value.code == 0
        said = capsys.readouterr().out
        assert max(map(len, said.splitlines())) <= WIDE
        return said

    return ask


@pytest.mark.parametrize("verb", ["train", "compare", "tune"])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_a_verb_fits_a_screen(helped, verb, flag):
    said = helped(verb, flag)
    assert len(said.splitlines()) <= SCREEN
    named = {line.split()[0] for line in said.splitlines() if line.startswith("--")}
    own = {"--rule"} if verb == "train" else {"--rules"}
    assert own | {"--task", "--epochs", "--seeds", "--lr", "--out"} <= named
    assert not any("." in flag for flag in named), "settings of what is trained are topics"
    assert ("--trials" in named) == (verb == "tune")
    more = said.rpartition("More:")[2]
    assert all(topic in more for topic in ("optimiser", "net", "rules", "tasks", "growth"))
    assert ("saving" in more) == ("microscope" in more) == (verb != "tune")


def test_every_flag_stands_on_the_first_screen_or_under_one_topic(helped):
    topics = ("optimiser", "microscope", "saving", "jobs")
    screens = [helped("train", "--help", topic) for topic in topics]
    screens.append(helped("train", "--help"))
    lines = [line.split()[0] for said in screens for line in said.splitlines()[1:] if line]
    flags = [flag for flag in lines if flag.startswith("--")]
    known = {f"--{flag.name}".replace("_", "-") for flag in train.VERB.flags()}
    assert len(flags) == len(set(flags)) and set(flags) == known


def test_the_network_is_a_topic(helped):
    said = helped("train", "--help", "net")
    assert len(said.splitlines()) <= SCREEN
    names = {name.replace("_", "-") for name in NetSettings.__dataclass_fields__} - {"bias"}
    assert all(f"--net.{name}" in said for name in names)
    assert "--net.no-bias" in said, "what is on is turned off so"


@pytest.mark.parametrize(("topic", "registry"), [("tasks", TASKS), ("growth", GROWTHS)])
def test_a_list_is_a_topic(helped, topic, registry):
    said = helped("compare", "--help", topic)
    first = [line.split()[0] for line in said.splitlines() if line and not line.startswith(" ")]
    assert first[1:] == registry.ids()
    assert len(said.splitlines()) <= SCREEN


def test_rules_are_listed_by_family_and_each_family_is_a_topic(helped):
    said = helped("compare", "--help", "rules")
    assert len(said.splitlines()) <= SCREEN
    listed = []
    for family, names in RULES.families().items():
        assert sorted(names) == names and ", ".join(names) in " ".join(said.split())
        inner = helped("compare", "--help", family or "others")
        first = [line.split()[0] for line in inner.splitlines() if line[:1].strip()]
        assert first[1:] == names and len(inner.splitlines()) <= SCREEN
        listed += names
    assert sorted(listed) == sorted(RULES.ids())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("dfa", ["Direct feedback alignment", "--dfa.lr"]),
        ("ff", ["Forward-forward", "--ff.peer", "default 0.03", "--ff.lr", "of this rule alone"]),
        ("node_perturbation", ["--node-perturbation.sigma", "--node-perturbation.lr"]),
        ("digits", ["Handwritten digits", "--digits.validation", "default 180"]),
        ("set", ["--set.every"]),
    ],
)
def test_a_name_is_a_topic(helped, name, parts):
    said = helped("train", "--help", name)
    assert all(part in said for part in parts), said
    assert ".lr" not in said or name not in ("digits", "set"), "they have no rate"


def test_a_topic_that_there_is_not_names_the_nearest(capsys):
    for topic, near in (("dfaa", "'dfa'"), ("nets", "'net'"), ("rule", "'rules'")):
        assert main(["train", "--help", topic]) == 2
        said = capsys.readouterr().err
        assert f"no topic of --help called '{topic}'" in said and near in said
    assert main(["train", "--help", "nonsense"]) == 2
    said = capsys.readouterr().err
    assert "one of: activity_forward_gradient, adding, arithmetic, backprop, backsolve," in said


def test_a_rule_that_there_is_not_is_said_where_help_is_asked_for(capsys):
    assert main(["train", "--rule", "dfaa", "--help"]) == 2
    assert "'dfa'" in capsys.readouterr().err


@pytest.mark.slow
def test_only_the_rule_that_is_asked_for_is_imported():
    program = """
import json, sys
from byway.cli.main import main
try:
    main(["train", "--rule", "bp", "--help"])
except SystemExit:
    print(json.dumps([name for name in sys.modules if name.startswith("byway.")]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    rules = {RULES.get(name).__module__ for name in RULES.own()}
    assert loaded & rules == {RULES.get("bp").__module__}
    assert [name for name in TASKS.ids() if f"byway.tasks.{name}" in loaded] == ["digits"]
