"""Conversion of another layout into ours: all of a data set is published, or nothing."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tqdm import tqdm

from intake.splits import Sections, Split
from transmodal.data.layout import LABELS, SECTIONS, Case, case_files, extension, is_lone_dicom
from transmodal.data.sections import LIST_NAME, check_sections, write_sections
from transmodal.errors import InputError
from transmodal.files import visible

LABELS_NAME = "labels.csv"
SECTION_NAMES = {"train": "training", "val": "validation", "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class Item:
    """One image that is to become ``<case>/<modality><extension>``, and where it belongs.

    ``write`` makes the file at the path it is given; it raises :class:`InputError`, naming the original, for an image
    that cannot be used. A file that is linked as it is has an ``original``, which is checked with the whole data set.
    """

    section: str
    case: str
    patient: str | None
    modality: str
    extension: str
    write: Callable[[Path], None]
    original: Path | None = None

    @property
    def place(self) -> str:
        """Its path in the new data set."""
        return f"{self.case}/{self.modality}{self.extension}"


class Format(Protocol):
    """A layout that can be converted.

    Attributes:
        modalities: modality of each folder or file name, as far as the user gave them or the layout has its own.
        held_out: fraction of the patients for each section that the source does not have, unless the user gives one.
        warnings: what the user should know; complete when all items have been seen.
    """

    modalities: dict[str, str]
    held_out: float
    warnings: list[str]

    def items(self, source: Path) -> Iterator[Item]:
        """Every image of a data set, in a fixed order.

        Raises:
            InputError: if the source is not of this layout.
        """
        ...


@runtime_checkable
class WithFindings(Protocol):
    """A layout that also tells what a radiologist found.

    Attributes:
        findings: whether a case shows an embolism (0 or 1), of those where that is known; complete with the items.
    """

    findings: Mapping[str, int]


def section_folders(source: Path) -> list[tuple[str, Path]]:
    """(section, folder) of the folders ``train val test``; the source itself is for training where there are none."""
    parts = [folder for folder in visible(source) if folder.is_dir() and folder.name in SECTION_NAMES]
    return [(SECTION_NAMES[part.name], part) for part in parts] or [("training", source)]


def some(folder: Path, limit: int = 6) -> str:
    """The first names in a folder, for an error."""
    names = [entry.name for entry in visible(folder)]
    return (", ".join(names[:limit]) + (" …" if len(names) > limit else "")) or "an empty folder"


def linked(section: str, case: str, patient: str | None, modality: str, original: Path) -> Item:
    """An image that stays where it is: the new data set has a symbolic link, or a copy where links cannot be made."""
    original = Path(os.path.abspath(original))
    suffix = original.suffix.lower() if is_lone_dicom(original, modality) else extension(original)
    suffix = "" if original.is_dir() else suffix
    return Item(section, case, patient, modality, suffix, partial(_link, original), original)


def convert(
    source: Path,
    form: Format,
    output: Path,
    made: Mapping[str, Any],
    split: Split,
    look: Callable[[Sections], object] = len,
) -> list[str]:
    """Write a data set in our layout into a new folder, with its ``dataset.json``.

    Args:
        source: the data set to convert; it is only read.
        form: its layout.
        output: a folder that does not exist yet, or an empty one.
        made: how it was made, for ``dataset.json``.
        split: which case goes where; cases in none of its sections are not converted.
        look: called with the sections as they are before they are published; what it raises prevents that.
    Returns:
        The errors of all images; with errors nothing is published.
    Raises:
        InputError: if the source is of another layout, two of its images get one place, or the output is not new.
    """
    new = unfinished(output)
    items = list(form.items(source))
    _check_places(items, source)
    sections = split.divide(_records(items), sorted({item.modality for item in items} - set(LABELS)))
    check_sections(sections, source)
    kept = {case["case"] for section in SECTIONS for case in sections[section]}
    items = [item for item in items if item.case in kept]
    try:
        errors = _write(items, new)
        if not errors:
            look(_located(sections, {item.place: item.original or new / item.place for item in items}))
            write_sections(new / LIST_NAME, sections, made)
            if isinstance(form, WithFindings) and form.findings:
                _write_findings({case: found for case, found in form.findings.items() if case in kept}, new)
            publish(new, output)
        return errors
    finally:
        shutil.rmtree(new, ignore_errors=True)


def unfinished(output: Path) -> Path:
    """The hidden neighbour of a new folder in which its content is made.

    Raises:
        InputError: if the folder is there already and holds something.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(
            output,
            found="something already",
            wanted="a new folder",
            remedy="choose another --output, or remove it",
        )
    return output.with_name(f".{os.getpid()}.partial.{output.name}")


def publish(new: Path, output: Path) -> None:
    """Give a folder that is finished the name it was made for."""
    if output.exists():
        output.rmdir()
    new.rename(output)


def _write_findings(findings: Mapping[str, int], folder: Path) -> None:
    """The table ``labels.csv`` of the cases whose findings are known."""
    lines = ["case,embolism", *(f"{case},{found}" for case, found in findings.items())]
    (folder / LABELS_NAME).write_text("\n".join([*lines, ""]), encoding="utf-8")


def _link(original: Path, place: Path) -> None:
    try:
        place.symlink_to(original)
    except OSError:  # some file systems have no links
        _copy(original, place)


def _copy(original: Path, place: Path) -> None:
    try:
        (shutil.copytree if original.is_dir() else shutil.copyfile)(original, place)
    except OSError as error:
        raise InputError(
            original,
            found=f"a file that cannot be copied ({error.strerror})",
            wanted="a file that can be read, and space for its copy",
            remedy="check who may read it and the space in --output; where links work, nothing is copied",
        ) from error


def _check_places(items: Sequence[Item], source: Path) -> None:
    places = Counter(f"{item.case}/{item.modality}" for item in items)
    twice = [place for place, count in places.items() if count > 1]
    if twice:
        raise InputError(
            source,
            found=f"more than one image for {', '.join(twice[:6])}{' …' if len(twice) > 6 else ''}",
            wanted="one image of each modality in a case",
            remedy="give each folder or file name its own modality, and each patient its own name",
        )


def _records(items: Sequence[Item]) -> Sections:
    """The cases by the sections of the source; paths are those in the new data set, relative to it."""
    cases: dict[str, Case] = {}
    sections: Sections = {section: [] for section in SECTIONS}
    for item in items:
        if item.case not in cases:
            cases[item.case] = {"case": item.case} | ({"patient": item.patient} if item.patient else {})
            sections[item.section].append(cases[item.case])
        cases[item.case][item.modality] = item.place
    return sections


def _write(items: Sequence[Item], folder: Path) -> list[str]:
    errors = []
    for item in tqdm(items, desc="converting", unit="image", disable=None, leave=False):
        place = folder / item.place
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            item.write(place)
        except InputError as error:
            errors.append(str(error))
    return errors


def _located(sections: Mapping[str, Sequence[Case]], files: Mapping[str, Path]) -> Sections:
    """The sections with the files where they are now."""
    return {
        section: [case | {name: str(files[place]) for name, place in case_files(case).items()} for case in cases]
        for section, cases in sections.items()
    }
