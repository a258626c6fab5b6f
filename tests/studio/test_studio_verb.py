"""`byway studio`, as a program: it serves, records, plays, exports, and says what is wrong."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from tests.wait import until

import byway.studio.page as page_module
from byway.cli.main import main
from byway.studio.recording import read


def test_help_fits_a_screen(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main(["studio", "--help"])
    said = capsys.readouterr().out
    assert len(said.splitlines()) <= 45 and max(map(len, said.splitlines())) <= 100
    for flag in ("--rules", "--speed", "--record", "--export", "--port", "--host", "--no-browser"):
        assert flag in said


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["missing.bywayrec"], "cannot be read"),
        (["missing.byway"], "missing.byway"),
        (["missing"], "missing"),
        (["--export", "there"], "without a recording"),
        (["--speed", "0"], "updates a second"),
        (["--edges", "-1"], "edges"),
        (["--rules", "bp,fa,dfa"], "one, or two side by side"),
        (["--rules", "nothing"], "nothing"),
        (["--port", "99999"], "port"),
        (["--host", "0.0.0.0"], "one address"),  # noqa: S104
        (["--seeds", "3"], "seeds"),
    ],
)
def test_mistakes_are_said(argv, wanted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(page_module, "files", lambda name: tmp_path)
    (tmp_path / "page" / "assets").mkdir(parents=True)
    (tmp_path / "page" / "index.html").touch()
    small = ["--net.units", "40"] if argv[0] in ("--speed", "--edges", "--port", "--host") else []
    try:
        code = main(["studio", *argv, *small, "--no-browser"])
    except SystemExit as left:
        code = left.code
    assert code == 2
    heard = capsys.readouterr()
    assert wanted in heard.err + heard.out


def test_a_recording_becomes_a_page_of_its_own(tmp_path, monkeypatch, capsys):
    built = tmp_path / "built"
    (built / "page" / "assets").mkdir(parents=True)
    (built / "page" / "index.html").write_text("the page", encoding="utf-8")
    monkeypatch.setattr(page_module, "files", lambda name: built)
    recording = tmp_path / "a.bywayrec"
    recording.write_bytes(b"BYWAYREC\1\0\0\0")
    assert main(["studio", str(recording), "--export", str(tmp_path / "out")]) == 0
    said = json.loads((tmp_path / "out" / "studio.json").read_text(encoding="utf-8"))
    assert said["mode"] == "replay"
    assert (tmp_path / "out" / said["file"]).read_bytes() == recording.read_bytes()
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8") == "the page"
    assert "any web server" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_serves_until_it_is_stopped_and_loses_nothing_that_was_recorded(end, tmp_path):
    """The program itself; of one that is killed the recording is good up to its last record."""
    file = tmp_path / "live.bywayrec"
    argv = ["studio", "--rule", "dfa", "--net.hidden", "5", "--no-browser", "--record", str(file)]
    program = subprocess.Popen(
        [sys.executable, "-m", "byway", *argv],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in program.stdout:
            if found := re.search(r"http://\S+", line):
                break
        if (page_module.page() / "index.html").is_file():
            with urllib.request.urlopen(found[0], timeout=10) as answer:  # noqa: S310
                assert answer.status == 200
        until(lambda: file.stat().st_size >= 20_000 or program.poll() is not None)
        assert program.poll() is None
        program.send_signal(end)
        _, err = program.communicate(timeout=60)
        assert program.returncode == (-9 if end == signal.SIGKILL else 130)
        assert "Traceback" not in err
    finally:
        program.kill()
        program.communicate()
    topics = {frame.head["topic"] for record in read(file) for frame in record.frames}
    assert topics >= {"scene", "edges", "units", "state"}


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_it_attaches_to_a_run_that_another_process_trains(end, tmp_path):
    """It is let in, is told when that training has ended, and harms nothing where it is killed."""

    def begun(*argv):
        command = [sys.executable, "-m", "byway", *argv]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    net = ["--net.hidden", "4", "--seeds", "1", "--looks", "0"]
    training = begun("train", "--epochs", "100000", "--out", "run", *net)
    studios = []
    try:
        until(lambda: any(tmp_path.glob("run/jobs/dfa/*/checkpoints/.lock")), most=120)
        for _ in range(2):
            studios.append(begun("studio", "run", "--no-browser"))
            assert any("http://127.0.0.1" in line for line in studios[-1].stdout)
            if len(studios) == 1:
                studios[0].send_signal(end)
                studios[0].wait(60)
        training.send_signal(signal.SIGTERM)
        said, _ = studios[1].communicate(timeout=60)
        assert studios[1].returncode == 0 and "the training has ended" in said
        assert training.wait(60) == 130
        assert not list(tmp_path.glob("run/jobs/dfa/*/studio/address.json"))
    finally:
        for program in (training, *studios):
            program.kill()
            program.communicate()
