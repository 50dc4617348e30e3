"""The throw-away house of each test, and what is built of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract import Bundle
from releasing.building import Hosting, build
from tests.tools.releasing.house import tiny_house

House = tuple[Bundle, Path]
Built = Callable[..., Path]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """The bundle and the folder of released weights."""
    return tiny_house(tmp_path)


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """A folder of released weights that holds none."""
    (tmp_path / "nothing").mkdir()
    return tmp_path / "nothing"


@pytest.fixture
def built(house: House, tmp_path: Path) -> Built:
    """Build the release of the house; arguments are those of Hosting."""

    def make(output: str = "dist", weights: Path | None = None, **hosting: Any) -> Path:
        build(tmp_path / output, [house[0]], Hosting(**hosting), weights or house[1])
        return tmp_path / output

    return make
