"""Latents of a CT as the image to be judged."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from transmodal.data import read_latent
from transmodal.errors import InputError

__all__ = ["LatentLoadImaged"]


class LatentLoadImaged(MapTransform):
    """Read latents (C, F, h, w) from ``.npy`` files; ``LoadImage`` in the name tells MONAI Deploy what it does.

    Args:
        keys: paths.
        channels: how many there are to be.
        bounds: values that become -1 and 1, what lies outside is cut; as they are if None.
    Raises:
        InputError: if a file is no such array, or has other channels.
    """

    def __init__(
        self,
        keys: KeysCollection,
        channels: int = 4,
        bounds: Sequence[float] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channels, self.bounds = channels, None if bounds is None else tuple(map(float, bounds))
        if self.bounds is not None and (len(self.bounds) != 2 or not self.bounds[0] < self.bounds[1]):
            raise InputError(
                "configuration id 'latent_range'",
                found=repr(bounds),
                wanted="null, or two numbers of which the first is smaller",
                remedy="correct 'latent_range'",
            )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            latents = torch.from_numpy(read_latent(sample[key]))
            if len(latents) != self.channels:
                raise InputError(
                    sample[key],
                    found=f"latents of {len(latents)} channels",
                    wanted=f"{self.channels} channels",
                    remedy="encode the CT with the autoencoder of the weights, or set 'in_channels' and train anew",
                )
            if self.bounds is not None:
                low, high = self.bounds
                latents = ((latents - low) * (2 / (high - low)) - 1).clamp(-1.0, 1.0)
            sample[key] = latents
        return sample
