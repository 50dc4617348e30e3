"""Pictures of a chest drawn with a few ellipses, and DICOM files of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid


def chest(rows: int = 96, columns: int = 80) -> NDArray[np.float32]:
    """A frontal chest, 0 to 1000, bright where dense; the heart lies at the right of the picture."""
    y, x = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    picture = 500.0 * ((((x - 0.5) / 0.47) ** 4 + ((y - 0.75) / 0.72) ** 4) < 1)
    for side in (-1, 1):
        picture[(((x - 0.5 - 0.2 * side) / 0.13) ** 2 + ((y - 0.45) / 0.3) ** 2) < 1] = 150
    picture[(np.abs(x - 0.5) < 0.06) & (y > 0.05)] = 850
    picture[(((x - 0.56) / 0.12) ** 2 + ((y - 0.6) / 0.12) ** 2) < 1] = 800
    picture[(y > 0.78) & (np.abs(x - 0.5) < 0.42)] = 900
    return picture.astype(np.float32)


def radiograph_dataset(stored: NDArray[Any] | None = None, **changes: Any) -> Dataset:
    """A computed radiograph of 16 bits; ``changes`` are DICOM attributes, None removes one."""
    values = chest() if stored is None else stored
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = ComputedRadiographyImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
    header.StudyInstanceUID, header.SeriesInstanceUID = generate_uid(), generate_uid()
    header.Modality, header.BodyPartExamined, header.ViewPosition = "CR", "CHEST", "PA"
    header.Rows, header.Columns = values.shape
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 0, 1
    header.PhotometricInterpretation, header.ImagerPixelSpacing = "MONOCHROME2", [4, 5]
    header.PixelData = values.astype(np.uint16).tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    return header


def write_radiograph(path: Path, stored: NDArray[Any] | None = None, **changes: Any) -> Path:
    """Write :func:`radiograph_dataset`; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, radiograph_dataset(stored, **changes), enforce_file_format=True)
    return path
