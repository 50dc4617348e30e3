"""An HDF5 file with slices of three planes and a label of each, as published MD-DGA code trains its slice network.

Datasets ``imgs_160224 imgs_160168 imgs_224168`` hold (N, H, W) numbers, the slices of a plane stretched or padded to
one size; ``img_160224_labels`` and so on hold (N), 0 for CT and anything else for MR. The k-th CT slice of a plane and
its k-th MR slice are a pair, by nothing but their order.

What the file does not tell cannot be restored: which volume a slice is of, how many slices a volume has, the size of a
pixel. So a pair becomes a case of one slice, a picture, whatever its plane; nothing is stacked to volumes that may
never have been.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from intake.conversion import Item, some
from intake.grey import AS_SHOWN, check_modalities
from intake.hdf5 import opened, times
from intake.normalised import Units, check_values, units_of
from intake.sections import check_share, first_share
from transmodal.data import check_image
from transmodal.errors import InputError
from transmodal.files import visible

PLANES = {"sagittal": "160224", "coronal": "160168", "axial": "224168"}
MODALITIES = ("ct", "mr")
SUFFIXES = (".h5", ".hdf5", ".hdf")
CHUNK = 64
WANTED = "HDF5 with imgs_160224 imgs_160168 imgs_224168 of (N, H, W) numbers, and img_160224_labels … of (N)"
SLICES = (
    "the file tells neither volumes nor pixel sizes: each pair of slices is a case and counts as a patient, a picture "
    "of 1 mm pixels lying as an axial slice does, whatever its plane; these train slices (--planes '[0]'), not volumes"
)
NOT_BY_PATIENT = (
    "sections are by slice, not by patient: --first keeps the order of the file, so that it divides one volume at "
    "most; --validation and --test draw by chance, and so divide every one"
)


@dataclass(frozen=True)
class Plane:
    """The slices of a plane: their file and dataset, and the indices of CT and MR in the order of their pairs."""

    name: str
    path: Path
    key: str
    indices: Mapping[str, tuple[int, ...]]


class PlaneStacks:
    """Pairs of CT and MR slices of three planes in one HDF5 file, as cases such as ``axial_0007``.

    Pairs with a constant slice, which no reader here accepts, are left out with a warning.

    Args:
        modalities: none; the labels tell them.
        window: Hounsfield units of the ends of the range, for CT that was normalised.
        first: this share of each plane's pairs is for training and the others for test; 0.7 as published.
    Raises:
        InputError: if modalities are given, or the window or the share makes no sense.
    """

    held_out = 0.0

    def __init__(
        self,
        modalities: Mapping[str, str] | None = None,
        window: Sequence[float] | None = None,
        first: float | None = None,
    ) -> None:
        if modalities:
            raise InputError(
                "the modalities",
                found=" ".join(f"{name}={modality}" for name, modality in modalities.items()),
                wanted="none, because the labels tell them",
                remedy="leave them out",
            )
        self.modalities: dict[str, str] = {}
        self.window, self.first = window, first
        check_modalities({}, window)
        check_share(first)
        self.warnings = [SLICES, NOT_BY_PATIENT]

    def items(self, source: Path) -> Iterator[Item]:
        """Both slices of every pair without a constant one, plane by plane, after all have been looked at."""
        path = _file(source)
        planes = _planes(path)
        seen = {plane.name: _look(plane) for plane in planes}
        units = {modality: self._units(modality, planes, seen, path) for modality in MODALITIES}
        self.warnings += [each.told for each in units.values() if each.told]
        for plane in planes:
            kept = self._kept(plane, *seen[plane.name])
            for pair, section in zip(kept, first_share(len(kept), self.first), strict=True):
                for modality, indices in plane.indices.items():
                    write = partial(_write, plane, indices[pair], modality, units[modality])
                    yield Item(section, f"{plane.name}_{pair:04}", None, modality, ".nii.gz", write)

    def _units(self, modality: str, planes: Sequence[Plane], seen: Mapping[str, Any], path: Path) -> Units:
        """The units of a modality, by the values of all its slices."""
        bounds = [tuple(each[list(plane.indices[modality])] for each in seen[plane.name]) for plane in planes]
        low, high = min(lows.min() for lows, _ in bounds), max(highs.max() for _, highs in bounds)
        return units_of(modality, (float(low), float(high)), self.window, path)

    def _kept(self, plane: Plane, lows: NDArray[Any], highs: NDArray[Any]) -> list[int]:
        """The pairs without a constant slice, told once."""
        constant = lows == highs
        pairs = list(zip(*plane.indices.values(), strict=True))
        kept = [number for number, indices in enumerate(pairs) if not constant[list(indices)].any()]
        if len(kept) < len(pairs):
            told = f"{plane.name}: {len(pairs) - len(kept)} of {len(pairs)} pairs left out, because a slice is constant"
            self.warnings.append(told)
        return kept


def _file(source: Path) -> Path:
    """The HDF5 file, or the only one in a folder."""
    if source.is_file():
        return source
    files = [path for path in visible(source) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if len(files) != 1:
        raise InputError(
            source,
            found=f"{len(files)} HDF5 files: {', '.join(path.name for path in files)}" if files else some(source),
            wanted="one HDF5 file",
            remedy="give the file itself",
        )
    return files[0]


def _planes(path: Path) -> list[Plane]:
    """The planes in a file, by the shapes of its datasets and by its labels."""
    with _opened(path) as file:
        present = {name: sizes for name, sizes in PLANES.items() if f"imgs_{sizes}" in file}
        if not present:
            held = ", ".join(f"{name} {times(getattr(each, 'shape', ()))}".strip() for name, each in file.items())
            raise InputError(path, found=held or "nothing", wanted=WANTED, remedy="rename the datasets with h5py")
        return [_plane(path, file, name, sizes) for name, sizes in present.items()]


def _plane(path: Path, file: h5py.File, name: str, sizes: str) -> Plane:
    key, labels = f"imgs_{sizes}", f"img_{sizes}_labels"
    shapes = {each: tuple(getattr(file.get(each), "shape", ())) for each in (key, labels)}
    kind = getattr(getattr(file[key], "dtype", None), "kind", "")
    if len(shapes[key]) != 3 or 0 in shapes[key] or kind not in "fiu" or shapes[labels] != shapes[key][:1]:
        raise InputError(
            path,
            found=" and ".join(f"{each} of {times(shape) or 'no numbers'}" for each, shape in shapes.items()),
            wanted="(N, H, W) numbers, and (N) labels of them",
            remedy="write both again from the same slices",
        )
    values = np.asarray(file[labels][()])
    indices = {"ct": np.flatnonzero(values == 0), "mr": np.flatnonzero(values != 0)}
    if len(indices["ct"]) != len(indices["mr"]):
        raise InputError(
            path,
            found=f"{len(indices['ct'])} CT and {len(indices['mr'])} MR slices in {key}",
            wanted="equally many, of which the k-th are a pair",
            remedy="correct the labels (0 for CT), or remove the slices without partner",
        )
    return Plane(name, path, key, {modality: tuple(found.tolist()) for modality, found in indices.items()})


def _look(plane: Plane) -> tuple[NDArray[Any], NDArray[Any]]:
    """The smallest and the largest value of each slice."""
    lows, highs = [], []
    with _opened(plane.path) as file:
        stack = file[plane.key]
        starts = range(0, len(stack), CHUNK)
        for start in tqdm(starts, desc=f"looking at {plane.key}", disable=None, leave=False):
            values = np.asarray(stack[start : start + CHUNK], np.float32)
            where = f"{plane.path}, {plane.key}, slices {start} to {start + len(values) - 1}"
            check_values(values, where)
            lows.append(values.min(axis=(1, 2)))
            highs.append(values.max(axis=(1, 2)))
    return np.concatenate(lows), np.concatenate(highs)


def _write(plane: Plane, index: int, modality: str, units: Units, place: Path) -> None:
    """Check a slice and write it as W × H × 1, float32, lying as radiologists see a slice."""
    with _opened(plane.path) as file:
        image = units(np.asarray(file[plane.key][index], np.float32)).T
    check_image(torch.from_numpy(image.copy())[None], modality, f"{plane.path}, {plane.key}, slice {index}")
    nibabel.save(nibabel.Nifti1Image(image[..., None], np.diag([*AS_SHOWN, 1.0, 1.0])), place)


def _opened(path: Path) -> Any:
    return opened(path, WANTED, "write the slices again with h5py")
