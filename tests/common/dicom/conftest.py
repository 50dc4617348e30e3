"""Series of a study, in any orientation, and volumes read by others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from monai.data import ITKReader
from monai.transforms import LoadImage

from transmodal.dicom import Series, find_series, resolve

AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
OBLIQUE = [0.96, 0.28, 0, -0.168, 0.576, 0.8]  # two right angles of whole hundredths: 7-24-25 and 3-4-5
ORIENTATIONS = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL, "oblique": OBLIQUE}
STUDY = {
    "StudyInstanceUID": "1.2.3.9",
    "FrameOfReferenceUID": "1.2.3.8",
    "PatientID": "P-7",
    "PatientName": "Doe^Jane",
    "SeriesNumber": 4,
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SliceThickness": 2.5,
}


@pytest.fixture
def stack(series: Callable[..., Path]) -> Callable[..., Path]:
    """Write a series of one study: ``stack(count, orientation, step, change)``; a negative step counts downwards."""

    def write(
        count: int = 4,
        orientation: list[float] = AXIAL,
        step: float = 3.0,
        change: Callable[[int], dict[str, Any]] | None = None,
        **folder: str,
    ) -> Path:
        normal = np.cross(orientation[:3], orientation[3:])

        def attributes(number: int) -> dict[str, Any]:
            position = [round(float(value), 6) for value in [-7.5, 12.25, 300.0] + normal * step * number]
            pixels = np.random.default_rng(number).integers(0, 2000, 120, dtype=np.int16).tobytes()
            place = {"ImageOrientationPatient": orientation, "ImagePositionPatient": position, "PixelData": pixels}
            return STUDY | place | {"PixelSpacing": [1.5, 2.25]} | (change(number) if change else {})

        return series(count, attributes, **folder)

    return write


@pytest.fixture
def source(stack: Callable[..., Path]) -> Callable[..., Series]:
    """Write a series, find it and resolve it."""

    def write(**how: Any) -> Series:
        (found,) = find_series(stack(**how))
        return resolve(found)

    return write


def by_itk(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A volume and its affine (RAS), read by ITK through MONAI."""
    image = LoadImage(ITKReader, image_only=True)(str(folder))
    return image.numpy(), image.affine.numpy()


def by_simpleitk(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A volume and its affine (RAS), read by SimpleITK."""
    image = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
