"""MATLAB's immse, psnr and ssim against an independent emulation of their defaults in numpy and scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from transmodal.metrics import matlab_immse, matlab_psnr, matlab_ssim


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "goldens/mddga/metrics_golden.npz") as stored:
        return dict(stored)


def images(golden: dict[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    """Prediction and target in [-1, 1], (24, 28, 20)."""
    return torch.from_numpy(golden["pred"]), torch.from_numpy(golden["gt"])


def in_unit_range(golden: dict[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    pred, target = images(golden)
    return (pred + 1) / 2, (target + 1) / 2


def test_mean_squared_error(golden: dict[str, np.ndarray]) -> None:
    assert matlab_immse(*images(golden)) == pytest.approx(float(golden["mse"]), abs=1e-12)


@pytest.mark.parametrize("peak", [1, 2])
def test_psnr_of_either_peak(golden: dict[str, np.ndarray], peak: int) -> None:
    assert matlab_psnr(*images(golden), peak) == pytest.approx(float(golden[f"psnr_peak{peak}"]), abs=1e-9)


def test_psnr_in_the_unit_range_is_that_of_peak_two(golden: dict[str, np.ndarray]) -> None:
    found = matlab_psnr(*in_unit_range(golden))
    assert found == pytest.approx(float(golden["psnr_01_peak1"]), abs=1e-6)
    assert found == pytest.approx(float(golden["psnr_peak2"]), abs=1e-6)


@pytest.mark.parametrize("width", [1, 2])
def test_ssim_of_either_range(golden: dict[str, np.ndarray], width: int) -> None:
    assert matlab_ssim(*images(golden), width) == pytest.approx(float(golden[f"ssim_matlab_L{width}"]), abs=1e-10)


def test_ssim_in_the_unit_range(golden: dict[str, np.ndarray]) -> None:
    found = matlab_ssim(*in_unit_range(golden))
    assert found == pytest.approx(float(golden["ssim_matlab_01_L1"]), abs=1e-8)


def test_ssim_of_slices(golden: dict[str, np.ndarray]) -> None:
    slices = [matlab_ssim(pred, target) for pred, target in zip(*in_unit_range(golden), strict=True)]
    assert np.mean(slices) == pytest.approx(float(golden["ssim2d_slicewise_matlab_L1_01"]), abs=1e-8)


def test_other_conventions_give_other_numbers(golden: dict[str, np.ndarray]) -> None:
    """MONAI and scikit-image leave out what is near the border."""
    found = matlab_ssim(*images(golden), 2)
    assert abs(found - float(golden["monai_ssim3d_dr2"])) > 1e-3
    assert abs(found - float(golden["ski_ssim_gauss_dr2"])) > 1e-3
