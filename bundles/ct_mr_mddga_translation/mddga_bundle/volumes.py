"""What the autoencoder trains on: parts of whole volumes of both modalities, mixed and without pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, SpatialPadd
from torch import Tensor
from torch.utils.data import Dataset

from mddga_bundle.crops import box_in_body
from transmodal.data import VolumeSlices, as_records

__all__ = ["VolumePatches", "mixed_records", "reconstruction_records", "with_air_around"]

Draw = tuple[int, int]


def mixed_records(
    cases: Sequence[dict[str, str]], modalities: Sequence[str], body_from: str | None = None
) -> list[dict[str, Any]]:
    """A batch record for each image of each case, whatever it shows; a case may have one of the modalities only.

    Args:
        cases: case records.
        modalities: those that one autoencoder is to serve.
        body_from: modality of the files that hold body masks, such as ``"mask"``; masks are found in the images if
            null.
    Returns:
        ``{"case": ..., "image": path, "modality": ...}``, and ``body_image`` with the path of the mask, modality by
        modality.
    Raises:
        InputError: if no case has a modality, or one with an image lacks the mask.
    """
    keys = {name: {"image": name, "body_image": body_from} for name in modalities}
    return [{**record, "modality": name} for name in modalities for record in as_records(cases, keys[name], ("image",))]


def reconstruction_records(
    cases: Sequence[dict[str, str]],
    modality: str,
    body_from: str | None = None,
    remedy: str = "hold cases out for validation",
) -> list[dict[str, Any]]:
    """A batch record for each case with an image of ``modality``, which is both source and target.

    Args:
        cases: case records.
        modality: of the images to reconstruct.
        body_from: as for :func:`mixed_records`.
        remedy: what the error advises where no case has one; an empty text allows that.
    Returns:
        ``{"case": ..., "image": path, "label": the same, "modality": ...}``, and ``mask`` where a case has one.
    Raises:
        InputError: if no case has the modality.
    """
    keys = {"image": modality, "label": modality, "mask": "mask", "body_image": body_from}
    records = as_records(cases, keys, skip_incomplete=True, remedy=remedy)
    return [{**record, "modality": modality} for record in records]


class VolumePatches(Dataset[dict[str, Tensor | int]]):
    """A part of a volume, cut where the body is, from volumes preprocessed once.

    All files are read and checked when the object is made. An item is a pure function of its index ``(number, seed)``:
    volume ``number``, and the place that ``seed`` chooses. :class:`~transmodal.data.SeededSampler` draws the indices.

    Args:
        data: batch records with ``key``, ``modality`` and ``case``, as :func:`mixed_records` makes them.
        transform: deterministic preprocessing of such a record: makes ``image`` a volume (1, D, H, W) in [-1, 1] and
            adds its body mask ``body_image``.
        patch: size of the parts in voxels; smaller volumes are surrounded with air, -1.
        key: the image's key in ``data`` and in the items.
        cache_dir, cache_key: as for :class:`~transmodal.data.VolumeSlices`.
    Raises:
        InputError: if a file is unusable, or there is none.
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
            Compose([transform, *with_air_around(["image"], ["body_image"], self.patch)]).flatten(),
            key=key,
            axis=0,
            min_body_fraction=0.0,
            cache_dir=cache_dir,
            cache_key=f"{cache_key} {self.patch}",
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


def with_air_around(images: Sequence[str], masks: Sequence[str], size: Sequence[int]) -> list[SpatialPadd]:
    """Transforms that bring images in [-1, 1] to at least ``size`` by air, -1, and their masks by 0."""
    return [SpatialPadd(images, spatial_size=size, value=-1), SpatialPadd(masks, spatial_size=size)]
