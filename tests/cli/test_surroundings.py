"""Commands where things are not as usual: no home, another encoding, a reader that left, other
cores, docstrings stripped.
"""

import codecs
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from byway.cli.main import main
from byway.cli.output import spoken
from byway.core.errors import RunError
from byway.rules import RULES
from byway.rules._learned import learned, save
from byway.runs.folder import RunFolder
from byway.system import machine
from byway.system.docstring import docstring
from byway.system.folders import cache_folder, rules_folder
from byway.system.machine import cores
from byway.system.process import use_compilation_cache
from byway.tasks._files import DataFile, locate
from byway.training import store


def _python(program, *argv):
    return subprocess.run(
        [sys.executable, *argv, "-c", program], capture_output=True, text=True, check=False
    )


@pytest.fixture
def homeless(monkeypatch):
    """No $HOME, and no entry for this user."""

    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    for name in ("BYWAY_CACHE", "BYWAY_RULES", "BYWAY_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_there_is_no_cache_and_no_learned_rule_but_all_else(homeless, monkeypatch):
    assert (
        cache_folder() is None
        and rules_folder() is None
        and learned() == {}
        and "dfa" in RULES.ids()
    )
    use_compilation_cache()
    with pytest.raises(RunError, match=r"name one in \$BYWAY_RULES"):
        save("mine", {}, {}, [])
    with pytest.raises(Exception, match="no home folder") as told:
        locate(DataFile("mnist", "none.gz", "https://nowhere.invalid/", "sha256:00"))
    assert "$BYWAY_CACHE" in str(told.value)


@pytest.mark.parametrize(
    ("given", "cache", "rules"),
    [
        ({"XDG_CACHE_HOME": "/c", "XDG_DATA_HOME": "/d"}, "/c/byway", "/d/byway/rules"),
        ({"BYWAY_CACHE": "here", "BYWAY_RULES": "there"}, "here", "there"),
        (
            {"XDG_CACHE_HOME": "relative", "XDG_DATA_HOME": ""},
            None,
            None,
        ),
    ],
)
def test_what_is_named_needs_no_home(given, cache, rules, homeless, monkeypatch):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert (cache_folder(), rules_folder()) == tuple(
        None if place is None else Path(place) for place in (cache, rules)
    )


@pytest.mark.parametrize(
    ("quota", "wanted"),
    [("max 100000", 3), ("150000 100000", 2), ("900000 100000", 3), ("10 100000", 1), ("", 3)],
)
def test_cores_are_those_that_the_process_is_bound_to_and_its_quota_pays_for(
    quota, wanted, tmp_path, monkeypatch
):
    (tmp_path / "cpu.max").write_text(quota, encoding="ascii")
    monkeypatch.setattr(machine, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {4, 7, 9}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cores() == wanted


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores"
)
def test_no_more_devices_are_asked_for_than_cores():
    bind = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    found = _python(f"{bind}; import byway; print(byway.use_all_cores())")
    assert found.stdout == "1\n", found.stderr


SAID = "−1.5 ± 0.2, 60°, B = Wᵀ, ≤ 1e-3, φ′\n╭──╮│ 中"


@pytest.mark.parametrize(
    ("encoding", "wanted"),
    [
        ("utf-8", SAID),
        ("cp1252", "-1.5 ± 0.2, 60°, B = WT, <= 1e-3, phi'\n+--+| \\u4e2d"),
        ("ascii", "-1.5 +/- 0.2, 60 deg, B = WT, <= 1e-3, phi'\n+--+| \\u4e2d"),
    ],
)
def test_what_an_encoding_has_not_is_written_in_another_way(encoding, wanted, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    with spoken():
        print(SAID, end="")
    assert stream.buffer.getvalue().decode(encoding) == wanted
    assert stream.errors == "strict"
    with pytest.raises(UnicodeDecodeError):  # it is for what is written alone
        codecs.decode(b"\xff", "ascii", "byway")


@pytest.mark.slow
def test_a_command_whose_output_is_in_ascii(tmp_path, monkeypatch, capfdbinary):
    argv = [
        "compare",
        "--rules",
        "bp,frozen",
        "--epochs",
        "1",
        "--seeds",
        "2",
        "--net.hidden",
        "8",
        "--looks",
        "0",
        "--out",
    ]
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert main([*argv, str(tmp_path / "run")]) == 0
    assert "+/-" in sys.stdout.buffer.getvalue().decode("ascii")


def test_a_reader_that_leaves_ends_a_command_quietly():
    command = f"{sys.executable} -u -m byway.cli.main list | head -1"
    left = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert (left.returncode, left.stdout, left.stderr) == (141, "rules\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.slow
def test_an_output_without_room_is_said():
    with open("/dev/full", "w", encoding="utf-8") as full:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        done = subprocess.run(
            [sys.executable, "-m", "byway.cli.main", "list"],
            stdout=full,
            stderr=-1,
            text=True,
            env=environment,
            check=False,
        )
    assert (
        done.returncode == 2
        and "the output cannot be written: No space left" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_two_runs_that_begin_at_once_have_a_folder_each(tmp_path):
    wanted = tmp_path / "runs" / "train-digits-now"
    begun = [RunFolder.begin(wanted, {}, unique=True).path for _ in range(3)]
    assert begun == [
        wanted,
        wanted.with_name("train-digits-now-2"),
        wanted.with_name("train-digits-now-3"),
    ]
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be made"):
        RunFolder.begin(tmp_path / "file" / "x", {}, unique=True)


@pytest.mark.slow
def test_stripped_docstrings_are_read_in_the_source():
    program = (
        "from byway.system.docstring import docstring as d; import byway.rules.feedback.dfa as m, "
        "byway.experiment.networks as s"
    )
    made = "d(type('Made', (), {'__doc__': 'given'}))"
    ask = f"{program}; import json; print(json.dumps([d(m), d(m.DFA), d(s.NetSettings), {made}]))"
    stripped, whole = (_python(ask, *flags) for flags in (["-OO"], []))
    assert stripped.stdout == whole.stdout and "given" in stripped.stdout, stripped.stderr
    assert docstring(type("Made", (), {})) == ""


@pytest.mark.slow
def test_the_help_is_the_same_without_docstrings():
    help_ = "from byway.cli.main import main; main(['train', '--help'])"
    assert _python(help_, "-OO").stdout == _python(help_).stdout != ""


@pytest.mark.slow
def test_every_file_is_opened_with_an_encoding(tmp_path):
    program = """
import warnings
warnings.filterwarnings("error", category=EncodingWarning, module=r"byway\\..*")
from byway.cli.main import main
run = "RUN"
small = ["--epochs", "1", "--seeds", "1", "--net.hidden", "8", "--looks", "0"]
for argv in (["compare", "--rules", "bp,frozen", *small, "--out", run],
             ["report", run], ["resume", run], ["runs", run],
             ["branch", run, "--set", "epochs=2", "--out", run + "b"]):
    assert main(argv) == 0, argv
print("fine")
""".replace("RUN", str(tmp_path / "run"))
    done = _python(program, "-X", "warn_default_encoding")
    assert done.stdout.endswith("fine\n"), done.stderr


def test_what_other_people_log_is_logged_while_a_store_is_open(tmp_path, caplog):
    shared = logging.getLogger("absl")
    before = shared.level, list(shared.filters)
    with caplog.at_level(logging.INFO, "absl"), store.opened(tmp_path):
        shared.info("mine")
        shared.handle(
            logging.LogRecord(
                "absl", logging.INFO, str(store.HERE / "any.py"), 1, "theirs", None, None
            )
        )
        assert [record.message for record in caplog.records] == ["mine"]
    assert (shared.level, shared.filters) == before
