"""Images of other formats as DICOM, of no patient, so that what is derived from them can name its source.

Identifiers are drawn from all that the files hold: pixels, their place and rescale, name and the moment of the study to
the second. The same image at the same moment gives the same files byte for byte; at another one it is another study.
Source: DICOM PS3.3 A.3 (CT Image), A.4 (MR Image), A.8.1 (Secondary Capture), C.7.6.1.1.2 (Image Type), C.8.6.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from transmodal import __version__
from transmodal.dicom.placing import as_frames, as_numbers
from transmodal.dicom.recipe import MODALITIES, decimals, fill_acquisition, place, text
from transmodal.dicom.series import Series, find_series, resolve
from transmodal.dicom.writing import check_finite, check_no_file, identity, in_16_bits, save
from transmodal.errors import InputError

__all__ = ["wrap_picture", "wrap_volume"]

PATIENT = "NO^PATIENT"
TOLD = "Converted from a file that names no patient"


def wrap_volume(
    folder: Path, image: Any, affine: Any, modality: str, name: str, when: datetime | None = None
) -> Series:
    """Write a volume of another format as a series of CT or MR images.

    Args:
        folder: an absent or empty folder.
        image: (H, W, D) in physical units, HU for CT.
        affine: (4, 4), voxels to mm (RAS).
        modality: ``ct`` or ``mr``.
        name: what the file is called; it becomes the description of the series.
        when: date and time of the study; now if None.
    Returns:
        The series, resolved.
    Raises:
        InputError: for another modality, values that are not finite or do not fit into 16 bits, an image of other axes
            or of colours, an affine that is singular or sheared, or a folder with files in it; nothing is written.
    """
    _check_empty(folder)
    if modality not in MODALITIES:
        raise InputError(name, found=f"the modality {modality!r}", wanted="ct or mr", remedy="name one of the two")
    when = when or datetime.now()
    values, frames = as_frames(image, affine, Path(name))
    stored, rescale = in_16_bits(values, modality, name)
    uids = _uids(identity(stored, frames, rescale, modality, name, _moment(when)))
    folder.mkdir(parents=True, exist_ok=True)
    for number, (frame, pixels) in enumerate(zip(frames, np.moveaxis(stored, 2, 0), strict=True), start=1):
        dataset = _dataset(uids, modality.upper(), name, number, when)
        dataset.SOPClassUID = MODALITIES[modality]
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if modality == "ct" else "OTHER"]
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = uids["frame"], None
        place(dataset, frame)
        dataset.RescaleSlope, dataset.RescaleIntercept = decimals([rescale.slope, rescale.intercept])
        fill_acquisition(dataset, modality)
        _put(dataset, np.ascontiguousarray(pixels.T), signed=True)
        save(dataset, folder / f"{number:06d}.dcm")
    (series,) = find_series(folder)
    return resolve(series)


def wrap_picture(folder: Path, picture: Any, name: str, when: datetime | None = None) -> Series:
    """Write a picture, such as a radiograph, as one secondary capture.

    Args:
        folder: an absent or empty folder.
        picture: (rows, columns), bright where dense; its range becomes the grey levels of 16 bits.
        name, when: as for :func:`wrap_volume`.
    Returns:
        The series of that one image.
    Raises:
        InputError: for colours, values that are not finite, or a folder with files in it; nothing is written.
    """
    _check_empty(folder)
    values, when = as_numbers(picture, (2,), name), when or datetime.now()
    check_finite(values, name)
    low, high = float(values.min()), float(values.max())
    grey = np.rint((values - low) * (65535 / max(high - low, 1e-9))).astype("<u2")
    uids = _uids(identity(grey, (), None, "xray", name, _moment(when)))
    dataset = _dataset(uids, "OT", name, 1, when)
    dataset.SOPClassUID, dataset.ConversionType = SecondaryCaptureImageStorage, "WSD"
    dataset.ImageType, dataset.PatientOrientation = ["DERIVED", "SECONDARY"], ["L", "F"]
    _put(dataset, grey, signed=False)
    folder.mkdir(parents=True, exist_ok=True)
    save(dataset, folder / "000001.dcm")
    (series,) = find_series(folder)
    return series


def _check_empty(folder: Path) -> None:
    check_no_file(folder)
    for entry in sorted(folder.iterdir()) if folder.exists() else ():
        raise InputError(
            folder,
            found=f"files in the output folder ({entry.name})",
            wanted="an absent or empty folder",
            remedy="choose another folder, or move the files away",
        )


def _moment(when: datetime) -> str:
    """As exact as the files tell it."""
    return when.strftime("%Y%m%d%H%M%S")


def _uids(entropy: str) -> dict[str, str]:
    return {key: generate_uid(entropy_srcs=[entropy, key]) for key in ("study", "series", "frame", "image")}


def _dataset(uids: Mapping[str, str], modality: str, name: str, number: int, when: datetime) -> Dataset:
    """What all images have in common."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = PATIENT, f"FILE-{uids['study'][-12:]}"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.ReferringPhysicianName = None
    dataset.StudyID = dataset.AccessionNumber = dataset.PatientPosition = dataset.Laterality = None
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids["study"], uids["series"]
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[uids["image"], str(number)])
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = when.strftime("%Y%m%d")
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = when.strftime("%H%M%S")
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, 1, number
    dataset.SeriesDescription, dataset.DerivationDescription = text(name, 64), TOLD
    dataset.Manufacturer, dataset.SoftwareVersions = "transmodal", __version__
    return dataset


def _put(dataset: Dataset, pixels: NDArray[Any], signed: bool) -> None:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(signed)
    dataset.PixelData = pixels.tobytes()
