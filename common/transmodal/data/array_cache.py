"""Arrays that are made once and then read from files, memory-mapped; a change of what they are made from is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transmodal.files import write_atomically

__all__ = ["as_they_are", "cached_arrays"]


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


def as_they_are(paths: Iterable[str | Path]) -> str:
    """Text that changes with the place of any of these files or folders, and when one is written again."""
    files = [Path(path) for path in paths]
    return " ".join(f"{file.resolve()} {file.stat().st_mtime_ns}" for file in files)
