"""Line integrals through a density that is interpolated linearly between the middles of voxels."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from transmodal.errors import InputError
from transmodal.projection.geometry import ConeBeam
from transmodal.projection.projector import Projector, Rays

__all__ = ["TrilinearProjector"]


class TrilinearProjector(Projector):
    """Samples each ray's way through the volume at equal steps, in their middles (midpoint rule).

    The outermost half of the border voxels has their own value, so a uniform volume is integrated exactly.

    Args:
        geometry, samples_at_once: see :class:`~transmodal.projection.Projector`.
        step: longest distance between samples in mm; half the voxel's edge loses nothing visible.
    Raises:
        InputError: if the step is not a positive number.
    """

    def __init__(self, geometry: ConeBeam, step: float = 1.0, samples_at_once: int = 1_000_000) -> None:
        super().__init__(geometry, samples_at_once)
        if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step < math.inf:
            raise InputError(
                "TrilinearProjector, step",
                found=repr(step),
                wanted="a positive number of mm",
                remedy="take 1, or half the spacing of the CT",
            )
        self.step = float(step)

    def _samples(self, density: Tensor, rays: Rays) -> int:
        return math.ceil(float(((rays.far - rays.near) * rays.length).max()) / self.step)

    def _integrals(self, density: Tensor, rays: Rays) -> Tensor:
        source, direction, near, far, _ = rays
        count = self._samples(density, rays)
        step = (far - near) / count
        t = near[:, None] + step[:, None] * (torch.arange(count, device=density.device) + 0.5)
        shape = torch.tensor(density.shape[2:]).to(source)
        origin, slope = ((source + 0.5) / shape * 2 - 1).flip(0), (direction / shape * 2).flip(1)  # [-1, 1], z first
        grid = origin + t[..., None] * slope[:, None]
        volumes = density[:, 0][None]  # the batch as channels: one grid serves all
        sampled = F.grid_sample(volumes, grid[None, None], padding_mode="border", align_corners=False)
        return sampled[0, :, 0].sum(dim=2) * step
