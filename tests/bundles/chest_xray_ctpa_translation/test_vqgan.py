"""The VQ-GAN: sizes with factors that differ, codes in place of latents, slabs, learning codebook, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.vqgan import VQGAN

from transmodal.errors import InputError


def tiny(**others: Any) -> VQGAN:
    return VQGAN(**{"channels": 4, "embedding_dim": 3, "num_codes": 8, "norm_groups": 4, **others})


def volume(*size: int) -> Tensor:
    return torch.rand((1, 1, *size), generator=torch.Generator().manual_seed(6)) * 2 - 1


@torch.no_grad()
@pytest.mark.parametrize("factors", [(4, 4, 4), (2, 4, 4), (1, 2, 2), (8, 2, 1)])
def test_every_axis_shrinks_by_its_own_factor(factors: tuple[int, int, int]) -> None:
    network = tiny(downsample=factors).eval()
    size = [2 * factor for factor in factors]
    z = network.encode(volume(*size))
    assert tuple(z.shape) == (1, 3, 2, 2, 2) == (1, network.latent_channels, *network.latent_size(size))
    assert network.factors == factors
    assert tuple(network.decode(z).shape) == (1, 1, *size)


@torch.no_grad()
def test_the_finest_level_of_the_encoder_halves_first_and_the_coarsest_of_the_decoder_doubles_first() -> None:
    network = tiny(downsample=(2, 4, 4))
    assert [level.down.stride for level in network.encoder.levels] == [(2, 2, 2), (1, 2, 2)]
    assert [level.up.stride for level in network.decoder.levels] == [(2, 2, 2), (1, 2, 2)]


@torch.no_grad()
def test_decoding_replaces_latents_by_their_codes() -> None:
    network, image = tiny().eval(), volume(8, 8, 8)
    made = network(image)
    assert_close(network.encode(image), made.latents)
    assert_close(network.decode_unclipped(made.latents), made.reconstruction)
    assert_close(network.decode_unclipped(made.codes), made.reconstruction)
    assert_close(network.decode(made.latents), made.reconstruction.clamp(-1, 1))
    assert_close(network.codebook.look_up(made.numbers), made.codes)


@torch.no_grad()
@pytest.mark.parametrize("slab", [1, 3, None])
def test_slabs_change_nothing(slab: int | None) -> None:
    network, image = tiny(slab=None).eval(), volume(16, 8, 8)
    z = network.encode(image)
    whole = network.decode(z)
    network.slab = slab
    assert_close(network.encode(image), z, rtol=1e-4, atol=1e-5)
    assert_close(network.decode(z), whole, rtol=1e-4, atol=1e-5)


def test_in_training_the_codebook_learns_and_in_evaluation_it_does_not() -> None:
    network, image = tiny(), volume(8, 8, 8)
    before = network.codebook.codes.clone()
    network.eval()(image)
    assert torch.equal(network.codebook.codes, before)
    network.train()(image)
    assert not torch.equal(network.codebook.codes, before)
    assert not network.codebook.fresh


def test_a_gradient_goes_through_the_codes_to_the_encoder() -> None:
    network = tiny()
    network(volume(8, 8, 8)).reconstruction.square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.encoder.stem.parameters())


def test_a_gradient_goes_through_decoding_to_the_latents() -> None:
    network, z = tiny().eval(), torch.randn(1, 3, 2, 2, 2).requires_grad_()
    network.decode_unclipped(z).square().sum().backward()
    assert (z.grad != 0).all()


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"found 8 × 10 × 8 voxels; wanted .* multiples of 4, 4, 4"):
        tiny().encode(volume(8, 10, 8))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"downsample": (4, 4)}, r"VQGAN, downsample: found \[4, 4\]"),
        ({"downsample": (4, 3, 4)}, "wanted a power of 2 for each of three axes"),
        ({"downsample": (1, 1, 1)}, "at least one above 1"),
        ({"channels": 5}, "VQGAN, channels: found channels 5 with norm_groups 4"),
        ({"slab": 0}, "VQGAN, slab: found 0"),
        ({"slab": "8"}, "VQGAN, slab: found '8'"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        tiny(**wrong)
