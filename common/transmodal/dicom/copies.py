"""A series in several folders: parts of one export, or copies of each other, complete or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transmodal.dicom.headers import ImageFile
from transmodal.dicom.stacks import check_alike, check_stack
from transmodal.errors import InputError
from transmodal.files import sha256_of

__all__ = ["Part", "over_folders"]


@dataclass(frozen=True)
class Part:
    """Files that are one series as far as their folders tell, and what a user should know of the others."""

    files: tuple[ImageFile, ...]
    notes: tuple[str, ...] = ()


def over_folders(folders: Mapping[Path, Sequence[ImageFile]]) -> list[Part]:
    """The parts of the files under one Series Instance UID that are to be taken by themselves.

    A folder whose files are byte for byte those of an earlier one is left out. Folders that complete each other become
    one part; so do scattered files that are no stacks by themselves, for the checks of the stack to judge. Folders that
    hold the same place twice, or that are stacks by themselves and not together, stay apart.
    """
    kept: dict[Path, Sequence[ImageFile]] = {}
    notes: dict[Path, tuple[str, ...]] = {}
    for folder, files in sorted(folders.items()):
        original = next((other for other in kept if _copies(files, kept[other])), None)
        if original is None:
            kept[folder], notes[folder] = files, ()
        else:
            notes[original] += (f"left out an identical copy of this series in {folder}",)
    together = [file for files in kept.values() for file in files]
    if len(kept) == 1 or _complete_each_other(list(kept.values()), together):
        return [Part(tuple(together), tuple(note for told in notes.values() for note in told))]
    listed = ", ".join(map(str, kept))
    apart = f"the folders {listed} hold this series, but do not form one stack: each is taken by itself"
    return [Part(tuple(files), (*notes[folder], apart)) for folder, files in kept.items()]


def _copies(files: Sequence[ImageFile], others: Sequence[ImageFile]) -> bool:
    """Whether two folders hold the same bytes under the same identifiers; only those of equal sizes are read."""
    if _told(files) != _told(others):
        return False
    return sorted(sha256_of(file.path) for file in files) == sorted(sha256_of(file.path) for file in others)


def _told(files: Sequence[ImageFile]) -> list[tuple[str, int]]:
    return sorted((str(file.header.get("SOPInstanceUID")), file.path.stat().st_size) for file in files)


def _complete_each_other(folders: Sequence[Sequence[ImageFile]], together: Sequence[ImageFile]) -> bool:
    places = [{_place(file) for file in files} for files in folders]
    if len(set().union(*places)) < sum(map(len, places)):
        return False
    return _is_stack(together) or not all(_is_stack(files) for files in folders)


def _place(file: ImageFile) -> tuple[object, ...]:
    where = tuple(round(value, 2) for value in (*file.position, *file.orientation))
    return (*where, str(file.header.get("FrameOfReferenceUID", ""))) if where else (file.path,)


def _is_stack(files: Sequence[ImageFile]) -> bool:
    frames = [frame for file in files for frame in file.frames]
    if len(frames) < 2:
        return False
    try:
        check_alike("", frames)
        check_stack("", frames)
    except InputError:
        return False
    return True
