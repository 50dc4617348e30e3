"""The attributes of a synthetic image: what it is, what it was made from, and nothing that it never went through.

The tables of the MR Image know no rescale; its three attributes are an extension, as PS3.2 7.3 allows and scanners use
it. A reader that passes over them finds the same picture on ten times the scale.
Source: DICOM PS3.3 A.3 (CT Image), A.4 (MR Image), C.7.6.1 (General Image), C.8.2.1, C.8.3.1, C.12.1 (SOP Common),
C.12.4 (General Reference); codes from PS3.16 annex D.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pydicom.valuerep import DSfloat

from transmodal.dicom.headers import Frame
from transmodal.dicom.inherited import inherited

__all__ = ["MODALITIES", "Made", "Origin", "Rescale", "decimals", "fill_acquisition", "place", "synthetic", "text"]

MODALITIES = {"ct": CTImageStorage, "mr": MRImageStorage}
"""Storage class of the modality that the pixels imitate: what reads CT finds HU in a CT image, not in a capture."""
CODES = {
    "110001": "Image Processing",
    "123110": "Artificial Intelligence",
    "121322": "Source image for image processing operation",
    "109102": "Processing Equipment",
}
PLANES = ("SAGITTAL", "CORONAL", "AXIAL")
COMMENT = "Synthetic - not for diagnosis"


Origin = tuple[Dataset, Frame]
"""Header of a source image, and where it lies."""


@dataclass(frozen=True)
class Rescale:
    """value = slope · stored + intercept."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Made:
    """What all images of a new series have in common.

    Attributes:
        modality: ``ct`` or ``mr``.
        series_uid, number, description: of the new series.
        when: the moment it was made.
        software, version: what made it.
        provenance: whatever else is to be told, in the order given.
        rescale: from stored to physical values.
        window: centre and width for display, in physical units.
        step: distance of the slices in mm, of a single one its thickness, which readers take for the distance only from
            here; 0 if that is unknown.
        apart: whether nothing tells where the source lies among the new images.
    """

    modality: str
    series_uid: str
    number: int
    description: str
    when: datetime
    software: str
    version: str
    provenance: Mapping[str, str]
    rescale: Rescale
    window: tuple[float, float]
    step: float
    apart: bool = False


def synthetic(origins: Sequence[Origin], made: Made, instance: int, instance_uid: str) -> Dataset:
    """The data set, but for the pixels, of the image derived from source images of one place.

    Args:
        origins: one image of each source; patient, study, frame of reference and place come from the first, in valid
            UTF-8.
        made: what the whole new series shares.
        instance, instance_uid: number and UID of the new image.
    """
    source, frame = origins[0]
    dataset = inherited(source)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    if "FrameOfReferenceUID" not in dataset:  # the source has none to share; the slices still have one among them
        dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[made.series_uid, "frame of reference"])
    _identify(dataset, made, instance, instance_uid)
    _derive(dataset, origins, made)
    place(dataset, frame)
    if made.step:
        dataset.SpacingBetweenSlices = decimals([made.step])[0]
    _describe_pixels(dataset, frame, made)
    fill_acquisition(dataset, made.modality)
    return dataset


def _identify(dataset: Dataset, made: Made, instance: int, instance_uid: str) -> None:
    dataset.SOPClassUID, dataset.SOPInstanceUID = MODALITIES[made.modality], instance_uid
    dataset.Modality = made.modality.upper()
    dataset.SeriesInstanceUID, dataset.SeriesNumber = made.series_uid, made.number
    dataset.SeriesDescription, dataset.InstanceNumber = made.description, instance
    date, time = made.when.strftime("%Y%m%d"), made.when.strftime("%H%M%S")
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = date
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = time
    dataset.Manufacturer, dataset.SoftwareVersions = text(made.software, 64), text(made.version, 64)
    if bundle := made.provenance.get("bundle"):
        dataset.ManufacturerModelName = text(bundle, 64)


def _derive(dataset: Dataset, origins: Sequence[Origin], made: Made) -> None:
    """Synthetic, derived, from which images, by what, and for research only."""
    frame = origins[0][1]
    normal = np.abs(np.cross(frame.orientation[:3], frame.orientation[3:]))
    plane = "AXIAL" if made.modality == "ct" else PLANES[int(normal.argmax())]  # of CT every section is AXIAL
    dataset.ImageType = ["DERIVED", "PRIMARY", plane, "SYNTHETIC"]
    dataset.SyntheticData, dataset.ContentQualification = "YES", "RESEARCH"
    dataset.ImageComments = COMMENT
    told = "; ".join(f"{name}: {value}" for name, value in made.provenance.items())
    kinds = " and ".join(dict.fromkeys(str(source.get("Modality", "other")) for source, _ in origins))
    dataset.DerivationDescription = text(
        f"Synthetic {made.modality.upper()}, not acquired: computed by a neural network from "
        f"{kinds} images. Research use only. {told}",
        1024,
    )
    dataset.DerivationCodeSequence = [code("110001"), code("123110")]
    dataset.SourceImageSequence = [_reference(origin, made) for origin in origins]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [code("109102")]
    equipment.Manufacturer, equipment.SoftwareVersions = dataset.Manufacturer, dataset.SoftwareVersions
    if "ManufacturerModelName" in dataset:
        equipment.ManufacturerModelName = dataset.ManufacturerModelName
    equipment.ContributionDateTime = made.when.strftime("%Y%m%d%H%M%S")
    equipment.ContributionDescription = text(told or "image translation", 1024)
    dataset.ContributingEquipmentSequence = [equipment]


def _reference(origin: Origin, made: Made) -> Dataset:
    """The item that names a source image."""
    source, frame = origin
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    if frame.index is not None:
        item.ReferencedFrameNumber = frame.index + 1
    item.SpatialLocationsPreserved = "NO" if made.apart else "YES"
    item.PurposeOfReferenceCodeSequence = [code("121322")]
    return item


def place(dataset: Dataset, frame: Frame) -> None:
    """Where the image lies in the patient."""
    dataset.PixelSpacing = decimals(frame.spacing)
    dataset.ImageOrientationPatient = decimals(frame.orientation)
    dataset.ImagePositionPatient = decimals(frame.position)
    dataset.SliceThickness = decimals(frame.thickness)[0] if frame.thickness else None


def _describe_pixels(dataset: Dataset, frame: Frame, made: Made) -> None:
    dataset.Rows, dataset.Columns = frame.size
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = decimals([made.rescale.slope, made.rescale.intercept])
    dataset.WindowCenter, dataset.WindowWidth = decimals(made.window)


def fill_acquisition(dataset: Dataset, modality: str) -> None:
    """What an image of a modality must tell of its acquisition where there was none."""
    if modality == "ct":
        dataset.RescaleType = "HU"
        dataset.KVP = dataset.AcquisitionNumber = None  # type 2: there was no tube, and the attributes say so
        return
    dataset.RescaleType = "US"  # unspecified: the values have a scale, but no unit
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"  # type 1: research mode is the least of a claim
    for keyword in ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"):
        setattr(dataset, keyword, None)  # type 2


def code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", CODES[value]
    return item


def text(value: str, limit: int) -> str:
    """Printable, without backslashes (which part values), at most so many characters."""
    return re.sub(r"[\\\x00-\x1f\x7f]", " ", value)[:limit].strip()


def decimals(values: object) -> list[pydicom.valuerep.DSfloat]:
    """Decimal strings of at most 16 characters."""
    return [DSfloat(float(value), auto_format=True) for value in np.ravel(np.asarray(values, dtype=float))]
