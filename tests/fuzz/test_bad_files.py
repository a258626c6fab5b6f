"""Files that somebody else wrote, or that were cut short: learned rules, runs to go on with,
data.
"""

import gzip
import json

import pytest

from byway.cli.main import main
from byway.core.errors import DataError
from byway.tasks._files import read_idx
from fuzz.cases import BROKEN, IDX, LEARNED

TABLE = [[[[0.0] * 2] * 2] * 3] * 2
LATER = {
    "too short": {"theta": {"hidden": TABLE[:1], "output": TABLE}, "found": {}},
    "not finite": {
        "theta": {"hidden": TABLE, "output": [[[[float("nan")] * 2] * 2] * 3] * 2},
        "found": {},
    },
}


def explained(capsys, *argv):
    assert main(list(argv)) == 2
    said = capsys.readouterr().err
    assert "wanted:" in said and "do:" in said
    return said


@pytest.mark.parametrize("name", LEARNED)
def test_a_broken_learned_rule_is_named(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setenv("BYWAY_RULES", str(tmp_path))
    (tmp_path / "mine.json").write_bytes(
        BROKEN[name] if name in BROKEN else json.dumps(LATER[name]).encode()
    )
    assert "mine.json" in explained(capsys, "audit", "mine")


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "other kinds"])
def test_a_run_whose_results_are_broken_is_not_gone_on_with(tmp_path, capsys, name):
    for file, text in (("versions.json", "{}"), ("config.toml", 'rule = "bp"\n')):
        (tmp_path / file).write_text(text)
    (tmp_path / "results.json").write_bytes(
        BROKEN[name].replace(b'"rules": {"bp"', b'"rulez": {"bp"')
    )
    assert "results.json" in explained(capsys, "resume", str(tmp_path))


@pytest.mark.parametrize("name", IDX)
@pytest.mark.parametrize("packed", ["whole", "cut", "not at all"])
def test_a_broken_data_file_is_named(tmp_path, name, packed):
    path = tmp_path / "images.gz"
    whole = gzip.compress(IDX[name])
    path.write_bytes({"whole": whole, "cut": whole[:-6], "not at all": b"spam" + IDX[name]}[packed])
    with pytest.raises(DataError, match=r"images\.gz"):
        read_idx(path)
