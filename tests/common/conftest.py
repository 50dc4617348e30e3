"""Small real files: DICOM series and NIfTI volumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

Slice = Callable[..., Dataset]


def ct_slice(number: int, series: str, **changes: Any) -> Dataset:
    """One axial CT slice, 12×10 pixels of 2 mm, 3 mm apart; ``changes`` are DICOM attributes."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
    header.SeriesInstanceUID, header.StudyInstanceUID, header.SeriesDate = series, f"{series}.9", "20200101"
    header.Modality, header.SeriesDescription, header.InstanceNumber = "CT", "axial", number
    header.Rows, header.Columns, header.PixelSpacing, header.SliceThickness = 12, 10, [2, 2], 3
    header.ImageOrientationPatient, header.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3.0 * number]
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 1, 1
    header.PhotometricInterpretation, header.RescaleIntercept, header.RescaleSlope = "MONOCHROME2", -1000, 1
    header.PixelData = (np.arange(120, dtype=np.int16) + number).tobytes()
    for name, value in changes.items():
        setattr(header, name, value)
    return header


@pytest.fixture
def series(tmp_path: Path) -> Callable[..., Path]:
    """Write a series: ``series(count, change)`` with ``change(number) -> attributes that differ``."""

    def write(
        count: int = 5,
        change: Callable[[int], dict[str, Any]] | None = None,
        folder: str = "ct",
        uid: str = "1.2.3",
        prefix: str = "",
    ) -> Path:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for number in range(count):
            header = ct_slice(number, uid, **(change(number) if change else {}))
            pydicom.dcmwrite(place / f"{prefix}{number:03d}.dcm", header, enforce_file_format=True)
        return place

    return write
