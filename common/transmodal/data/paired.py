"""Paired training samples: slices of registered images, which every random transform moves together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from monai.transforms import Compose
from monai.utils import ensure_tuple
from torch import Tensor
from torch.utils.data import Dataset

from transmodal.data.checks import check_same_grid
from transmodal.data.slices import Sample, VolumeSlices, augmented
from transmodal.errors import InputError

__all__ = ["PairedSlices", "StackedSlices"]

Draw = tuple[int, int]


class PairedSlices(Dataset[dict[str, Tensor | int]]):
    """Slices of one or several source images together with their target, from volumes preprocessed once.

    All files are read and checked when the object is made, before any training starts. An item is a pure function of
    its index ``(number, seed)``: slice ``number``, augmented with ``seed``. So the numbers of worker processes and of
    ranks change nothing, and a resumed run sees what the uninterrupted one would have seen.
    :class:`~transmodal.data.sampling.SeededSampler` draws the indices.

    Args:
        data: batch records; each has a path, or a list of paths, under both keys.
        transform: deterministic preprocessing of a whole record. It makes the source a volume (K, H, W, D) and the
            target a volume (1, H, W, D) on the same grid, both in [-1, 1], and adds the body mask of the source,
            ``body_image`` for the key ``image``.
        augmentation: random transforms of ``{"image": (K + 1, H, W), "body": (1, H, W)}``, the last channel of
            ``image`` being the target; it must make all slices of one size if they are to be batched.
        keys: of source and target in the records and in the items.
        axis: spatial axis that numbers the slices (2 is axial after orientation to RAS), or several for slices of
            several planes.
        min_body_fraction: smallest fraction of body pixels in a slice that is kept.
        cache_dir, cache_key: as for :class:`~transmodal.data.slices.VolumeSlices`.
        modality: what the source shows, its first channel where it has several; only ``domains`` asks for it.
        target_modality: what the target shows, where ``domains`` is to hold the target too, for a training whose
            weights translate both ways.
    Raises:
        InputError: if a record lacks a key, an axis is none, a file is unusable, source and target lie on different
            grids, or no slice has enough body.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[Sample], Sample],
        augmentation: Compose | None = None,
        keys: Sequence[str] = ("image", "label"),
        axis: int | Sequence[int] = 2,
        min_body_fraction: float = 0.05,
        cache_dir: str | None = None,
        cache_key: str = "",
        modality: str | None = None,
        target_modality: str | None = None,
    ) -> None:
        self.data, self.transform, self.augmentation = data, transform, augmentation
        self.target_modality = target_modality
        self.keys = source, target = ensure_tuple(keys)
        self.slices = StackedSlices(
            data,
            transform,
            key=source,
            target=target,
            axis=axis,
            min_body_fraction=min_body_fraction,
            cache_dir=cache_dir,
            cache_key=cache_key,
            modality=modality,
        )

    @property
    def domains(self) -> list[VolumeSlices]:
        """The preprocessed volumes, their source first, as :class:`~transmodal.handlers.TrainedRangeWriter` asks."""
        if self.target_modality is None:
            return [self.slices]
        target = copy.copy(self.slices)
        target.modality = self.target_modality
        target.volumes = [(image[:, -1:], body) for image, body in self.slices.volumes]
        return [self.slices, target]

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: Draw | int) -> dict[str, Tensor | int]:
        """``{"image": (K, H, W), "label": (1, H, W), "seed": the draw's seed}``, float32 in [-1, 1].

        From the seed, (B,) int64 in a batch, an objective draws its noise for each sample, so that batches and ranks
        change nothing there either. A plain number, from a loader without our sampler, is its own seed.
        """
        number, seed = (index, index) if isinstance(index, int) else index
        stacked = augmented(self.slices[number], self.augmentation, seed % 2**32)
        source, target = self.keys
        return {source: stacked[:-1], target: stacked[-1:], "seed": seed}


class StackedSlices(VolumeSlices):
    """Slices (K + 1, H, W): the source's channels, then the target's.

    Args:
        data, transform: as for :class:`PairedSlices`.
        target: the target's key in ``data``; ``key`` is the source's.
        slices: further arguments of :class:`~transmodal.data.slices.VolumeSlices`.
    Raises:
        InputError: as that class, and if a record lacks a key, or source and target lie on different grids.
    """

    def __init__(
        self, data: Sequence[Mapping[str, Any]], transform: Callable[[Sample], Sample], target: str, **slices: Any
    ) -> None:
        self.target = target
        for number, record in enumerate(data):
            _check_paired(record, number, slices.get("key", "image"), target)
        super().__init__(data, transform, **slices)

    def _files(self, record: Mapping[str, Any]) -> list[str]:
        named = [value for name, value in record.items() if name not in ("case", "patient")]
        return [str(path) for value in named for path in ensure_tuple(value)]

    def _sample(self, record: Mapping[str, Any]) -> Sample:
        sample = self.transform(dict(record))
        image, label = sample[self.key], sample[self.target]
        check_same_grid(image, label, *(str(ensure_tuple(record[key])[0]) for key in (self.key, self.target)))
        stacked = torch.cat([torch.as_tensor(each).cpu().float() for each in (image, label)])
        return {"image": stacked, "body_image": sample[f"body_{self.key}"]}


def _check_paired(record: Mapping[str, Any], number: int, *keys: str) -> None:
    lacking = [key for key in keys if not record.get(key)]
    if lacking:
        raise InputError(
            f"case {record['case']}" if record.get("case") else f"training record {number}",
            found=f"no {' and no '.join(lacking)}",
            wanted=f"an image under each of the keys {' and '.join(keys)}",
            remedy="leave the case out, or train a method that needs no pairs",
        )
