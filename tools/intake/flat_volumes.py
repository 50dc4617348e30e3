"""Any folder of volumes of one modality, at any depth, each a case: to train on CT without anything else.

Files are linked, not copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from intake.conversion import Item, linked, section_folders, some
from transmodal.data.layout import (
    LABELS,
    MODALITIES,
    PICTURES,
    RADIOGRAPH,
    VOLUMES,
    extension,
    is_lone_dicom,
)
from transmodal.dicom import is_dicom_folder
from transmodal.errors import InputError
from transmodal.files import visible

IMAGES = [name for name in MODALITIES if name not in LABELS]


class FlatVolumes:
    """Volumes, or folders of DICOM files, of one modality; radiographs may be pictures, or single DICOM files.

    A file is the case of its name, one in a folder that of both names: ``site_b/scan_07.nii.gz`` is ``site_b_scan_07``.

    Args:
        modalities: none; ``modality`` tells.
        modality: of all images.
    Raises:
        InputError: if the modality is missing or none of images.
    """

    held_out = 0.15

    def __init__(self, modalities: Mapping[str, str] | None = None, modality: str | None = None) -> None:
        if modalities or modality not in IMAGES:
            raise InputError(
                "--modality",
                found=", ".join(modalities) if modalities else str(modality),
                wanted=f"one of {' '.join(IMAGES)}, which all images are of",
                remedy="add it, such as --modality ct",
            )
        self.modality = modality
        self.suffixes = (*VOLUMES, *PICTURES) if modality == RADIOGRAPH else VOLUMES
        self.modalities = {"all images": modality}
        self.warnings: list[str] = []

    def items(self, source: Path) -> Iterator[Item]:
        """Every image, as a link."""
        others: list[str] = []
        found = False
        for section, part in section_folders(source):
            for path in self._images(part, others):
                found = True
                yield linked(section, _case(path, part), None, self.modality, path)
        if not found:
            raise InputError(
                source,
                found=some(source),
                wanted=f"images ({' '.join(self.suffixes)}) or folders of DICOM files, at any depth",
                remedy="give the folder that holds them, or convert them",
            )
        if others:
            told = ", ".join(others[:6]) + (f" and {len(others) - 6} more" if len(others) > 6 else "")
            self.warnings.append(f"left out, because they are no images: {told}")

    def _images(self, folder: Path, others: list[str]) -> Iterator[Path]:
        """Images below a folder; what is none is added to ``others``."""
        for entry in visible(folder):
            if entry.is_dir():
                yield from [entry] if self._is_image(entry) else self._images(entry, others)
            elif extension(entry) in self.suffixes or is_lone_dicom(entry, self.modality):
                yield entry
            else:
                others.append(entry.name)

    def _is_image(self, folder: Path) -> bool:
        """Whether a folder is one image of DICOM files, of which a radiograph is one file."""
        return self.modality != RADIOGRAPH and is_dicom_folder(folder)


def _case(path: Path, part: Path) -> str:
    relative = path.relative_to(part)
    suffix = "" if path.is_dir() else extension(path) or path.suffix
    name = relative.name[: len(relative.name) - len(suffix)]
    return "_".join((*relative.parts[:-1], name))
