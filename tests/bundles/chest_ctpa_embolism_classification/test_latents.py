"""Latents as images: channels and range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from embolism_bundle.latents import LatentLoadImaged, smallest_image

from transmodal.errors import InputError
from transmodal.networks.nets import VolumeDenseNet121


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    path = tmp_path / "latent.npy"
    np.save(path, np.linspace(-4, 12, 4 * 2 * 3 * 3, dtype=np.float32).reshape(4, 2, 3, 3))
    return path


def test_latents_are_read_as_they_are(latents: Path) -> None:
    image = LatentLoadImaged("image")({"image": str(latents)})["image"]
    torch.testing.assert_close(image, torch.from_numpy(np.load(latents)))


def test_the_bounds_become_minus_one_and_one_and_cut(latents: Path) -> None:
    image = LatentLoadImaged("image", bounds=[-4, 4])({"image": str(latents)})["image"]
    given = torch.from_numpy(np.load(latents))
    torch.testing.assert_close(image, (given / 4).clamp(-1, 1))


def test_other_channels_are_refused(latents: Path) -> None:
    with pytest.raises(InputError, match="found latents of 4 channels; wanted 8 channels"):
        LatentLoadImaged("image", channels=8)({"image": str(latents)})


@pytest.mark.parametrize("bounds", [[1], [2, 1], [0, 0]])
def test_bounds_that_are_none_are_refused(bounds: list[float]) -> None:
    with pytest.raises(InputError, match="'latent_range'"):
        LatentLoadImaged("image", bounds=bounds)


def test_latents_too_small_for_the_network_are_refused(latents: Path) -> None:
    with pytest.raises(InputError, match="found latents of 2×3×3; wanted 2×4×3 "):
        LatentLoadImaged("image", smallest=[2, 4, 3])({"image": str(latents)})


@pytest.mark.parametrize(("stride", "blocks"), [(2, [1, 1]), ([1, 2, 2], [1, 1, 1]), ([1, 2, 3], [1])])
def test_the_smallest_image_passes_the_network_and_no_smaller_one(stride: Any, blocks: list[int]) -> None:
    network = VolumeDenseNet121(first_stride=stride, init_features=4, growth_rate=2, block_config=blocks).eval()
    smallest = smallest_image(stride, blocks)
    assert network(torch.zeros(1, 1, *smallest)).shape == (1, 1)
    for axis, least in enumerate(smallest):
        if least > 1:
            smaller = [size - (number == axis) for number, size in enumerate(smallest)]
            with pytest.raises(RuntimeError):
                network(torch.zeros(1, 1, *smaller))
