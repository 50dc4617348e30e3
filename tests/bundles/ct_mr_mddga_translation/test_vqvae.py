"""The autoencoder of MD-DGA: any size, the nearest code of each latent, gradients to where they belong."""

from __future__ import annotations

import pytest
import torch
from mddga_bundle.vqvae import VQVAE, Codebook
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.networks.blocks.straight_through import straight_through

SMALL = {"num_embeddings": 16, "channels": (4, 8), "num_res_blocks": 2}


def autoencoder(spatial_dims: int = 3, embedding_dim: int = 2) -> VQVAE:
    return VQVAE(spatial_dims, embedding_dim, **SMALL).eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).tanh()


def spread(codebook: Codebook) -> None:
    """Give the codes the spread of the latents that follow, so that many of them are in use."""
    with torch.no_grad():
        codebook.weight.copy_(noise(*codebook.weight.shape))


@pytest.mark.parametrize("size", [(16, 20, 12), (13, 18, 15), (1, 2, 3), (37, 53)])
@torch.no_grad()
def test_an_image_of_any_size_keeps_it(size: tuple[int, ...]) -> None:
    reconstruction, z, codes = autoencoder(len(size))(noise(2, 1, *size))
    assert reconstruction.shape == (2, 1, *size)
    assert z.shape == codes.shape == (2, 2, *((length + 3) // 4 for length in size))
    assert reconstruction.abs().max() <= 1


@pytest.mark.parametrize("channels", [(4,), (4, 8), (4, 4, 8)])
@torch.no_grad()
def test_every_stage_halves_the_size(channels: tuple[int, ...]) -> None:
    network = VQVAE(2, 3, num_embeddings=4, channels=channels, num_res_blocks=1)
    assert network.downsampling == 2 ** len(channels)
    z = network.encode(noise(1, 1, 17, 16))
    assert z.shape == (1, 3, -(-17 // network.downsampling), 16 // network.downsampling)
    assert network.decode(z).shape == (1, 1, *(length * network.downsampling for length in z.shape[2:]))


@torch.no_grad()
def test_a_size_that_is_not_divided_is_continued_by_its_edge() -> None:
    network, image = autoencoder(), noise(1, 1, 8, 6, 4)
    continued = torch.cat([image, image[:, :, :, -1:], image[:, :, :, -1:]], dim=3)
    assert_close(network.encode(image), network.encode(continued), rtol=0, atol=0)
    codes, _ = network.quantise(network.encode(image))
    assert_close(network.decode(codes, [8, 6, 4]), network.decode(codes)[:, :, :, :6], rtol=0, atol=0)


@torch.no_grad()
def test_quantising_takes_the_nearest_code() -> None:
    network, z = autoencoder(), noise(2, 2, 3, 4, 5)
    spread(network.codebook)
    codes, indices = network.quantise(z)
    distances = (z.movedim(1, -1)[..., None, :] - network.codebook.weight).square().sum(-1)
    assert torch.equal(indices, distances.argmin(-1))
    assert indices.unique().numel() > 8
    assert_close(codes, network.codebook.weight[indices].movedim(-1, 1), rtol=0, atol=1e-6)


@torch.no_grad()
def test_distances_are_searched_in_parts_of_bounded_memory() -> None:
    codebook, z = Codebook(16, 2), noise(2, 2, 7, 5)
    spread(codebook)
    whole = codebook.nearest(z)
    codebook.rows = 9
    assert torch.equal(codebook.nearest(z), whole)
    assert whole.unique().numel() > 8


@torch.no_grad()
def test_the_nearest_code_does_not_depend_on_autocast() -> None:
    codebook, z = Codebook(512, 2), noise(1, 2, 40, 40)
    spread(codebook)
    expected = codebook.nearest(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(codebook.nearest(z), expected)


def test_the_gradient_of_quantised_latents_goes_straight_through() -> None:
    network, z = autoencoder(), noise(1, 2, 3, 3, 3).requires_grad_()
    spread(network.codebook)
    weights = noise(1, 2, 3, 3, 3) + 2
    codes, _ = network.quantise(z)
    (codes * weights).sum().backward()
    assert_close(z.grad, weights)
    assert network.codebook.weight.grad is None
    assert (codes - z).abs().max() > 0.01


def test_the_codes_of_forward_move_the_codebook_alone() -> None:
    network = autoencoder()
    _, z, codes = network(noise(1, 1, 8, 8, 8))
    z.retain_grad()
    F.mse_loss(codes, torch.ones_like(codes)).backward()
    assert network.codebook.weight.grad is not None
    assert network.codebook.weight.grad.abs().sum() > 0
    assert z.grad is None
    assert all(parameter.grad is None for parameter in network.encoder.parameters())


def test_the_reconstruction_trains_encoder_and_decoder_but_not_the_codebook() -> None:
    network, image = autoencoder(), noise(1, 1, 8, 8, 8)
    F.mse_loss(network(image)[0], image).backward()
    for part in (network.encoder, network.decoder):
        assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in part.parameters())
    assert network.codebook.weight.grad is None


@torch.no_grad()
def test_what_is_decoded_are_the_codes() -> None:
    network, image = autoencoder(), noise(1, 1, 8, 8, 8)
    reconstruction, z, codes = network(image)
    assert_close(reconstruction, network.decode(straight_through(z, codes)), rtol=0, atol=0)
    assert_close(codes, network.quantise(network.encode(image))[0], rtol=0, atol=1e-6)


def test_codes_start_in_the_published_interval() -> None:
    weight = Codebook(64, 32).weight
    assert weight.abs().max() <= 1 / 64
    assert weight.abs().max() > 0.9 / 64


@torch.no_grad()
def test_a_compiled_copy_does_the_same() -> None:
    network, image = autoencoder(), noise(1, 1, 6, 8, 5)
    for compiled, eager in zip(torch.jit.script(network)(image), network(image), strict=True):
        assert_close(compiled, eager, rtol=0, atol=0)


@torch.no_grad()
def test_a_bfloat16_copy_runs() -> None:
    reconstruction, z, codes = autoencoder().bfloat16()(noise(1, 1, 6, 8, 5).bfloat16())
    assert {reconstruction.dtype, z.dtype, codes.dtype} == {torch.bfloat16}
    assert reconstruction.isfinite().all()


def test_the_printed_network_tells_the_size_of_the_codebook() -> None:
    assert "Codebook(16, 2)" in str(autoencoder())


def test_an_autoencoder_without_stages_is_refused() -> None:
    with pytest.raises(InputError, match=r"found channels \[\].*wanted the width of at least one stage"):
        VQVAE(channels=[])
