"""Two processes that call a function."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.processes import SECONDS, in_two


def write(folder: Path) -> None:
    (folder / os.environ["RANK"]).write_text(os.environ["WORLD_SIZE"])


def fail_in_one(folder: Path, failing: str) -> None:
    if os.environ["RANK"] == failing:
        raise ValueError("this one cannot")
    time.sleep(2 * SECONDS)


def test_each_is_told_its_number(tmp_path: Path) -> None:
    in_two(write, (tmp_path,), tmp_path)
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["2", "2"]


@pytest.mark.parametrize("failing", ["0", "1"])
def test_one_that_fails_is_heard_and_the_other_does_not_wait_for_it(failing: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ValueError: this one cannot"):
        in_two(fail_in_one, (tmp_path, failing), tmp_path)
