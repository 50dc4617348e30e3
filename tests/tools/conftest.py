"""Command lines of the tools."""

from __future__ import annotations

import base64
import io
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fire
import numpy as np
import pytest
from PIL import Image

import datalist
import labelme_to_masks
import translate


@pytest.fixture
def run_datalist(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line of datalist; returns all it printed and checks the exit status, 0 unless said otherwise."""
    return _commands_of(datalist.main, capfd)


@pytest.fixture
def run_labelme_to_masks(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line of labelme_to_masks, as :func:`run_datalist` does."""
    return _commands_of(labelme_to_masks.main, capfd)


@pytest.fixture
def run_translate(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line of translate, as :func:`run_datalist` does."""
    return _commands_of(translate.main, capfd)


@pytest.fixture
def commands_of(capfd: pytest.CaptureFixture[str]) -> Callable[[Any], Callable[..., str]]:
    """Of a program, what runs a command line of it, as :func:`run_datalist` does."""
    return lambda program: _commands_of(program, capfd)


def _commands_of(program: Any, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def command(line: str, status: int = 0) -> str:
        found: Any = 0
        message = ""
        try:
            fire.Fire(program, command=shlex.split(line))
        except SystemExit as end:
            found, message = (1, f"{end.code}") if isinstance(end.code, str) else (end.code or 0, "")
        printed = capfd.readouterr()
        text = printed.out + printed.err + message
        assert found == status, text
        return text

    return command


@pytest.fixture
def annotate() -> Callable[..., Path]:
    """Write a file of labelme with its picture, which is embedded; further keys replace those of the file."""

    def write(
        path: Path, shapes: Sequence[Mapping[str, Any]] = (), size: tuple[int, int] = (20, 30), **keys: Any
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows, columns = size
        grey = np.add.outer(5 * np.arange(rows), 3 * np.arange(columns)).astype(np.uint8)  # no symmetry, 8 bits
        content = {"version": "5.2.1", "flags": {}, "shapes": list(shapes), "imagePath": f"{path.stem}.png"}
        content |= {"imageData": png_text(grey), "imageHeight": rows, "imageWidth": columns}
        path.write_text(json.dumps(content | keys), encoding="utf-8")
        return path

    return write


@pytest.fixture(name="png_text", scope="session")
def png_as_text() -> Callable[[Any], str]:
    """Pixels as the base64 of a PNG."""
    return png_text


def png_text(pixels: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
