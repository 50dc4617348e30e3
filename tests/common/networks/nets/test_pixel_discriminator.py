"""The pixel critic: one judgement per pixel, in any dimension, of that pixel's intensities."""

from __future__ import annotations

import pytest
import torch

from transmodal.networks.nets import PixelDiscriminator


@pytest.mark.parametrize("size", [(5, 7), (5, 6, 7)])
def test_one_logit_per_pixel_comes_last(size: tuple[int, ...]) -> None:
    critic = PixelDiscriminator(spatial_dims=len(size), channels=4)
    assert [tuple(output.shape) for output in critic(torch.rand(2, 1, *size))] == [(2, n, *size) for n in (4, 8, 1)]


def test_structure_is_not_seen() -> None:
    critic, image = PixelDiscriminator(channels=4), torch.rand(1, 1, 6, 6)
    shuffled = image.flatten(2)[:, :, torch.randperm(36)].reshape(image.shape)
    torch.testing.assert_close(critic(image)[-1].flatten().sort()[0], critic(shuffled)[-1].flatten().sort()[0])
