"""How much neighbouring slices differ: a volume translated slice by slice may flicker where its target does not."""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["inter_slice_difference"]


def inter_slice_difference(image: Tensor, mask: Tensor, axis: int) -> float:
    """Mean absolute difference between neighbouring slices, over the voxels that lie in the body in both of them.

    With slices ``x_k`` of the image and ``m_k`` in {0, 1} of the mask along the axis, ``p`` counting the voxels of a
    slice::

        D = sum_k sum_p m_k(p) m_{k+1}(p) |x_{k+1}(p) - x_k(p)| / sum_k sum_p m_k(p) m_{k+1}(p)

    Anatomy alone makes D positive, and more so the thicker the slices, so it is read beside D of the target on the same
    grid: a larger one is flicker (or noise), a smaller one is blur. It sees neither the sign nor the place of a change.

    Args:
        image: (1, H, W, D) in physical units; a picture (1, H, W) has no neighbouring slices.
        mask: body, same shape; inside where positive.
        axis: spatial axis that numbers the slices, 0 for H, 1 for W, 2 for D.
    Returns:
        D in the units of the image, summed in float64; NaN where no two neighbours share a voxel of the body (a single
        slice, a picture, an empty mask) or a value among them is not finite.
    Raises:
        ValueError: if the shapes differ or ``axis`` is not 0, 1 or 2.
    """
    if image.shape != mask.shape or axis not in (0, 1, 2):
        raise ValueError(
            f"wanted image and mask of one shape and axis 0, 1 or 2, "
            f"got {tuple(image.shape)}, {tuple(mask.shape)} and {axis}"
        )
    if image.ndim < 4:
        return float("nan")
    slices, inside = image.as_subclass(Tensor).movedim(axis + 1, 0), mask.as_subclass(Tensor).movedim(axis + 1, 0) > 0
    both = inside[1:] & inside[:-1]
    if not both.any():
        return float("nan")
    difference = float((slices[1:][both].double() - slices[:-1][both].double()).abs().mean())
    return difference if math.isfinite(difference) else float("nan")
