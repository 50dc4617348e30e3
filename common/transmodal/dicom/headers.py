"""Headers of DICOM files: is it an image, is it whole, can its pixels be decoded, and where do its slices lie.

Source: DICOM PS3.3 C.7.6.2 (Image Plane), C.7.6.3 (Image Pixel) and C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydicom
from pydicom import uid
from pydicom.multival import MultiValue

from transmodal.errors import InputError

__all__ = ["NO_IMAGES", "Frame", "ImageFile", "check_storage", "dividing", "frames_of", "is_image", "read_header"]

NO_IMAGES = ("RTSTRUCT", "RTDOSE", "RTPLAN", "SEG", "SR", "PR", "KO", "REG", "DOC")
NUMBERS = ("SeriesNumber", "InstanceNumber", "NumberOfFrames", "BitsAllocated", "RescaleSlope", "RescaleIntercept")
DIVIDING = ("SeriesNumber", "SeriesDate", "SequenceName", "SliceThickness")
READABLE = (  # by GDCM, the reader within ITK; not among them: video, JPEG XL, high-throughput JPEG 2000
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless),
    *(uid.DeflatedExplicitVRLittleEndian, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless),
    *(uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000),
)


@dataclass(frozen=True)
class Frame:
    """One slice: where it lies in the patient (mm, LPS) and how it is stored."""

    file: Path
    size: tuple[int, int]
    spacing: tuple[float, ...]
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    thickness: tuple[float, ...] = ()
    index: int | None = None
    """Place among the frames of a multi-frame file, from 0."""


@dataclass(frozen=True)
class ImageFile:
    """A file and its header; of a multi-frame file the first frame tells where it lies."""

    path: Path
    header: pydicom.Dataset

    @property
    def orientation(self) -> tuple[float, ...]:
        """Direction cosines of rows and columns (LPS), 6 values or none."""
        return self.frames[0].orientation

    @property
    def position(self) -> tuple[float, ...]:
        """Centre of the first pixel in mm (LPS), 3 values or none."""
        return self.frames[0].position

    @cached_property
    def frames(self) -> list[Frame]:
        return list(frames_of(self.path, self.header))


def is_image(header: pydicom.Dataset) -> bool:
    return "Rows" in header and "Columns" in header and header.get("Modality") not in NO_IMAGES


def read_header(file: Path, complete: bool = True) -> pydicom.Dataset:
    """The attributes of a file up to its pixels.

    Args:
        file: a DICOM file with preamble and file meta information.
        complete: also make sure that the pixels are all there, which reads a compressed file to its end.
    Raises:
        InputError: if it is no DICOM file, or ends early.
    """
    try:
        with warnings.catch_warnings(), file.open("rb") as stream:
            warnings.simplefilter("ignore")  # values that break the standard's limits are common and harmless here
            header = pydicom.dcmread(stream, stop_before_pixels=True)
            _check_header(header)
            if complete:
                _check_pixels(file, header, left=file.stat().st_size - stream.tell())
            return header
    except (
        OSError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        pydicom.errors.InvalidDicomError,
    ) as error:
        raise InputError(
            file,
            found=f"a DICOM file that cannot be read ({error})",
            wanted="a complete DICOM file",
            remedy="export or copy it again; it may be truncated",
        ) from error


def _check_header(header: pydicom.Dataset) -> None:
    """Raise ``EOFError`` if the header ends early, and ``ValueError`` if a number in it is none."""
    if _stores_an_image(header) and not ("Rows" in header and "Columns" in header):
        raise EOFError("its header ends early")
    for keyword in NUMBERS:
        float(header.get(keyword) or 0)
    for _ in frames_of(Path(), header) if is_image(header) else ():
        pass  # converting the numbers of each


def _check_pixels(file: Path, header: pydicom.Dataset, left: int) -> None:
    """Raise ``EOFError`` if the file ends early; ``left`` bytes follow the header."""
    if not _stores_an_image(header):
        return
    syntax = _syntax(header)
    pixels = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames", 1))
    if syntax.is_compressed:
        complete = "PixelData" in pydicom.dcmread(file)
    else:
        complete = syntax.is_deflated or left >= pixels * int(header.get("BitsAllocated", 16)) // 8
    if not complete:
        raise EOFError("its pixels end early")


def _stores_an_image(header: pydicom.Dataset) -> bool:
    """A file that does not tell its kind has to be one."""
    kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    return kind is None or "Image Storage" in uid.UID(kind).name


def check_storage(file: Path, header: pydicom.Dataset) -> None:
    """Refuse colour, inverted grey and compression that cannot be decoded."""
    samples = int(header.get("SamplesPerPixel", 1))
    if samples != 1:
        raise InputError(
            file,
            found=f"{samples} values per pixel ({header.get('PhotometricInterpretation', 'colour')})",
            wanted="one value per pixel",
            remedy="this is a screen capture or a colour image; export the original series",
        )
    if (kind := str(header.get("PhotometricInterpretation", "MONOCHROME2"))) != "MONOCHROME2":
        inverted = kind == "MONOCHROME1"  # GDCM turns the stored values over before it rescales them: wrong HU
        raise InputError(
            file,
            found=f"grey that is shown inverted ({kind})" if inverted else f"colours from a palette ({kind})",
            wanted="MONOCHROME2",
            remedy="export the original series, or invert the pixels and the rescale values together"
            if inverted
            else "this is a screen capture or a colour image; export the original series",
        )
    syntax = _syntax(header)
    if syntax not in READABLE:
        raise InputError(
            file,
            found=f"pixels compressed as {syntax.name} ({syntax})",
            wanted="uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000 pixels",
            remedy="decompress the series, for example with gdcmconv --raw or dcmdjpeg, and try again",
        )


def dividing(headers: Sequence[pydicom.Dataset]) -> dict[str, Counter[str]]:
    """Attributes, with how often each value occurs, by which GDCM would divide these files into several series.

    It does so with its "series details", which MONAI's reader asks for, and MONAI then reads the first part only.
    """
    counts = {name: Counter(str(header.get(name, "")) for header in headers) for name in DIVIDING}
    return {name: values for name, values in counts.items() if len(values) > 1}


def _syntax(header: pydicom.Dataset) -> uid.UID:
    return uid.UID(header.file_meta.get("TransferSyntaxUID", uid.ImplicitVRLittleEndian))


def frames_of(file: Path, header: pydicom.Dataset) -> Iterable[Frame]:
    """The slices of a file: one, or those of an enhanced multi-frame object."""
    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    for index, group in enumerate(per_frame or [header]):
        places = (group, shared, header)
        yield Frame(
            file,
            (int(header.Rows), int(header.Columns)),
            _numbers("PixelSpacing", "PixelMeasuresSequence", places),
            _numbers("ImageOrientationPatient", "PlaneOrientationSequence", places),
            _numbers("ImagePositionPatient", "PlanePositionSequence", places),
            _numbers("SliceThickness", "PixelMeasuresSequence", places),
            index if per_frame else None,
        )


def _numbers(keyword: str, sequence: str, places: Iterable[pydicom.Dataset]) -> tuple[float, ...]:
    for place in places:
        inner: Any = (place.get(sequence) or [place])[0]
        if (values := inner.get(keyword)) is not None:
            return tuple(float(value) for value in (values if isinstance(values, MultiValue) else [values]))
    return ()
