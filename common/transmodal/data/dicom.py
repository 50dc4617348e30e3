"""What a folder of DICOM files must be before it is read as one volume; headers only, pixels are left alone.

ITK's series reader, which MONAI uses, takes the first of several series, closes the gap of a missing slice and drops an
unreadable one, each at most with a warning on the console. Here these are errors.
Source: DICOM PS3.3 C.7.6.2 (Image Plane) and C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.misc import is_dicom

from transmodal.data.layout import visible
from transmodal.errors import InputError

__all__ = ["check_dicom_folder", "is_dicom_folder"]

NO_IMAGES = ("RTSTRUCT", "RTDOSE", "RTPLAN", "SEG", "SR", "PR", "KO", "REG", "DOC")
KEEP_ONE = "keep the files of one series in this folder and move the others to folders of their own"
READABLE = (  # by GDCM, the reader within ITK; not among them: video, JPEG XL, high-throughput JPEG 2000
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless),
    *(uid.DeflatedExplicitVRLittleEndian, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless),
    *(uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000),
)

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """One slice: where it lies in the patient (mm, LPS) and how it is stored."""

    file: Path
    size: tuple[int, int]
    spacing: tuple[float, ...]
    orientation: tuple[float, ...]
    position: tuple[float, ...]


def is_dicom_folder(folder: Path, look_at: int = 20) -> bool:
    """Whether one of the first files of a folder is a DICOM file."""
    return any(is_dicom(file) for file in [entry for entry in visible(folder) if entry.is_file()][:look_at])


def check_dicom_folder(folder: Path, modality: str | None = None) -> None:
    """Refuse a folder that is not one complete, evenly spaced, upright series.

    Files that are no images (RTSTRUCT, reports, DICOMDIR, text) are passed over, as the reader does.

    Args:
        folder: the folder; folders in it are not looked into.
        modality: ``"ct"`` or ``"mr"`` to compare with the DICOM attribute Modality; others are not compared.
    Raises:
        InputError: naming the first of these that is found: no DICOM image, several series, another modality, colour,
            a compression the reader cannot decode, a truncated file, slices of different sizes or orientations, several
            images at one position, missing slices, uneven spacing, gantry tilt.
    """
    images = _images(folder)
    _check_one_series(folder, [header for _, header in images])
    _check_modality(folder, images[0][1], modality)
    for file, header in images:
        _check_storage(file, header)
    frames = [frame for file, header in images for frame in _frames(file, header)]
    if len(frames) > 1:
        _check_alike(folder, frames)
        _check_stack(folder, frames)


def _images(folder: Path) -> list[tuple[Path, pydicom.Dataset]]:
    """Headers of the image files of a folder."""
    files = [entry for entry in visible(folder) if entry.is_file()]
    named = (".dcm", ".ima")  # so named but not DICOM is a fault, not a file to pass over
    dicom = [f for f in files if f.name.upper() != "DICOMDIR" and (f.suffix.lower() in named or is_dicom(f))]
    headers = [(file, _header(file)) for file in dicom]
    images = [(file, header) for file, header in headers if _is_image(header)]
    if not images:
        kinds = Counter(str(header.get("Modality", "unknown")) for _, header in headers)
        others = [entry.name + "/" * entry.is_dir() for entry in visible(folder) if entry not in dicom]
        listed = [f"{count} DICOM {kind}" for kind, count in sorted(kinds.items())] + others[:5]
        raise InputError(
            folder,
            found=f"a folder without DICOM images ({', '.join(listed)})" if listed else "an empty folder",
            wanted="the files of one DICOM image series directly in the folder",
            remedy="move the series directly into this folder, or put a single image file in the folder's place",
        )
    return images


def _is_image(header: pydicom.Dataset) -> bool:
    return "Rows" in header and "Columns" in header and header.get("Modality") not in NO_IMAGES


def _header(file: Path) -> pydicom.Dataset:
    try:
        with warnings.catch_warnings(), file.open("rb") as stream:
            warnings.simplefilter("ignore")  # values that break the standard's limits are common and harmless here
            header = pydicom.dcmread(stream, stop_before_pixels=True)
            _check_complete(file, header, left=file.stat().st_size - stream.tell())
            return header
    except (OSError, EOFError, ValueError, AttributeError, KeyError, pydicom.errors.InvalidDicomError) as error:
        raise InputError(
            file,
            found=f"a DICOM file that cannot be read ({error})",
            wanted="a complete DICOM file",
            remedy="export or copy it again; it may be truncated",
        ) from error


def _check_complete(file: Path, header: pydicom.Dataset, left: int) -> None:
    """Raise ``EOFError`` if the file ends early; ``left`` bytes follow the header."""
    kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    if kind is not None and "Image Storage" not in uid.UID(kind).name:
        return
    if "Rows" not in header or "Columns" not in header:
        raise EOFError("its header ends early")
    syntax = _syntax(header)
    pixels = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames", 1))
    if syntax.is_compressed:
        complete = "PixelData" in pydicom.dcmread(file)
    else:
        complete = syntax.is_deflated or left >= pixels * int(header.get("BitsAllocated", 16)) // 8
    if not complete:
        raise EOFError("its pixels end early")


def _check_one_series(folder: Path, headers: Sequence[pydicom.Dataset]) -> None:
    series = Counter(
        (
            str(header.get("SeriesInstanceUID")),
            str(header.get("Modality", "?")),
            str(header.get("SeriesDescription", "")),
        )
        for header in headers
    )
    if len({number for number, *_ in series}) > 1:
        listed = "; ".join(
            f"{kind} {text!r}, {count} files, {key}" for (key, kind, text), count in sorted(series.items())
        )
        found, wanted = f"several DICOM series in one folder: {listed}", "one series"
        raise InputError(folder, found=found, wanted=wanted, remedy=KEEP_ONE)


def _check_modality(folder: Path, header: pydicom.Dataset, modality: str | None) -> None:
    known, found = {"ct": "CT", "mr": "MR"}, str(header.get("Modality", ""))
    if modality in known and found not in ("", known[modality]):
        raise InputError(
            folder,
            found=f"DICOM files of the modality {found}",
            wanted=f"the modality {known[modality]}",
            remedy="name the folder after what is in it, or choose the other direction",
        )


def _check_storage(file: Path, header: pydicom.Dataset) -> None:
    """Refuse colour and compression that cannot be decoded."""
    samples = int(header.get("SamplesPerPixel", 1))
    if samples != 1:
        raise InputError(
            file,
            found=f"{samples} values per pixel ({header.get('PhotometricInterpretation', 'colour')})",
            wanted="one value per pixel",
            remedy="this is a screen capture or a colour image; export the original series",
        )
    syntax = _syntax(header)
    if syntax not in READABLE:
        raise InputError(
            file,
            found=f"pixels compressed as {syntax.name} ({syntax})",
            wanted="uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000 pixels",
            remedy="decompress the series, for example with gdcmconv --raw or dcmdjpeg, and try again",
        )


def _syntax(header: pydicom.Dataset) -> uid.UID:
    return uid.UID(header.file_meta.get("TransferSyntaxUID", uid.ImplicitVRLittleEndian))


def _frames(file: Path, header: pydicom.Dataset) -> Iterable[Frame]:
    """The slices of a file: one, or those of an enhanced multi-frame object."""
    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    for group in per_frame or [header]:
        places = (group, shared, header)
        yield Frame(
            file,
            (int(header.Rows), int(header.Columns)),
            _numbers("PixelSpacing", "PixelMeasuresSequence", places),
            _numbers("ImageOrientationPatient", "PlaneOrientationSequence", places),
            _numbers("ImagePositionPatient", "PlanePositionSequence", places),
        )


def _numbers(keyword: str, sequence: str, places: Iterable[pydicom.Dataset]) -> tuple[float, ...]:
    for place in places:
        inner: Any = (place.get(sequence) or [place])[0]
        if inner.get(keyword) is not None:
            return tuple(float(value) for value in inner.get(keyword))
    return ()


def _check_alike(folder: Path, frames: Sequence[Frame]) -> None:
    """Refuse slices without a place in the patient, and mixtures such as a localizer within a series."""
    placeless = [frame.file.name for frame in frames if len(frame.position) != 3 or len(frame.orientation) != 6]
    if placeless:
        raise InputError(
            folder,
            found=f"{len(placeless)} of {len(frames)} slices without position or orientation ({placeless[0]})",
            wanted="ImagePositionPatient and ImageOrientationPatient in every slice",
            remedy="export the original series; for two-dimensional images make one folder per image",
        )
    for what in ("size", "spacing", "orientation"):
        values = Counter(tuple(round(value, 3) for value in getattr(frame, what)) for frame in frames)
        spread = np.ptp(np.array(list(values)), axis=0).max() if len({len(value) for value in values}) == 1 else np.inf
        if spread > 0.002:
            listed = ", ".join(f"{value} in {count}" for value, count in values.most_common(3))
            found, wanted = f"slices of different {what}: {listed}", f"one {what}"
            raise InputError(folder, found=found, wanted=wanted, remedy=KEEP_ONE)


def _check_stack(folder: Path, frames: Sequence[Frame]) -> None:
    """Refuse doubled positions, gaps, uneven spacing and tilt."""
    normal: Vector = np.cross(np.array(frames[0].orientation[:3]), np.array(frames[0].orientation[3:]))
    ordered = sorted(frames, key=lambda frame: float(np.dot(frame.position, normal)))
    positions: Vector = np.array([frame.position for frame in ordered])
    heights: Vector = positions @ normal
    gaps = np.diff(heights)
    if gaps.min() < 0.01:
        name = ordered[int(gaps.argmin()) + 1].file.name
        raise InputError(
            folder,
            found=f"several images at one position (such as {name}; {int((gaps < 0.01).sum())} too many)",
            wanted="one image per position",
            remedy="these are phases, echoes or repetitions: make one folder of each",
        )
    _check_steps(folder, heights, gaps)
    _check_upright(folder, positions[-1] - positions[0], normal, frames[0].spacing or (1.0,))


def _check_steps(folder: Path, heights: Vector, gaps: Vector) -> None:
    step = float(np.median(gaps))
    if gaps.max() - gaps.min() <= max(0.02, 0.02 * step):  # mm; scanners round positions to 0.01 mm
        return
    times = gaps / step
    holes = bool((np.abs(times - times.round()) < 0.05).all() and times.round().min() == 1)
    where = f"between {heights[gaps.argmax()]:.1f} and {heights[gaps.argmax() + 1]:.1f} mm"
    found = f"uneven slice spacing, widest {where}"
    if holes:
        found = f"{int((times.round() - 1).sum())} missing slices, {where}"
    raise InputError(
        folder,
        found=f"{found}: steps of {gaps.min():.2f} to {gaps.max():.2f} mm, usually {step:.2f} mm",
        wanted="slices at equal distances",
        remedy="export the complete series" if holes else "resample the series to equal distances first",
    )


def _check_upright(folder: Path, travel: Vector, normal: Vector, spacing: Sequence[float]) -> None:
    """Refuse a stack whose slices are shifted against each other by more than half a pixel in all."""
    drift = float(np.linalg.norm(travel - (travel @ normal) * normal))
    if drift > 0.5 * min(spacing):
        angle = float(np.degrees(np.arctan2(drift, abs(travel @ normal))))
        raise InputError(
            folder,
            found=f"gantry tilt: slices shift by {drift:.1f} mm over the stack ({angle:.1f} degrees)",
            wanted="slices stacked along their normal",
            remedy="resample the series to an upright grid first, for example with dcm2niix, which corrects the tilt",
        )
