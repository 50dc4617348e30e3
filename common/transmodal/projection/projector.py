"""What all projectors share: rays in voxel coordinates, cut to the volume, a bounded number at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from transmodal.errors import InputError
from transmodal.projection.geometry import ConeBeam

__all__ = ["Projector", "Rays"]


class Rays(NamedTuple):
    """Rays of one source that meet a volume, in voxel coordinates: whole numbers are the middles of voxels.

    A point of a ray is ``source + t * direction``; it is inside the volume for t from ``near`` to ``far``, and in the
    pixel at t = 1. ``length`` is that of the whole ray in mm.
    """

    source: Tensor  # (3,)
    direction: Tensor  # (R, 3)
    near: Tensor  # (R,)
    far: Tensor  # (R,)
    length: Tensor  # (R,)

    def some(self, chosen: slice | Tensor) -> Rays:
        """A part of the rays."""
        return Rays(self.source, *(values[chosen] for values in self[1:]))


class Projector(ABC):
    """Line integrals of a density along the rays of a geometry.

    Linear in the density and differentiable in it. Memory is bounded whatever the sizes: rays are followed some at a
    time, and the backward pass follows them again instead of keeping what the forward pass saw.

    Args:
        geometry: source and detector.
        samples_at_once: points on rays that are held in memory together.
    """

    def __init__(self, geometry: ConeBeam, samples_at_once: int = 1_000_000) -> None:
        if isinstance(samples_at_once, bool) or not isinstance(samples_at_once, int) or samples_at_once < 1:
            raise InputError(
                f"{type(self).__name__}, samples_at_once",
                found=repr(samples_at_once),
                wanted="a positive whole number",
                remedy="leave it at its default",
            )
        self.geometry, self.samples_at_once = geometry, samples_at_once

    def __call__(self, density: Tensor, affine: Tensor) -> Tensor:
        """Project volumes that lie on one grid.

        Args:
            density: per mm, (B, 1, X, Y, Z), floating point, in any orientation; 0 outside the grid.
            affine: voxel indices to mm in RAS from the isocentre, (4, 4).
        Returns:
            Line integrals (B, 1, rows, columns); of a density without unit, mm.
        Raises:
            InputError: if shapes are other, or the affine cannot be inverted.
        """
        _check_density(density)
        density = density.to(torch.promote_types(density.dtype, torch.float32))
        rays, met = self._rays(density.shape[2:], affine)
        met, rays = met.to(density.device), Rays(*(values.to(density) for values in rays))
        count = max(1, self.samples_at_once // self._samples(density, rays)) if len(rays.length) else 1
        parts = [self._followed(density, rays.some(slice(i, i + count))) for i in range(0, len(rays.length), count)]
        picture = density.new_zeros(len(density), len(met))
        if parts:
            picture = picture.index_copy(1, met.nonzero()[:, 0], torch.cat(parts, dim=1))
        return picture.reshape(-1, 1, self.geometry.rows, self.geometry.columns)

    def path_lengths(self, shape: Sequence[int], affine: Tensor) -> Tensor:
        """How long each ray is inside a volume in mm, 0 where it misses it: (rows, columns), float64.

        Args:
            shape: voxels of the volume, (X, Y, Z).
            affine: voxel indices to mm in RAS from the isocentre, (4, 4).
        Raises:
            InputError: if the affine cannot be inverted.
        """
        rays, met = self._rays(shape, affine)
        lengths = torch.zeros(len(met), dtype=torch.float64)
        lengths[met] = (rays.far - rays.near) * rays.length
        return lengths.reshape(self.geometry.rows, self.geometry.columns)

    @abstractmethod
    def _samples(self, density: Tensor, rays: Rays) -> int:
        """How many points on each ray are held in memory."""

    @abstractmethod
    def _integrals(self, density: Tensor, rays: Rays) -> Tensor:
        """Integrals over t from ``near`` to ``far``, (B, R)."""

    def _followed(self, density: Tensor, rays: Rays) -> Tensor:
        """Line integrals (B, R) in mm."""
        if torch.is_grad_enabled() and density.requires_grad:
            integrals: Tensor = checkpoint(self._integrals, density, rays, use_reentrant=False)
        else:
            integrals = self._integrals(density, rays)
        return integrals * rays.length

    def _rays(self, shape: Sequence[int], affine: Tensor) -> tuple[Rays, Tensor]:
        """The rays that meet a volume, float64, and which these are among all, (rows * columns,) booleans."""
        _check_affine(affine)
        source, pixels = self.geometry.source, self.geometry.detector.reshape(-1, 3)
        length = (pixels - source).norm(dim=1)
        into = torch.linalg.inv(affine.detach().cpu().double())
        source, pixels = (points @ into[:3, :3].mT + into[:3, 3] for points in (source, pixels))
        direction = pixels - source
        direction = torch.where(direction.abs() < 1e-9, 1e-9, direction)  # along a plane of voxels, none is crossed
        first, last = torch.full((3,), -0.5), torch.tensor(tuple(shape)) - 0.5
        sides = torch.stack([first - source, last - source])[:, None] / direction
        near, far = sides.amin(0).amax(1).clamp(min=0), sides.amax(0).amin(1).clamp(max=1)
        met = far > near
        return Rays(source, direction, near, far, length).some(met), met


def _check_density(density: Tensor) -> None:
    if density.ndim != 5 or density.shape[1] != 1 or not density.is_floating_point() or not density.numel():
        raise InputError(
            "projection, density",
            found=f"{density.dtype} of shape {tuple(density.shape)}",
            wanted="floating point (B, 1, X, Y, Z)",
            remedy="add the axes of batch and channel, and convert HU by transmodal.projection.attenuation",
        )


def _check_affine(affine: Tensor) -> None:
    square = tuple(affine.shape) == (4, 4)
    if not square or not torch.linalg.det(affine.detach().cpu().double()).abs() > 0:
        raise InputError(
            "projection, affine",
            found="a matrix without inverse" if square else f"shape {tuple(affine.shape)}",
            wanted="voxel indices to mm, (4, 4), one for all volumes of a batch",
            remedy="pass the affine of the CT",
        )
