"""The residual block: its equation, what resamples it, when its shortcut is a convolution, how it starts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from transmodal.networks.blocks import FIRDownsample, FIRUpsample, ResidualBlock


def loud(block: ResidualBlock) -> ResidualBlock:
    """A block whose every weight matters."""
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block


@pytest.mark.parametrize(("resample", "size"), [(None, 8), (FIRDownsample(), 4), (FIRUpsample(), 16)])
def test_the_block_adds_its_two_branches_at_the_new_size(resample: nn.Module | None, size: int) -> None:
    block = loud(ResidualBlock(8, 12, time_dim=5, style_dim=3, resample=resample))
    features, time, style = torch.randn(2, 8, 8, 8), torch.randn(2, 5), torch.randn(2, 3)
    change = resample or nn.Identity()
    hidden = block.conv1(change(F.silu(block.norm1(features, style))))
    hidden = hidden + block.time_projection(time)[:, :, None, None]
    hidden = block.conv2(F.silu(block.norm2(hidden, style)))
    expected = (block.shortcut(change(features)) + hidden) / math.sqrt(2)
    assert expected.shape == (2, 12, size, size)
    assert_close(block(features, time, style), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("out_channels", "resample", "convolves"),
    [(8, None, False), (12, None, True), (8, FIRDownsample(), True), (8, FIRUpsample(), True)],
)
def test_the_shortcut_is_a_convolution_where_channels_or_size_change(
    out_channels: int, resample: nn.Module | None, convolves: bool
) -> None:
    block = ResidualBlock(8, out_channels, time_dim=5, style_dim=3, resample=resample)
    assert ("shortcut.weight" in block.state_dict()) is convolves


@pytest.mark.parametrize("steering", ["time", "style"])
def test_time_and_style_of_each_sample_steer_that_sample_alone(steering: str) -> None:
    block, features = loud(ResidualBlock(8, 8, time_dim=5, style_dim=3)), torch.randn(2, 8, 4, 4)
    inputs = {"time": torch.zeros(2, 5), "style": torch.zeros(2, 3)}
    before = block(features, **inputs)
    inputs[steering][1] = 1.0
    after = block(features, **inputs)
    assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 0.01


def test_a_new_block_passes_its_features_on() -> None:
    features = torch.randn(1, 8, 4, 4)
    passed = ResidualBlock(8, 8, time_dim=5, style_dim=3)(features, torch.randn(1, 5), torch.randn(1, 3))
    assert_close(passed, features / math.sqrt(2), rtol=0, atol=1e-3)


def test_convolutions_are_drawn_by_the_mean_of_their_fans_and_the_last_is_silent() -> None:
    block = ResidualBlock(16, 48, time_dim=20, style_dim=3)
    bounds = {
        block.conv1: math.sqrt(3 / (9 * 32)),
        block.shortcut: math.sqrt(3 / 32),
        block.time_projection: math.sqrt(3 / 34),
        block.conv2: math.sqrt(3e-10 / (9 * 48)),
    }
    for layer, bound in bounds.items():
        assert 0.95 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


def test_dropout_acts_in_training_alone() -> None:
    block = loud(ResidualBlock(8, 8, time_dim=5, style_dim=3, dropout=0.5))
    inputs = torch.randn(1, 8, 4, 4), torch.randn(1, 5), torch.randn(1, 3)
    assert not torch.equal(block(*inputs), block(*inputs))
    assert_close(block.eval()(*inputs), block(*inputs))
