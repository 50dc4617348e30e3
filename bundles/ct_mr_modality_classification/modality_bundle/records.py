"""Which images there are to be judged or learned from: one record for each image of each case."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transmodal.data import MODALITIES, find_cases, is_dicom_folder, select_cases
from transmodal.data.layout import LABELS, Case, case_files, extension
from transmodal.data.sections import find_list
from transmodal.errors import InputError
from transmodal.files import visible
from transmodal.modality import CLASSES

__all__ = ["NEITHER", "image_records", "select_images"]

NEITHER = len(CLASSES)
"""The label of an image that is neither CT nor MR."""

Record = dict[str, Any]


def select_images(
    dataset_dir: str | Path, datalist: str | Path | None = None, section: str | None = None
) -> list[Case]:
    """The cases to judge, in the order of their names; an image whose modality no name tells is called ``image``.

    Args:
        dataset_dir: a folder of cases, as for all bundles, where a case may also hold ``image.*``; or a folder of
            images, each of which is a case; or one image file or DICOM folder.
        datalist, section: as of :func:`transmodal.data.select_cases`.
    Raises:
        InputError: if there is no such data set, or nothing in it is an image.
    """
    root = Path(os.path.abspath(dataset_dir))
    if datalist is not None or section is not None or find_list(root) is not None:
        return select_cases(dataset_dir, datalist, section)
    if root.is_file() and extension(root):
        return [_lone(root)]
    if root.is_dir() and is_dicom_folder(root):
        return [_lone(root)]
    files = [path for path in visible(root) if path.is_file() and extension(path)] if root.is_dir() else []
    if files and not any(path.is_dir() for path in visible(root)):
        stems = [_stem(path) for path in files]
        return [
            {"case": stem if stems.count(stem) == 1 else path.name, "image": str(path)}
            for stem, path in zip(stems, files, strict=True)
        ]
    return find_cases(root, modalities=[*MODALITIES, "image"])


def _lone(path: Path) -> Case:
    """One image; where it is named after a modality, its folder names the case."""
    stem = _stem(path)
    return {"case": path.parent.name, stem: str(path)} if stem in MODALITIES else {"case": stem, "image": str(path)}


def _stem(path: Path) -> str:
    name = path.name if path.is_dir() else path.name[: len(path.name) - len(extension(path))]
    return name.lower() if name.lower() in MODALITIES else name


def image_records(
    cases: Sequence[Case],
    classes: Mapping[str, Sequence[str]],
    neither: Sequence[str] = (),
    labelled: bool = False,
    windows: Mapping[str, Sequence[float]] | None = None,
) -> list[Record]:
    """A record for each image of each case, masks and labels aside.

    Args:
        cases: case records.
        classes: names of the files of each class, ``ct`` and ``mr``.
        neither: names of the files that are of neither class.
        labelled: leave out images whose name tells no class, and write the index of the class under ``label``.
        windows: each CT comes again as the 8-bit picture that a display window makes of it, for each of these windows
            ``[low, high]`` in HU.
    Returns:
        Records with ``case``, ``name`` (``ct``, or ``ct, lung window``), ``image`` and ``path`` (the file), ``window``
        (empty for the file as it is) and, if labelled, ``label``.
    Raises:
        InputError: if no image is left.
    """
    index = {name: number for number, cls in enumerate(CLASSES) for name in classes[cls]}
    index |= dict.fromkeys(neither, NEITHER)
    records: list[Record] = []
    for case in cases:
        for name, path in case_files(case).items():
            if name in LABELS or (labelled and name not in index):
                continue
            record: Record = {"case": case["case"], "name": name, "image": path, "path": path, "window": []}
            record |= {"label": index[name]} if labelled else {}
            records.append(record)
            if index.get(name) == CLASSES.index("ct"):
                records += [
                    {**record, "name": f"{name}, {title} window", "window": [float(bound) for bound in bounds]}
                    for title, bounds in (windows or {}).items()
                ]
    if not records:
        raise InputError(
            f"{len(cases)} case{'s' * (len(cases) != 1)}",
            found="no image" + " whose name tells its modality" * labelled,
            wanted=f"files named {', '.join(index)}" if labelled else "images",
            remedy="name the files after their modality, or add the names you use to 'classes'",
        )
    return records
