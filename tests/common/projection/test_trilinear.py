"""Integrals of interpolated density."""

from __future__ import annotations

import math

import pytest
import torch

from transmodal.errors import InputError
from transmodal.projection import ConeBeam, TrilinearProjector

CENTRAL = ConeBeam(pixels=1)


def line(values: list[float], edge: float = 10.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A row of voxels along y about the isocentre, with its affine."""
    affine = torch.diag(torch.tensor([4.0, edge, 4.0, 1.0]))
    affine[1, 3] = -edge * (len(values) - 1) / 2
    return torch.tensor(values, dtype=torch.float32)[None, None, None, :, None], affine


def test_between_voxels_density_is_interpolated() -> None:
    """0, 1, 0 is a triangle of 20 mm base; the ray meets it along its middle."""
    assert float(TrilinearProjector(CENTRAL, step=0.1)(*line([0, 1, 0]))) == pytest.approx(10, rel=1e-4)


def test_half_of_the_outermost_voxel_keeps_its_value() -> None:
    """1, 0: 5 mm of 1, then a ramp of 10 mm down to 0."""
    assert float(TrilinearProjector(CENTRAL, step=0.1)(*line([1, 0]))) == pytest.approx(10, rel=1e-4)


def test_of_a_smooth_body_it_comes_near_the_true_integral() -> None:
    """exp(-y² / 2σ²) with σ = 12 mm has the integral σ √(2π)."""
    y = 4.0 * torch.arange(-15, 16)
    projected = TrilinearProjector(CENTRAL)(*line(torch.exp(-y.square() / 288).tolist(), edge=4.0))
    assert float(projected) == pytest.approx(12 * (2 * math.pi) ** 0.5, rel=1e-3)


def test_no_step_is_longer_than_asked_for() -> None:
    """One sample of 0, 1, 0 sees only the middle, whose density it takes for the whole way; steps of 10 mm do not."""
    projected = [float(TrilinearProjector(CENTRAL, step=step)(*line([0, 1, 0]))) for step in (30.1, 10.1)]
    assert projected == [pytest.approx(30, rel=1e-4), pytest.approx(10, rel=1e-4)]


@pytest.mark.parametrize("step", [0, -1.0, True, "1"])
def test_a_step_that_cannot_be_meant_is_refused(step: object) -> None:
    with pytest.raises(InputError, match=f"TrilinearProjector, step: found {step!r}; wanted a positive number of mm"):
        TrilinearProjector(CENTRAL, step=step)  # type: ignore[arg-type]
