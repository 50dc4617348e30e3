"""Slices to train on, each with its mask, augmented together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import Compose
from monai.utils import ensure_tuple
from torch import Tensor
from torch.utils.data import Dataset

from transmodal.data import VolumeSlices
from transmodal.errors import InputError

Sample = dict[str, Any]


class LabelledSlices(Dataset[dict[str, Tensor]]):
    """All slices of labelled volumes, whatever their modality, also those without body: they have to be told as well.

    Files are read and checked when the object is made, before any training starts. An item is a pure function of its
    index ``(number, seed)``, slice ``number`` augmented with ``seed``, so the numbers of worker processes and of ranks
    change nothing, and a resumed run sees what the uninterrupted one would have seen.
    :class:`~transmodal.data.SeededSampler` draws the indices.

    Args:
        data: batch records with ``image``, and perhaps ``modality`` and ``label``.
        transform: deterministic preprocessing of a record. It makes ``image`` a volume (1, H, W, D) in [-1, 1] and
            ``label`` its mask of the same shape, both on one grid.
        augmentation: random transforms of ``{"image": (1, H, W), "label": (1, H, W)}``; it must make all slices of one
            size if they are to be batched.
        axis: spatial axis that numbers the slices (2 is axial after orientation to RAS).
        cache_dir, cache_key: as for :class:`~transmodal.data.VolumeSlices`.
    Raises:
        InputError: if there are no records, or a file is unusable.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[Sample], Sample],
        augmentation: Compose | None = None,
        axis: int = 2,
        cache_dir: str | None = None,
        cache_key: str = "",
    ) -> None:
        if not data:
            raise InputError(
                "training images",
                found="none",
                wanted="at least one image",
                remedy="check 'dataset_dir' and the training section of the list",
            )
        self.data, self.transform, self.augmentation = data, transform, augmentation
        kept = {"cache_dir": cache_dir, "cache_key": cache_key}
        self.slices = _LabelledVolumes(data, transform, axis=axis, min_body_fraction=0.0, **kept)

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: tuple[int, int] | int) -> dict[str, Tensor]:
        """``{"image": (1, H, W) in [-1, 1], "label": (1, H, W) of 0 and 1}``, float32.

        A plain number, from a loader without our sampler, is its own seed.
        """
        number, seed = (index, index) if isinstance(index, int) else index
        drawn = self.slices[number]
        sample = {"image": drawn["image"], "label": drawn["body"]}
        if self.augmentation is not None:
            self.augmentation.set_random_state(seed=seed % 2**32)
            result = self.augmentation(sample)
            sample = result[0] if isinstance(result, list) else result  # some of MONAI's crops return a list
        return {key: _plain(sample[key]) for key in ("image", "label")}


class _LabelledVolumes(VolumeSlices):
    """Slices whose body is their label."""

    def _files(self, record: Mapping[str, Any]) -> list[str]:
        return [str(path) for key in ("image", "label") for path in ensure_tuple(record.get(key) or ())]

    def _sample(self, record: Mapping[str, Any]) -> Sample:
        sample = self.transform(dict(record))
        return {"image": sample["image"], "body_image": sample["label"]}


def _plain(image: Tensor) -> Tensor:
    return image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image)
