"""Files that somebody else wrote, or that were cut short: learned rules, runs to resume, data."""

import gzip
import json

import pytest

from byway.cli.main import main
from byway.core.errors import DataError
from byway.tasks._files import read_idx
from fuzz.cases import BROKEN, IDX, JOB, LEARNED, RESUMED, broken

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


@pytest.mark.parametrize(("file", "name"), RESUMED)
def test_a_run_that_is_broken_is_not_resumed(tmp_path, capsys, file, name):
    folder = tmp_path / JOB
    folder.mkdir(parents=True)
    (tmp_path / "run.json").write_text('{"format": 1}')
    (tmp_path / "config.toml").write_text('rule = "bp"\nseeds = 3\n')
    known = {"label": "bp", "rule_id": "bp", "task_id": "digits", "seeds": [0, 1, 2]}
    (folder / "job.json").write_text(json.dumps(known))
    (folder / "outcome.json").write_text("{}")
    (tmp_path / file).write_bytes(broken(file, name))
    assert file in explained(capsys, "resume", str(tmp_path))


@pytest.mark.parametrize("name", IDX)
@pytest.mark.parametrize("packed", ["whole", "cut", "not at all"])
def test_a_broken_data_file_is_named(tmp_path, name, packed):
    path = tmp_path / "images.gz"
    whole = gzip.compress(IDX[name])
    path.write_bytes({"whole": whole, "cut": whole[:-6], "not at all": b"spam" + IDX[name]}[packed])
    with pytest.raises(DataError, match=r"images\.gz"):
        read_idx(path)
