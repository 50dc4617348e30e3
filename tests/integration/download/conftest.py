"""A release of a throw-away bundle, MONAI's own command line that fetches it, and the way to it past the network."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from releasing.building import Hosting, build
from tests.tools.releasing.house import tiny_house

PATIENCE = {"HF_HUB_ETAG_TIMEOUT": "600", "HF_HUB_DOWNLOAD_TIMEOUT": "600"}
"""In place of ten seconds, in which a busy machine may not come to answer itself."""
OUTSIDE = {"PYTHONPATH", "BUNDLE_DOWNLOAD_SRC", "HF_ENDPOINT", "HF_HUB_OFFLINE", "COV_CORE_SOURCE"}


@pytest.fixture
def release(tmp_path: Path) -> Callable[..., Path]:
    """Make the release, into ``served``; arguments are those of Hosting."""

    def make(**hosting: Any) -> Path:
        bundle, weights = tiny_house(tmp_path, values={"source": "mr"})
        build(tmp_path / "served", [bundle], Hosting(**hosting), weights)
        return tmp_path / "served"

    return make


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., None]:
    """Run ``python -m monai.bundle …`` in the folder ``got``; keywords are environment variables."""

    def run(*arguments: str, **variables: str) -> None:
        (tmp_path / "got").mkdir(exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if key not in OUTSIDE and "proxy" not in key.lower()}
        done = subprocess.run(
            [sys.executable, "-m", "monai.bundle", *arguments],
            cwd=tmp_path / "got",
            env={**kept, **PATIENCE, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1", **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    return run


@pytest.fixture
def redirected(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a server on this machine answer for all that is asked over https, ``https://HOST/PATH`` as ``/HOST/PATH``."""

    def to(address: str) -> None:
        def here(url: str) -> str:
            return f"{address}/{urlsplit(url).netloc}{urlsplit(url).path}"

        class Rewriting(urllib.request.HTTPSHandler):
            def https_open(self, request: urllib.request.Request) -> Any:
                return self.parent.open(here(request.full_url))

        send = requests.Session.send

        def sent(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            request.url = here(str(request.url))
            return send(session, request, **options)

        monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(Rewriting))
        monkeypatch.setattr(requests.Session, "send", sent)

    return to


@pytest.fixture
def unpacked() -> Callable[[Path], dict[str, bytes]]:
    """Content of a zip by the names in it."""

    def read(archive: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(archive) as file:
            return {name: file.read(name) for name in file.namelist()}

    return read
