"""``{train,val,test}/{flair,t1ce,t2,t1,dwi}.npy`` with slices of all subjects, as published MU-Diff code reads them.

Values are left as they are, scaled to [0, 1] by the published preprocessing. What the published loader does besides,
zeros around the slice and the scale [-1, 1], is the preprocessing of a bundle. Stacks have gigabytes, so they are read
from disk case by case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from intake.conversion import Item, section_folders, some
from intake.grey import AS_SHOWN, check_modalities
from intake.hdf5 import times
from transmodal.data import check_image
from transmodal.errors import InputError
from transmodal.files import visible

PUBLISHED = 80
ROUNDING = 1e-6
CHUNK = 64
WANTED = "real numbers of (N, H, W), the slices of all subjects one after the other, in a file of each contrast"
VOXELS_UNKNOWN = (
    "the files do not tell the size of a voxel: 1 mm is written for all axes; the published preprocessing stretches "
    "240 × 240 pixels of BraTS to 256 × 256, which makes them 0.9375 mm"
)
PATIENTS_UNKNOWN = (
    "each slice counts as a patient, because --slices_per_case is 1; so nothing is held out beyond the folders val and "
    "test, unless --validation or --test ask for it"
)
Stacks = dict[str, Path]
"""The files of a section by modality."""


class NumpyStacks:
    """Folders ``train val test``, or one folder for training, with a ``.npy`` stack of slices of each contrast.

    Index i of every contrast is one slice, as published, and each ``slices_per_case`` of them are the case
    ``train_0007`` (``case_0007`` without sections). An array's axes are those of the NIfTI file it was made of, which
    in BraTS run to the patient's left and back; so a case read in the orientation PLS is the published loader's array
    of rows and columns. Cases with a constant contrast, which no reader here accepts, are left out with a warning.

    Args:
        modalities: modality of each file that is not called by its modality, such as PD; ``T1CE`` is ``t1ce`` anyway.
        slices_per_case: consecutive slices of a subject; with 1, every slice is a case and a patient of its own.
    Raises:
        InputError: if a modality is unknown, or ``slices_per_case`` is no positive whole number.
    """

    def __init__(self, modalities: Mapping[str, str] | None = None, slices_per_case: int = PUBLISHED) -> None:
        self.modalities, self.slices_per_case = dict(modalities or {}), slices_per_case
        check_modalities(self.modalities, None)
        if isinstance(slices_per_case, bool) or not isinstance(slices_per_case, int) or slices_per_case < 1:
            raise InputError(
                "--slices_per_case", found=repr(slices_per_case), wanted="a whole number from 1", remedy="correct it"
            )
        self.held_out = 0.15 if slices_per_case > 1 else 0.0
        self.warnings = [VOXELS_UNKNOWN, *([PATIENTS_UNKNOWN] if slices_per_case == 1 else [])]

    def items(self, source: Path) -> Iterator[Item]:
        """Every contrast of every case that has no constant contrast."""
        parts = [(section, part, self._stacks(part)) for section, part in section_folders(source)]
        _check_contrasts({part: stacks for _, part, stacks in parts})
        counts = [self._count(stacks) for *_, stacks in parts]
        for (section, part, stacks), count in zip(parts, counts, strict=True):
            left_out = self._left_out(part, stacks, count)
            prefix = "case" if part == source else part.name
            for index in (index for index in range(count) if index not in left_out):
                for modality, path in stacks.items():
                    write = partial(self._write, path, modality, index)
                    yield Item(section, f"{prefix}_{index:04}", None, modality, ".nii.gz", write)

    def _stacks(self, folder: Path) -> Stacks:
        stacks: Stacks = {}
        for path in (path for path in visible(folder) if path.suffix.lower() == ".npy"):
            modality = self._modality(path)
            if modality in stacks:
                raise InputError(
                    folder,
                    found=f"two files for {modality}: {stacks[modality].name} and {path.name}",
                    wanted="one file of each contrast",
                    remedy="move the one that is not meant out of the folder",
                )
            stacks[modality] = path
        if not stacks:
            raise InputError(
                folder,
                found=some(folder),
                wanted="files such as flair.npy t1ce.npy t2.npy t1.npy, also within train/ val/ test/",
                remedy="give the folder that holds them",
            )
        return stacks

    def _modality(self, path: Path) -> str:
        modality = self.modalities.get(path.stem, path.stem.lower())
        try:
            check_modalities({path.stem: modality}, None)
        except InputError as error:
            raise InputError(
                path,
                found=f"the contrast {path.stem}, which is the name of no modality",
                wanted=f"one of {error.wanted}",
                remedy=f"add its modality to the command, such as {path.stem}=mr, or move the file away",
            ) from error
        return modality

    def _count(self, stacks: Stacks) -> int:
        """The number of cases in a section, by the headers of its files."""
        shapes = {path: _open(path).shape for path in stacks.values()}
        if len(set(shapes.values())) > 1:
            raise InputError(
                next(iter(shapes)).parent,
                found=" and ".join(f"{path.name} of {times(shape)}" for path, shape in shapes.items()),
                wanted="stacks of one shape, in which index i of every contrast is one and the same slice",
                remedy="make the stacks again from the same subjects",
            )
        path, shape = next(iter(shapes.items()))
        if shape[0] % self.slices_per_case:
            raise InputError(
                path,
                found=f"{shape[0]} slices, which is no multiple of {self.slices_per_case} slices per case",
                wanted="equally many slices of each subject",
                remedy="give their number with --slices_per_case N; with 1, every slice becomes a case of its own",
            )
        return shape[0] // self.slices_per_case

    def _left_out(self, part: Path, stacks: Stacks, count: int) -> set[int]:
        """Cases in which a contrast is constant, told once; every value is looked at for this."""
        left_out: set[int] = set()
        for path in stacks.values():
            lows, highs = (each.reshape(count, -1) for each in _ranges(path))
            left_out.update(np.flatnonzero(lows.min(axis=1) == highs.max(axis=1)).tolist())
        if len(left_out) == count:
            raise InputError(
                part,
                found=f"{count} cases, each with a contrast of one value throughout",
                wanted="images with contrast",
                remedy="check the export; the files hold no picture of anything",
            )
        if left_out:
            told = f"{part.name}: {len(left_out)} of {count} cases left out, because a contrast is constant"
            self.warnings.append(f"{told} ({_some(sorted(left_out))})")
        return left_out

    def _write(self, path: Path, modality: str, index: int, place: Path) -> None:
        """Check the slices of a case and write them as H × W × slices, float32, lying as BraTS volumes do."""
        first, last = index * self.slices_per_case, (index + 1) * self.slices_per_case
        volume = np.array(_open(path)[first:last], np.float32).transpose(1, 2, 0)  # in memory, off the read-only file
        told = f"{path}, slice {first}" + (f" to {last - 1}" if last - first > 1 else "")
        check_image(torch.from_numpy(volume)[None], modality, told)
        nibabel.save(nibabel.Nifti1Image(volume, np.diag([*AS_SHOWN, 1.0, 1.0])), place)


def _check_contrasts(parts: Mapping[Path, Stacks]) -> None:
    everything = sorted({modality for stacks in parts.values() for modality in stacks})
    for part, stacks in parts.items():
        absent = [modality for modality in everything if modality not in stacks]
        if absent:
            raise InputError(
                part,
                found=f"{', '.join(path.name for path in stacks.values())}, but no {' '.join(absent)}",
                wanted=f"{', '.join(f'{modality}.npy' for modality in everything)} in every section",
                remedy="add the missing files, or remove those of the contrast from the other sections",
            )


def _open(path: Path) -> NDArray[Any]:
    """A stack of slices (N, H, W) on disk.

    Raises:
        InputError: if the file is no whole .npy file, or holds something else.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            path,
            found=f"a file that cannot be read ({str(error).strip()})",
            wanted=f"a whole .npy file with {WANTED}",
            remedy="copy the file again, as it may be truncated, or save it again with np.save as float32",
        ) from error
    kind, shape = getattr(array, "dtype", None), getattr(array, "shape", ())
    if kind is None or kind.kind != "f":
        found, remedy = f"values of the type {kind}" if kind else "a .npz archive", "save it as float32 with np.save"
    elif len(shape) == 4:
        found = f"an array of {times(shape)} with {shape[0]} channels"
        remedy = f"save each channel as a file of its own, such as np.save('{path.name}', array[0])"
    elif len(shape) != 3 or 0 in shape:
        found, remedy = f"an array of {times(shape) or 'a single number'}", "save the slices as (N, H, W) with np.save"
    else:
        return array
    raise InputError(path, found=found, wanted=WANTED, remedy=remedy)


def _ranges(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The smallest and the largest value of each slice.

    Raises:
        InputError: naming the slices with values that are not in [0, 1].
    """
    stack = _open(path)
    starts = tqdm(range(0, len(stack), CHUNK), desc=f"looking at {path.name}", disable=None, leave=False)
    bounds = [(chunk.min(axis=(1, 2)), chunk.max(axis=(1, 2))) for chunk in (stack[at : at + CHUNK] for at in starts)]
    lows, highs = (np.concatenate(each) for each in zip(*bounds, strict=True))
    broken, outside = ~np.isfinite(lows + highs), (lows < -ROUNDING) | (highs > 1 + ROUNDING)
    if broken.any() or outside.any():
        slices = np.flatnonzero(broken if broken.any() else outside)
        what = "NaN or infinite" if broken.any() else f"outside [0, 1] ({lows.min():.4g} to {highs.max():.4g})"
        raise InputError(
            path,
            found=f"values that are {what} in {len(slices)} of {len(stack)} slices ({_some(slices.tolist())})",
            wanted="values in [0, 1], as the published preprocessing makes them",
            remedy="make the stacks again, or convert the NIfTI files they are made of, which needs no scaling",
        )
    return lows, highs


def _some(indices: Sequence[int], limit: int = 8) -> str:
    return ", ".join(map(str, indices[:limit])) + (" …" if len(indices) > limit else "")
