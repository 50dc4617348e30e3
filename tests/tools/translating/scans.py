"""Scans of every kind, small: files and DICOM series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

STORAGE = {"CT": uid.CTImageStorage, "MR": uid.MRImageStorage, "PT": uid.PositronEmissionTomographyImageStorage}
AFFINE = np.diag([-2.0, -2.0, 3.0, 1.0])


def ct_values(shape: tuple[int, int, int] = (24, 26, 3)) -> np.ndarray:
    """A cylinder of soft tissue in a ring of fat around a bone, in air; HU, int16."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape[:2]), indexing="ij")
    radius = np.hypot(x, y)[..., None].repeat(shape[2], axis=2)
    noise = np.random.default_rng(0).normal(scale=10, size=shape)
    values = np.select([radius < 0.2, radius < 0.6, radius < 0.8], [700, 40, -100], default=-1000) + noise
    return np.clip(values, -1024, 3000).round().astype(np.int16)


def mr_values(shape: tuple[int, int, int] = (24, 26, 3)) -> np.ndarray:
    """The same body with bright fat and dark bone, from 0 on; float32."""
    ct = ct_values(shape)
    noise = np.random.default_rng(1).uniform(0, 20, size=shape)
    return (np.select([ct > 300, ct > -50, ct > -500], [60, 350, 800], default=0) + noise).astype(np.float32)


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """A NIfTI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def write_picture(path: Path, values: np.ndarray) -> Path:
    """A picture; three channels make it a colour one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def write_dicom(folder: Path, values: np.ndarray, series: str = "1.2.3", number: int = 3, **changes: Any) -> Path:
    """An axial series of (columns, rows, slices), 2 × 2 × 3 mm; ``changes`` are attributes of every file."""
    folder.mkdir(parents=True, exist_ok=True)
    modality = changes.pop("Modality", "CT")
    for index in range(values.shape[2]):
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = STORAGE[modality]
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = f"{series}.{index + 1}"
        header.SeriesInstanceUID, header.StudyInstanceUID, header.FrameOfReferenceUID = series, "1.2", "1.9"
        header.PatientID, header.PatientName, header.StudyDate, header.SeriesNumber = "P", "A^B", "20200101", number
        header.Modality, header.SeriesDescription, header.InstanceNumber = modality, "axial", index + 1
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.Columns, header.Rows = values.shape[:2]
        header.PixelSpacing, header.SliceThickness = [2, 2], 3
        header.ImageOrientationPatient, header.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3.0 * index]
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 1, 1
        header.PhotometricInterpretation = "MONOCHROME2"
        if modality == "CT":
            header.RescaleIntercept, header.RescaleSlope = 0, 1
        header.PixelData = np.ascontiguousarray(values[..., index].T).astype(np.int16).tobytes()
        for name, value in changes.items():
            setattr(header, name, value)
        pydicom.dcmwrite(folder / f"{series}.{index + 1}.dcm", header, enforce_file_format=True)
    return folder
