"""A good bundle to break."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.tiny import tiny_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The throw-away bundle, without weights."""
    return tiny_bundle(tmp_path)
