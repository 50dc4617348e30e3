"""From Hounsfield units to what attenuates the rays of a radiograph."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["attenuation", "published_density"]

_SOFT = -800.0  # HU; what lies above is tissue in the published rule


def attenuation(hu: Tensor) -> Tensor:
    """Linear attenuation relative to that of water, by the definition of the Hounsfield unit; never below 0.

    Its line integrals in mm are millimetres of water.

    Args:
        hu: CT in HU, any shape, floating point.
    """
    return (1 + hu / 1000).clamp(min=0)


def published_density(hu: Tensor) -> Tensor:
    """Density as the published radiographs of CTs have it: lungs and air become nothing, the densest voxel 1.

    Up to -800 HU is set to the lowest value above; each volume is then scaled to [0, 1] by its own extremes.

    Args:
        hu: CTs in HU, (B, 1, X, Y, Z), floating point.
    Returns:
        Same shape. A volume without contrast, or without anything above -800 HU, has no density.
    """
    tissue = hu > _SOFT
    dims = tuple(range(1, hu.ndim))
    low = torch.where(tissue, hu, torch.inf).amin(dims, keepdim=True)
    raised = torch.where(tissue, hu - low, 0.0)
    return raised / raised.amax(dims, keepdim=True).clamp(min=torch.finfo(hu.dtype).tiny)
