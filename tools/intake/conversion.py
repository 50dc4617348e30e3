"""Conversion of another layout into ours: all of a data set is published, or nothing."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from transmodal.data import split_cases
from transmodal.data.layout import SECTIONS, Case, visible
from transmodal.data.sections import LIST_NAME, check_sections, write_sections
from transmodal.errors import InputError

SECTION_NAMES = {"train": "training", "val": "validation", "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class Item:
    """One image that is to become ``<case>/<modality><extension>``, and where it belongs.

    ``write`` makes the file at the path it is given; it raises :class:`InputError`, naming the original, for an image
    that cannot be used.
    """

    section: str
    case: str
    patient: str | None
    modality: str
    extension: str
    write: Callable[[Path], None]


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


def section_folders(source: Path) -> list[tuple[str, Path]]:
    """(section, folder) of the folders ``train val test``; the source itself is for training where there are none."""
    parts = [folder for folder in visible(source) if folder.is_dir() and folder.name in SECTION_NAMES]
    return [(SECTION_NAMES[part.name], part) for part in parts] or [("training", source)]


def some(folder: Path, limit: int = 6) -> str:
    """The first names in a folder, for an error."""
    names = [entry.name for entry in visible(folder)]
    return (", ".join(names[:limit]) + (" …" if len(names) > limit else "")) or "an empty folder"


def convert(
    source: Path, form: Format, output: Path, made: Mapping[str, Any], validation: Any, test: Any, seed: int
) -> tuple[dict[str, list[Case]], list[str]]:
    """Write a data set in our layout into a new folder, with its ``dataset.json``.

    The sections of the source stay; a validation section it does not have is taken from its training section, and so
    is a test section.

    Args:
        source: the data set to convert; it is only read.
        form: its layout.
        output: a folder that does not exist yet, or an empty one.
        made: how it was made, for ``dataset.json``.
        validation, test, seed: of :func:`transmodal.data.split_cases`, for sections the source does not have.
    Returns:
        The sections, and the errors of all images; with errors nothing is published.
    Raises:
        InputError: if the source is of another layout, two of its images get one place, or the output is not new.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(
            output,
            found="something already",
            wanted="a new folder",
            remedy="choose another --output, or remove it",
        )
    partial = output.with_name(f".{os.getpid()}.partial.{output.name}")
    items = list(form.items(source))
    _check_places(items, source)
    try:
        errors = _write(items, partial)
        if errors:
            return {section: [] for section in SECTIONS}, errors
        sections = _sections(items, partial, validation, test, seed)
        check_sections(sections, source)
        write_sections(partial / LIST_NAME, sections, made, relative=True)
        if output.exists():
            output.rmdir()
        partial.rename(output)
        return _sections(items, output, validation, test, seed), []
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_places(items: list[Item], source: Path) -> None:
    places = Counter(f"{item.case}/{item.modality}" for item in items)
    twice = [place for place, count in places.items() if count > 1]
    if twice:
        raise InputError(
            source,
            found=f"more than one image for {', '.join(twice[:6])}{' …' if len(twice) > 6 else ''}",
            wanted="one image of each modality in a case",
            remedy="give each folder or file name its own modality, and each patient its own name",
        )


def _write(items: list[Item], folder: Path) -> list[str]:
    errors = []
    for item in tqdm(items, desc="converting", unit="image", disable=None, leave=False):
        place = folder / item.case
        place.mkdir(parents=True, exist_ok=True)
        try:
            item.write(place / f"{item.modality}{item.extension}")
        except InputError as error:
            errors.append(str(error))
    return errors


def _sections(items: list[Item], folder: Path, validation: Any, test: Any, seed: int) -> dict[str, list[Case]]:
    """The cases in ``folder`` by section: as in the source, and split where it has no such section."""
    cases: dict[str, Case] = {}
    homes: dict[str, str] = {}
    for item in items:
        case = cases.setdefault(item.case, {"case": item.case} | ({"patient": item.patient} if item.patient else {}))
        case[item.modality] = str(folder / item.case / f"{item.modality}{item.extension}")
        homes[item.case] = item.section
    given = {section: [case for name, case in cases.items() if homes[name] == section] for section in SECTIONS}
    shares = (0 if given["validation"] else validation, 0 if given["test"] else test)
    split = split_cases(given["training"], *shares, seed, pairs=sorted({item.modality for item in items}))
    return {section: split[section] or given[section] for section in SECTIONS}
