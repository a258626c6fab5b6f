"""The command line on bad flags and settings: exit status 2, and a message that says what was
wanted and what to do.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from byway.cli.main import main
from fuzz.arguments import CASES
from fuzz.cases import COMMANDS, CONFIGS, FILES, IDX, LEARNED, RESUMED, WHOLE


def mostly_slow(cases):
    """Every fourth case in `make test`, the others in `make slow`: the parser of flags takes a
    fifth of a second each time.
    """
    return [
        pytest.param(case, marks=[pytest.mark.slow] if i % 4 else [])
        for i, case in enumerate(cases)
    ]


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BYWAY_RULES", str(tmp_path / "rules"))


def refused(capsys, argv):
    """Run a command that must be refused; what it said."""
    try:
        status = main(argv)
    except SystemExit as usage:  # what the parser of flags says of a flag, in its own form
        assert usage.code == 2
        said = capsys.readouterr().err
        assert said.strip()
        return said
    said = capsys.readouterr().err
    assert status == 2, said
    assert "wanted:" in said and "do:" in said, said
    return said


@pytest.mark.parametrize("argv", mostly_slow(COMMANDS), ids=" ".join)
def test_a_bad_flag_is_refused(capsys, tmp_path, argv):
    refused(capsys, argv)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", mostly_slow(CONFIGS))
def test_a_bad_configuration_is_refused(capsys, tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    refused(capsys, ["train", "--config", str(path)])
    assert list(tmp_path.iterdir()) == [path]


@given(st.binary(min_size=1, max_size=40))
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_configuration_with_anything_in_its_middle_is_refused_or_means_something(
    capsys, tmp_path, garbage
):
    """What begins in a word can mean nothing: an open string of TOML ends at no line end."""
    path = tmp_path / "config.toml"
    path.write_bytes(WHOLE.encode()[:12] + b"\xff" + garbage)
    refused(capsys, ["train", "--config", str(path)])


def test_how_many_bad_inputs_there_are():
    """The figures of docs/reliability.md; the three lists of files are tried by `test_bad_files`
    and `test_report_bad_files`.
    """
    files = len(FILES) + len(LEARNED) + len(RESUMED) + 3 * len(IDX)
    assert (len(COMMANDS), len(CONFIGS), len(CASES), files) == (171, 108, 1016, 119)
    assert len(COMMANDS) + len(CONFIGS) + len(CASES) + files >= 300
