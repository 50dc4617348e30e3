"""The slices that a volume becomes in DICOM where no source says so: as a radiologist would have them, none resampled.

Source: DICOM PS3.3 C.7.6.2.1.1 (Image Plane).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transmodal.dicom.grid import LPS_TO_RAS
from transmodal.dicom.headers import Frame
from transmodal.dicom.stacks import check_stack
from transmodal.errors import InputError

__all__ = ["as_frames", "as_numbers"]

DIRECTIONS = (((1, 1), (2, -1), (0, -1)), ((0, 1), (2, -1), (1, 1)), ((0, 1), (1, 1), (2, 1)))
"""Where columns, rows and slices run in sagittal, coronal and axial planes: axis of LPS and sign; along the normal."""
THICK = 1.5
"""Times that a voxel is longer than wide to be taken for a slice."""


def as_frames(image: Any, affine: Any, file: Path) -> tuple[NDArray[np.float64], list[Frame]]:
    """A volume as slices along their normal: across its longest voxel edge if one is much longer, else axial.

    Args:
        image: (H, W[, D]), its axes in any order and direction.
        affine: (4, 4), voxels to mm (RAS).
        file: that the frames name as theirs.
    Returns:
        Values as (columns, rows, slices), and where each slice lies.
    Raises:
        InputError: for an image of other axes or of colours, or an affine that is singular or sheared.
    """
    values = as_numbers(image, (2, 3), file)
    values = values[..., None] if values.ndim == 2 else values
    lps = LPS_TO_RAS @ _invertible(affine, file)
    edges = np.linalg.norm(lps[:3, :3], axis=0)
    nearest = _nearest(lps[:3, :3] / edges)
    longest = int(edges.argmax())
    thick = edges[longest] >= THICK * np.sort(edges)[1]
    turned, lps = _turned(values, lps, nearest, DIRECTIONS[nearest.index(longest) if thick else 2])
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    _check_right_angles(lps[:3, :3] / spacing, spacing, turned.shape, file)
    column, row = lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1]
    frames = [
        Frame(
            file=file,
            size=(turned.shape[1], turned.shape[0]),
            spacing=(float(spacing[1]), float(spacing[0])),
            orientation=(*map(float, column), *map(float, row)),
            position=tuple(map(float, lps[:3, 3] + number * lps[:3, 2])),
            thickness=(float(spacing[2]),),
        )
        for number in range(turned.shape[2])
    ]
    if len(frames) > 1:
        check_stack(file, frames)
    return turned, frames


def as_numbers(image: Any, axes: Sequence[int], where: str | Path) -> NDArray[np.float64]:
    """One real number per pixel, along one of these numbers of axes; anything else is an ``InputError``."""
    given = np.asarray(image)
    if given.ndim not in axes or given.dtype.kind not in "biuf" or not given.size:
        raise InputError(
            where,
            found=f"an array of {given.shape}, {given.dtype}",
            wanted=f"one grey value per pixel along {' or '.join(map(str, axes))} axes",
            remedy="give one volume of a series, one channel of colours",
        )
    return given.astype(np.float64)


def _invertible(affine: Any, where: Path) -> NDArray[np.float64]:
    own = np.asarray(affine, dtype=np.float64)
    if own.shape != (4, 4) or not np.isfinite(own).all() or abs(np.linalg.det(own)) < 1e-9:
        raise InputError(
            where,
            found=f"an affine that places no voxels: {own.tolist()}",
            wanted="a finite, invertible matrix (4, 4) from voxels to mm",
            remedy="write the file again with the affine of its scan",
        )
    return own


def _check_right_angles(
    directions: NDArray[np.float64], spacing: NDArray[np.float64], shape: Sequence[int], where: Path
) -> None:
    """Refuse axes that lean on each other so far that an edge of the volume is off by over half a pixel."""
    leaning = np.abs(directions.T @ directions - np.eye(3))
    drift = float((leaning * (np.array(shape) - 1) * spacing).max())
    if drift > 0.5 * float(spacing.min()):
        raise InputError(
            where,
            found=f"a sheared affine: axes lean on each other by {drift:.2f} mm over the volume",
            wanted="axes at right angles, the only ones that DICOM can tell",
            remedy="resample the volume to a grid with right angles first",
        )


def _nearest(directions: NDArray[np.float64]) -> list[int]:
    """For each axis of LPS the voxel axis that runs along it, each voxel axis once, the clearest first."""
    left, found = np.abs(directions), [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(left.argmax(), left.shape)
        found[int(world)] = int(axis)
        left[world, :] = left[:, axis] = -1
    return found


def _turned(
    values: NDArray[np.float64], lps: NDArray[np.float64], nearest: list[int], wanted: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same volume with its axes in the order and directions that are wanted, and its affine."""
    axes = [nearest[world] for world, _ in wanted]
    turned, affine = values.transpose(axes), lps[:, [*axes, 3]].copy()
    for axis, (world, sign) in enumerate(wanted):
        if affine[world, axis] * sign < 0:
            affine[:3, 3] += affine[:3, axis] * (turned.shape[axis] - 1)
            affine[:3, axis] *= -1
            turned = np.flip(turned, axis)
    return turned, affine
