"""Training samples: views of images that are read and prepared once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset
from torch.utils.data import Dataset

from embolism_bundle.augmentation import Augmentation
from transmodal.errors import InputError
from transmodal.tensors import without_metadata

__all__ = ["LabelledImages"]


class LabelledImages(Dataset[dict[str, Any]]):
    """Images with their finding, each time in another view.

    An item is a pure function of its index ``(number, seed)``: the number chooses the case, the seed the view. So the
    numbers of processes change nothing, and a resumed training sees what the uninterrupted one would have seen.

    Args:
        data: records with ``image`` and ``label``, 0 or 1.
        transform: deterministic preprocessing, makes ``image`` (C, ...).
        augmentation: makes a view; without it every view is the image itself.
        draws_per_case: an epoch shows each case so many times.
        cache_num: images that are kept in memory; all of them if None. The others are read anew each time.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[dict[str, Any]], Any],
        augmentation: Augmentation | None = None,
        draws_per_case: int = 1,
        cache_num: int | None = None,
    ) -> None:
        if isinstance(draws_per_case, bool) or not isinstance(draws_per_case, int) or draws_per_case < 1:
            raise InputError(
                "configuration id 'draws_per_case'",
                found=repr(draws_per_case),
                wanted="a whole number of 1 or more",
                remedy="say how often an epoch shows each case",
            )
        kept = len(data) if cache_num is None else cache_num
        self.images = CacheDataset(list(data), transform, cache_num=kept, num_workers=0, copy_cache=False)
        self.augmentation, self.draws_per_case = augmentation, draws_per_case

    def __len__(self) -> int:
        return self.draws_per_case * len(self.images)

    def __getitem__(self, index: tuple[int, int]) -> dict[str, Any]:
        """One view: ``image`` (C, ...), ``label`` (1,) of 0.0 or 1.0."""
        number, seed = index
        sample = self.images[number % len(self.images)]
        image = sample["image"]
        image = without_metadata(image)
        if self.augmentation is not None:
            image = self.augmentation(image, np.random.default_rng([seed, number]))
        return {"image": image, "label": torch.tensor([float(sample["label"])])}
