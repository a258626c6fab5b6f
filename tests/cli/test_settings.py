"""Settings: defaults, a TOML file, flags; each mistake named with what would have been right."""

import dataclasses
import tomllib

import pytest

from byway.cli import train
from byway.cli.experiment import made
from byway.cli.flags import Flag
from byway.cli.settings import Verb, plain, to_toml
from byway.core.errors import ConfigError, UnknownNameError
from byway.rules import RULES

VERB = Verb(
    "test",
    "For a test.",
    [Flag("rules", str, "bp,ff", "rules"), Flag("seeds", int, 8, "seeds")],
    without=("keep",),
)


def parse(*argv):
    return VERB.read(argv)


def from_toml(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return parse("--config", str(path))


def test_defaults_then_file_then_flags(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("seeds = 3\nlr = 1\n[net]\nhidden = [7, 6]\n[ff]\npeer = 0.5\n")
    got = parse("--config", str(path), "--seeds", "2", "--ff.decay", "0.1")
    assert (got.seeds, got.lr, got.net.hidden, got.ff.peer, got.ff.decay, got.rules) == (
        2,
        1.0,
        (7, 6),
        0.5,
        0.1,
        "bp,ff",
    )


@pytest.mark.parametrize(
    "given",
    ["--rules bp,dfa,ff", "--rules bp dfa ff", "--rules bp, dfa,ff", "--rules=bp dfa ff"],
)
def test_a_list_is_written_with_commas_or_with_spaces(given):
    assert parse("--seeds", "2", *given.split(), "--net.hidden", "5", "4").rules == "bp,dfa,ff"


def test_what_is_written_reads_back_the_same(tmp_path):
    once = parse(
        "--net.hidden",
        "5",
        "4",
        "--lr",
        "0.01",
        "--out",
        str(tmp_path / "x"),
        "--net.no-bias",
        "--digits.validation",
        "9",
    )
    text = to_toml(once)
    assert tomllib.loads(text)["net"]["bias"] is False
    assert "out" not in tomllib.loads(text)
    assert plain(dataclasses.replace(from_toml(tmp_path, text), out=once.out)) == plain(once)


def test_hyper_parameters_come_from_the_rules_and_the_task_that_are_named():
    names = lambda *argv: {f.name for f in dataclasses.fields(parse(*argv))}
    assert {"ff", "digits"} <= names()
    # Not named, of no use here.
    assert names().isdisjoint({"pc", "mnist", "keep"})
    assert {"pc", "adding"} <= names("--rules", "fa,pc", "--task=adding")
    assert names("--rules", "fa", "--rules", "dfa").isdisjoint({"ff", "fa"})


@pytest.mark.parametrize(
    ("argv", "text", "parts"),
    [
        (["--pc.rate", "0.1"], "", ["--pc.rate, a setting of pc", "--rules"]),
        (["--node-perturbation.draws=3"], "", ["a setting of node_perturbation", "--rules"]),
        (["--adding.length", "3"], "", ["--adding.length, a setting of adding", "--task"]),
        ([], "[pc]\nrate = 0.1", ["[pc], a setting of pc"]),
        (["--rules", "fa"], "[ff]\npeer = 0.1", ["[ff], a setting of ff"]),
    ],
)
def test_a_setting_of_what_is_not_used_is_refused(tmp_path, argv, text, parts):
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        parse("--config", str(tmp_path / "config.toml"), *argv)
    assert all(part in str(caught.value) for part in parts)


def test_a_file_names_what_is_trained_and_a_flag_another(tmp_path):
    (tmp_path / "config.toml").write_text('rules = "pc"\ntask = "adding"\n', encoding="utf-8")
    got = parse(
        "--config",
        str(tmp_path / "config.toml"),
        "--pc.steps",
        "3",
        "--task",
        "copy",
        "--copy.delay",
        "2",
    )
    assert (got.rules, got.pc.steps, got.task, got.copy.delay) == ("pc", 3, "copy", 2)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sedes = 3", ["'sedes'", "'seeds'"]),
        ("[net]\nhiden = [3]", ["'net.hiden'", "'net.hidden'"]),
        ("[fff]\npeer = 1", ["'fff'", "'ff'"]),
        ("keep = 1", ["'keep'"]),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path, text, parts):
    with pytest.raises(UnknownNameError) as caught:
        from_toml(tmp_path, text)
    assert all(part in str(caught.value) for part in parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('seeds = "three"', ["seeds = 'three'", "int"]),
        ("seeds = 1.5", ["seeds = 1.5", "int"]),
        ("seeds = true", ["seeds = True", "int"]),
        ("task = 3", ["task = 3", "str"]),
        ('[net]\nhidden = ["a"]', ["net.hidden = ['a']", "tuple"]),
        ("net = 3", ["net = 3", "a table", "net.NAME"]),
        ("seeds = ", ["no TOML"]),
    ],
)
def test_a_wrong_type_says_what_was_wanted(tmp_path, text, parts):
    with pytest.raises(ConfigError) as caught:
        from_toml(tmp_path, text)
    assert all(part in str(caught.value) for part in parts)


def test_a_missing_file_and_a_forgotten_one(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        parse("--config", str(tmp_path / "nowhere.toml"))
    with pytest.raises(ConfigError, match="without a file"):
        parse("--config")


def test_a_rule_of_a_file_has_its_settings_under_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(RULES, "_added", {})
    (tmp_path / "mine.py").write_text(
        "from byway.rules.feedback.fa import FA\n"
        "from byway import hyper\n"
        "class MyFA(FA):\n"
        "    gain: float = hyper(1.0, 'scale of what comes back')\n",
        encoding="utf-8",
    )
    verb = Verb("train", "", [Flag("rule", str, "dfa", "the learning rule")])
    rule = f"{tmp_path}/mine.py:MyFA"
    settings = verb.read(["--rule", rule, "--my-fa.gain", "2"])
    assert settings.rule == rule and settings.my_fa.gain == 2.0
    again = verb.from_dict(tomllib.loads(to_toml(settings)))
    assert to_toml(again) == to_toml(settings)


@pytest.mark.parametrize(("said", "policies"), [("none", []), ("set", ["set"])])
def test_growth_none_is_no_growth(said, policies):
    options = ["--task", "digits", "--rule", "fa", "--net.fan-in", "8", "--growth", said]
    settings = train.VERB.read(options)
    assert [one.id for one in made(["fa"], settings).options["growth"]] == policies


def test_growth_none_stands_alone():
    with pytest.raises(UnknownNameError, match="none"):
        train.VERB.read(["--task", "digits", "--rule", "fa", "--growth", "none,set"])
