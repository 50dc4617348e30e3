"""Command lines of the tools."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import fire
import pytest

import datalist


@pytest.fixture
def run_datalist(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line of datalist; returns all it printed and checks the exit status, 0 unless said otherwise."""

    def command(line: str, status: int = 0) -> str:
        found: Any = 0
        message = ""
        try:
            fire.Fire(datalist.main, command=shlex.split(line))
        except SystemExit as end:
            found, message = (1, f"{end.code}") if isinstance(end.code, str) else (end.code or 0, "")
        printed = capfd.readouterr()
        text = printed.out + printed.err + message
        assert found == status, text
        return text

    return command
