"""Images of other formats as DICOM, of no patient, so that what is derived from them can name its source.

Source: DICOM PS3.3 A.3 (CT Image), A.4 (MR Image), A.8.1 (Secondary Capture), C.7.6.1.1.2 (Image Type), C.8.6.1.
"""

from __future__ import annotations

import hashlib
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from transmodal import __version__
from transmodal.dicom.placing import as_frames
from transmodal.dicom.recipe import MODALITIES, decimals, text
from transmodal.dicom.series import Series, find_series, resolve
from transmodal.dicom.writing import in_16_bits
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
        InputError: for another modality, or values that do not fit into 16 bits.
    """
    if modality not in MODALITIES:
        raise InputError(name, found=f"the modality {modality!r}", wanted="ct or mr", remedy="name one of the two")
    values, frames = as_frames(image, affine, folder)
    stored, rescale = in_16_bits(values, modality, folder)
    uids = _uids(stored, name, modality)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (frame, pixels) in enumerate(zip(frames, np.moveaxis(stored, 2, 0), strict=True), start=1):
        dataset = _dataset(uids, modality.upper(), name, number, when or datetime.now())
        dataset.SOPClassUID = MODALITIES[modality]
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if modality == "ct" else "OTHER"]
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = uids["frame"], None
        dataset.PixelSpacing, dataset.SliceThickness = decimals(frame.spacing), decimals(frame.thickness)[0]
        dataset.ImageOrientationPatient = decimals(frame.orientation)
        dataset.ImagePositionPatient = decimals(frame.position)
        dataset.RescaleSlope, dataset.RescaleIntercept = decimals([rescale.slope, rescale.intercept])
        dataset.RescaleType = "HU" if modality == "ct" else "US"
        _fill_acquisition(dataset, modality)
        _put(dataset, np.ascontiguousarray(pixels.T), signed=True)
        _save(dataset, folder / f"{number:06d}.dcm")
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
    """
    values = np.asarray(picture, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    grey = np.rint((values - low) * (65535 / max(high - low, 1e-9))).astype("<u2")
    uids = _uids(grey, name, "xray")
    dataset = _dataset(uids, "OT", name, 1, when or datetime.now())
    dataset.SOPClassUID, dataset.ConversionType = SecondaryCaptureImageStorage, "WSD"
    dataset.ImageType, dataset.PatientOrientation = ["DERIVED", "SECONDARY"], ["L", "F"]
    _put(dataset, grey, signed=False)
    folder.mkdir(parents=True, exist_ok=True)
    _save(dataset, folder / "000001.dcm")
    (series,) = find_series(folder)
    return series


def _uids(pixels: NDArray[Any], name: str, modality: str) -> dict[str, str]:
    """Identifiers drawn from the image: the same image twice is the same to an archive."""
    entropy = [hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest(), str(pixels.shape), name, modality]
    return {key: generate_uid(entropy_srcs=[*entropy, key]) for key in ("study", "series", "frame", "image")}


def _dataset(uids: dict[str, str], modality: str, name: str, number: int, when: datetime) -> Dataset:
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


def _fill_acquisition(dataset: Dataset, modality: str) -> None:
    """What both kinds of image must have and no file of another format tells."""
    if modality == "ct":
        dataset.KVP = dataset.AcquisitionNumber = None
        return
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"
    for keyword in ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"):
        setattr(dataset, keyword, None)


def _put(dataset: Dataset, pixels: NDArray[Any], signed: bool) -> None:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(signed)
    dataset.PixelData = pixels.tobytes()


def _save(dataset: Dataset, path: Path) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of files may hold what pydicom warns of
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
