"""Arrays that are made once and then read from files, memory-mapped; a change of what they are made from is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transmodal.errors import InputError
from transmodal.files import write_atomically

__all__ = ["cache_folder", "cached_arrays", "fingerprint"]


def cached_arrays(
    folder: Path, identity: str, parts: Sequence[str], make: Callable[[], Iterable[NDArray[Any]]]
) -> list[NDArray[Any]]:
    """The arrays of one entry of a cache, which is filled where it lacks any of them.

    Args:
        folder: of the cache; made if it is missing.
        identity: text of all that decides the arrays; it names the entry.
        parts: a name for each array.
        make: what computes them, in the order of ``parts``; not called where all are there.
    Returns:
        Memory-mapped, read-only arrays.
    """
    name = hashlib.sha256(identity.encode()).hexdigest()[:24]
    files = [folder / f"{name}.{part}.npy" for part in parts]
    if not all(file.exists() for file in files):
        for file, array in zip(files, make(), strict=True):
            write_atomically(file, partial(np.save, arr=array))
    return [np.load(file, mmap_mode="r") for file in files]


def cache_folder(cache_dir: str | Path | None, cache_key: str) -> Path | None:
    """The folder of a cache, or None without one.

    What a transform does cannot be read off it, so its user has to name the preprocessing: volumes of one would
    otherwise be taken for those of another.

    Args:
        cache_dir: folder of the cache, or None.
        cache_key: text that identifies the preprocessing.
    Raises:
        InputError: if there is a folder and no text.
    """
    if not cache_dir:
        return None
    if not cache_key:
        raise InputError(
            f"cache_dir {cache_dir}",
            found="no cache_key beside it",
            wanted="a text that names the preprocessing, so that another one is never taken for it",
            remedy="give cache_key a name or the values that the preprocessing depends on, or leave cache_dir out",
        )
    return Path(cache_dir)


def fingerprint(paths: Iterable[str | Path]) -> str:
    """Text that changes with the place of any of these files or folders, and when one of them is written again.

    Of a folder every file below it counts: overwriting one leaves the time stamp of the folder as it was.
    """
    found = []
    for path in (Path(path).resolve() for path in paths):
        below = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        found += [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in below]
    return " ".join(found)
