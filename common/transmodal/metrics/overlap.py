"""How well a mask covers a reference: Dice, intersection over union, and how far their outlines lie apart.

Sources: L. R. Dice, Measures of the amount of ecologic association between species, Ecology 26 (1945); D. P.
Huttenlocher et al., Comparing images using the Hausdorff distance, IEEE TPAMI 15 (1993).

Masks are (1, H, W[, D]) or (H, W[, D]), and whatever is not zero belongs to them. Every case has a number, so that no
mean is better for a case that is left out of it:

- Both masks empty is agreement: Dice and IoU 1, distance 0.
- One of them empty is the worst there is: Dice and IoU 0, and as distance the diagonal of the image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from torch import Tensor

from transmodal.errors import InputError
from transmodal.metrics.synthrad import Measure

__all__ = ["Overlap", "dice", "intersection_over_union", "outline_distance"]


class Overlap:
    """Dice, IoU and 95th percentile of the distance between outlines, of a mask against a reference.

    Args:
        percentile: of the distances; 95 is the usual one, less exposed to single voxels than the maximum.
    Raises:
        ValueError: if the percentile is not above 0 and at most 100.
    """

    def __init__(self, percentile: float = 95.0) -> None:
        if not 0 < percentile <= 100:
            raise ValueError(f"wanted a percentile above 0 and at most 100, got {percentile}")
        self.percentile = float(percentile)

    @property
    def distance(self) -> str:
        """Name of the distance among the measures."""
        return f"hd{self.percentile:g}"

    @property
    def name(self) -> str:
        """The protocol, as tables and summaries name it."""
        return f"Dice, IoU and {self.distance.upper()}; two empty masks agree, one empty mask is the worst"

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Unit and direction of each number, in the order of a table; the first one is the key measure."""
        return {
            "dice": Measure("", higher_is_better=True),
            "iou": Measure("", higher_is_better=True),
            self.distance: Measure("mm", higher_is_better=False),
        }

    def __call__(self, pred: Tensor, target: Tensor, spacing: Sequence[float]) -> dict[str, float]:
        """Score a mask against the reference.

        Args:
            pred, target: on one grid.
            spacing: size of a voxel along each spatial axis, in mm.
        Returns:
            Measures by name, always finite.
        Raises:
            InputError: if the grids differ or a mask holds a value that is not finite.
        """
        distance = outline_distance(pred, target, spacing, self.percentile)
        return {
            "dice": dice(pred, target),
            "iou": intersection_over_union(pred, target),
            self.distance: distance,
        }


def dice(pred: Tensor, target: Tensor) -> float:
    """Twice the common voxels by the sum of both masks, in [0, 1]; 1 where both are empty, 0 where one is.

    Raises:
        InputError: if the grids differ or a mask holds a value that is not finite.
    """
    a, b = _masks(pred, target)
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def intersection_over_union(pred: Tensor, target: Tensor) -> float:
    """Common voxels by those of either mask, in [0, 1]; 1 where both are empty, 0 where one is.

    Raises:
        InputError: as for :func:`dice`.
    """
    a, b = _masks(pred, target)
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def outline_distance(pred: Tensor, target: Tensor, spacing: Sequence[float], percentile: float = 95.0) -> float:
    """Distance between the outlines, the larger one of both directions (Hausdorff distance at a percentile).

    Args:
        pred, target: masks on one grid.
        spacing: size of a voxel along each spatial axis, in mm.
        percentile: of the distances of one outline's voxels to the other outline; 100 gives the maximum.
    Returns:
        In mm; 0 where both masks are empty, the diagonal of the image where one is.
    Raises:
        InputError: as for :func:`dice`.
    """
    a, b = _masks(pred, target)
    sizes = [float(size) for size, voxels in zip(spacing, a.shape, strict=True) if voxels > 1]
    a, b = a.squeeze(), b.squeeze()  # along an axis of one voxel everything would be outline
    if bool(a.any()) != bool(b.any()):
        return math.hypot(*(size * voxels for size, voxels in zip(sizes, a.shape, strict=True)))
    if not bool(a.any()) or torch.equal(a, b):
        return 0.0
    distance = compute_hausdorff_distance(
        a[None, None].float(), b[None, None].float(), include_background=True, percentile=percentile, spacing=sizes
    )
    return float(distance)


def _masks(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both masks as booleans without a channel, (H, W[, D]), on the CPU."""
    images = [image.as_subclass(Tensor).detach().cpu() for image in (pred, target)]
    shapes = [tuple(image.shape) for image in images]
    finite = all(bool(torch.isfinite(image).all()) for image in images)
    if shapes[0] != shapes[1] or not finite:
        raise InputError(
            "the masks that are compared",
            found=f"shapes {shapes[0]} and {shapes[1]}" if finite else "a value that is NaN or infinite",
            wanted="two finite masks on one grid",
            remedy="bring the prediction back to the native grid, and look at the reference",
        )
    flat = [image[0] if image.ndim == 4 or (image.ndim == 3 and image.shape[0] == 1) else image for image in images]
    return flat[0] != 0, flat[1] != 0
