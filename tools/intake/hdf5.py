"""HDF5 files, and slices in MATLAB's v7.3, with or without its header, as published SynDiff code has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from transmodal.errors import InputError

KEY = "data_fs"
WANTED = f"HDF5 with the dataset {KEY} of (N, W, H) numbers"
SAVE = f"save('file.mat', '{KEY}', '-v7.3') with the array {KEY} of H × W × N"


def read_slices(path: Path) -> NDArray[np.float32]:
    """The dataset ``data_fs``, (N, W, H) or (1, N, W, H), as (N, W, H): N slices of W columns and H rows.

    Raises:
        InputError: if the file is not HDF5 or is damaged, or has no such dataset of one channel.
    """
    with opened(path, WANTED, f"load it in MATLAB and {SAVE}") as file:
        array: Any = _dataset(file, path)[()]
    return np.asarray(array[0] if array.ndim == 4 else array, np.float32)


@contextmanager
def opened(path: Path, wanted: str, remedy: str) -> Iterator[h5py.File]:
    """An HDF5 file, to read.

    Args:
        path: the file.
        wanted: what it should hold, for an error.
        remedy: what to do with a MATLAB file that is none.
    Raises:
        InputError: if the file is not HDF5, or is damaged in what is read of it.
    """
    try:
        with path.open("rb") as start:
            first = start.read(16)
        if not h5py.is_hdf5(path):
            raise _not_hdf5(path, first, wanted, remedy)
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise InputError(
            path,
            found=f"a file that cannot be read ({str(error).strip()})",
            wanted=wanted,
            remedy="copy the file again, as it may be truncated, and check who may read it",
        ) from error


def _dataset(file: h5py.File, path: Path) -> h5py.Dataset:
    dataset = file.get(KEY)
    if not isinstance(dataset, h5py.Dataset):
        held = ", ".join(f"{name} {times(getattr(each, 'shape', ()))}".strip() for name, each in file.items())
        raise InputError(
            path,
            found=f"no dataset {KEY}, but {held or 'nothing'}",
            wanted=WANTED,
            remedy=f"in MATLAB: {SAVE}; or rename the dataset with h5py",
        )
    if dataset.dtype.kind not in "fiu":
        found = f"{KEY} of the type {dataset.dtype}"
    elif dataset.ndim == 4 and dataset.shape[0] > 1:
        found = f"{KEY} of {times(dataset.shape)} with {dataset.shape[0]} channels"
    elif dataset.ndim not in (3, 4) or 0 in dataset.shape:
        found = f"{KEY} of {times(dataset.shape) or 'a single number'}"
    else:
        return dataset
    raise InputError(
        path,
        found=found,
        wanted="real numbers of (N, W, H) or (1, N, W, H), one contrast per file",
        remedy=f"write each contrast into a file of its own; in MATLAB: {SAVE}",
    )


def _not_hdf5(path: Path, start: bytes, wanted: str, remedy: str) -> InputError:
    old = start.startswith(b"MATLAB 5.0")
    return InputError(
        path,
        found="a MATLAB file of the older format v5 to v7" if old else f"no HDF5 file (it starts with {start[:8]!r})",
        wanted=wanted,
        remedy=remedy if old else "download or export the file again",
    )


def times(shape: Sequence[int]) -> str:
    """A shape as text for an error."""
    return "×".join(map(str, shape))
