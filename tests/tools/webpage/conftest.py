"""Small scans, a server with tiny bundles, and what a browser does with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient

from tests.packaging.tiny import shrink
from tests.tools.translating.scans import ct_values, write_volume
from webpage.server import create_app
from webpage.settings import Settings

OVER = ("done", "failed", "cancelled")
PATIENCE = 600.0
"""Seconds after which a test gives up, on a machine however busy."""
HOME = "http://127.0.0.1:8080"


@pytest.fixture(scope="session")
def tiny_bundles(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundles of scans, radiographs and contrasts, so small that each translates in a moment."""
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("ct_mr_syndiff_translation", "chest_xray_ctpa_translation", "brain_mri_mudiff_synthesis"):
        shrink(root / "bundles" / name, folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a page of one line, for tests that translate nothing."""
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<title>page</title>", encoding="utf-8")
    return lambda **changes: Settings(**{"bundles": (tmp_path,), "static": page, "device": "cpu", **changes})


@pytest.fixture
def client(settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """A browser at a server with these settings; its processes are not started until they are needed."""
    opened: list[TestClient] = []

    def open_page(**changes: Any) -> TestClient:
        folder = tmp_path / f"server{len(opened)}"
        folder.mkdir()
        page = TestClient(create_app(settings(**changes), folder), base_url=HOME)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        page.app.state.server.jobs.close()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def page(tiny_bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A browser at a server with tiny bundles, as it runs."""
    folder = tmp_path_factory.mktemp("server")
    static = tmp_path_factory.mktemp("page")
    (static / "index.html").write_text("<title>page</title>", encoding="utf-8")
    with TestClient(create_app(Settings((tiny_bundles,), static=static, device="cpu"), folder), base_url=HOME) as open_:
        yield open_


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A CT in NIfTI."""
    return write_volume(tmp_path / "scan.nii.gz", ct_values())


def upload(page: TestClient, *files: Path) -> dict[str, Any]:
    """What the server finds in these files."""
    answer = page.post("/api/uploads", files=[("files", (file.name, file.read_bytes())) for file in files])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask(page: TestClient, found: dict[str, Any], bundle: str, source: str, target: str, **options: int) -> str:
    """Ask for a translation; the name of the job."""
    asked = {"upload": found["upload"], "bundle": bundle, "source": source, "target": target, "options": options}
    answer = page.post("/api/jobs", json=asked)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job"])


def finished(page: TestClient, job: str) -> dict[str, Any]:
    """What the server tells of a job when it is over."""
    told: dict[str, Any] = {}

    def is_over() -> bool:
        told.update(page.get(f"/api/jobs/{job}").json())
        return told["state"] in OVER

    wait_until(is_over)
    return told


def wait_until(condition: Callable[[], object]) -> None:
    """Return as soon as something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
