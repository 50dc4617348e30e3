"""Latents of a CT as the image to be judged."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import ensure_tuple_rep
from torch import Tensor

from transmodal.data import read_latent
from transmodal.errors import InputError

__all__ = ["LatentLoadImaged", "smallest_image"]


class LatentLoadImaged(MapTransform):
    """Read latents (C, F, h, w) from ``.npy`` files; ``LoadImage`` in the name tells MONAI Deploy what it does.

    Args:
        keys: paths.
        channels: how many there are to be.
        bounds: values that become -1 and 1, what lies outside is cut; as they are if None.
        smallest: values that there have to be along F, h and w (:func:`smallest_image`); any number if None.
    Raises:
        InputError: if a file is no such array, has other channels, or is too small.
    """

    def __init__(
        self,
        keys: KeysCollection,
        channels: int = 4,
        bounds: Sequence[float] | None = None,
        smallest: Sequence[int] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channels, self.bounds = channels, None if bounds is None else tuple(map(float, bounds))
        self.smallest = None if smallest is None else tuple(smallest)
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
            self._check_size(latents, sample[key])
            if self.bounds is not None:
                low, high = self.bounds
                latents = ((latents - low) * (2 / (high - low)) - 1).clamp(-1.0, 1.0)
            sample[key] = latents
        return sample

    def _check_size(self, latents: Tensor, path: str) -> None:
        size = tuple(latents.shape[1:])
        if self.smallest is not None and any(has < least for has, least in zip(size, self.smallest, strict=True)):
            raise InputError(
                path,
                found=f"latents of {_told(size)}",
                wanted=f"{_told(self.smallest)} (slices, rows, columns) or more, which the network halves repeatedly",
                remedy="encode more slices or a larger picture, or set 'block_config' to fewer blocks and train anew",
            )


def smallest_image(first_stride: int | Sequence[int], block_config: Sequence[int]) -> tuple[int, int, int]:
    """The least number of voxels along each axis of which a 3D DenseNet leaves one or more.

    The first convolution divides by its stride and the pooling behind it by 2, both rounded up; each transition
    between blocks divides by 2, rounded down.

    Args:
        first_stride: of the first convolution, for all axes or for each of them.
        block_config: dense layers of each block.
    """
    least = 2 ** len(block_config) - 1
    first, second, third = ((least - 1) * stride + 1 for stride in ensure_tuple_rep(first_stride, 3))
    return first, second, third


def _told(size: Sequence[int]) -> str:
    return "×".join(map(str, size))
