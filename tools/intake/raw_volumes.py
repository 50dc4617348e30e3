"""``norm_ct_enContrast.001.raw`` and ``ct/1.raw`` without any header, as published MD-DGA code reads them.

A file is the array (D, H, W) of a volume, little-endian float32 in C order, as ``SimpleITK.GetArrayFromImage`` gives
it: axis 0 runs to the patient's head, axis 1 to the back, axis 2 to the left. Nothing in it tells its shape, spacing or
range, so the user does.
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
from numpy.typing import NDArray
from tqdm import tqdm

from intake.conversion import Item, some
from intake.grey import AS_SHOWN, check_modalities
from intake.hdf5 import times
from intake.normalised import Units, check_values, units_of
from intake.sections import check_share, first_share
from transmodal.data import check_image
from transmodal.errors import InputError
from transmodal.files import visible

PUBLISHED = {"brain": (160, 224, 168), "pelvis": (96, 240, 384)}
SPACING_UNKNOWN = "the files do not tell the size of a voxel: 1 mm is written for all axes; --spacing=D,H,W in mm tells"
AXES_UNKNOWN = (
    "the files do not tell how they lie: axis 0 is taken to run to the head, axis 1 to the back and axis 2 to the "
    "left, as arrays of SimpleITK do"
)
Files = dict[str, dict[int, Path]]
"""The file of each number, by modality."""


class RawVolumes:
    """Headerless volumes of one shape, in folders ``ct`` and ``mr``, or in one folder with these words in their names.

    The last number in a name tells the pair: ``norm_mr_enContrast.007.raw`` and ``ct/7.raw`` are the case ``case_007``.
    Read in the orientation SPL it is the published array.

    Args:
        modalities: modality of each folder, or word of the names, that is not called by its modality.
        shape: (D, H, W) of every volume; needed.
        spacing: mm per voxel along D, H and W.
        window: Hounsfield units of the ends of the range, for CT that was normalised.
        first: this share of the cases, by number, is for training and the others for test; 0.7 as published.
    Raises:
        InputError: if a modality is unknown, or one of the others makes no sense.
    """

    held_out = 0.15

    def __init__(
        self,
        modalities: Mapping[str, str] | None = None,
        shape: Sequence[int] | None = None,
        spacing: Sequence[float] | None = None,
        window: Sequence[float] | None = None,
        first: float | None = None,
    ) -> None:
        self.modalities, self.window, self.first = dict(modalities or {}), window, first
        check_modalities(self.modalities, window)
        check_share(first)
        self.shape = _checked_shape(shape)
        self.spacing = (1.0, 1.0, 1.0) if spacing is None else _checked_spacing(spacing)
        self.warnings = [AXES_UNKNOWN, *([SPACING_UNKNOWN] if spacing is None else [])]

    def items(self, source: Path) -> Iterator[Item]:
        """Every volume, case by case, after all of them have been looked at."""
        files = self._files(source)
        _check_pairs(files, source)
        units = {modality: self._units(modality, paths, source) for modality, paths in files.items()}
        self.warnings += [each.told for each in units.values() if each.told]
        numbers = sorted({number for paths in files.values() for number in paths})
        for number, section in zip(numbers, first_share(len(numbers), self.first), strict=True):
            for modality, paths in files.items():
                write = partial(self._write, paths[number], modality, units[modality])
                yield Item(section, f"case_{number:03}", None, modality, ".nii.gz", write)

    def _files(self, source: Path) -> Files:
        """The files of a flat folder, or of its folders where these hold some."""
        folders = {folder: _raw(folder) for folder in visible(source) if folder.is_dir()}
        folders = {folder: paths for folder, paths in folders.items() if paths}
        named = [(path, self._modality(path, [path.parent.name])) for paths in folders.values() for path in paths]
        named += [(path, self._modality(path, re.split(r"[\W_]+", path.stem))) for path in _raw(source)]
        files: Files = {}
        for path, modality in named:
            numbers = re.findall(r"\d+", path.stem)
            if not numbers:
                raise InputError(
                    path,
                    found="a name without a number",
                    wanted="the number of the case, which is the same in all modalities",
                    remedy="rename the file, or move it away",
                )
            other = files.setdefault(modality, {}).setdefault(int(numbers[-1]), path)
            if other != path:
                raise InputError(
                    path,
                    found=f"the same number and modality ({modality}) as {other.name}",
                    wanted="one file of each modality and number",
                    remedy="move the one that is not meant away",
                )
        if not files:
            raise InputError(
                source,
                found=some(source),
                wanted="files such as norm_ct_enContrast.001.raw, or ct/1.raw and mr/1.raw",
                remedy="give the folder that holds them",
            )
        return {modality: files[modality] for modality in sorted(files)}

    def _modality(self, path: Path, words: Sequence[str]) -> str:
        """The one modality that the words of a name tell."""
        told = set()
        for word in words:
            try:
                modality = self.modalities.get(word, word.lower())
                check_modalities({word: modality}, None)
                told.add(modality)
            except InputError:
                continue
        if len(told) != 1:
            raise InputError(
                path,
                found=f"the modalities {' and '.join(sorted(told))} in its name" if told else "no modality in its name",
                wanted="a folder ct or mr, or one of these words in the file's name",
                remedy=f"tell what a word means, such as {words[0]}=mr, or move the file away",
            )
        return told.pop()

    def _units(self, modality: str, paths: Mapping[int, Path], source: Path) -> Units:
        """The units of a modality, by the values of all its files."""
        looked_at = tqdm(paths.values(), desc=f"looking at {modality}", unit="file", disable=None, leave=False)
        bounds = [check_values(self._read(path), path) for path in looked_at]
        return units_of(modality, (min(low for low, _ in bounds), max(high for _, high in bounds)), self.window, source)

    def _read(self, path: Path) -> NDArray[np.float32]:
        """A volume (D, H, W), on disk.

        Raises:
            InputError: if the file cannot be read, or has another size than such a volume.
        """
        try:
            size = path.stat().st_size
            if size == 4 * int(np.prod(self.shape)):
                return np.memmap(path, "<f4", "r", shape=self.shape)
        except OSError as error:
            raise InputError(
                path,
                found=f"a file that cannot be read ({error.strerror})",
                wanted="a whole file",
                remedy="check who may read it",
            ) from error
        raise _wrong_size(path, size, self.shape)

    def _write(self, path: Path, modality: str, units: Units, place: Path) -> None:
        """Check a volume and write it as W × H × D, float32, to the patient's left, back and head."""
        volume = units(self._read(path)).transpose(2, 1, 0)
        check_image(torch.from_numpy(volume)[None], modality, path)
        depth, height, width = self.spacing
        affine = np.diag([AS_SHOWN[0] * width, AS_SHOWN[1] * height, depth, 1.0])
        nibabel.save(nibabel.Nifti1Image(volume, affine), place)


def _raw(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.suffix.lower() == ".raw" and path.is_file()]


def _check_pairs(files: Files, source: Path) -> None:
    """Refuse numbers that one modality has and another has not, all at once."""
    everything = {number for paths in files.values() for number in paths}
    lacking = {modality: sorted(everything - paths.keys()) for modality, paths in files.items()}
    told = [f"no {modality} of {_some(numbers)}" for modality, numbers in lacking.items() if numbers]
    if told:
        raise InputError(
            source,
            found=f"{len(everything)} numbers, but {'; '.join(told)}",
            wanted="a file of every modality for each number",
            remedy="add the missing files or move their partners away; one modality alone needs a folder of its own",
        )


def _checked_shape(shape: Any) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, tuple | list) else ()
    if len(sizes) != 3 or not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        known = " and ".join(f"{','.join(map(str, sizes))} for the {organ}" for organ, sizes in PUBLISHED.items())
        raise InputError(
            "--shape",
            found="none" if shape is None else str(shape),
            wanted="D,H,W, the slices, rows and columns of every volume",
            remedy=f"add --shape=D,H,W; published are {known}",
        )
    return tuple(sizes)


def _checked_spacing(spacing: Any) -> tuple[float, ...]:
    sizes = spacing if isinstance(spacing, tuple | list) else ()
    if len(sizes) != 3 or not all(isinstance(size, int | float) and size > 0 for size in sizes):
        raise InputError("--spacing", found=str(spacing), wanted="D,H,W in mm, above 0", remedy="correct it")
    return tuple(float(size) for size in sizes)


def _wrong_size(path: Path, size: int, shape: Sequence[int]) -> InputError:
    count = int(np.prod(shape))
    fits = [organ for organ, sizes in PUBLISHED.items() if 4 * int(np.prod(sizes)) == size]
    types = {count: "8 bits", 2 * count: "16 bits", 8 * count: "64 bits"}
    if fits:
        remedy = f"it fits the published {fits[0]}: --shape={','.join(map(str, PUBLISHED[fits[0]]))}"
    elif size in types:
        remedy = f"it fits values of {types[size]}: write them with numpy, array.astype('<f4').tofile(NEW)"
    else:
        remedy = "correct --shape, or copy the file again, as it may be truncated"
    return InputError(
        path,
        found=f"{size} bytes",
        wanted=f"{4 * count} bytes, little-endian float32 of {times(shape)}",
        remedy=remedy,
    )


def _some(numbers: Sequence[int], limit: int = 8) -> str:
    return ", ".join(map(str, numbers[:limit])) + (f" and {len(numbers) - limit} more" if len(numbers) > limit else "")
