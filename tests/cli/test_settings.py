"""Settings: defaults, a TOML file, flags; each mistake named with what would have been right."""

import dataclasses
import tomllib

import pytest

from byway.cli.settings import read, settings_class, to_toml
from byway.core.errors import ConfigError, UnknownNameError

Settings = settings_class("Settings", [("rules", str, "bp,fa", "rules"), ("seeds", int, 8, "seeds")], "For a test.")


def parse(*argv):
    return read(Settings, argv, "test")


def from_toml(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return parse("--config", str(path))


def test_defaults_then_file_then_flags(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("seeds = 3\nlr = 1\n[net]\nhidden = [7, 6]\n[ff]\npeer = 0.5\n")
    got = parse("--config", str(path), "--seeds", "2", "--ff.decay", "0.1")
    assert (got.seeds, got.lr, got.net.hidden, got.ff.peer, got.ff.decay, got.rules) == (2, 1.0, (7, 6), 0.5, 0.1, "bp,fa")


def test_what_is_written_reads_back_the_same(tmp_path):
    once = parse("--net.hidden", "5", "4", "--lr", "0.01", "--out", str(tmp_path / "x"), "--net.no-bias", "--digits.validation", "9")
    text = to_toml(once, used={"digits"})
    assert tomllib.loads(text)["net"]["bias"] is False
    assert {"ff", "out"}.isdisjoint(tomllib.loads(text))
    assert dataclasses.replace(from_toml(tmp_path, text), out=once.out) == once


def test_hyper_parameters_come_from_the_rules_and_tasks():
    names = {f.name for f in dataclasses.fields(Settings)}
    assert {"ff", "digits", "mnist"} <= names
    assert "bp" not in names  # nothing to set


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sedes = 3", ["'sedes'", "'seeds'"]),
        ("[net]\nhiden = [3]", ["'net.hiden'", "'net.hidden'"]),
        ("[fff]\npeer = 1", ["'fff'", "'ff'"]),
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
        ("net = 3", ["net = 3", "NetSettings"]),
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
