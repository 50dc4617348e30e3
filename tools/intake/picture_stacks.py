"""``<contrast>/<patient>/`` with a picture of each slice, as the CT to MR-T1 study with SynDiff has it.

The pictures of a patient become one volume, so that slices stay neighbours and a patient stays in one section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from PIL import Image

from intake.conversion import Item, section_folders, some
from intake.grey import AS_SHOWN, SUFFIXES, check_pictures_of, hounsfield, read_grey
from transmodal.data import check_image
from transmodal.errors import InputError
from transmodal.files import visible

PUBLISHED = {"CT": "ct", "MRT1": "mr"}
WANTED = "<contrast>/<patient>/ with pictures, alone or within train/ val/ test/, and the modality of each contrast"
Stack = Sequence[Path]
"""The pictures of one contrast of a patient, in the order of their numbers."""


class PicturesByPatient:
    """``CT/<patient>/ MRT1/<patient>/`` (or these within ``train val test``), a picture of each slice.

    Contrasts of a patient with equal numbers of slices of one size are a pair, slice by slice in the order of the
    numbers in the names (9 before 10), and become one case ``<patient>``; otherwise they become the cases
    ``<patient>_ct`` and ``<patient>_mr`` of one patient, which can train unpaired, with a warning.

    Args:
        modalities: modality of each contrast folder; those of the published study by default.
        window: Hounsfield units of black and white in CT pictures.
        slice_thickness: distance between slices in mm; the pixels, whose size no picture tells, count as 1 mm.
    Raises:
        InputError: if a modality is unknown, the window is missing for CT or has no width, or the thickness is no
            positive number.
    """

    held_out = 0.15

    def __init__(
        self,
        modalities: Mapping[str, str] | None = None,
        window: Sequence[float] | None = None,
        slice_thickness: float = 1.0,
    ) -> None:
        self.modalities, self.window = dict(modalities or PUBLISHED), window
        self.warnings: list[str] = []
        check_pictures_of(self.modalities, window)
        if isinstance(slice_thickness, bool) or not isinstance(slice_thickness, int | float) or slice_thickness <= 0:
            raise InputError(
                "--slice_thickness", found=f"{slice_thickness!r}", wanted="a positive number of mm", remedy="correct it"
            )
        self.affine = np.diag([*AS_SHOWN, float(slice_thickness), 1.0])

    def items(self, source: Path) -> Iterator[Item]:
        """Every stack of pictures, as a volume."""
        self._check_contrasts(source)
        for section, part in section_folders(source):
            prefix = "" if part == source else f"{part.name}_"
            folders = [part / contrast for contrast in self.modalities if (part / contrast).is_dir()]
            patients = sorted({patient.name for folder in folders for patient in visible(folder) if patient.is_dir()})
            for patient in patients:
                stacks = {each.name: _stack(each / patient) for each in folders if (each / patient).is_dir()}
                case = f"{prefix}{patient}"
                pair = self._is_pair(case, stacks)
                for contrast, stack in stacks.items():
                    modality = self.modalities[contrast]
                    name = case if pair else f"{case}_{modality}"
                    yield Item(section, name, patient, modality, ".nii.gz", partial(self._write, stack, modality))

    def _check_contrasts(self, source: Path) -> None:
        folders = [folder for _, part in section_folders(source) for folder in visible(part) if folder.is_dir()]
        found = sorted({folder.name for folder in folders})
        if set(found) != set(self.modalities):
            given = " ".join(f"{contrast}={modality}" for contrast, modality in self.modalities.items())
            raise InputError(
                source,
                found=f"the contrasts {', '.join(found)}" if found else f"{some(source)}, but no folder",
                wanted=f"{WANTED} ({given})",
                remedy="give the folder that holds them, and CONTRAST=MODALITY for each, such as CT=ct MRT1=mr",
            )
        empty = [folder for folder in folders if not any(entry.is_dir() for entry in visible(folder))]
        if empty:
            raise InputError(
                empty[0],
                found=f"{some(empty[0])}, but no folder of a patient",
                wanted=WANTED,
                remedy="make a folder of each patient; pictures without patients convert with --from pictures-classes",
            )

    def _is_pair(self, case: str, stacks: Mapping[str, Stack]) -> bool:
        sizes = {contrast: (_size(stack[0]), len(stack)) for contrast, stack in stacks.items()}
        if len(set(sizes.values())) == 1:
            return True
        told = " and ".join(f"{contrast} {size} × {count} slices" for contrast, (size, count) in sizes.items())
        self.warnings.append(f"{case}: {told} cannot be paired slice by slice; they become cases for unpaired training")
        return False

    def _write(self, stack: Stack, modality: str, place: Path) -> None:
        """Check a stack and write it (column, row, slice): CT in Hounsfield units, others in grey levels."""
        slices = [read_grey(path) for path in stack]
        kinds: dict[tuple[Any, ...], Path] = {}
        for path, each in zip(stack, slices, strict=True):
            kinds.setdefault((each.shape, each.dtype), path)
        if len(kinds) > 1:
            told = [f"{path.name} with {_times(shape)} of {dtype}" for (shape, dtype), path in kinds.items()]
            raise InputError(
                stack[0].parent,
                found=f"pictures that differ: {', '.join(told)}",
                wanted="pictures of one size and depth in a patient's folder",
                remedy="export them again, or leave out those that are no slices, such as a localizer",
            )
        grey: Any = np.stack([each.T for each in slices], axis=-1)
        window = self.window if modality == "ct" else None
        volume = grey if window is None else hounsfield(grey, window)
        check_image(torch.from_numpy(volume.astype(np.float32))[None], modality, stack[0].parent)
        nibabel.save(nibabel.Nifti1Image(volume, self.affine), place)


def _stack(folder: Path) -> Stack:
    pictures = [path for path in visible(folder) if path.suffix.lower() in SUFFIXES]
    if not pictures:
        raise InputError(
            folder, found=some(folder), wanted=f"pictures ({' '.join(SUFFIXES)})", remedy="check or remove the folder"
        )
    return sorted(pictures, key=lambda path: [_number(part) for part in re.split(r"(\d+)", path.name)])


def _number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (-1, text)


def _size(path: Path) -> str:
    """Columns × rows of a picture by its header; empty for one that cannot be read, as reading will tell."""
    try:
        with Image.open(path) as image:
            return _times((image.height, image.width))
    except OSError:
        return ""


def _times(shape: Sequence[int]) -> str:
    return f"{shape[1]}×{shape[0]}"
