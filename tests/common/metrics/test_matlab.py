"""What MATLAB's measures do to values, shapes and memory; their numbers are compared in tests/parity."""

from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor
from scipy.ndimage import gaussian_filter
from torch import Tensor

from transmodal.metrics import matlab, matlab_immse, matlab_psnr, matlab_ssim


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    """Target in [-1, 1], and the same with noise."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(shape, generator=generator) * 2 - 1
    return target + 0.2 * torch.randn(shape, generator=generator), target


def by_scipy(pred: Tensor, target: Tensor, width: float = 1.0) -> float:
    def mean(image: Tensor) -> Tensor:
        return torch.from_numpy(gaussian_filter(image.numpy(), 1.5, mode="nearest", radius=5))

    x, y = pred.double(), target.double()
    mx, my, c1, c2 = mean(x), mean(y), (0.01 * width) ** 2, (0.03 * width) ** 2
    covariance, variances = mean(x * y) - mx * my, mean(x * x) - mx * mx + mean(y * y) - my * my
    ratio = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx * mx + my * my + c1) * (variances + c2))
    return float(ratio.mean())


def test_doubling_the_peak_adds_six_decibels() -> None:
    assert matlab_psnr(*pair(9, 8, 7), peak=2) - matlab_psnr(*pair(9, 8, 7)) == pytest.approx(20 * math.log10(2))


def test_the_error_is_that_of_all_voxels() -> None:
    target = torch.zeros(4, 5)
    pred = target.clone()
    pred[0, 0] = 2
    assert matlab_immse(pred, target) == pytest.approx(4 / 20)
    assert matlab_psnr(pred, target) == pytest.approx(10 * math.log10(5))


def test_equal_images_are_perfect() -> None:
    _, image = pair(9, 8, 7)
    assert (matlab_immse(image, image), matlab_psnr(image, image)) == (0, math.inf)
    assert matlab_ssim(image, image) == pytest.approx(1)


@pytest.mark.parametrize("shape", [(30, 20), (13, 12, 14), (3, 12, 4), (2, 2)])
def test_ssim_is_that_of_a_gaussian_window_also_in_images_smaller_than_it(shape: tuple[int, ...]) -> None:
    assert matlab_ssim(*pair(*shape)) == pytest.approx(by_scipy(*pair(*shape)), abs=1e-12)


@pytest.mark.parametrize("voxels", [1, 400, 1500])
def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch, voxels: int) -> None:
    whole = [matlab_ssim(*pair(17, 12, 14)), matlab_immse(*pair(17, 12, 14))]
    monkeypatch.setattr(matlab, "VOXELS", voxels)
    assert [matlab_ssim(*pair(17, 12, 14)), matlab_immse(*pair(17, 12, 14))] == pytest.approx(whole, abs=1e-13)


@pytest.mark.parametrize("shape", [(1, 12, 13), (12, 13, 1), (1, 12, 13, 1)])
def test_axes_of_one_change_nothing(shape: tuple[int, ...]) -> None:
    pred, target = pair(12, 13)
    assert matlab_ssim(pred.reshape(shape), target.reshape(shape)) == matlab_ssim(pred, target)


def test_images_of_half_precision_and_with_metadata_are_computed_in_double() -> None:
    pred, target = (image.half() for image in pair(9, 8, 7))
    found = matlab_ssim(MetaTensor(pred), MetaTensor(target))
    assert found == matlab_ssim(pred.double(), target.double())


def test_a_value_that_is_not_finite_makes_all_undefined() -> None:
    pred, target = pair(9, 8, 7)
    pred[0, 0, 0] = math.nan
    assert all(map(math.isnan, (matlab_immse(pred, target), matlab_psnr(pred, target), matlab_ssim(pred, target))))


@pytest.mark.parametrize("measure", [matlab_immse, matlab_psnr, matlab_ssim])
def test_other_shapes_are_refused(measure: object) -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(3, 4\) and \(4, 3\)"):
        measure(torch.zeros(3, 4), torch.zeros(4, 3))  # type: ignore[operator]
    with pytest.raises(ValueError, match="one shape"):
        measure(torch.zeros(0, 4), torch.zeros(0, 4))  # type: ignore[operator]


def test_a_range_without_width_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0, got 0"):
        matlab_psnr(*pair(3, 3), peak=0)
    with pytest.raises(ValueError, match="above 0, got -1"):
        matlab_ssim(*pair(3, 3), dynamic_range=-1)
