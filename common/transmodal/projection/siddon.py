"""Exact line integrals through voxels of constant density.

Source: R. L. Siddon, Fast calculation of the exact radiological path for a three-dimensional CT array, Med. Phys. 12
(1985).
"""

from __future__ import annotations

import torch
from torch import Tensor

from transmodal.projection.projector import Projector, Rays

__all__ = ["SiddonProjector"]


class SiddonProjector(Projector):
    """Sums, over the voxels that a ray crosses, density times the length of the ray in the voxel.

    Exact, hence the reference; :class:`~transmodal.projection.TrilinearProjector` is smoother and several times faster.

    Args:
        geometry, samples_at_once: see :class:`~transmodal.projection.Projector`.
    """

    def _samples(self, density: Tensor, rays: Rays) -> int:
        return sum(density.shape[2:]) + 3

    def _integrals(self, density: Tensor, rays: Rays) -> Tensor:
        source, direction, near, far, _ = rays
        # 1. Where each ray crosses the planes between voxels, in order; what lies outside the volume has length 0.
        shape = density.shape[2:]
        planes = [torch.arange(count + 1, device=density.device) - 0.5 for count in shape]
        crossed = [(planes[axis] - source[axis]) / direction[:, axis, None] for axis in range(3)]
        crossings = torch.cat(crossed, dim=1).clamp(near[:, None], far[:, None]).sort(dim=1).values
        # 2. Between two crossings a ray is in one voxel: the one that holds the middle.
        middles = (crossings[:, 1:] + crossings[:, :-1]) / 2
        index = torch.zeros_like(middles, dtype=torch.long)
        for axis, count in enumerate(shape):
            position = (source[axis] + middles * direction[:, axis, None]).round().long()
            index = index * count + position.clamp(0, count - 1)
        return (density.flatten(1)[:, index] * crossings.diff(dim=1)).sum(dim=2)
