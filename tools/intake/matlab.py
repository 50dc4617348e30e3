"""``data_{train,val,test}_{contrast}.mat`` with slices, as published SynDiff code reads them: one slice, one case.

Values are left as they are, scaled to about [0, 1] by whoever made the files. What the published loader does besides,
zeros around the slice and the scale [-1, 1], is the preprocessing of a bundle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray

from intake.conversion import SECTION_NAMES, Item, some
from intake.grey import AS_SHOWN, check_modalities
from intake.hdf5 import read_slices, times
from transmodal.data import check_image
from transmodal.errors import InputError
from transmodal.files import visible

NAME = re.compile(rf"data_({'|'.join(SECTION_NAMES)})_(.+)")
PATIENTS_UNKNOWN = (
    "each slice counts as a patient, because the files do not tell whose it is; so nothing is held out beyond the "
    "files for val and test, unless --validation or --test ask for it"
)
NOT_SCORED = (
    "slices of different contrasts are separate cases, in validation and test too, and cannot be scored; if index i "
    "of every contrast shows one and the same slice, add --paired True"
)


@dataclass(frozen=True)
class MatFile:
    """The slices of one contrast and one section; ``part`` is the section's published name, or empty."""

    path: Path
    part: str
    modality: str


@dataclass(frozen=True)
class Seen:
    """What a file holds: (N, W, H), and the indices of slices without contrast."""

    shape: tuple[int, ...]
    constant: frozenset[int]


class MatFiles:
    """A folder with ``data_{train,val,test}_<contrast>.mat``, or with ``<contrast>.mat``, which are all for training.

    A slice becomes a volume of one slice, the case ``train_t1_0007`` (``t1_0007`` without sections), W × H × 1; so read
    in the orientation PLS it is the published loader's array of H rows and W columns. That loader puts index i of both
    contrasts together although its training does not use the pair, and files at hand are different anatomy there; so
    only ``paired`` makes pairs, the case ``train_0007`` (``slice_0007``). Constant slices, which no image reader here
    accepts, are left out with a warning, and with their partners from pairs.

    Args:
        modalities: modality of each contrast that is not called by its modality, such as PD; ``T1`` is ``t1`` anyway.
        window: Hounsfield units of 0 and 1 in CT files, needed where these do not hold Hounsfield units.
        paired: whether index i of every contrast of a section is one slice.
    Raises:
        InputError: if a modality is unknown, the window has no width, or ``paired`` is neither True nor False.
    """

    held_out = 0.0

    def __init__(
        self,
        modalities: Mapping[str, str] | None = None,
        window: Sequence[float] | None = None,
        paired: bool = False,
    ) -> None:
        self.modalities, self.window, self.paired = dict(modalities or {}), window, paired
        self.warnings = [PATIENTS_UNKNOWN]
        self._last: tuple[Path, NDArray[np.float32]] | None = None
        check_modalities(self.modalities, window)
        if not isinstance(paired, bool):
            raise InputError("--paired", found=repr(paired), wanted="True or False", remedy="mind the capital letter")

    def items(self, source: Path) -> Iterator[Item]:
        """Every slice that is not constant, file by file."""
        files = self._files(source)
        if not self.paired and any(file.part not in ("train", "") for file in files):
            self.warnings.append(NOT_SCORED)
        for part in dict.fromkeys(file.part for file in files):
            seen = {file: self._look(file) for file in files if file.part == part}
            if self.paired:
                _check_pairs(seen, {file.modality for file in files}, source)
            for file, found in seen.items():
                partners = seen.values() if self.paired else [found]
                left_out = frozenset[int]().union(*(each.constant for each in partners))
                self._tell(file, left_out, found)
                for index in (index for index in range(found.shape[0]) if index not in left_out):
                    section = SECTION_NAMES[part] if part else "training"
                    write = partial(self._write, file, index)
                    yield Item(section, self._case(file, index), None, file.modality, ".nii.gz", write)

    def _files(self, source: Path) -> list[MatFile]:
        paths = [path for path in visible(source) if path.suffix.lower() == ".mat"]
        named = {path: match for path in paths if (match := NAME.fullmatch(path.stem))}
        contrasts = {path: (named[path][2] if named else path.stem) for path in named or paths}
        absent = sorted(set(self.modalities) - set(contrasts.values()))
        if absent or not contrasts:
            raise InputError(
                source,
                found=f"the contrasts {', '.join(sorted(set(contrasts.values())))}" if contrasts else some(source),
                wanted=f"data_train_{absent[0]}.mat or {absent[0]}.mat"
                if absent
                else "files such as data_train_T1.mat",
                remedy="correct the names CONTRAST=MODALITY" if absent else "give the folder that holds the .mat files",
            )
        others = [path.name for path in paths if path not in contrasts]
        if others:
            self.warnings.append(f"left out, because other files tell their section: {', '.join(others)}")
        return [
            MatFile(path, named[path][1] if named else "", self._modality(contrast, path))
            for path, contrast in contrasts.items()
        ]

    def _modality(self, contrast: str, path: Path) -> str:
        modality = self.modalities.get(contrast, contrast.lower())
        try:
            check_modalities({contrast: modality}, None)
        except InputError as error:
            raise InputError(
                path,
                found=f"the contrast {contrast}, which is the name of no modality",
                wanted=f"one of {error.wanted}",
                remedy=f"add its modality to the command, such as {contrast}=mr",
            ) from error
        return modality

    def _look(self, file: MatFile) -> Seen:
        """Refuse a file without any usable slice, or with values that are not finite or not in the units told."""
        slices = self._read(file.path)
        lows, highs = slices.min(axis=(1, 2)), slices.max(axis=(1, 2))
        broken = np.flatnonzero(~np.isfinite(lows + highs))
        if len(broken):
            raise InputError(
                file.path,
                found=f"values that are NaN or infinite in {len(broken)} of {len(slices)} slices ({_some(broken)})",
                wanted="finite values",
                remedy="set them to the background value, or remove the slices",
            )
        constant = np.flatnonzero(lows == highs)
        if len(constant) == len(slices):
            raise InputError(
                file.path,
                found=f"{len(slices)} slices, each of one value throughout",
                wanted="images with contrast",
                remedy="check the export; the file holds no picture of anything",
            )
        if file.modality == "ct":
            _check_units(file.path, float(lows.min()), float(highs.max()), self.window is not None)
        return Seen(slices.shape, frozenset(constant.tolist()))

    def _tell(self, file: MatFile, left_out: frozenset[int], found: Seen) -> None:
        if left_out:
            why = "they or their partners are constant" if self.paired else "they are constant"
            told = f"{file.path.name}: {len(left_out)} of {found.shape[0]} slices left out, because {why}"
            self.warnings.append(f"{told} ({_some(sorted(left_out))})")

    def _case(self, file: MatFile, index: int) -> str:
        words = [file.part or "slice"] if self.paired else [file.part, file.modality]
        return "_".join([*filter(None, words), f"{index:04}"])

    def _write(self, file: MatFile, index: int, place: Path) -> None:
        """Check a slice and write it as W × H × 1, float32, lying as the published figures show it."""
        image = self._read(file.path)[index]
        if file.modality == "ct" and self.window is not None:
            low, high = self.window
            image = low + image * np.float32(high - low)
        check_image(torch.from_numpy(image.copy())[None], file.modality, f"{file.path}, slice {index}")
        nibabel.save(nibabel.Nifti1Image(image[..., None], np.diag([*AS_SHOWN, 1.0, 1.0])), place)

    def _read(self, path: Path) -> NDArray[np.float32]:
        """All slices of a file (N, W, H); those of the last file are kept."""
        if self._last is None or self._last[0] != path:
            self._last = path, read_slices(path)
        return self._last[1]


def _check_pairs(seen: Mapping[MatFile, Seen], modalities: set[str], source: Path) -> None:
    if len({found.shape for found in seen.values()}) > 1 or {file.modality for file in seen} != modalities:
        raise InputError(
            source,
            found=" and ".join(f"{file.path.name} with {times(found.shape)}" for file, found in seen.items()),
            wanted=f"equally many slices of one size of {', '.join(sorted(modalities))} for pairs by index",
            remedy="leave --paired out; every slice then becomes a case of its own",
        )


def _check_units(path: Path, low: float, high: float, window: bool) -> None:
    """Refuse CT without a window that is not in Hounsfield units, and CT with one that is."""
    normalised = low >= -1
    if normalised == window:
        return
    if normalised:
        found, wanted = "no Hounsfield units", "the Hounsfield units of 0 and 1, such as --window=-1000,1040"
        remedy = "give the window the values were scaled with; errors in HU are as good as this guess"
    else:
        found, wanted, remedy = "Hounsfield units already", "values of about 0 to 1", "leave --window out"
    raise InputError(path, found=f"CT values from {low:.4g} to {high:.4g}, {found}", wanted=wanted, remedy=remedy)


def _some(indices: Iterable[int], limit: int = 8) -> str:
    names = [str(index) for index in indices]
    return ", ".join(names[:limit]) + (" …" if len(names) > limit else "")
