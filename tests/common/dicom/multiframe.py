"""Enhanced multi-frame files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset


def enhanced(folder: Path, heights: list[float], uid: str = "1.2.840.10008.5.1.4.1.1.2.1") -> Path:
    """One enhanced multi-frame CT object with frames at these heights in mm."""
    folder.mkdir()
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = uid
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = "1.2.3.4"
    header.SeriesInstanceUID, header.StudyInstanceUID, header.Modality = "1.2.3", "1.2", "CT"
    header.Rows, header.Columns, header.NumberOfFrames = 12, 10, len(heights)
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 1, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    shared_groups = group(PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]})
    shared_groups.update(group(PixelMeasuresSequence={"PixelSpacing": [2, 2], "SliceThickness": 3}))
    header.SharedFunctionalGroupsSequence = [shared_groups]
    header.PerFrameFunctionalGroupsSequence = [
        group(PlanePositionSequence={"ImagePositionPatient": [0, 0, height]}) for height in heights
    ]
    header.PixelData = np.arange(120 * len(heights), dtype=np.int16).tobytes()
    pydicom.dcmwrite(folder / "all.dcm", header, enforce_file_format=True)
    return folder


def group(**sequences: dict[str, Any]) -> Dataset:
    outer = Dataset()
    for name, values in sequences.items():
        inner = Dataset()
        for key, value in values.items():
            setattr(inner, key, value)
        setattr(outer, name, [inner])
    return outer
