"""Arrays from files: made once, made anew when anything changes, never by halves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from transmodal.data.array_cache import as_they_are, cached_arrays


class Making:
    """Makes two arrays and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> list[NDArray[np.float32]]:
        self.calls += 1
        return [np.arange(3, dtype=np.float32), np.full((2, 2), self.calls, dtype=np.float32)]


def test_arrays_are_made_once_and_then_read(tmp_path: Path) -> None:
    make = Making()
    first, second = (cached_arrays(tmp_path / "cache", "a CT", ("x", "y"), make) for _ in range(2))
    assert make.calls == 1
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert isinstance(second[0], np.memmap)


def test_another_identity_is_another_entry(tmp_path: Path) -> None:
    make = Making()
    values = [cached_arrays(tmp_path, identity, ("x", "y"), make)[1][0, 0] for identity in ("a", "b", "a")]
    assert values == [1, 2, 1]


def test_an_entry_that_lacks_an_array_is_made_anew(tmp_path: Path) -> None:
    make = Making()
    cached_arrays(tmp_path, "a", ("x", "y"), make)
    next(tmp_path.glob("*.y.npy")).unlink()
    assert cached_arrays(tmp_path, "a", ("x", "y"), make)[1][0, 0] == 2


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> list[NDArray[np.float32]]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached_arrays(tmp_path / "cache", "a", ("x",), fail)
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_written_again_is_another(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_bytes(b"")
    before = as_they_are(files)
    assert as_they_are(map(str, files)) == before
    os.utime(files[1], ns=(1, 1))
    assert as_they_are(files) != before


def test_files_are_told_by_their_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, ns=(1, 1))
    assert as_they_are([tmp_path / "a"]) != as_they_are([tmp_path / "b"])
