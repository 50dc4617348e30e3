"""The command line of the page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import environment
import web
from webpage import serving
from webpage.settings import Settings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that the server is started with; it is not started."""
    started: list[Settings] = []
    monkeypatch.setattr(environment, "enter", lambda: None)
    monkeypatch.setattr(web, "_classifier", lambda: None)
    monkeypatch.setattr(serving, "serve", lambda settings, open_browser: started.append(settings))
    return started


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["web.py", *options])
    web.main()


def test_by_default_it_serves_this_machine_with_the_bundles_of_the_project(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    run(monkeypatch)
    (settings,) = served
    assert (settings.host, settings.port, settings.token) == ("127.0.0.1", 8080, None)
    assert settings.bundles == (root / "bundles",)


def test_options_arrive_in_their_units(served: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limits = ("--retention", "5", "--max-upload-mb", "2", "--bundles", str(tmp_path), "b")
    run(monkeypatch, "--host", "0.0.0.0", "--port", "0", *limits)
    (settings,) = served
    assert (settings.retention, settings.max_upload, settings.port) == (300, 2 << 20, 0)
    assert settings.bundles == (tmp_path, Path("b").absolute())
    assert settings.token


def test_what_cannot_be_meant_is_told_without_a_traceback(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "--token", "short")
    assert str(end.value.code).startswith("--token: found 5 characters")
    assert not served
