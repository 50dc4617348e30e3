"""Fixtures of the packaging tests: one process plays many consumers, so each test leaves it as it was."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.tiny import give_weights, tiny_bundle


@pytest.fixture(autouse=True)
def process_as_before(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start in an empty folder with no bundle imported; take back what MONAI and the consumers leave behind."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    path, root = sys.path.copy(), logging.getLogger()
    handlers, level = root.handlers.copy(), root.level
    elsewhere = {name: sys.modules.pop(name) for name in list(sys.modules) if _of_a_bundle(name)}
    yield
    sys.path[:] = path
    root.handlers[:], root.level = handlers, level
    for name in [name for name in sys.modules if _of_a_bundle(name)]:
        del sys.modules[name]
    sys.modules.update(elsewhere)


def _of_a_bundle(name: str) -> bool:
    return name.partition(".")[0].endswith("_bundle")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The throw-away bundle with weights."""
    path = tiny_bundle(tmp_path)
    give_weights(path)
    return path
