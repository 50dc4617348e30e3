"""Radiographs as networks take them: square, of one size, and on [-1, 1] whatever detector or film they came from."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor
from torch.nn import functional as F

from transmodal.errors import InputError, require_flag
from transmodal.tensors import without_metadata
from transmodal.transforms.intensity import RobustPercentiles

__all__ = ["RadiographFitd", "RadiographScale"]

logger = logging.getLogger(__name__)

LONGEST_PIXEL = 10.0
"""Longer to shorter edge of a pixel; more is no radiograph."""
WIDTHS = (0.9, 1.25)
"""Least and largest width of a picture as shares of what it shows at the isocentre; at the detector it is larger."""


class RadiographFitd(MapTransform):
    """Pad pictures to a square, evenly on both sides, and resample them to one size, averaging where it is coarser.

    The square is one of millimetres: pixels that are not square, by the affine of a ``MetaTensor``, become so. Padding
    has the smallest value of the picture, which is where nothing absorbed. The affine follows.

    Args:
        keys: pictures, (1, rows, columns) or (rows, columns).
        size: S, of the result (1, S, S), float32.
        width: what the square is taken to show in the plane of the isocentre, mm; a file of a volume format that tells
            another width is logged, once per file. null takes every width.
    Raises:
        InputError: if ``size`` is no positive whole number, ``width`` no positive one, an image is not one picture, or
            its pixels are strips.
    """

    def __init__(
        self, keys: KeysCollection, size: int, width: float | None = None, allow_missing_keys: bool = True
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(
                "RadiographFitd, size",
                found=repr(size),
                wanted="a positive whole number of pixels",
                remedy="set the configuration id 'xray_size', 224 for BiomedCLIP",
            )
        if width is not None and (isinstance(width, bool | str) or not width > 0):
            raise InputError(
                "RadiographFitd, width",
                found=repr(width),
                wanted="millimetres, or null",
                remedy="give it the last number of the configuration id 'field_of_view'",
            )
        self.size, self.width = size, width
        self.told: set[str] = set()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            sample[key] = self._fitted(sample[key], f"the {key} of case {sample.get('case', 'without a name')}")
        return sample

    def _fitted(self, image: Any, where: str) -> MetaTensor:
        image = image if isinstance(image, Tensor) else torch.as_tensor(np.asarray(image))
        picture = without_metadata(image)
        picture = (picture[None] if picture.ndim == 2 else picture).float()
        if picture.ndim != 3 or len(picture) != 1:
            raise InputError(
                where,
                found=f"an image of the shape {tuple(image.shape)}",
                wanted="one picture (1, rows, columns)",
                remedy="read it by transmodal.transforms.RadiographLoadImaged",
            )
        rows, columns = picture.shape[1:]
        edges = _edges(image, where)
        side = max(rows * edges[0], columns * edges[1])
        if isinstance(image, MetaTensor):
            self._tell(image, side)
        height, width = (max(round(side / edge), length) for edge, length in zip(edges, (rows, columns), strict=True))
        top, left = (height - rows) // 2, (width - columns) // 2
        padding = (left, width - columns - left, top, height - rows - top)
        square = F.pad(picture, padding, value=float(picture.min()))
        resized = F.interpolate(
            square[None], size=(self.size, self.size), mode="bilinear", align_corners=False, antialias=True
        )
        fitted = MetaTensor(resized[0], meta=dict(image.meta) if isinstance(image, MetaTensor) else None)
        if isinstance(image, MetaTensor):
            fitted.affine = image.affine @ _to_padded((height / self.size, width / self.size), (top, left))
        return fitted

    def _tell(self, image: MetaTensor, side: float) -> None:
        path = str(image.meta.get("filename_or_obj", ""))
        if self.width is None or not image.meta.get("spacing_told", False) or path in self.told:
            return
        least, largest = (share * self.width for share in WIDTHS)
        if not least <= side <= largest:
            self.told.add(path)
            logger.warning(
                "%s: a picture of %.0f mm; it is taken to show %g mm in the middle of the patient, and up to %.0f mm "
                "at the detector. Crop or pad it to these if its millimetres are right",
                *(path, side, self.width, largest),
            )


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
        require_flag("RadiographScale, equalise", equalise)
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
    values = without_metadata(image)
    ordered = values.flatten().sort().values
    below, above = (torch.searchsorted(ordered, values.contiguous(), right=right) for right in (False, True))
    ranks: Tensor = (below + above) / len(ordered) - 1
    return MetaTensor(ranks, meta=image.meta) if isinstance(image, MetaTensor) else ranks


def _edges(image: Tensor, where: str) -> tuple[float, float]:
    """Height and width of a pixel in mm by the affine; 1 mm where there is none."""
    if not isinstance(image, MetaTensor):
        return 1.0, 1.0
    height, width = (float(edge) for edge in image.affine[:3, :2].norm(dim=0))
    shorter, longer = sorted((height, width))
    if not 0 < longer <= LONGEST_PIXEL * shorter:
        raise InputError(
            where,
            found=f"pixels of {height:g}×{width:g} mm",
            wanted=f"pixels that are square, or up to {LONGEST_PIXEL:g} times as long as wide",
            remedy="correct the spacing in the file",
        )
    return height, width


def _to_padded(scales: tuple[float, float], before: tuple[int, int]) -> Tensor:
    """Indices of the result to those of the picture before padding, (4, 4); a third axis stays."""
    matrix = torch.eye(4, dtype=torch.float64)
    for axis, (scale, padded) in enumerate(zip(scales, before, strict=True)):
        matrix[axis, axis], matrix[axis, 3] = scale, (scale - 1) / 2 - padded
    return matrix
