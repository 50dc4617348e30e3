"""Radiographs as networks take them: square, of one size, and on [-1, 1] whatever detector or film they came from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor
from torch.nn import functional as F

from transmodal.errors import InputError
from transmodal.transforms.intensity import RobustPercentiles

__all__ = ["RadiographFitd", "RadiographScale"]


class RadiographFitd(MapTransform):
    """Pad pictures to a square, evenly on both sides, and resample them to one size, averaging where it is coarser.

    Padding has the smallest value of the picture, which is where nothing absorbed. The affine of a ``MetaTensor``
    follows.

    Args:
        keys: pictures, (1, rows, columns) or (rows, columns).
        size: S, of the result (1, S, S), float32.
    Raises:
        InputError: if ``size`` is no positive whole number, or an image is not one picture.
    """

    def __init__(self, keys: KeysCollection, size: int, allow_missing_keys: bool = True) -> None:
        super().__init__(keys, allow_missing_keys)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(
                "RadiographFitd, size",
                found=repr(size),
                wanted="a positive whole number of pixels",
                remedy="set the configuration id 'xray_size', 224 for BiomedCLIP",
            )
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            sample[key] = self._fitted(sample[key], f"the {key} of case {sample.get('case', 'without a name')}")
        return sample

    def _fitted(self, image: Any, where: str) -> MetaTensor:
        image = image if isinstance(image, Tensor) else torch.as_tensor(np.asarray(image))
        picture = image.as_tensor() if isinstance(image, MetaTensor) else image
        picture = (picture[None] if picture.ndim == 2 else picture).float()
        if picture.ndim != 3 or len(picture) != 1:
            raise InputError(
                where,
                found=f"an image of the shape {tuple(image.shape)}",
                wanted="one picture (1, rows, columns)",
                remedy="read it by transmodal.transforms.RadiographLoadImaged",
            )
        rows, columns = picture.shape[1:]
        side = max(rows, columns)
        top, left = (side - rows) // 2, (side - columns) // 2
        padding = (left, side - columns - left, top, side - rows - top)
        square = F.pad(picture, padding, value=float(picture.min()))
        resized = F.interpolate(
            square[None], size=(self.size, self.size), mode="bilinear", align_corners=False, antialias=True
        )
        fitted = MetaTensor(resized[0], meta=dict(image.meta) if isinstance(image, MetaTensor) else None)
        if isinstance(image, MetaTensor):
            fitted.affine = image.affine @ _to_padded(side / self.size, top, left)
        return fitted


class RadiographScale(RobustPercentiles):
    """Percentiles of each picture, as radiographs have no absolute scale.

    Args:
        lower, upper: percentiles in [0, 100] that become -1 and 1.
        equalise: give every grey between them the same share of the pixels (histogram equalisation), so that neither
            the exposure nor the curve of a film, a detector or a projection shows. It is not linear, and
            :meth:`restore` does not undo it.
    Raises:
        ValueError: if the percentiles are not ``0 <= lower < upper <= 100``.
        InputError: if ``equalise`` arrives as a string.
    """

    def __init__(self, lower: float = 0.5, upper: float = 99.5, equalise: bool = False) -> None:
        super().__init__(lower, upper)
        if not isinstance(equalise, bool):
            raise InputError(
                "RadiographScale, equalise",
                found=repr(equalise),
                wanted="true or false in JSON, True or False on the command line",
                remedy="write it with a capital letter on the command line",
            )
        self.equalise = equalise

    @property
    def linear(self) -> bool:
        """Whether :meth:`scale` maps linearly between the two values that become -1 and 1."""
        return not self.equalise

    def scale(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Any grey levels to [-1, 1], clipping outside the percentiles; (1, rows, columns)."""
        scaled = super().scale(image, mask)
        return _equalised(scaled) if self.equalise else scaled


def _equalised(image: Tensor) -> Tensor:
    """Each value's rank as a share of all, in [-1, 1]; equal values share the middle of their ranks."""
    values = image.as_tensor() if isinstance(image, MetaTensor) else image
    ordered = values.flatten().sort().values
    below, above = (torch.searchsorted(ordered, values.contiguous(), right=right) for right in (False, True))
    ranks: Tensor = (below + above) / len(ordered) - 1
    return MetaTensor(ranks, meta=image.meta) if isinstance(image, MetaTensor) else ranks


def _to_padded(scale: float, top: int, left: int) -> Tensor:
    """Indices of the result to those of the picture before padding, (4, 4); a third axis stays."""
    matrix = torch.eye(4, dtype=torch.float64)
    for axis, before in enumerate((top, left)):
        matrix[axis, axis], matrix[axis, 3] = scale, (scale - 1) / 2 - before
    return matrix
