"""Grids: images of a case share one; each becomes a volume, oriented, at one spacing, and finds its way back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import compute_shape_offset, to_affine_nd, zoom_affine
from monai.transforms import InvertibleTransform, MapTransform, SpatialResample

from transmodal.data.checks import check_same_grid
from transmodal.errors import InputError

__all__ = ["EnsureVolumed", "SameGridd", "SpacingWithinToleranced"]


class EnsureVolumed(MapTransform):
    """Give every image its channels first and three spatial axes: a picture or a slice is a volume of one slice.

    Args:
        keys: images, (H, W), (H, W, D), (H, W, D, C) or (C, H, W, D); a leading channel of size one is found too.
        channels: C, the volumes that are stacked in an image.

    Deploy hands over volumes without a channel and without reader metadata, so the shape itself decides; a third axis
    is never mistaken for a channel.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = True, channels: int = 1) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channels = channels

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            image: Any = (
                sample[key] if isinstance(sample[key], MetaTensor) else MetaTensor(torch.as_tensor(sample[key]))
            )
            channel = image.meta.get("original_channel_dim", "no_channel")
            if image.ndim == 4 and channel != 0 and image.shape[0] != self.channels == image.shape[-1]:
                image = image.movedim(-1, 0)  # a series of so many volumes
            has_channel = image.ndim == 4 or (image.ndim == 3 and channel == 0 and image.shape[0] == 1)
            if not has_channel:
                image = image[None]
            if image.ndim == 3:
                image = image[..., None]
            image.meta["original_channel_dim"] = 0
            image.affine = to_affine_nd(3, image.affine)  # a slice's tensor remembers two spatial axes until it is set
            sample[key] = image.float()
        return sample


class SameGridd(MapTransform):
    """Refuse a case whose images were not read on one grid, before anything is computed or written.

    Args:
        keys: images from files, compared with the first one that is there, whatever has been done to them since. An
            image whose reader tells no position (a picture) is not compared.
    Raises:
        InputError: naming both files and what differs between their grids.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = True) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        images = [sample[key] for key in self.key_iterator(sample)]
        first, *others = [image for image in images if "original_affine" in getattr(image, "meta", {})] or [None]
        for other in others:
            check_same_grid(_as_read(first), _as_read(other), _file(first), _file(other))
        return sample


def _three_numbers(pixdim: Any) -> tuple[float, float, float]:
    try:
        first, second, third = map(float, pixdim)
        if isinstance(pixdim, str) or not np.isfinite([first, second, third]).all():
            raise ValueError(pixdim)
    except (TypeError, ValueError) as error:
        raise InputError(
            "pixdim",
            found=repr(pixdim),
            wanted="three numbers, a spacing in mm for each axis",
            remedy='write it as "[1.0,1.0,-1.0]"; a value of at most 0 keeps the axis as it is',
        ) from error
    return first, second, third


def _as_read(image: MetaTensor) -> MetaTensor:
    """The grid an image had in its file, without the memory of an image."""
    shape = [int(size) for size in image.meta["spatial_shape"]]
    return MetaTensor(torch.zeros(1).expand(1, *shape), affine=torch.as_tensor(image.meta["original_affine"]))


def _file(image: MetaTensor) -> str:
    return str(image.meta.get("filename_or_obj", "an image without a file"))


class SpacingWithinToleranced(MapTransform, InvertibleTransform):
    """Resample to a voxel spacing, leaving alone every axis that is already close to it.

    A resampling by a few per cent blurs for nothing and costs twice, since the result is resampled back.
    MONAI 1.6's ``Spacingd`` fails when a consumer adds the key ``image_path`` (as MONAI Label does); this transform
    touches its own keys only.

    Args:
        keys: volumes (C, H, W, D).
        pixdim: wanted spacing in mm per axis; a value <= 0 keeps the axis as it is.
        tolerance: relative difference up to which an axis is kept.
        mode: interpolation, ``"bilinear"`` or ``"nearest"``; one value or one per key.
    Raises:
        InputError: if ``pixdim`` is not three finite numbers.
    """

    def __init__(
        self,
        keys: KeysCollection,
        pixdim: Sequence[float],
        tolerance: float = 0.05,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.pixdim, self.tolerance = _three_numbers(pixdim), float(tolerance)
        self.modes = (mode,) * len(self.keys) if isinstance(mode, str) else tuple(mode)
        self.resample = SpatialResample(padding_mode="border", align_corners=False, dtype=np.float64)

    def __call__(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, MetaTensor]:
        sample = dict(data)
        for key, mode in self.key_iterator(sample, self.modes):
            spacing = [float(value) for value in sample[key].pixdim]
            wanted = [
                have if want <= 0 or abs(have - want) <= self.tolerance * want else want
                for have, want in zip(spacing, self.pixdim, strict=True)
            ]
            if wanted != spacing:
                sample[key] = self._resampled(sample[key], wanted, mode)
        return sample

    def _resampled(self, image: MetaTensor, spacing: list[float], mode: str) -> MetaTensor:
        affine = image.affine.cpu().numpy()
        target = zoom_affine(affine, spacing, diagonal=False)
        shape, origin = compute_shape_offset(image.shape[1:], affine, target)
        target[:3, 3] = origin
        wanted: dict[str, Any] = {"dst_affine": torch.as_tensor(target), "spatial_size": tuple(shape), "mode": mode}
        return cast(MetaTensor, self.resample(image, **wanted))

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            done = sample[key].applied_operations
            if done and done[-1]["class"] == "SpatialResample":
                sample[key] = self.resample.inverse(sample[key])
        return sample
