"""A resolved series as an array, read by pydicom, or as a folder of its own for readers that take folders."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from transmodal.dicom.grid import Grid, grid_of, in_order
from transmodal.dicom.headers import Frame, ImageFile, dividing, read_header
from transmodal.dicom.pixels import physical
from transmodal.dicom.rescaling import misread, rescale_evenly, scale_for
from transmodal.dicom.series import Series

__all__ = ["frames_in_order", "read_series", "series_grid", "staged"]


def frames_in_order(series: Series) -> list[Frame]:
    """The slices of a resolved series along their normal, also those of a multi-frame file."""
    return in_order(frame for file in series.files for frame in ImageFile(file, read_header(file)).frames)


def series_grid(series: Series) -> Grid:
    """Columns, rows and slices of a resolved series, and its affine (RAS)."""
    return grid_of(series.where, frames_in_order(series))


def read_series(series: Series) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The pixels of a resolved series in physical units (HU for CT) and its affine, as MONAI's reader gives them.

    Returns:
        (columns, rows, slices) float32 and the affine (4, 4) from those indices to mm (RAS).
    Raises:
        InputError: if pixels cannot be decoded.
    """
    frames = frames_in_order(series)
    shape, affine = grid_of(series.where, frames)
    pixels = {file: physical(file) for file in series.files}
    volume = np.empty(shape, dtype=np.float32)
    for number, frame in enumerate(frames):
        volume[..., number] = pixels[frame.file][frame.index or 0].T
    return volume, affine


@contextmanager
def staged(series: Series) -> Iterator[Path]:
    """A temporary folder with the files of this series and no others, for readers that take folders.

    The files are links where the system has them; copies with one value where the reader would divide them by another,
    and copies with one rescale slope where it would misread several (rounded to single precision's own steps).
    """
    files = [ImageFile(file, read_header(file)) for file in series.files]
    alike = {name: files[0].header.get(name) for name in dividing([file.header for file in files])}
    step = scale_for(series.files) if misread(files) else None
    with tempfile.TemporaryDirectory(prefix="series-") as folder:
        for number, file in enumerate(series.files):
            link = Path(folder, f"{number:06d}.dcm")
            if alike or step is not None:
                _copy(file, link, alike, step)
                continue
            try:
                os.symlink(file.resolve(), link)
            except OSError:  # systems and accounts without links
                shutil.copyfile(file, link)
        yield Path(folder)


def _copy(file: Path, copy: Path, changes: Mapping[str, Any], step: float | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that break the standard's limits stay as they are
        dataset = pydicom.dcmread(file)
        for name, value in changes.items():
            setattr(dataset, name, value)
        if step is None:
            dataset.save_as(copy)
        else:
            rescale_evenly(dataset, physical(file), step)
            pydicom.dcmwrite(copy, dataset, implicit_vr=False, little_endian=True)
