"""What a viewer needs beside the voxels: in which window an image is shown, and how two of them differ as shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from translating.picture import DISPLAY
from transmodal.handlers.slice_view import SOURCE_PERCENTILES

__all__ = ["Window", "difference", "read_volume", "window_of", "write_volume"]

Window = tuple[float, float]

SOFT_TISSUE = (-160.0, 240.0)
"""Display window of CT in HU that a viewer starts with."""


def window_of(values: NDArray[Any], modality: str | None, mask: NDArray[Any] | None = None) -> Window:
    """In which range an image is shown at first.

    Args:
        values: voxels in physical units.
        modality: ``ct`` is shown in HU as soft tissue, anything else by its percentiles.
        mask: where it counts, same shape; where the image is above its least value without one.
    """
    if modality == "ct":
        return SOFT_TISSUE
    inside = values[mask > 0] if mask is not None and mask.any() else values[values > values.min()]
    low, high = (float(value) for value in np.percentile(inside if inside.size else values, SOURCE_PERCENTILES))
    return low, high if high > low else low + 1.0


def difference(
    source: NDArray[Any], translation: NDArray[Any], windows: tuple[Window, Window], mask: NDArray[Any] | None
) -> NDArray[np.float32]:
    """Translation minus source, each in per cent of its display window, 0 outside of the mask; from -100 to 100."""
    shown = [
        np.clip((image.astype(np.float32) - low) * (100 / (high - low)), 0, 100)
        for image, (low, high) in zip((source, translation), windows, strict=True)
    ]
    apart: NDArray[np.float32] = shown[1] - shown[0]
    return apart if mask is None else np.where(mask > 0, apart, np.float32(0))


def read_volume(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Voxels as they are stored, and the affine, of a file that this program or a bundle wrote."""
    image: Any = nibabel.load(path)
    return np.asanyarray(image.dataobj), image.affine


def write_volume(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> Path:
    """Write voxels for a viewer: whole numbers of 16 bits where nothing is lost by that, else single precision."""
    whole = values.dtype.kind in "iub" or bool((values == np.rint(values)).all())
    bounded = whole and values.size > 0 and values.min() >= -32768 and values.max() <= 32767
    image = nibabel.Nifti1Image(values.astype(np.int16 if bounded else np.float32), affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def units_of(modality: str | None) -> str:
    """Of the values of a modality, empty where they have none that is known."""
    return DISPLAY[modality].units if modality in DISPLAY else ""
