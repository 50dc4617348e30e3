"""The series that is translated: the largest of those that the rules select, complete and checked, with its voxels.

MONAI Deploy's own operator for this gives a volume the number type of its first slice and closes the gaps of missing
slices, so series are read here by what also writes them.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import MetaTensor
from numpy.typing import NDArray

from transmodal.data import check_image
from transmodal.dicom import Series, find_series, read_series, resolve
from transmodal.errors import InputError

__all__ = ["chosen", "volume_of"]


def chosen(folder: str | Path, uids: Collection[str]) -> tuple[Series, list[Series]]:
    """The largest of the selected image series in a folder, resolved, and those that were passed over for it.

    Args:
        folder: with DICOM files at any depth.
        uids: Series Instance UIDs that the rules of the manifest select.
    Raises:
        InputError: if none of them is an image series, or the largest is not one complete, even, upright stack.
    """
    found = find_series(folder)
    selected = [series for series in found if series.uid in uids and series.kind == "image"]
    if not selected:
        listed = "; ".join(f"{series.where}: {series.kind}" for series in found)
        raise InputError(
            folder,
            found=f"no image series that the rules select among {listed}" if listed else "no DICOM images",
            wanted="one that matches the conditions under selection of the manifest",
            remedy="send another study, or change the conditions",
        )
    largest = max(selected, key=lambda series: len(series.files))
    return resolve(largest), [series for series in selected if series is not largest]


def volume_of(series: Series, modality: str) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The voxels of a resolved series and their place, as the SDK's ``Image`` has them.

    Args:
        series: what :func:`chosen` gave.
        modality: what it must be, ``ct`` or ``mr``.
    Returns:
        (slices, rows, columns) float32, HU for CT; and the metadata under the names that the SDK reads.
    Raises:
        InputError: if it is of another modality, or its values cannot be of this one.
    """
    if series.modality != modality:
        raise InputError(
            series.where,
            found=f"the modality {series.modality.upper()}",
            wanted=modality.upper(),
            remedy="make the conditions under selection of the manifest select the modality of its source",
        )
    values, affine = read_series(series)
    check_image(MetaTensor(values[None], affine=affine), modality, series.where)
    row, column, depth = (float(step) for step in np.linalg.norm(affine[:3, :3], axis=0))
    place = {
        "row_pixel_spacing": row,
        "col_pixel_spacing": column,
        "depth_pixel_spacing": depth,
        "nifti_affine_transform": affine,
        "space": "RAS",
    }
    return np.ascontiguousarray(values.transpose(2, 1, 0)), place
