"""Which cases a data set has: the discovery of ``dataset_dir/<case>/<modality>.<extension>``, and lone scans.

The layout is that of the SynthRAD challenges, so their data sets need no conversion.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from transmodal.data.layout import (
    KINDS,
    LATENT,
    MODALITIES,
    PICTURES,
    RADIOGRAPH,
    SECTIONS,
    VOLUMES,
    Case,
    case_files,
    extension,
    is_latent,
    is_lone_dicom,
)
from transmodal.data.sections import LIST_NAME, find_list, read_sections
from transmodal.dicom import is_dicom_folder
from transmodal.errors import InputError
from transmodal.files import visible

__all__ = ["discover_cases", "find_cases"]

LAYOUT = (
    f"dataset_dir/<case>/<modality> with {' '.join(VOLUMES)} (slices and X-rays also {' '.join(PICTURES)}), "
    "or a folder dataset_dir/<case>/<modality>/ of DICOM files, or <case>/xray.dcm"
)
REARRANGE = (
    "give the folder that holds one folder per case, rename the files to their modality "
    f"({' '.join(MODALITIES)}), or list them in {LIST_NAME}; tools/datalist.py --from converts other layouts"
)


def find_cases(
    dataset_dir: str | Path, modalities: Sequence[str] | None = None, modality: str | None = None
) -> list[Case]:
    """All cases of a data set, in the order of their names.

    Args:
        dataset_dir: a folder of cases; or one with a ``dataset.json``, or that file itself, whose sections are then
            joined; or a single image file or DICOM folder, which is a data set of one case.
        modalities: names to look for, by default all known ones; cases with none of them are left out.
        modality: what a lone image is, where neither its name nor ``modalities`` tells.
    Returns:
        Case records; paths are absolute, symbolic links are kept.
    Raises:
        InputError: if there is no such data set, nothing in it is laid out as cases, or a case has two files for one
            modality.
    """
    root = Path(os.path.abspath(dataset_dir))
    listed = find_list(root)
    if listed is not None:
        sections = read_sections(listed, modalities or ())
        cases = [case for section in SECTIONS for case in sections[section]]
        return sorted(_with_any(cases, modalities), key=lambda case: case["case"])
    if root.is_file():
        return [_lone_case(root, modalities, modality)]
    cases = _folders_of_cases(root, modalities)
    if not cases and is_dicom_folder(root):
        return [_lone_case(root, modalities, modality)]
    return cases or _refuse(root, modalities)


def discover_cases(dataset_dir: str | Path, modalities: Sequence[str] | None = None) -> list[Case]:
    """The cases that lie in folders, whatever a ``dataset.json`` says; arguments and errors as :func:`find_cases`."""
    root = Path(os.path.abspath(dataset_dir))
    return _folders_of_cases(root, modalities) or _refuse(root, modalities)


def _folders_of_cases(root: Path, modalities: Sequence[str] | None) -> list[Case]:
    names = tuple(modalities or KINDS)
    cases, twice = [], []
    for folder in (entry for entry in visible(root) if entry.is_dir()):
        case = {"case": folder.name}
        for entry in visible(folder):
            name = _modality(entry)
            if name in names and name in case:
                twice.append(f"{folder.name}/{Path(case[name]).name} and {entry.name}")
            elif name in names:
                case[name] = str(entry)
        if case_files(case):
            cases.append(case)
    if twice:
        raise InputError(
            root,
            found=f"two files for one modality: {'; '.join(twice)}",
            wanted="one file, or one folder of DICOM files, per modality and case",
            remedy="move the file that is not meant out of the case's folder",
        )
    return cases


def _modality(entry: Path) -> str:
    if entry.is_dir():
        return entry.name.lower()
    if is_latent(entry):
        return LATENT
    if is_lone_dicom(entry):
        return RADIOGRAPH
    suffix = extension(entry)
    return entry.name.lower().removesuffix(suffix) if suffix else ""


def _with_any(cases: Sequence[Case], modalities: Sequence[str] | None) -> list[Case]:
    return [case for case in cases if modalities is None or any(name in case for name in modalities)]


def _lone_case(path: Path, modalities: Sequence[str] | None, modality: str | None) -> Case:
    """One file or DICOM folder as a case named after it, or after its folder where it is named after a modality."""
    wanted = modality or (modalities[0] if modalities and len(modalities) == 1 else None)
    latent = path.suffix == ".npy" and (wanted == LATENT or is_latent(path))
    whole = latent or is_lone_dicom(path, wanted)
    suffix = "" if path.is_dir() else path.suffix if whole else extension(path)
    if not suffix and path.is_file():
        raise InputError(
            path,
            found=f"a file that ends in {path.suffix or 'nothing'}",
            wanted=f"an image ({' '.join((*VOLUMES, *PICTURES))}), a folder of DICOM files or a folder of cases",
            remedy="convert the image, or put DICOM files into a folder of their own",
        )
    named = _modality(path) if _modality(path) in (*KINDS, *(modalities or ())) else None
    if (named and wanted and named != wanted) or not (named or wanted):
        raise InputError(
            path,
            found=f"an image named {path.name}",
            wanted=f"an image of the modality {wanted}" if wanted else "an image whose modality is known",
            remedy="say which modality it is (in the bundles: --source ct or --source mr), or rename the file",
        )
    case = path.parent.name if named else path.name[: len(path.name) - len(suffix)]
    return {"case": case, wanted or str(named): str(path)}


def _refuse(root: Path, modalities: Sequence[str] | None) -> list[Case]:
    """Say what was found where cases were expected."""
    entries = visible(root)
    folders, files = [e for e in entries if e.is_dir()], [e for e in entries if not e.is_dir()]
    if any(_modality(entry) in (modalities or KINDS) for entry in entries):
        found = f"the files of one case ({_some(entries)})"
    elif folders:
        found = f"{_count(folders, 'folder')} ({_some(folders)}) with {_some(visible(folders[0]))} in the first"
    else:
        found = f"{_count(files, 'file')} ({_some(files)})" if files else "an empty folder"
    kinds = f" with the modalities {' '.join(modalities)}" if modalities else ""
    raise InputError(root, found=f"{found}, but no case", wanted=f"{LAYOUT}{kinds}", remedy=REARRANGE)


def _count(entries: Sequence[Path], noun: str) -> str:
    return f"{len(entries)} {noun}{'' if len(entries) == 1 else 's'}"


def _some(entries: Sequence[Path], limit: int = 5) -> str:
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries[:limit]]
    return (", ".join(names) + (" …" if len(entries) > limit else "")) or "nothing"
