"""One server with small bundles, one browser, and a page that must not reach beyond the server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.web.chromium import FLAGS, program
from tests.packaging.tiny import shrink

SECONDS = 120.0
SERVING = "Serving on "
REFUSED = "Failed to load resource: the server responded"
"""What the browser says of requests that the server refuses, as some tests want it to."""
VOLUME, RADIOGRAPH, CONTRASTS, WITHOUT_WEIGHTS = (
    "ct_mr_syndiff_translation",
    "chest_xray_ctpa_translation",
    "brain_mri_mudiff_synthesis",
    "ct_mr_cyclegan_translation",
)
Opener = Callable[..., Page]


@pytest.fixture(scope="package")
def served(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of tools/web.py with a bundle of each kind, its networks small, and one that has no weights."""
    program()  # before anything slow is made
    bundles = tmp_path_factory.mktemp("bundles")
    for name in (VOLUME, RADIOGRAPH, CONTRASTS, WITHOUT_WEIGHTS):
        shrink(root / "bundles" / name, bundles)
    shutil.rmtree(bundles / WITHOUT_WEIGHTS / "models")
    log = tmp_path_factory.mktemp("server") / "stderr.txt"
    command = [sys.executable, str(root / "tools" / "web.py"), "--port", "0", "--bundles", str(bundles)]
    with log.open("w") as stderr:
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert server.stdout is not None
        try:
            lines = iter(server.stdout.readline, "")
            address = next((line.removeprefix(SERVING).strip() for line in lines if line.startswith(SERVING)), None)
            assert address is not None, log.read_text()
            yield address
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with each file: while it runs, its event loop would be in the way of other tests."""
    path = program()
    expect.set_options(timeout=500 * SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opener(browser: Browser, served: str) -> Iterator[Opener]:
    """Opens the page afresh; nothing that it did may have been refused, failed or gone to another host."""
    complaints: list[str] = []
    host = urlsplit(served).netloc

    def watched(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
            complaints.append(f"request to {url}")

    def complain(text: str) -> None:
        if not text.startswith(REFUSED):
            complaints.append(text)

    def opened(address: str = "", width: int = 1100, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, service_workers="block")
        page = context.new_page()
        page.set_default_timeout(1000 * SECONDS)
        page.on("request", lambda request: watched(request.url))
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("console", lambda message: message.type == "error" and complain(message.text))
        page.on("response", lambda got: "/static/" in got.url and not got.ok and complain(f"no {got.url}"))
        page.goto(served + address)
        page.locator("#bundle:enabled").wait_for()
        return page

    yield opened
    for context in browser.contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(opener: Opener) -> Iterator[Page]:
    """A page of its own for one test."""
    page = opener()
    yield page
    page.context.close()
