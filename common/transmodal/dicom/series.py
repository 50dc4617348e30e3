"""The image series in a tree of DICOM files, and what each must be to become one volume.

A folder exported from an archive holds scouts beside stacks, structure sets beside images, files twice and stacks with
holes. Here series are found and told apart, what can be put right is put right with a note, and the rest is refused.
Source: DICOM PS3.3 C.7.3.1 (General Series), C.7.4.1 (Frame of Reference), C.7.6.1.1.2 (Image Type).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pydicom
from pydicom.misc import is_dicom

from transmodal.dicom.copies import over_folders
from transmodal.dicom.duplicates import check_unique, without_duplicates
from transmodal.dicom.grid import grid_of, in_order
from transmodal.dicom.headers import ImageFile, check_storage, is_image, read_header
from transmodal.dicom.inherited import quirks
from transmodal.dicom.origin import check_identifiers, check_origin
from transmodal.dicom.stacks import check_alike, check_stack
from transmodal.errors import InputError
from transmodal.files import visible

__all__ = ["Kind", "Series", "find_series", "resolve"]

Kind = Literal["image", "localizer", "synthetic", "unreadable"]
ALIKE = 2e-3
"""Direction cosines that differ by less are one orientation."""


@dataclass(frozen=True)
class Series:
    """Files that share a Series Instance UID and one stack of slices.

    Attributes:
        uid: Series Instance UID; several stacks of one series share it.
        modality: the attribute Modality in lower case: ``ct``, ``mr``, or another.
        number: Series Number, where there is one.
        description: Series Description.
        files: in the order of their slices along the normal (row direction × column direction).
        notes: what a user should know of it, a sentence each.
        kind: ``image``; ``localizer`` (scouts only); ``synthetic`` (marked as the output of a model); ``unreadable``.
        unreadable: broken DICOM files beside these, which may belong to them.
    """

    uid: str
    modality: str
    number: int | None
    description: str
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    kind: Kind = "image"
    unreadable: tuple[Path, ...] = ()

    @property
    def where(self) -> str:
        """For errors and lists: the folder, and which series in it."""
        name = f"series {self.number if self.number is not None else 'without a number'} {self.description!r}"
        return f"{self.files[0].parent} ({self.modality.upper() or 'DICOM'} {name})"


def find_series(path: str | Path | Sequence[Path]) -> list[Series]:
    """The image series of a file or a folder, however deep, or among some files, by number and UID; headers only.

    Files without images (structure sets, reports, text) are left out. A series with stacks in several orientations or
    frames of reference becomes several; a single slice that lies across stays with its series for :func:`resolve`.
    One that lies in several folders is put together if they complete each other; a copy of it is left out with a note.

    Raises:
        InputError: if there is no such path, or a folder may not be read.
    """
    groups: dict[str, dict[Path, list[ImageFile]]] = defaultdict(lambda: defaultdict(list))
    broken: list[Path] = []
    among = [path] if isinstance(path, str | Path) else path
    for file in (file for each in among for file in _dicom_files(Path(each))):
        try:
            header = read_header(file, complete=False)
        except InputError:
            broken.append(file)
            continue
        if is_image(header):
            groups[str(header.get("SeriesInstanceUID", ""))][file.parent].append(ImageFile(file, header))
    parts = ((uid, part) for uid, folders in groups.items() for part in over_folders(folders))
    found = [series for uid, part in parts for series in _stacks(uid, part.files, part.notes)]
    homes = {file.parent for series in found for file in series.files}
    found = [replace(series, unreadable=_beside(series, broken)) for series in found]
    found += [Series("", "", None, "", (file,), kind="unreadable") for file in broken if file.parent not in homes]
    return sorted(found, key=lambda series: (series.number is None, series.number or 0, series.uid, series.files))


def _dicom_files(path: Path) -> Iterator[Path]:
    """DICOM files by their content, and those that are so named, whatever they hold."""
    if path.is_file():
        if path.name.upper() != "DICOMDIR" and _is_dicom(path):
            yield path
        return
    for entry in visible(path):
        if entry.is_dir() or entry.is_file():
            yield from _dicom_files(entry)


def _is_dicom(file: Path) -> bool:
    try:
        return file.suffix.lower() in (".dcm", ".ima") or is_dicom(file)
    except OSError:  # who may not read it cannot tell what it is
        return False


def _beside(series: Series, broken: Sequence[Path]) -> tuple[Path, ...]:
    folders = {file.parent for file in series.files}
    return tuple(file for file in broken if file.parent in folders)


def _stacks(uid: str, files: Sequence[ImageFile], told: tuple[str, ...] = ()) -> list[Series]:
    """A series, or its stacks if there are several; the largest one takes the single slices of other orientations."""
    groups: list[list[ImageFile]] = []
    for file in files:
        same = next((group for group in groups if _alike(group[0], file)), None)
        if same is None:
            groups.append(same := [])
        same.append(file)
    groups.sort(key=len, reverse=True)
    stacks = [group for group in groups if len(group) > 1] or [[]]
    stacks[0] = stacks[0] + [file for group in groups if len(group) == 1 for file in group]
    notes = (*told, f"one of {len(stacks)} stacks of its series") if len(stacks) > 1 else told
    return [_series(uid, stack, notes) for stack in stacks]


def _alike(a: ImageFile, b: ImageFile) -> bool:
    places = (str(file.header.get("FrameOfReferenceUID", "")) for file in (a, b))
    return len(set(places)) == 1 and len(a.orientation) == len(b.orientation) and _parallel(a, b)


def _series(uid: str, files: Sequence[ImageFile], notes: tuple[str, ...]) -> Series:
    first = files[0].header
    number = str(first.get("SeriesNumber", "") or "")
    return Series(
        uid=uid,
        modality=str(first.get("Modality", "")).lower(),
        number=int(number) if number.lstrip("-").isdigit() else None,
        description=str(first.get("SeriesDescription", "")),
        files=tuple(file.path for file in _along_normal(files)),
        notes=notes,
        kind=_kind([file.header for file in files]),
    )


def _along_normal(files: Sequence[ImageFile]) -> list[ImageFile]:
    """By height over the first file's plane (the largest stack comes first); without a place, by number and name."""
    if any(len(file.position) != 3 or len(file.orientation) != 6 for file in files):
        return sorted(files, key=lambda file: (int(file.header.get("InstanceNumber", 0) or 0), file.path))
    normal = np.cross(files[0].orientation[:3], files[0].orientation[3:])
    return sorted(files, key=lambda file: (float(np.dot(file.position, normal)), file.path))


def _kind(headers: Sequence[pydicom.Dataset]) -> Kind:
    if all(_is_localizer(header) for header in headers):
        return "localizer"
    return "synthetic" if any(str(header.get("SyntheticData", "")) == "YES" for header in headers) else "image"


def _is_localizer(header: pydicom.Dataset) -> bool:
    return any("LOCALIZER" in str(value).upper() for value in header.get("ImageType") or ())


def resolve(series: Series) -> Series:
    """One complete, evenly spaced, upright stack of grey images, in order; what was left out is in its notes.

    Localizers, single slices across the stack and files that repeat another one's place and pixels are left out.

    Raises:
        InputError: naming the first of these that is found: an unreadable or truncated file, nothing but localizers,
            synthetic data, text burnt into the pixels, colour, a compression that cannot be decoded, no position,
            different images with one identifier, slices of different sizes or spacings, several images at one
            position, missing slices, uneven spacing, gantry tilt.
    """
    for broken in series.unreadable:
        read_header(broken)
    files = [ImageFile(file, read_header(file)) for file in series.files]
    check_origin(series.where, [file.header for file in files])
    files, notes = _without_localizers(series, files)
    for file in files:
        check_storage(file.path, file.header)
    check_identifiers(series.where, [file.header for file in files])
    files, repeated = without_duplicates(files)
    if repeated:
        notes.append(f"left out files that repeat another one's place and pixels ({_listed(repeated)})")
    check_unique(series.where, files)
    frames = [frame for file in files for frame in file.frames]
    check_alike(series.where, frames)
    if len(frames) > 1:
        check_stack(series.where, frames)
    grid_of(series.where, in_order(frames))
    return replace(
        series,
        files=tuple(file.path for file in _along_normal(files)),
        notes=(*series.notes, *notes, *quirks([file.header for file in files])),
    )


def _without_localizers(series: Series, files: Sequence[ImageFile]) -> tuple[list[ImageFile], list[str]]:
    images = [file for file in files if not _is_localizer(file.header)]
    if not images:
        raise InputError(
            series.where,
            found=f"nothing but localizers ({len(files)} images)",
            wanted="an image series",
            remedy="take another series of the study; scouts are not translated",
        )
    scouts = [file.path for file in files if _is_localizer(file.header)]
    notes = [f"left out localizers ({_listed(scouts)})"] if scouts else []
    counts = Counter(next(i for i, other in enumerate(images) if _alike(other, file)) for file in images)
    main, most = counts.most_common(1)[0]
    across = [file for file in images if not _parallel(images[main], file)]
    if most > 1 and across:
        images = [file for file in images if file not in across]
        notes.append(f"left out single slices across the stack ({_listed([file.path for file in across])})")
    return images, notes


def _parallel(a: ImageFile, b: ImageFile) -> bool:
    if len(a.orientation) != 6 or len(b.orientation) != 6:
        return True  # no orientation is another fault, told by its own name
    return bool(np.allclose(a.orientation, b.orientation, rtol=0, atol=ALIKE))


def _listed(files: Sequence[Path]) -> str:
    return ", ".join([*(file.name for file in files[:3]), *([f"{len(files)} in all"] if len(files) > 3 else [])])
