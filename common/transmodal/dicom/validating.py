"""Is a written series what it was meant to be? Its files are read again and held against the volume and the standard.

Source: DICOM PS3.3 tables A.3-1 (CT Image) and A.4-1 (MR Image) and the modules they name; types 1 and 2 of PS3.5 7.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from transmodal.dicom.grid import onto
from transmodal.dicom.headers import read_header
from transmodal.dicom.reading import read_series, series_grid
from transmodal.dicom.recipe import MODALITIES
from transmodal.dicom.series import Series, find_series
from transmodal.errors import InputError

__all__ = ["read_back", "validate_series"]

FILLED = (  # type 1 in both kinds of image, or promised for a synthetic one
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality"),
    *("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "ImageType", "SamplesPerPixel"),
    *("PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "SeriesDescription", "SeriesNumber", "InstanceNumber"),
    *("DerivationDescription", "DerivationCodeSequence", "SourceImageSequence", "ContributingEquipmentSequence"),
)
PRESENT = (  # type 2 in both
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "Manufacturer", "PatientPosition"),
    *("PositionReferenceIndicator", "SliceThickness"),
)
FILLED_BY = {"ct": (), "mr": ("ScanningSequence", "SequenceVariant")}
PRESENT_BY = {
    "ct": ("KVP", "AcquisitionNumber"),
    "mr": ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"),
}
SAID = {"SyntheticData": "YES", "ContentQualification": "RESEARCH"}
AGAIN = "write the series again; if this repeats, it is a fault of the writer"


def read_back(folder: str | Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The one series in a folder in physical units, (columns, rows, slices), and its affine (4, 4) to mm (RAS).

    Unlike :func:`~transmodal.dicom.resolve` this also reads synthetic series.

    Raises:
        InputError: if the folder does not hold exactly one series.
    """
    return read_series(_only_series(Path(folder)))


def validate_series(folder: str | Path, image: Any, affine: Any, modality: str) -> None:
    """Make sure that a folder holds this volume as one synthetic series.

    Args:
        folder: what :func:`~transmodal.dicom.write_series` has written.
        image: (H, W, D) in physical units.
        affine: (4, 4), voxels to mm (RAS).
        modality: ``ct`` or ``mr``.
    Raises:
        InputError: naming the first difference: not one series, another grid, values further away than half a rescale
            step, an attribute that is missing, empty or another than promised, an identifier used twice.
    """
    folder = Path(folder)
    series = _only_series(folder)
    headers = [read_header(file) for file in series.files]
    for file, header in zip(series.files, headers, strict=True):
        _check_attributes(file, header, modality)
    _check_identifiers(folder, headers)
    written, _ = read_series(series)
    wanted = onto(image, affine, series_grid(series), folder)
    steps = np.array([float(header.RescaleSlope) for header in headers])
    apart = np.abs(written - wanted).max(axis=(0, 1)) / steps
    rounding = 0.5 + 1e-6 * np.abs(wanted).max() / steps  # single precision of what is read
    if (apart > rounding).any():
        worst = int(apart.argmax())
        raise InputError(
            series.files[worst],
            found=f"values up to {apart[worst] * steps[worst]:.4g} away from the volume",
            wanted=f"the same values but for rounding to {steps[worst]:g}",
            remedy=AGAIN,
        )


def _only_series(folder: Path) -> Series:
    found = find_series(folder)
    if len(found) != 1:
        raise InputError(
            folder,
            found=f"{len(found)} DICOM series",
            wanted="exactly one",
            remedy="give the folder of one series, as it was written",
        )
    return found[0]


def _check_attributes(file: Path, header: pydicom.Dataset, modality: str) -> None:
    said = {**SAID, "SOPClassUID": MODALITIES[modality], "Modality": modality.upper()}
    empty = [name for name in (*FILLED, *FILLED_BY[modality]) if name not in header or header[name].is_empty]
    missing = [name for name in (*PRESENT, *PRESENT_BY[modality]) if name not in header]
    others = [f"{name} {header.get(name)!r}" for name, value in said.items() if header.get(name) != value]
    if list(header.get("ImageType", []))[:2] != ["DERIVED", "PRIMARY"]:
        others.append(f"ImageType {header.get('ImageType')}")
    private = [str(element.tag) for element in header if element.tag.is_private]
    told = {"without": empty, "lacking": missing, "with": others, "with private attributes": private}
    faults = [f"{word} {', '.join(names)}" for word, names in told.items() if names]
    if faults:
        raise InputError(
            file,
            found=f"an image {'; '.join(faults)}",
            wanted=f"a valid synthetic {modality.upper()} image",
            remedy=AGAIN,
        )


def _check_identifiers(folder: Path, headers: Sequence[pydicom.Dataset]) -> None:
    for name, wanted in (("SOPInstanceUID", len(headers)), ("InstanceNumber", len(headers)), ("StudyInstanceUID", 1)):
        values = {str(header.get(name)) for header in headers}
        if len(values) != wanted:
            raise InputError(
                folder,
                found=f"{len(values)} different values of {name} in {len(headers)} images",
                wanted=str(wanted),
                remedy=AGAIN,
            )
