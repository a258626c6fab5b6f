"""A film, where what it needs is missing."""

import importlib

import pytest

import byway.studio.server as server_module
from byway.core.errors import ConfigError
from byway.studio import video
from byway.studio.video import film


@pytest.fixture
def recording(page, monkeypatch, tmp_path):
    monkeypatch.setattr(server_module, "page", lambda: page)
    path = tmp_path / "a.bywayrec"
    path.write_bytes(b"BYWAYREC\1\0\0\0")
    return path


@pytest.mark.parametrize(("module", "package"), video.NEEDED)
def test_a_package_that_is_missing_is_named(recording, monkeypatch, tmp_path, module, package):
    real = importlib.import_module

    def without(name, *given):
        if name == module:
            raise ImportError(name)
        return real(name, *given)

    monkeypatch.setattr(video.importlib, "import_module", without)
    with pytest.raises(ConfigError, match=f"{package} is not installed") as said:
        film(recording, tmp_path / "a.gif")
    assert said.value.fix == "pip install 'byway[video]'"
    assert list(tmp_path.glob("*.gif*")) == []


@pytest.mark.parametrize("broken", [False, True])
def test_where_no_chromium_starts_it_is_said_how_to_get_one(
    recording, monkeypatch, tmp_path, broken
):
    """There is none; or one that ends at once."""
    pytest.importorskip("playwright.sync_api")
    programs = tmp_path / "bin"
    programs.mkdir()
    if broken:
        program = programs / video.BROWSERS[0]
        program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no Chromium that starts") as said:
        film(recording, tmp_path / "a.gif")
    assert "playwright install chromium" in said.value.fix
    assert list(tmp_path.glob("*.gif*")) == []


def test_a_film_is_a_gif(recording, tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.gif"):
        film(recording, tmp_path / "a.mp4")
