"""Where the pixels of a stack lie in the patient, and how an array on the same grid is laid onto its slices.

Source: DICOM PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1; DICOM's x and y run to the left and to the back, an affine's to
the right and to the front.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transmodal.dicom.headers import Frame
from transmodal.errors import InputError

__all__ = ["Grid", "check_one_grid", "grid_of", "in_order", "onto"]

Grid = tuple[tuple[int, int, int], NDArray[np.float64]]
"""Columns, rows and slices, and the affine (4, 4) from their indices to mm (RAS)."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
TOLERANCE = 0.1
"""Of a pixel, that corners of one grid may lie apart."""


def in_order(frames: Iterable[Frame]) -> list[Frame]:
    """Frames by their height along the first one's normal; all have a position and an orientation."""
    frames = list(frames)
    normal = np.cross(frames[0].orientation[:3], frames[0].orientation[3:])
    return sorted(frames, key=lambda frame: float(np.dot(frame.position, normal)))


def grid_of(where: str | Path, frames: Sequence[Frame]) -> Grid:
    """The grid of frames in order; slices are as far apart as the first and the last say.

    Raises:
        InputError: if pixel spacing, position or orientation are missing.
    """
    first, last = frames[0], frames[-1]
    if len(first.spacing) != 2 or len(first.orientation) != 6 or len(first.position) != 3 or min(first.spacing) <= 0:
        raise InputError(
            where,
            found="slices without a pixel spacing, a position or an orientation",
            wanted="PixelSpacing, ImagePositionPatient and ImageOrientationPatient",
            remedy="export the original series; a screen capture has lost its place in the patient",
        )
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * first.spacing[1], column * first.spacing[0]
    if len(frames) > 1:
        affine[:3, 2] = (np.array(last.position) - np.array(first.position)) / (len(frames) - 1)
    else:
        affine[:3, 2] = np.cross(row, column) * ((first.thickness or (1.0,))[0] or 1.0)
    affine[:3, 3] = first.position
    rows, columns = first.size
    return (columns, rows, len(frames)), LPS_TO_RAS @ affine


def onto(image: Any, affine: Any, grid: Grid, where: str | Path) -> NDArray[np.float64]:
    """An array on the same grid, its axes in any order and direction, as (columns, rows, slices) of that grid.

    Args:
        image: (H, W[, D]), a slice is a volume of one.
        affine: its affine (4, 4), voxels to mm (RAS).
        grid: the one to lay it on.
        where: the source of the grid, for the error.
    Raises:
        InputError: if the grids differ: another shape, or corners more than a tenth of a pixel apart.
    """
    values = np.asarray(image, dtype=np.float64)
    values = values[..., None] if values.ndim == 2 else values
    own, (shape, target) = np.array(affine, dtype=np.float64), grid
    if values.ndim != 3 or own.shape != (4, 4) or not np.isfinite(own).all() or abs(np.linalg.det(own)) < 1e-9:
        raise _another_grid(where, f"an array of {values.shape} with an affine of {own.shape}")
    own = _with_thickness_of(own, values.shape, target) if shape[2] == 1 else own
    turn = np.linalg.inv(own[:3, :3]) @ target[:3, :3]
    axes = [int(axis) for axis in np.abs(turn).argmax(axis=0)]
    if sorted(axes) != [0, 1, 2] or tuple(values.shape[axis] for axis in axes) != shape:
        raise _another_grid(where, f"{values.shape} voxels against {shape} columns, rows and slices")
    backwards = [turn[axis, number] < 0 for number, axis in enumerate(axes)]
    exact = np.eye(4)
    exact[:3, :3] = 0
    for number, axis in enumerate(axes):
        exact[axis, number] = -1 if backwards[number] else 1
        exact[axis, 3] = shape[number] - 1 if backwards[number] else 0
    if apart := _apart(own @ exact, target, shape):
        raise _another_grid(where, apart)
    turned = values.transpose(axes)
    return np.flip(turned, axis=tuple(number for number, flip in enumerate(backwards) if flip))


def check_one_grid(grid: Grid, other: Grid, where: str | Path, beside: str | Path) -> None:
    """Refuse the grid of a series ``where`` whose slices are not, one by one, those of the series ``beside``."""
    (shape, affine), (own_shape, own) = grid, other
    apart = _apart(own, affine, shape) if own_shape == shape else f"{own_shape} columns, rows and slices, not {shape}"
    if apart:
        raise InputError(
            where,
            found=f"a source on another grid than {beside}: {apart}",
            wanted="all sources of an image on one grid, slice by slice",
            remedy="resample them onto the first, as they were for the translation",
        )


def _with_thickness_of(own: NDArray[np.float64], shape: Sequence[int], target: NDArray[np.float64]) -> Any:
    """A single slice has no neighbour to be at a distance from: of that axis only the direction counts."""
    along = np.abs(target[:3, 2] @ own[:3, :3]) / np.linalg.norm(own[:3, :3], axis=0)
    axis = max((axis for axis in range(3) if shape[axis] == 1), key=lambda axis: float(along[axis]), default=2)
    own = own.copy()
    own[:3, axis] *= np.linalg.norm(target[:3, 2]) / np.linalg.norm(own[:3, axis])
    return own


def _apart(own: NDArray[np.float64], target: NDArray[np.float64], shape: Sequence[int]) -> str:
    """How far apart two affines put a corner, if that is more than one grid may be off; else empty."""
    corners = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(shape)[:, None] - 1)
    shift = float(np.linalg.norm((own - target)[:3, :3] @ corners + (own - target)[:3, 3:], axis=0).max())
    tolerated = TOLERANCE * float(np.linalg.norm(target[:3, :2], axis=0).min())
    return f"corners up to {shift:.2f} mm away" if shift > tolerated else ""


def _another_grid(where: str | Path, differs: str) -> InputError:
    return InputError(
        where,
        found=f"an image on another grid than this series: {differs}",
        wanted="an image on the grid of its source series, voxel by voxel",
        remedy="resample the image onto the source before it is written as DICOM",
    )
