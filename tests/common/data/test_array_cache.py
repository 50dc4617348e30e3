"""Arrays from files: made once, made anew when anything changes, never by halves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from transmodal import InputError
from transmodal.data.array_cache import cache_folder, cached_arrays, fingerprint


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
    before = fingerprint(files)
    assert fingerprint(map(str, files)) == before
    os.utime(files[1], ns=(1, 1))
    assert fingerprint(files) != before


def test_files_are_told_by_their_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, ns=(1, 1))
    assert fingerprint([tmp_path / "a"]) != fingerprint([tmp_path / "b"])


@pytest.mark.parametrize("change", ["content", "time", "further", "gone", "renamed"])
def test_a_folder_with_a_changed_file_is_another(tmp_path: Path, change: str) -> None:
    """Even if the folder's own time stamp says nothing, as when a slice of a DICOM series is overwritten."""
    series = tmp_path / "ct" / "series"
    series.mkdir(parents=True)
    for name in ("1.dcm", "2.dcm"):
        (series / name).write_bytes(b"slice")
    before, folders = fingerprint([tmp_path / "ct"]), (tmp_path / "ct", series)
    assert fingerprint([tmp_path / "ct"]) == before
    stamps = [(folder, folder.stat().st_mtime_ns) for folder in folders]
    slice_, its_time = series / "2.dcm", (series / "2.dcm").stat().st_mtime_ns
    match change:
        case "content":
            slice_.write_bytes(b"a longer slice")
            os.utime(slice_, ns=(its_time, its_time))
        case "time":
            os.utime(slice_, ns=(1, 1))
        case "further":
            (series / "3.dcm").write_bytes(b"slice")
        case "gone":
            slice_.unlink()
        case "renamed":
            slice_.rename(series / "3.dcm")
    for folder, stamp in stamps:
        os.utime(folder, ns=(stamp, stamp))
    assert fingerprint([tmp_path / "ct"]) != before


def test_a_file_of_another_size_is_another_though_its_time_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "a"
    told = []
    for content in (b"1", b"22"):
        file.write_bytes(content)
        os.utime(file, ns=(1, 1))
        told.append(fingerprint([file]))
    assert told[0] != told[1]


def test_a_cache_without_the_name_of_its_preprocessing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cache_dir .*: found no cache_key beside it; wanted a text that names"):
        cache_folder(tmp_path, "")
    assert cache_folder(tmp_path, "RAS, 1 mm") == tmp_path
    assert cache_folder(None, "") is None
