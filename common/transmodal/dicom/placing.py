"""The slices that a volume becomes in DICOM where no source says so: as a radiologist would have them, none resampled.

Source: DICOM PS3.3 C.7.6.2.1.1 (Image Plane).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

from transmodal.dicom.grid import LPS_TO_RAS
from transmodal.dicom.headers import Frame

__all__ = ["as_frames"]

DIRECTIONS = (("P", "I", "R"), ("L", "I", "P"), ("L", "P", "S"))
"""Where columns, rows and slices run in sagittal, coronal and axial planes; slices along their normal."""
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
    """
    values, own = np.asarray(image, dtype=np.float64), np.asarray(affine, dtype=np.float64)
    values = values[..., None] if values.ndim == 2 else values
    found = io_orientation(own)
    edges = np.linalg.norm(own[:3, :3], axis=0)
    longest = int(edges.argmax())
    thick = edges[longest] >= THICK * np.sort(edges)[1]
    turn = ornt_transform(found, axcodes2ornt(DIRECTIONS[int(found[longest, 0]) if thick else 2]))
    # the turned axes follow the codes' own order, right to superior; columns, rows and slices follow DIRECTIONS
    turned = apply_orientation(values, turn)
    lps = LPS_TO_RAS @ own @ inv_ornt_aff(turn, values.shape)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
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
    return turned, frames
