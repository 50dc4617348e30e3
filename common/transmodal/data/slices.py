"""Two-dimensional training samples from volumes: preprocessed once, kept, and picked where there is body."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from monai.utils import ensure_tuple
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from transmodal.data.array_cache import cache_folder, cached_arrays, fingerprint
from transmodal.errors import InputError
from transmodal.tensors import without_metadata

__all__ = ["Sample", "VolumeSlices", "augmented"]

logger = logging.getLogger(__name__)
Sample = dict[str, Any]
Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


class VolumeSlices(Dataset[dict[str, Tensor]]):
    """The slices of one modality that show enough body, from volumes preprocessed once.

    All files are read and checked when the object is made, before any training starts. Slices without body are left
    out: instance norm turns a constant slice into exploding gradients.

    Args:
        data: batch records; those without ``key`` are skipped. A record may name a mask file as ``"body_" + key``.
        transform: deterministic preprocessing of ``{"image": path, "modality": …, "case": …}``, and ``body_image``
            where the record names a mask file: makes ``image`` a volume (C, H, W, D) in [-1, 1] and adds its body mask
            ``body_image``, or puts it in place of the file.
        key: the image's key in ``data``.
        modality: what the images are, unless a record names its own; the transform's own default without either.
        axis: spatial axis that numbers the slices (2 is axial after orientation to RAS), or several, whose slices then
            are of several planes; the volumes are kept once all the same.
        min_body_fraction: smallest fraction of body pixels in a slice that is kept.
        cache_dir: folder for memory-mapped volumes, for data that does not fit into memory; entries are named by the
            files, their sizes and time stamps, and by ``cache_key``, so a change of any makes a new one. Without it,
            memory is used.
        cache_key: text that identifies the preprocessing; ``cache_dir`` needs it.
    Raises:
        InputError: if an axis is none, a cache has no key, a file is unusable, or no slice has enough body.

    ``volumes`` holds what was read, each an image (slices, C, H, W) and its body (slices, H, W) along the first axis;
    ``affines`` where each lies, (4, 4) from its voxels along slices, rows and columns to mm to the right, anterior and
    superior; ``index`` the volume, axis and position of each item.
    """

    verb = "reading"

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[Sample], Sample],
        key: str = "image",
        modality: str | None = None,
        axis: int | Sequence[int] = 2,
        min_body_fraction: float = 0.05,
        cache_dir: str | None = None,
        cache_key: str = "",
    ) -> None:
        self.key, self.modality, self.transform = key, modality, transform
        self.axes = _checked_axes(axis)
        self.axis = self.axes[0]
        self.cache_dir, self.cache_key = cache_folder(cache_dir, cache_key), cache_key
        records = [record for record in data if record.get(key)]
        read = [self._volume(record) for record in tqdm(records, desc=f"{self.verb} {modality or key}", disable=None)]
        self.volumes = [(image, body) for image, body, _ in read]
        self.affines = [affine for *_, affine in read]
        self.index = [
            (number, across, position)
            for number, (_, body) in enumerate(self.volumes)
            for across in self.axes
            for position in np.flatnonzero(self._sliced(body, across).mean(axis=(1, 2)) >= min_body_fraction)
        ]
        if not self.index:
            raise InputError(
                f"training images under the key {key!r}",
                found=f"{len(records)} volumes, none with a slice of at least {min_body_fraction:.0%} body",
                wanted="at least one volume with visible anatomy",
                remedy="check the data with tools/datalist.py, or lower min_body_fraction",
            )
        shown = f" with at least {min_body_fraction:.0%} body" * (min_body_fraction > 0)
        logger.info("%s: %d volumes, %d slices%s", modality or key, len(records), len(self.index), shown)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """One slice: ``{"image": (C, H, W) in [-1, 1], "body": (1, H, W)}``, float32."""
        volume, axis, position = self.index[number]
        image, body = (self._sliced(array, axis) for array in self.volumes[volume])
        return {
            "image": torch.from_numpy(np.array(image[position], dtype=np.float32)),
            "body": torch.from_numpy(np.array(body[position], dtype=np.float32))[None],
        }

    def _sliced(self, array: NDArray[Any], axis: int) -> NDArray[Any]:
        """A kept image, or body, as its slices along any axis; the two axes of a slice stay in their order."""
        channels = array.ndim - 3
        return np.moveaxis(np.moveaxis(array, 0, self.axis + channels), axis + channels, 0)

    def _volume(self, record: Mapping[str, Any]) -> Arrays:
        """Image (slices, C, H, W), body (slices, H, W) and affine (4, 4), from the cache where it holds them."""
        if self.cache_dir is None:
            return self._preprocessed(record)
        modality = record.get("modality", self.modality)
        identity = f"{fingerprint(self._files(record))} {modality} {self.axis} {self.cache_key}"
        parts = ("image", "body", "affine")
        image, body, affine = cached_arrays(self.cache_dir, identity, parts, partial(self._preprocessed, record))
        return image, body, np.array(affine)

    def _files(self, record: Mapping[str, Any]) -> list[str]:
        """The files that a volume is made from: its channels and, where the record has one, its mask."""
        mask = record.get(f"body_{self.key}")
        return [str(path) for path in (*ensure_tuple(record[self.key]), *ensure_tuple(mask or ()))]

    def _sample(self, record: Mapping[str, Any]) -> Sample:
        """The preprocessed record, with the volume ``image`` and its ``body_image``."""
        given = {"modality": record.get("modality", self.modality), "body_image": record.get(f"body_{self.key}")}
        given = {name: value for name, value in given.items() if value is not None}
        return self.transform({"image": record[self.key], "case": record.get("case"), **given})

    def _preprocessed(self, record: Mapping[str, Any]) -> Arrays:
        sample = self._sample(record)
        affine = np.asarray(getattr(sample["image"], "affine", torch.eye(4)).cpu(), dtype=np.float64)
        image, body = (np.asarray(sample[key].cpu()) for key in ("image", "body_image"))
        slices = np.ascontiguousarray(np.moveaxis(image, self.axis + 1, 0), dtype=np.float32)
        positions = np.ascontiguousarray(np.moveaxis(body[0], self.axis, 0) > 0)
        return slices, positions, affine[:, [self.axis, *np.delete(range(4), self.axis)]]


def augmented(sample: dict[str, Tensor], augmentation: Compose | None, seed: int) -> Tensor:
    """The image of a slice after random transforms that ``seed`` alone determines.

    Args:
        sample: a slice as :class:`VolumeSlices` gives it.
        augmentation: random transforms of ``image`` and ``body``; without it the image is returned as it is.
        seed: of all randomness, from 0 to 2³² - 1.
    Returns:
        (C, H', W'), without metadata.
    """
    if augmentation is not None:
        augmentation.set_random_state(seed=seed)
        result = augmentation(sample)
        sample = result[0] if isinstance(result, list) else result  # MONAI's crops return a list of samples
    image = sample["image"]
    return without_metadata(image)


def _checked_axes(axis: int | Sequence[int]) -> tuple[int, ...]:
    axes: tuple[int, ...] = ensure_tuple(axis)
    if not axes or len(set(axes)) < len(axes) or any(isinstance(each, bool) or each not in (0, 1, 2) for each in axes):
        raise InputError(
            "axis of the training slices",
            found=repr(axis),
            wanted="0, 1 or 2, or a list of different ones",
            remedy="give the spatial axis that numbers the slices, or all three for slices of three planes",
        )
    return axes
