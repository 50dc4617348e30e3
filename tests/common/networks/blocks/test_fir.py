"""Resampling by two: against the published operator written as loops, on constants, shapes, and out of the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.networks.blocks import FIRDownsample, FIRUpsample, PyramidDownsample

KERNEL = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def filtered(image: np.ndarray, before: int, after: int, gain: float = 1.0) -> np.ndarray:
    """Correlate one channel with the filter after padding zeros, pixel by pixel."""
    padded = np.pad(image, (before, after))
    rows, columns = padded.shape[0] - 3, padded.shape[1] - 3
    sums = [[(padded[i : i + 4, j : j + 4] * KERNEL).sum() for j in range(columns)] for i in range(rows)]
    return gain * np.array(sums)


def zeros_inserted(image: np.ndarray) -> np.ndarray:
    spread = np.zeros((2 * image.shape[0], 2 * image.shape[1]))
    spread[::2, ::2] = image
    return spread


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def test_halving_pads_one_zero_filters_and_keeps_every_second_pixel() -> None:
    image = noise(1, 2, 6, 9)
    expected = np.stack([filtered(channel, 1, 1)[::2, ::2] for channel in image[0].double().numpy()])
    assert_close(FIRDownsample()(image)[0].double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_doubling_inserts_zeros_pads_two_and_one_and_filters_fourfold() -> None:
    image = noise(1, 2, 5, 4)
    expected = np.stack([filtered(zeros_inserted(channel), 2, 1, gain=4) for channel in image[0].double().numpy()])
    assert_close(FIRUpsample()(image)[0].double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_a_pyramid_step_filters_at_full_size_before_its_strided_convolution() -> None:
    step, image = PyramidDownsample(1, 1), noise(1, 1, 8, 6)
    with torch.no_grad():
        step.conv.weight.zero_()[0, 0, 1, 2] = 1.0  # picks one filtered pixel per result
        step.conv.bias.fill_(0.5)
    expected = filtered(image[0, 0].double().numpy(), 2, 2)[1::2, 2::2][:4, :3] + 0.5
    assert_close(step(image)[0, 0].double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("resample", [FIRDownsample(), FIRUpsample()])
def test_a_constant_stays_constant_away_from_the_border(resample: nn.Module) -> None:
    assert_close(resample(torch.full((1, 3, 12, 12), 0.7))[:, :, 2:-2, 2:-2].unique(), torch.tensor([0.7]))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_of_the_memory_is_kept(layout: torch.memory_format) -> None:
    image = noise(2, 4, 8, 8).contiguous(memory_format=layout)
    for resample in (FIRDownsample(), FIRUpsample()):
        assert resample(image).is_contiguous(memory_format=layout)


@pytest.mark.parametrize("resample", [FIRDownsample(), FIRUpsample()])
def test_resampling_has_nothing_to_learn_or_to_save(resample: nn.Module) -> None:
    assert not list(resample.parameters())
    assert not resample.state_dict()


def test_a_pyramid_step_saves_its_convolution_alone() -> None:
    assert set(PyramidDownsample(2, 4).state_dict()) == {"conv.weight", "conv.bias"}


@pytest.mark.parametrize("resample", [FIRDownsample(), FIRUpsample()])
def test_second_derivatives_are_exact_as_a_gradient_penalty_needs_them(resample: nn.Module) -> None:
    image = noise(1, 2, 4, 6).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda pixels: resample(pixels).square(), image)
