"""One resampling from any grid to any other, antialiased where the new grid is coarser."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from monai.transforms import SpatialResample
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["axis_weights", "resampled", "stretch"]

Affine = NDArray[np.float64]

_SKEW = 0.1  # voxels; grids that are less askew over their whole width count as parallel


def resampled(image: MetaTensor, affine: Affine, shape: tuple[int, int, int], fill: float) -> MetaTensor:
    """An image on another grid, interpolated linearly, once; voxels that are larger than the old are means.

    Args:
        image: (C, H, W, D), floating point.
        affine: voxel indices of the new grid to mm in RAS, (4, 4).
        shape: of the new grid.
        fill: value outside the image, whose voxels reach half an edge beyond their middles.
    Returns:
        (C, *shape), float32, with the image's metadata.
    """
    source = to_affine_nd(3, np.asarray(image.affine.cpu(), dtype=np.float64))
    onto: Affine = np.linalg.inv(source) @ affine  # indices of the new grid to those of the image
    plain = image.as_tensor().float()
    resample = _parallel if _are_parallel(onto, shape) else _askew
    values = resample(plain, onto, shape, fill)
    meta = {**image.meta, "affine": torch.from_numpy(affine.copy()), "spatial_shape": np.asarray(shape)}
    return MetaTensor(values, meta=meta, applied_operations=[])


def axis_weights(size: int, count: int, start: float, step: float, width: float = 0.0) -> Tensor:
    """What each of ``count`` new samples takes from the ``size`` samples of an axis, (count, size); rows sum to 1 or 0.

    The samples are joined by straight lines; a new one is the mean of these over so wide a stretch, which keeps what
    varies linearly as it is.

    Args:
        start, step: positions of the new samples, in samples of the axis; one outside the axis takes nothing.
        width: of the stretch; 0 for the value at the position itself.
    """
    position = start + step * torch.arange(count, dtype=torch.float64)
    distance = position[:, None] - torch.arange(size, dtype=torch.float64)
    if width > 0:
        weights = (_area(distance + width / 2) - _area(distance - width / 2)) / width
    else:
        weights = (1 - distance.abs()).clamp(min=0)
    inside = (position >= -0.5) & (position <= size - 0.5)
    weights = torch.where(inside[:, None], weights, 0.0)
    return (weights / weights.sum(1, keepdim=True).clamp(min=1e-12)).float()


def stretch(step: float) -> float:
    """How wide a stretch a new sample stands for, both in samples of the axis.

    It adds to the width of linear interpolation what is missing to that of the step, by squares, as variances add.
    """
    return math.sqrt(max(step * step - 1.0, 0.0))


def _area(distance: Tensor) -> Tensor:
    """Under a triangle of height 1 and base 2 about 0, from its left end."""
    within = distance.clamp(-1, 1)
    return 0.5 + within - within * within.abs() / 2


def _are_parallel(onto: Affine, shape: tuple[int, int, int]) -> bool:
    moves = np.abs(onto[:3, :3]) * np.asarray(shape)  # of each image axis, along the whole of each new axis
    main = moves.argmax(axis=0)
    askew = moves.copy()
    askew[main, range(3)] = 0
    return sorted(main) == [0, 1, 2] and bool(askew.max() < _SKEW)


def _parallel(image: Tensor, onto: Affine, shape: tuple[int, int, int], fill: float) -> Tensor:
    """Axis after axis, first those that shrink most."""
    main = np.abs(onto[:3, :3]).argmax(axis=0)
    values = (image - fill).permute(0, *(1 + axis for axis in main))
    for axis in np.argsort([count / size for count, size in zip(shape, values.shape[1:], strict=True)]):
        old, new = int(main[axis]), int(axis)
        start = onto[old, 3] + sum(onto[old, other] * (shape[other] - 1) / 2 for other in range(3) if other != new)
        step = float(onto[old, new])
        weights = axis_weights(values.shape[1 + new], shape[new], float(start), step, stretch(step))
        values = _along(values, weights.to(values), 1 + new)
    return values + fill


def _askew(image: Tensor, onto: Affine, shape: tuple[int, int, int], fill: float) -> Tensor:
    """Smooth along the image's own axes, then interpolate between its voxels."""
    values = image - fill
    for axis, step in enumerate(np.abs(onto[:3, :3]).max(axis=1)):
        if step > 1:
            size = values.shape[1 + axis]
            values = _along(values, axis_weights(size, size, 0.0, 1.0, stretch(step)).to(values), 1 + axis)
    onto_grid = SpatialResample(mode="bilinear", padding_mode="zeros", align_corners=False, dtype=np.float32)
    wanted: dict[str, Any] = {"dst_affine": torch.from_numpy(onto), "spatial_size": shape}
    laid = onto_grid(MetaTensor(values, affine=torch.eye(4, dtype=torch.float64)), **wanted)
    return cast(MetaTensor, laid).as_tensor() + fill


def _along(values: Tensor, weights: Tensor, axis: int) -> Tensor:
    return (values.movedim(axis, -1) @ weights.mT).movedim(-1, axis)
