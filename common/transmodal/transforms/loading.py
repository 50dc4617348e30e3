"""Reading with checks: whatever cannot be translated is refused here, by name, before anything is computed."""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import LoadImaged
from monai.utils import ensure_tuple

from transmodal.data.checks import check_image, check_path, check_same_grid
from transmodal.data.headers import NIFTI, read_header
from transmodal.data.layout import ALIASES, PICTURES, extension
from transmodal.errors import InputError
from transmodal.transforms.geometry import EnsureVolumed

__all__ = ["CheckedLoadImaged", "ContrastLoadImaged"]


class NamedLoadImaged(LoadImaged):
    """MONAI's ``LoadImaged`` (any file or DICOM folder), with errors that name the file and the remedy.

    The classes keep ``LoadImage`` in their names because MONAI Deploy recognises and removes readers by it.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool, **reader: Any) -> None:
        with warnings.catch_warnings():  # MONAI announces on every reader list that an optional GPU decoder is absent
            warnings.filterwarnings("ignore", message=".*NvImgCodec.*")
            super().__init__(keys, image_only=True, ensure_channel_first=False, **reader)
        self.allow_missing_keys = allow_missing_keys

    def _read(self, path: Path, case: str | None) -> MetaTensor:
        try:
            loaded = self._loader(str(path))
        except Exception as error:  # readers raise whatever they like; the user needs the file's name
            raise InputError(
                path,
                found=f"a file that cannot be read ({_reason(error)})",
                wanted="a complete NIfTI, MHA, NRRD, PNG or JPEG file or a folder of one DICOM series",
                remedy="copy or convert the file again; it may be truncated",
            ) from error
        # MONAI Label sets image_only to False on the readers of a bundle, which then return the metadata as well
        image: MetaTensor = loaded[0] if isinstance(loaded, tuple) else loaded
        if path.suffix.lower() in PICTURES:  # shown as radiologists see it: columns run to the left, rows to the back
            image.affine = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
        if path.is_file() and extension(path) in NIFTI:
            _restore_affine(image, path)
        image.meta["case"] = case or path.name.split(".")[0]
        return image


def _reason(error: Exception) -> str:
    """The line of a reader's message that tells what is wrong; ITK's comes after the place in its own code."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = next((line for line in lines if "ITK ERROR:" in line), lines[0])
    return re.sub(r"^.*ITK ERROR: *(\w+\(0x[0-9a-f]+\): *)?", "", line).strip()[:200]


def _restore_affine(image: MetaTensor, path: Path) -> None:
    """Give a NIfTI image its affine as it is stored.

    MONAI puts another in its place, even without direction and origin, if it differs in the fifth digit from ``pixdim``
    or has axes as little off a right angle.
    """
    stored = read_header(path).affine
    if stored is not None:
        image.affine = torch.from_numpy(stored)
        image.meta["original_affine"] = stored.copy()


class CheckedLoadImaged(NamedLoadImaged):
    """Read one image per key and refuse what cannot be translated.

    Args:
        keys: paths to load, (H, W[, D]) in physical units.
        modality: what the files should be, unless a sample names its own under the key ``modality``; some checks make
            sense for one only (an HU scale for CT).
    Raises:
        InputError: if a file is missing, unreadable, empty, constant, not finite, or has channels.
    """

    def __init__(self, keys: KeysCollection, modality: str, allow_missing_keys: bool = True, **reader: Any) -> None:
        super().__init__(keys, allow_missing_keys, **reader)
        self.modality = modality

    def __call__(self, data: Mapping[Hashable, Any], reader: Any = None) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            path, modality = Path(str(sample[key])), str(sample.get("modality", self.modality))
            check_path(path, modality)
            sample[key] = self._read(path, sample.get("case"))
            check_image(sample[key], modality, path)
        return sample


class ContrastLoadImaged(NamedLoadImaged):
    """Read the contrasts of a case, registered to one grid, as the channels of one image.

    Args:
        keys: of each image a list of paths, one per contrast in the order of ``contrasts``, or the path of one file
            with as many volumes in that order (a 4-D NIfTI series, an MHA of vectors), which is what a client of MONAI
            Label can send. It becomes (K, H, W, D), float32, physical units; a slice is a volume of one slice. The
            metadata are those of the first contrast.
        contrasts: names of the K contrasts, in the order of the channels.
    Raises:
        InputError: naming file and contrast, if a file is missing, unreadable, empty, constant or not finite; if the
            number or the order of the files is wrong, or two contrasts lie on different grids.
    """

    def __init__(
        self, keys: KeysCollection, contrasts: Sequence[str], allow_missing_keys: bool = True, **reader: Any
    ) -> None:
        super().__init__(keys, allow_missing_keys, **reader)
        self.contrasts: tuple[str, ...] = ensure_tuple(contrasts)
        self.as_volume = EnsureVolumed("image")

    def __call__(self, data: Mapping[Hashable, Any], reader: Any = None) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            files = [Path(str(path)) for path in ensure_tuple(sample[key])]
            read = self._series if len(files) == 1 < len(self.contrasts) else self._files
            volumes = read(files, sample.get("case"))
            sample[key] = MetaTensor(torch.cat([volume.as_tensor() for volume in volumes]), meta=volumes[0].meta)
        return sample

    def _files(self, files: Sequence[Path], case: str | None) -> list[MetaTensor]:
        """A volume (1, H, W, D) from the file of each contrast."""
        self._check_order(files)
        volumes = []
        for file, contrast in zip(files, self.contrasts, strict=True):
            with _told_of(contrast):
                check_path(file, contrast)
                image = self._read(file, case)
                check_image(image, contrast, file)
            volumes.append(self.as_volume({"image": image})["image"])
        first, *others = (f"{file} ({contrast})" for file, contrast in zip(files, self.contrasts, strict=True))
        for volume, other in zip(volumes[1:], others, strict=True):
            check_same_grid(volumes[0], volume, first, other)
        return volumes

    def _series(self, files: Sequence[Path], case: str | None) -> list[MetaTensor]:
        """A volume (1, H, W, D) of each contrast from one file."""
        (file,) = files
        check_path(file, series=True)
        volumes = _volumes(self._read(file, case))
        if len(volumes) != len(self.contrasts):
            raise self._wrong(file, f"{len(volumes)} volume{'s' * (len(volumes) > 1)}")
        for number, (volume, contrast) in enumerate(zip(volumes, self.contrasts, strict=True), start=1):
            check_image(volume, contrast, f"{file} (volume {number}, {contrast})")
        return [self.as_volume({"image": volume})["image"] for volume in volumes]

    def _check_order(self, files: Sequence[Path]) -> None:
        """Refuse a wrong number of files, one file twice, and names that tell another order (``7_t1.nii.gz``)."""
        if len(files) != len(self.contrasts):
            raise self._wrong(files[0] if files else "the images of a case", f"{len(files)} files: {_listed(files)}")
        if len(set(files)) < len(files):
            raise self._wrong(files[0], f"one file for two contrasts: {_listed(files)}")
        told = [self._told(file) for file in files]
        if sorted(told) == sorted(self.contrasts) and told != list(self.contrasts):
            raise self._wrong(files[0], f"the files in the order {', '.join(told)}")

    def _told(self, file: Path) -> str:
        """The contrast that stands as a word in a file's name; nothing where there is none, or several."""
        words = re.split(r"[^a-z0-9]+", file.name.lower().removesuffix(extension(file)))
        names = {name for word in words if (name := ALIASES.get(word, word)) in self.contrasts}
        return names.pop() if len(names) == 1 else ""

    def _wrong(self, where: str | Path, found: str) -> InputError:
        order = ", ".join(self.contrasts)
        return InputError(
            where,
            found=found,
            wanted=f"the contrasts {order}, in this order",
            remedy=f"name a file of each in this order, or merge them into one 4-D NIfTI file of {len(self.contrasts)} "
            "volumes in this order (nibabel.concat_images, fslmerge -t)",
        )


@contextmanager
def _told_of(contrast: str) -> Iterator[None]:
    """Name the contrast beside the file in whatever is refused."""
    try:
        yield
    except InputError as error:
        told = {"found": error.found, "wanted": error.wanted, "remedy": error.remedy}
        raise InputError(f"{error.where} ({contrast})", **told) from error.__cause__


def _volumes(series: MetaTensor) -> list[MetaTensor]:
    """The volumes of a series, whose axis readers put behind the spatial ones."""
    spatial = [int(size) for size in np.asarray(series.meta["spatial_shape"]).ravel()]
    stacked = series.as_tensor().reshape(*spatial, -1)
    meta = series.meta | {"original_channel_dim": "no_channel"}
    return [MetaTensor(volume, meta=deepcopy(meta)) for volume in stacked.unbind(-1)]


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files)) or "none"
