"""Dynamic thresholding: clean estimates beyond their bounds are shrunk to fit instead of cut off.

Source: C. Saharia et al., Photorealistic text-to-image diffusion models with deep language understanding, NeurIPS 2022,
arXiv:2205.11487, section 2.3. It counters the saturation that strong guidance causes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.schedulers.sampler import Bounds

__all__ = ["DynamicThreshold"]


class DynamicThreshold:
    """Cut each sample at a quantile of its own and scale it back into the bounds, if the quantile lies beyond them.

    Distances are from the middle of the bounds, in halves of their width; the bounds lie at 1.

    Args:
        quantile: of a sample's absolute values, above 0 and at most 1; X-ray2CTPA has 0.9.
    Raises:
        InputError: if ``quantile`` is no such number.
    """

    def __init__(self, quantile: float = 0.9) -> None:
        self.quantile = quantile
        if isinstance(quantile, bool) or not isinstance(quantile, int | float) or not 0 < quantile <= 1:
            raise InputError(
                "DynamicThreshold, quantile",
                found=repr(quantile),
                wanted="a number above 0, at most 1",
                remedy="give the share of values that are not cut, 0.9 as published",
            )

    def __call__(self, x_0: Tensor, bounds: Bounds) -> Tensor:
        """``x_0`` (N, ...) within ``bounds``, as :func:`~transmodal.schedulers.sampler.clipped` takes them."""
        low, high = (torch.as_tensor(bound, dtype=x_0.dtype, device=x_0.device) for bound in bounds)
        middle, half = (low + high) / 2, (high - low) / 2
        distance = (x_0 - middle) / half
        limit = torch.quantile(distance.flatten(1).abs(), self.quantile, dim=1).clamp(min=1)
        limit = limit.reshape(-1, *[1] * (x_0.ndim - 1))
        return middle + half * (torch.clamp(distance, -limit, limit) / limit)
