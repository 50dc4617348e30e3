"""Folders of NIfTI volumes as challenges publish them: BraTS of every year, and ISLES 2015 (SISS).

Their files are linked, not copied: such data sets have tens of gigabytes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from intake.conversion import Item, linked, section_folders, some
from transmodal.data.layout import ALIASES, extension
from transmodal.errors import InputError
from transmodal.files import visible

NIFTI = (".nii.gz", ".nii")


class Volumes(ABC):
    """A folder of each case with NIfTI files whose names tell their contrast.

    Files that tell none are left out with a warning; a case may lack contrasts, as the survey of the data set tells.

    Args:
        modalities: none; the names of the files tell them.
    Raises:
        InputError: if there are any.
    """

    held_out = 0.15
    contrasts: ClassVar[Mapping[str, str]]
    """Modality of each contrast, as file names spell it, in lower case."""
    wanted: str
    """What the folders are called, for an error."""

    def __init__(self, modalities: Mapping[str, str] | None = None) -> None:
        if modalities:
            raise InputError(
                "the modalities",
                found=" ".join(f"{name}={modality}" for name, modality in modalities.items()),
                wanted="none, because the names of the files tell them",
                remedy="leave them out",
            )
        self.modalities = dict(self.contrasts)
        self.warnings: list[str] = []

    @abstractmethod
    def folders(self, part: Path) -> list[Path]:
        """The folders within a section that may be cases."""

    @abstractmethod
    def files(self, folder: Path) -> list[Path]:
        """The NIfTI files of a case."""

    @abstractmethod
    def contrast(self, path: Path, folder: Path) -> str:
        """The contrast that a file's name tells; empty if it tells none.

        Raises:
            InputError: if it is a file of another case.
        """

    @abstractmethod
    def names(self, folder: Path) -> tuple[str, str | None]:
        """The case of a folder, and its patient where one may have several cases."""

    def items(self, source: Path) -> Iterator[Item]:
        """Every volume whose name tells a contrast, as a link to its file."""
        unknown: list[str] = []
        found = False
        for section, part in section_folders(source):
            for folder in self.folders(part):
                files, others = self._known(folder)
                unknown += [str(path.relative_to(source)) for path in others]
                found = found or bool(files)
                for modality, path in files.items():
                    yield linked(section, *self.names(folder), modality, path)
        if not found:
            raise InputError(
                source,
                found=f"{some(source)}, but no case{f' ({unknown[0]} tells no contrast)' if unknown else ''}",
                wanted=self.wanted,
                remedy="give the folder that holds the folders of the cases",
            )
        if unknown:
            told = ", ".join(unknown[:6]) + (f" and {len(unknown) - 6} more" if len(unknown) > 6 else "")
            self.warnings.append(f"left out, because their names tell no known contrast: {told}")

    def _known(self, folder: Path) -> tuple[dict[str, Path], list[Path]]:
        """The files of a folder by modality, and those whose names tell none."""
        known: dict[str, Path] = {}
        unknown = []
        for path in self.files(folder):
            modality = self.contrasts.get(self.contrast(path, folder).lower())
            if modality is None:
                unknown.append(path)
            elif modality in known:
                raise InputError(
                    folder,
                    found=f"two files for {modality}: {known[modality].name} and {path.name}",
                    wanted="one file of each contrast in a case",
                    remedy="move the one that is not meant out of the folder",
                )
            else:
                known[modality] = path
        return known, unknown


class BraTS(Volumes):
    """``<ID>/<ID>_flair.nii.gz`` (2017 to 2021) and ``<ID>/<ID>-t2f.nii.gz`` (since 2023), within HGG and LGG or not.

    The ID is the case. Since 2023 it ends with the number of the examination, and what stands before is the patient.
    The segmentation becomes ``lesion`` with its classes: every value above 0 is lesion.
    """

    contrasts: ClassVar[Mapping[str, str]] = {
        **{"flair": "flair", "t1": "t1", "t1ce": "t1ce", "t2": "t2", "seg": "lesion"},
        **{alias: ALIASES[alias] for alias in ("t2f", "t1n", "t1c", "t2w")},
    }
    wanted = "<ID>/<ID>_flair.nii.gz … _t1 _t1ce _t2 _seg, or <ID>/<ID>-t2f.nii.gz … -t1n -t1c -t2w -seg"

    def folders(self, part: Path) -> list[Path]:
        """Folders with NIfTI files in the section, or in its folders such as HGG and LGG."""
        return [folder for outer in _folders(part) for folder in ([outer] if _nifti(outer) else _folders(outer))]

    def files(self, folder: Path) -> list[Path]:
        """The NIfTI files in the folder."""
        return _nifti(folder)

    def contrast(self, path: Path, folder: Path) -> str:
        """What stands behind the ID."""
        match = re.fullmatch(rf"(.+)[_-]({'|'.join(self.contrasts)})", _stem(path), re.IGNORECASE)
        if match and match[1] != folder.name:
            raise InputError(
                path,
                found=f"a file of the case {match[1]} in the folder {folder.name}",
                wanted="the folder's name at the beginning of its files' names",
                remedy="move the file into the folder of its case, or rename one of the two",
            )
        return match[2] if match else ""

    def names(self, folder: Path) -> tuple[str, str | None]:
        """The ID, and the patient since 2023."""
        match = re.fullmatch(r"(BraTS-.+-\d+)-\d+", folder.name)
        return folder.name, match[1] if match else None


class ISLES(Volumes):
    """ISLES 2015 (SISS): ``<number>/VSD.Brain.XX.O.MR_Flair.<n>/VSD.….nii``, or the file without its folder.

    The case is ``isles_07`` for the folder 7. The reference segmentation (``….OT.<n>``) becomes ``lesion``.
    """

    contrasts: ClassVar[Mapping[str, str]] = {"flair": "flair", "t1": "t1", "t2": "t2", "dwi": "dwi", "ot": "lesion"}
    wanted = "<number>/VSD.Brain.XX.O.MR_Flair.<n>/VSD.….nii … MR_T1 MR_T2 MR_DWI and OT, as ISLES 2015 (SISS) has them"

    def folders(self, part: Path) -> list[Path]:
        """Folders whose names end with a number."""
        return [folder for folder in _folders(part) if folder.name[-1].isdecimal()]

    def files(self, folder: Path) -> list[Path]:
        """The NIfTI files in the folder, and in the folders within."""
        return [*_nifti(folder), *(path for inner in _folders(folder) for path in _nifti(inner))]

    def contrast(self, path: Path, folder: Path) -> str:
        """What stands behind ``MR_``, or ``OT``."""
        match = re.fullmatch(r"VSD\.Brain.*\.(?:MR_([^._]+)[^.]*|(OT))(?:\.\d+)?", _stem(path), re.IGNORECASE)
        return match[1] or match[2] if match else ""

    def names(self, folder: Path) -> tuple[str, str | None]:
        """The number with two digits."""
        match = re.search(r"\d+$", folder.name)
        return f"isles_{int(match[0]) if match else 0:02}", None


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in visible(folder) if entry.is_dir()]


def _nifti(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if extension(path) in NIFTI and not path.is_dir()]


def _stem(path: Path) -> str:
    return path.name[: -len(extension(path))]
