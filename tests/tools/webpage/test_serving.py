"""The program as it is started: what it prints, what it asks for, and what it leaves behind, which is nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.tools.webpage.conftest import PATIENCE, wait_until

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(root: Path, tiny_bundles: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the server on a free port; the process, and the address that it prints."""
    running: list[subprocess.Popen[str]] = []

    def run(*options: str) -> tuple[subprocess.Popen[str], str]:
        program = "from webpage.serving import serve; from webpage.settings import Settings; import pathlib, sys; "
        program += "serve(Settings((pathlib.Path(sys.argv[1]),), port=0, host=sys.argv[2], token=sys.argv[3] or None))"
        host, token = (*options, *("127.0.0.1", "")[len(options) :])
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tiny_bundles), host, token],
            cwd=root / "tools",
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        found = re.match(r"Serving on (\S+)", process.stdout.readline())
        assert found, process.stdout.read()
        return process, found[1]

    yield run
    for process in running:
        process.kill()
        process.wait()


def folders(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("transmodal-web-*"))


@pytest.mark.skipif(os.name != "posix", reason="elsewhere processes are not asked to end")
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGHUP"])
def test_a_server_that_is_asked_to_end_leaves_nothing(start: Start, tmp_path: Path, ending: str) -> None:
    process, address = start()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    assert requests.get(address, timeout=PATIENCE).status_code == 200
    assert len(folders(tmp_path)) == 1
    process.send_signal(getattr(signal, ending))
    assert process.wait(PATIENCE) == 0
    assert folders(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="elsewhere processes are ended in another way")
def test_a_server_that_is_killed_leaves_nothing_either(start: Start, tmp_path: Path) -> None:
    process, _ = start()
    assert len(folders(tmp_path)) == 1
    process.kill()
    process.wait()
    wait_until(lambda: not folders(tmp_path))


def test_for_all_addresses_of_a_machine_one_is_printed_that_can_be_opened(start: Start) -> None:
    process, address = start("0.0.0.0")
    assert re.match(r"http://127\.0\.0\.1:\d+/\?token=", address)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("From other machines")
    assert requests.Session().get(address, timeout=PATIENCE).status_code == 200


def test_with_a_token_the_printed_address_opens_the_page_and_the_bare_one_does_not(start: Start) -> None:
    _, address = start("127.0.0.1", "a token of some length")
    bare, _, token = address.partition("?token=")
    assert token
    assert requests.get(bare, timeout=PATIENCE).status_code == 401
    assert requests.Session().get(address, timeout=PATIENCE).status_code == 200


def test_a_port_that_is_taken_is_told_on_one_line(root: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        program = [sys.executable, str(root / "tools" / "web.py"), "--port", str(port)]
        done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 1
    assert f"--port {port}: found an address that cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr
    assert folders(tmp_path) == []
