"""Training samples that are parts of volumes: preprocessed once, kept, and cut where there is body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, SpatialPadd
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from transmodal.data.slices import VolumeSlices

__all__ = ["VolumePatches", "box_in_body", "with_air_around"]

Draw = tuple[int, int]


class VolumePatches(Dataset[dict[str, Tensor | int]]):
    """A part of a volume, cut where the body is, from volumes preprocessed once.

    All files are read and checked when the object is made. An item is a pure function of its index ``(number, seed)``:
    volume ``number``, and the place that ``seed`` chooses. :class:`~transmodal.data.SeededSampler` draws the indices.

    A patch of one slice in depth makes whole or partial slices of the volumes' first axis.

    Args:
        data: batch records with ``key`` and ``case``, and with ``modality`` where the images are of several.
        transform: deterministic preprocessing of such a record: makes ``image`` a volume (1, D, H, W) in [-1, 1] and
            adds its body mask ``body_image``.
        patch: size of the parts in voxels; smaller volumes are surrounded with air, -1.
        key: the image's key in ``data`` and in the items.
        cache_dir, cache_key: as for :class:`~transmodal.data.VolumeSlices`.
    Raises:
        InputError: if a cache has no key, a file is unusable, or there is none.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        patch: Sequence[int],
        key: str = "image",
        cache_dir: str | None = None,
        cache_key: str = "",
    ) -> None:
        self.data, self.transform, self.patch, self.key = data, transform, tuple(patch), key
        self.volumes = VolumeSlices(
            data,
            Compose([transform, *with_air_around(["image"], ["body_image"], self.patch)]).flatten(),  # type: ignore[no-untyped-call]
            key=key,
            axis=0,
            min_body_fraction=0.0,
            cache_dir=cache_dir,
            cache_key=f"{cache_key} {self.patch}" if cache_key else "",
        ).volumes

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: Draw | int) -> dict[str, Tensor | int]:
        """``{"image": (1, *patch), "seed": the draw's seed}``, float32 in [-1, 1].

        A plain number, from a loader without our sampler, is its own seed.
        """
        number, seed = (index, index) if isinstance(index, int) else index
        image, body = self.volumes[number]
        part = np.moveaxis(image, 1, 0)[(slice(None), *box_in_body(body, self.patch, seed))]
        return {self.key: torch.from_numpy(np.array(part, dtype=np.float32)), "seed": seed}


def box_in_body(body: NDArray[np.bool_], size: Sequence[int], seed: int) -> tuple[slice, ...]:
    """A box around a voxel of the body that ``seed`` chooses, moved inwards where it would leave the volume.

    The published code takes any box, most of which may be air.

    Args:
        body: (D, H, W); without any body every voxel may be chosen.
        size: of the box, nowhere larger than the volume.
        seed: of 0 or more; every voxel of the body is equally likely.
    Returns:
        Where the box lies along each axis.
    """
    counts = np.count_nonzero(body, axis=(1, 2)).cumsum()
    if not counts[-1]:
        return box_in_body(np.ones_like(body), size, seed)
    chosen = int(np.random.default_rng(seed).integers(counts[-1]))
    plane = int(np.searchsorted(counts, chosen, side="right"))
    inside: NDArray[Any] = np.flatnonzero(body[plane])
    before = int(counts[plane - 1]) if plane else 0
    centre = (plane, *divmod(int(inside[chosen - before]), body.shape[2]))
    starts = (
        min(max(at - wanted // 2, 0), length - wanted)
        for at, wanted, length in zip(centre, size, body.shape, strict=True)
    )
    return tuple(slice(start, start + wanted) for start, wanted in zip(starts, size, strict=True))


def with_air_around(images: Sequence[str], masks: Sequence[str], size: Sequence[int]) -> list[SpatialPadd]:
    """Transforms that bring images in [-1, 1] to at least ``size`` by air, -1, and their masks by 0."""
    return [SpatialPadd(images, spatial_size=size, value=-1), SpatialPadd(masks, spatial_size=size)]
