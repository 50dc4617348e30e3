"""Exact sums over voxels."""

from __future__ import annotations

import pytest
import torch

from transmodal.projection import ConeBeam, SiddonProjector


def test_the_central_ray_sums_density_times_edge() -> None:
    volume = torch.tensor([1.0, 3.0, 0.5])[None, None, None, :, None]
    affine = torch.tensor([[4.0, 0, 0, 0], [0, 10, 0, -10], [0, 0, 4, 0], [0, 0, 0, 1]])
    picture = SiddonProjector(ConeBeam(pixels=1))(volume, affine)
    assert float(picture) == pytest.approx(45)


def test_an_oblique_ray_has_the_length_in_each_voxel_that_geometry_gives() -> None:
    """Turned by 45° in the plane of two voxels of 10 mm, it crosses the corner they share from one to the other.

    The voxels have their common face at x = 0; the ray y = -x through the isocentre runs 5√2 mm in each.
    """
    volume = torch.tensor([2.0, 7.0])[None, None, :, None, None]
    affine = torch.tensor([[10.0, 0, 0, -5], [0, 10, 0, 0], [0, 0, 10, 0], [0, 0, 0, 1]])
    picture = SiddonProjector(ConeBeam(pixels=1, rotation=(45, 0, 0)))(volume, affine)
    assert float(picture) == pytest.approx(9 * 50**0.5, rel=1e-5)
