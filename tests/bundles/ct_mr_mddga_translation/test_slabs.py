"""Volumes in slabs: the very result of the whole volume, with layers that see a slab at a time."""

from __future__ import annotations

import pytest
import torch
from mddga_bundle.slabs import decode_in_slabs, encode_in_slabs
from mddga_bundle.vqvae import VQVAE
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.errors import InputError

slabs = pytest.mark.parametrize("slab", [1, 2, 3, 5, 100, None])
stages = pytest.mark.parametrize("channels", [(3,), (4, 6), (2, 3, 4)])


def autoencoder(channels: tuple[int, ...] = (4, 6)) -> VQVAE:
    return VQVAE(3, 2, num_embeddings=8, channels=channels, num_res_blocks=2).eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).tanh()


def longest_seen(layers: nn.Module) -> tuple[list[int], torch.utils.hooks.RemovableHandle]:
    """Slices that arrive at layers, call by call."""
    seen: list[int] = []
    return seen, layers.register_forward_pre_hook(lambda _, arrived: seen.append(arrived[0].shape[2]))


@slabs
@stages
@torch.no_grad()
def test_latents_in_slabs_are_those_of_the_whole(slab: int | None, channels: tuple[int, ...]) -> None:
    network, image = autoencoder(channels), noise(2, 1, 37, 10, 9)
    assert_close(encode_in_slabs(network, image, slab), network.encode(image), rtol=0, atol=0)


@slabs
@stages
@torch.no_grad()
def test_an_image_in_slabs_is_that_of_the_whole(slab: int | None, channels: tuple[int, ...]) -> None:
    network, codes = autoencoder(channels), noise(2, 2, 7, 3, 4)
    assert_close(decode_in_slabs(network, codes, slab=slab), network.decode(codes), rtol=0, atol=0)


@torch.no_grad()
def test_an_image_in_slabs_is_cropped_as_the_whole() -> None:
    network, codes = autoencoder(), noise(1, 2, 5, 3, 4)
    expected = network.decode(codes, [18, 11, 13])
    assert expected.shape == (1, 1, 18, 11, 13)
    assert_close(decode_in_slabs(network, codes, [18, 11, 13], slab=2), expected, rtol=0, atol=0)


@torch.no_grad()
def test_only_a_slab_and_its_neighbours_are_in_memory_above_the_size_of_the_latents() -> None:
    network = autoencoder()
    for layers, factor in ((network.encoder.down, 4), (network.decoder.up, 1)):
        seen, hook = longest_seen(layers)
        with hook:
            z = encode_in_slabs(network, noise(1, 1, 40, 8, 8), slab=3)
            decode_in_slabs(network, z, slab=3)
        assert seen == [factor * slices for slices in (4, 5, 5, 2)]


@pytest.mark.parametrize("slab", [0, -1])
def test_a_slab_of_no_slices_is_refused(slab: int) -> None:
    with pytest.raises(InputError, match=rf"slab: found {slab}; wanted a positive number of slices"):
        encode_in_slabs(autoencoder(), noise(1, 1, 8, 8, 8), slab)
