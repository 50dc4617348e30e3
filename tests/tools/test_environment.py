"""The set-up of the environment: when it is out of date, and what a wrong Python is told. Nothing is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

import environment


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with an environment that looks finished, apart from its stamp."""
    for name in ("requirements.txt", "setup.cfg", "pyproject.toml", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "FOLDER", tmp_path / ".venv")
    monkeypatch.setattr(environment, "PYTHON", tmp_path / ".venv/bin/python")
    return tmp_path


@pytest.mark.parametrize("name", ["requirements.txt", "setup.cfg", "pyproject.toml"])
def test_the_fingerprint_changes_with_each_file_that_says_what_is_installed(checkout: Path, name: str) -> None:
    before = environment._fingerprint()
    assert environment._fingerprint() == before
    (checkout / name).write_text("other")
    assert environment._fingerprint() != before


def test_an_environment_is_current_until_the_requirements_change(checkout: Path) -> None:
    assert not environment._is_current()
    environment._stamp().write_text(environment._fingerprint())
    assert environment._is_current()
    (checkout / "requirements.txt").write_text("other")
    assert not environment._is_current()


def test_an_environment_without_python_is_not_current(checkout: Path) -> None:
    environment._stamp().write_text(environment._fingerprint())
    environment.PYTHON.unlink()
    assert not environment._is_current()


def test_a_current_environment_is_left_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment._stamp().write_text(environment._fingerprint())
    calls: list[list[str]] = []
    monkeypatch.setattr(environment.subprocess, "call", calls.append)
    environment.install()
    assert calls == []


def test_a_failed_installation_leaves_no_stamp(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.subprocess, "call", lambda command: 3)
    with pytest.raises(SystemExit, match=r"pip could not install .*requirements.txt \(exit status 3\)"):
        environment.install()
    assert not environment._stamp().exists()


@pytest.mark.parametrize("version", [(3, 10, 9), (3, 14, 0)])
def test_a_wrong_python_is_told_which_ones_serve(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]) -> None:
    monkeypatch.setattr(environment.sys, "version_info", version)
    monkeypatch.setattr(environment, "install", lambda: pytest.fail("it went on with a wrong Python"))
    found = r"\.".join(map(str, version))
    with pytest.raises(SystemExit, match=rf"Python {found} found; wanted 3\.11 to 3\.13"):
        environment.enter()
