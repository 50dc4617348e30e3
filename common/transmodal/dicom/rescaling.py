"""Series whose slices are rescaled differently, which ITK's series reader reads wrongly without a word.

It takes the type of its pixels from the first slice: a later one whose values do not fit wraps around or loses its
fractions. Of a multi-frame file it takes one slope and intercept for all frames.
Source: DICOM PS3.3 C.7.6.16.2.9 (Pixel Value Transformation), C.11.1 (Modality LUT).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from transmodal.dicom.headers import ImageFile
from transmodal.dicom.pixels import physical, rescales

__all__ = ["misread", "rescale_evenly", "scale_for"]

BITS = 32
OUTDATED = (  # they speak of stored values, which change
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "SmallestImagePixelValue", "LargestImagePixelValue"),
    *("SmallestPixelValueInSeries", "LargestPixelValueInSeries", "RealWorldValueMappingSequence", "VOILUTSequence"),
)


def misread(files: Sequence[ImageFile]) -> set[tuple[float, float]]:
    """The slopes and intercepts of files that differ such that the reader gets values wrong; none if it does not.

    Slices that it reads as one type, such as those with fractional slopes, it rescales each by its own pair.
    """
    each = [rescales(file.header) for file in files]
    pairs = {pair for frames in each for pair in frames}
    if len(pairs) < 2:
        return set()
    within_a_file = any(len(set(frames)) > 1 for frames in each)
    return pairs if within_a_file or len({_type_read(file.path) for file in files}) > 1 else set()


def _type_read(file: Path) -> int:
    """The type of pixels that the reader makes of a file, as its own number."""
    import itk  # only here: it takes seconds, and hardly a series needs it

    reader = itk.GDCMImageIO.New()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    return int(reader.GetComponentType())


def scale_for(files: Sequence[Path]) -> float:
    """A step in which the values of all files fit into 32 bits: 1 for whole numbers, else a power of ten.

    The values, single precision, are rounded to it, by less than their own precision at the largest of them.
    """
    largest, whole = 0.0, True
    for file in files:
        values = physical(file)
        largest = max(largest, float(np.abs(values).max()))
        whole = whole and bool((values == np.rint(values)).all())
    if whole and largest < 2 ** (BITS - 1):
        return 1.0
    return float(f"{10.0 ** np.ceil(np.log10(largest / (2 ** (BITS - 1) - 1))):.0e}")


def rescale_evenly(dataset: Dataset, values: NDArray[np.float32], step: float) -> None:
    """Store values as 32-bit multiples of ``step`` with intercept 0, uncompressed; every frame by this one slope.

    Args:
        dataset: of one file, changed in place.
        values: its pixels in physical units, (frames, rows, columns).
        step: as :func:`scale_for` gives it.
    """
    for name in OUTDATED:
        if name in dataset:
            delattr(dataset, name)
    groups = [*dataset.get("PerFrameFunctionalGroupsSequence", []), *dataset.get("SharedFunctionalGroupsSequence", [])]
    for group in groups:
        if "PixelValueTransformationSequence" in group:
            del group.PixelValueTransformationSequence
    for place in _pixel_value_transformations(dataset):
        place.RescaleSlope, place.RescaleIntercept = f"{step:.0e}" if step != 1 else "1", "0"
    dataset.BitsAllocated = dataset.BitsStored = BITS
    dataset.HighBit, dataset.PixelRepresentation = BITS - 1, 1
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PixelData = np.rint(values.astype(np.float64) / step).astype("<i4").tobytes()
    dataset["PixelData"].VR = "OW"


def _pixel_value_transformations(dataset: Dataset) -> list[Dataset]:
    """Where slope and intercept belong: in the shared groups of a multi-frame file, else in the data set itself."""
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return [dataset]
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    inner = Dataset()
    inner.RescaleType = "US"
    shared[0].PixelValueTransformationSequence = pydicom.Sequence([inner])
    dataset.SharedFunctionalGroupsSequence = pydicom.Sequence(list(shared))
    return [dataset, inner] if "RescaleSlope" in dataset else [inner]
