"""Training samples: random views of the slices of volumes that are read once, classes in equal shares."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from tqdm import tqdm

from modality_bundle.augmentation import Augmentation, noise_image
from modality_bundle.records import NEITHER
from transmodal.errors import InputError
from transmodal.modality import CLASSES, as_seen, evenly_spaced
from transmodal.modality.view import INFORMATIVE
from transmodal.tensors import without_metadata

__all__ = ["RandomSlices", "slices_of"]

logger = logging.getLogger(__name__)


class RandomSlices(Dataset[dict[str, Any]]):
    """Random views of CT and MR slices in turns, and now and then of something that is neither.

    All files are read and checked when the object is made, before any training starts. An item is a pure function of
    its index ``(number, seed)``: the number chooses the class, the seed the image, its slice and its view. So the
    numbers of processes change nothing, and a resumed training sees what the uninterrupted one would have seen.

    Args:
        data: records of images with ``image`` (a path) and ``label``.
        transform: deterministic preprocessing, makes ``image`` a volume (1, H, W, D) in RAS in the file's units.
        augmentation: makes the random view.
        size: side of the square that the network sees.
        draws_per_image: an epoch has so many items for each image of a class.
        neither_share: share of items that are neither: images with that label, else noise of random smoothness.
        counts: slices that are kept of a volume along its three axes at most, evenly spaced.
        side: they are resized to square pixels and so that the longer side has at most so many.
    Raises:
        InputError: if a file is unusable, or a class has no image.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[dict[str, Any]], Any],
        augmentation: Augmentation,
        size: int = 96,
        draws_per_image: int = 16,
        neither_share: float = 0.1,
        counts: Sequence[int] = (8, 8, 32),
        side: int = 192,
    ) -> None:
        self.augmentation, self.size, self.neither_share = augmentation, size, neither_share
        numbers = [sum(record["label"] == label for record in data) for label in range(len(CLASSES))]
        absent = [name for name, number in zip(CLASSES, numbers, strict=True) if number == 0]
        if absent:
            raise InputError(
                f"{len(data)} training images",
                found=f"none of the modality {' and '.join(absent)}",
                wanted=f"images of {' and '.join(CLASSES)}",
                remedy="add cases with files of this modality (see 'classes' in the configuration)",
            )
        self.images: list[list[list[Tensor]]] = [[] for _ in range(NEITHER + 1)]
        for record in tqdm(data, desc="reading images", disable=None):
            volume = transform({"image": record["image"], "case": record.get("case")})["image"]
            self.images[record["label"]].append(slices_of(volume, counts, side))
        self.length = draws_per_image * sum(numbers)
        logger.info("%d draws an epoch from %s images of %s", self.length, numbers, ", ".join(CLASSES))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: tuple[int, int]) -> dict[str, Any]:
        """One view: ``image`` (1, S, S) in [-1, 1] and ``label``."""
        number, seed = index
        draw = np.random.default_rng([seed, number])
        label = NEITHER if draw.random() < self.neither_share else number % len(CLASSES)
        images = self.images[label]
        if not images or (label == NEITHER and draw.random() < 0.3):
            return {"image": as_seen(noise_image(self.size, draw), self.size)[0], "label": NEITHER}
        slices = images[int(draw.integers(len(images)))]
        chosen = slices[int(draw.integers(len(slices)))].float()
        seen, contrast = as_seen(self.augmentation(chosen, label == CLASSES.index("ct"), draw), self.size)
        return {"image": seen if contrast > 0 else as_seen(chosen, self.size)[0], "label": label}


def slices_of(volume: Tensor, counts: Sequence[int], side: int) -> list[Tensor]:
    """Slices of a volume (1, H, W, D) along its axes that show something, with square pixels, in half precision.

    Args:
        volume: with an affine where the size of a voxel is known; values beyond half precision are scaled down.
        counts: slices along each axis at most.
        side: pixels of the longer side at most.
    """
    spacing = volume.affine.double()[:3, :3].norm(dim=0).tolist() if isinstance(volume, MetaTensor) else [1.0] * 3
    values = without_metadata(volume)[0].float()
    if float(values.abs().max()) > 30_000:
        values = values * (30_000 / float(values.abs().max()))
    kept: list[Tensor] = []
    for axis in (2, 1, 0):
        others = [other for other in range(3) if other != axis]
        if axis != 2 and min(values.shape[other] for other in others) < 16:
            continue  # too few slices to look along another axis
        extents = [values.shape[other] * spacing[other] for other in others]
        pixel = max(min(spacing[other] for other in others), max(extents) / side)
        size = [max(1, round(extent / pixel)) for extent in extents]
        planes = [values.select(axis, position) for position in evenly_spaced(values.shape[axis], counts[axis])]
        seen = [as_seen(plane, 32)[1] for plane in planes]
        chosen = [plane for plane, contrast in zip(planes, seen, strict=True) if contrast > INFORMATIVE * max(seen)]
        resize = {"size": size, "mode": "bilinear", "align_corners": False, "antialias": True}
        kept += [functional.interpolate(plane[None, None], **resize)[0, 0].half() for plane in chosen]
    return kept or [torch.as_tensor(values[..., values.shape[2] // 2]).half()]
