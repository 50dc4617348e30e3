"""A published training, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.syndiff_training import PublishedTraining


@pytest.fixture(scope="session")
def training(shared: Path) -> PublishedTraining:
    """Eight small networks after four steps; tests leave it as it is."""
    return PublishedTraining(shared)
