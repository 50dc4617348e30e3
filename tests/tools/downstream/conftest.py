"""Simulated brains, as files and in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.data import Record, Subject, read_subject, split_records
from tests.tools.downstream.brains import CONTRASTS, write_brains


@pytest.fixture
def brains(tmp_path: Path) -> Path:
    """A folder with data/ and split.json."""
    return write_brains(tmp_path).parent


@pytest.fixture
def records(brains: Path) -> tuple[list[Record], list[Record]]:
    """Two cases that train, one that tests."""
    return split_records(str(brains / "data"), str(brains / "split.json"), "test", CONTRASTS)


@pytest.fixture
def subject(records: tuple[list[Record], list[Record]]) -> Subject:
    """The tested case, without synthetic images."""
    return read_subject(records[1][0], CONTRASTS, {}, "flair")
