"""Which cases an inference or an evaluation runs on: all of a data set, or one section of its list."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path

from transmodal.data.cases import find_cases
from transmodal.data.layout import ALIASES, KINDS, RADIOGRAPH, SECTIONS, Case, extension, is_lone_dicom
from transmodal.data.sections import find_list, read_sections
from transmodal.dicom import is_dicom_folder
from transmodal.dicom.radiograph import frontal_file
from transmodal.errors import InputError
from transmodal.files import visible

__all__ = ["select_cases"]


def select_cases(
    dataset_dir: str | Path,
    datalist: str | Path | None = None,
    section: str | None = None,
    modality: str | None = None,
    optional: bool = False,
) -> list[Case]:
    """The cases to run on, in the order of their names.

    Args:
        dataset_dir: a data set as for :func:`~transmodal.data.find_cases`; a single file or DICOM folder is one case.
            Where ``modality`` is given, a folder that holds images and no folders will do as well: each image is a case
            named after its file (X-rays also as ``.dcm``), unless a name speaks of another modality.
        datalist: a list that takes the place of ``dataset_dir/dataset.json``, such as the one a training wrote.
        section: ``"training"``, ``"validation"`` or ``"test"`` of that list; all cases without it.
        modality: what a single file is, or a folder of them, where the names do not tell.
        optional: return nothing, instead of an error, for a section of a data set without a list.
    Raises:
        InputError: if there is no such data set, two loose images have one name, or a section is asked for and there is
            no list, or it is empty.
    """
    listed = find_list(dataset_dir, datalist)
    if section is None and datalist is None:
        loose = _loose_images(Path(os.path.abspath(dataset_dir)), modality) if modality and listed is None else []
        return loose or find_cases(dataset_dir, modality=modality)
    if listed is None:
        if optional:
            return []
        raise InputError(
            dataset_dir,
            found=f"the section {section!r} asked for, but no list of sections",
            wanted="dataset.json in the data set, or --datalist",
            remedy="give --datalist the split.json of the training's output_dir, or leave --section out",
        )
    sections = read_sections(listed)
    if section is not None and section not in sections:
        raise InputError(
            "configuration id 'section'",
            found=repr(section),
            wanted=f"one of {', '.join(SECTIONS)}",
            remedy="correct --section, or leave it out for all cases",
        )
    cases = [case for name in SECTIONS if section in (None, name) for case in sections[name]]
    if not cases and not optional:
        raise InputError(
            listed,
            found=f"no cases in the section {section!r}",
            wanted="at least one",
            remedy="choose another --section, or add cases to this one",
        )
    return sorted(cases, key=lambda case: case["case"])


def _loose_images(folder: Path, modality: str) -> list[Case]:
    """A case for each image in a folder, or none if this is no folder of loose images of the modality."""
    entries = visible(folder) if folder.is_dir() else []
    files = [entry for entry in entries if extension(entry) or is_lone_dicom(entry, modality)]
    if any(entry.is_dir() for entry in entries) or any(_speaks_of_another(_stem(file), modality) for file in files):
        return []
    if not files or _is_one_in_dicom(folder, files, modality):
        return []
    by_name: dict[str, list[str]] = defaultdict(list)
    for file in files:
        by_name[_stem(file)].append(file.name)
    if twice := [" and ".join(names) for names in by_name.values() if len(names) > 1]:
        raise InputError(
            folder,
            found=f"images of one name: {'; '.join(twice)}",
            wanted="one image for each name, after which its case is called",
            remedy="rename one of them, or move it out of the folder",
        )
    return [case for file in files for case in find_cases(file, modality=modality)]


def _stem(file: Path) -> str:
    return file.name[: len(file.name) - len(extension(file) or file.suffix)]


def _speaks_of_another(stem: str, modality: str) -> bool:
    """Whether a name is that of a modality, as files in the folder of a case have it, or has another one in it."""
    words = re.split(r"[^a-z0-9]+", stem.lower())
    return stem.lower() in KINDS or any(word in (*KINDS, *ALIASES) and word != modality for word in words)


def _is_one_in_dicom(folder: Path, files: list[Path], modality: str) -> bool:
    """Whether the DICOM files of a folder make one image together, as all of a series or the one frontal X-ray do."""
    if modality != RADIOGRAPH or any(extension(file) for file in files):
        return modality != RADIOGRAPH and is_dicom_folder(folder)
    try:
        return bool(frontal_file(folder))
    except InputError:
        return False
