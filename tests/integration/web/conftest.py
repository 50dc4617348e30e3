"""One server with small bundles, one browser, and a page that must not reach beyond the server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.web.chromium import FLAGS, program
from tests.packaging.tiny import shrink

PATIENCE = 600_000.0
"""Milliseconds after which a test gives up, on a machine however busy."""
SERVING = "Serving on "
REFUSED = "Failed to load resource: the server responded"
"""What the browser says of requests that the server refuses, as some tests want it to."""
VOLUME, RADIOGRAPH, CONTRASTS, WITHOUT_WEIGHTS = (
    "ct_mr_syndiff_translation",
    "chest_xray_ctpa_translation",
    "brain_mri_mudiff_synthesis",
    "ct_mr_cyclegan_translation",
)
STANDING = """

def _stand_at_the_first_step(gate):
    import time

    from webpage.progress import ProgressFile

    tell = ProgressFile.steps

    def steps(listener, made, total):
        tell(listener, made, total)
        if made == 1 and gate.exists():
            listener.stage("translating")  # tells the step as well, however soon after the last time
            while gate.exists():
                time.sleep(0.02)

    ProgressFile.steps = steps


_stand_at_the_first_step(__import__("pathlib").Path({gate!r}))
"""
"""Added to the package of a bundle, whose translations then stand still after one step while a file exists."""
Opener = Callable[..., Page]


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        address: of its page.
        process: it.
        gate: as long as this file exists, translations by the bundle of volumes stand still after one step.
    """

    address: str
    process: subprocess.Popen[str]
    gate: Path

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Meanwhile what is sent to the server arrives, if it is not much, but nothing is read or answered."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @contextmanager
    def translating_without_end(self) -> Iterator[None]:
        """Meanwhile no volume is translated to its end, unless it was past its first step before."""
        self.gate.touch()
        try:
            yield
        finally:
            self.gate.unlink()


@pytest.fixture(scope="package")
def served(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """tools/web.py with a bundle of each kind, its networks small, and one that has no weights."""
    program()  # before anything slow is made
    bundles, folder = tmp_path_factory.mktemp("bundles"), tmp_path_factory.mktemp("server")
    for name in (VOLUME, RADIOGRAPH, CONTRASTS, WITHOUT_WEIGHTS):
        shrink(root / "bundles" / name, bundles)
    shutil.rmtree(bundles / WITHOUT_WEIGHTS / "models")
    log, gate = folder / "stderr.txt", folder / "gate"
    (package,) = (bundles / VOLUME).glob("*/__init__.py")
    with package.open("a", encoding="utf-8") as code:
        code.write(STANDING.format(gate=str(gate)))
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
            yield Served(address, server, gate)
        finally:
            server.terminate()
            server.wait(PATIENCE / 1000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with each file: while it runs, its event loop would be in the way of other tests."""
    path = program()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opener(browser: Browser, served: Served) -> Iterator[Opener]:
    """Opens the page afresh; nothing that it did may have been refused, failed or gone to another host."""
    complaints: list[str] = []
    host = urlsplit(served.address).netloc

    def watched(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
            complaints.append(f"request to {url}")

    def complain(text: str) -> None:
        if not text.startswith(REFUSED):
            complaints.append(text)

    def opened(address: str = "", width: int = 1100, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, service_workers="block")
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("request", lambda request: watched(request.url))
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("console", lambda message: message.type == "error" and complain(message.text))
        page.on("response", lambda got: "/static/" in got.url and not got.ok and complain(f"no {got.url}"))
        page.goto(served.address + address)
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


def shown(page: Page, what: str) -> Page:
    """A page when all of its "input" or "result" is drawn."""
    page.locator(f"#viewer[data-shown={what}]").wait_for()
    return page
