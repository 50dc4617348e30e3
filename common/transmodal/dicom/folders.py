"""What a folder of DICOM files must be before it is read as one volume; headers only, pixels are left alone.

ITK's series reader, which MONAI uses, takes the first of several series, closes the gap of a missing slice and drops an
unreadable one, each at most with a warning on the console. Here these are errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pydicom
from pydicom.misc import is_dicom

from transmodal.dicom.headers import Frame, ImageFile, check_storage, dividing, frames_of, is_image, read_header
from transmodal.dicom.rescaling import misread
from transmodal.dicom.stacks import KEEP_ONE, check_alike, check_stack
from transmodal.errors import InputError
from transmodal.files import visible

__all__ = ["check_dicom_folder", "is_dicom_folder"]


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
            images at one position, missing slices, uneven spacing, gantry tilt, frames of one file in no order,
            a stack that the reader would divide, or whose slices it would rescale wrongly.
    """
    images = _images(folder)
    _check_one_series(folder, [header for _, header in images])
    _check_modality(folder, images[0][1], modality)
    for file, header in images:
        check_storage(file, header)
    frames = [frame for file, header in images for frame in frames_of(file, header)]
    if len(frames) > 1:
        check_alike(folder, frames)
        check_stack(folder, frames)
        _check_order_within(frames)
    _check_undivided(folder, [header for _, header in images])
    _check_rescale(folder, [ImageFile(file, header) for file, header in images])


def _images(folder: Path) -> list[tuple[Path, pydicom.Dataset]]:
    """Headers of the image files of a folder."""
    files = [entry for entry in visible(folder) if entry.is_file()]
    named = (".dcm", ".ima")  # so named but not DICOM is a fault, not a file to pass over
    dicom = [f for f in files if f.name.upper() != "DICOMDIR" and (f.suffix.lower() in named or is_dicom(f))]
    headers = [(file, read_header(file)) for file in dicom]
    images = [(file, header) for file, header in headers if is_image(header)]
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


def _check_order_within(frames: Sequence[Frame]) -> None:
    """Refuse a multi-frame file whose frames neither rise nor fall: the reader stacks them as they come."""
    normal = np.cross(frames[0].orientation[:3], frames[0].orientation[3:])
    for file, group in groupby(frames, key=lambda frame: frame.file):
        steps = np.diff([float(np.dot(frame.position, normal)) for frame in group])
        if len(steps) and steps.min() < 0 < steps.max():
            raise InputError(
                file,
                found="frames that are not in the order of their positions",
                wanted="frames that rise or fall along their normal",
                remedy="convert the file to NIfTI, as dcm2niix does, or to one file per frame",
            )


def _check_undivided(folder: Path, headers: Sequence[pydicom.Dataset]) -> None:
    """Refuse a stack of which the reader would take a part, for an attribute that differs between its files."""
    for name, values in dividing(headers).items():
        listed = ", ".join(f"{value!r} in {count}" for value, count in values.most_common(3))
        raise InputError(
            folder,
            found=f"slices of one stack with different {name} ({listed}), of which the reader takes one part only",
            wanted=f"one {name}",
            remedy=f"write one value of {name} into all files, or convert the series to NIfTI, as dcm2niix does",
        )


def _check_rescale(folder: Path, files: Sequence[ImageFile]) -> None:
    if pairs := sorted(misread(files)):
        listed = ", ".join(f"{slope:g} and {intercept:g}" for slope, intercept in pairs[:3])
        raise InputError(
            folder,
            found=f"slices with {len(pairs)} different rescale slopes and intercepts ({listed}), of which the reader "
            "gets values wrong: it stores all in the type of the first",
            wanted="slices whose rescaled values are of one type",
            remedy="convert the series to NIfTI, as dcm2niix does, or give it one slope and intercept for all slices",
        )
