"""The autoencoder of slices: sizes, slices apart from each other, grey values, bounded memory, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close
from xray2ctpa_bundle.slice_autoencoder import PUBLISHED_GREY, SliceAutoencoder

from transmodal.errors import InputError


def tiny(**others: Any) -> SliceAutoencoder:
    settings = {"channels": (8, 16, 16), "num_res_blocks": 1, "norm_groups": 4, "image_channels": 1, **others}
    return SliceAutoencoder(**settings).eval()


def volumes(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


@torch.no_grad()
def test_height_and_width_shrink_and_slices_stay() -> None:
    network = tiny(latent_channels=3)
    z = network.encode(volumes(2, 1, 5, 16, 24))
    assert tuple(z.shape) == (2, 3, 5, 4, 6)
    assert network.latent_size((5, 16, 24)) == (5, 4, 6)
    assert (network.latent_channels, network.factors) == (3, (1, 4, 4))
    assert tuple(network.decode(z).shape) == (2, 1, 5, 16, 24)


@torch.no_grad()
def test_a_slice_does_not_see_its_neighbours() -> None:
    network, volume = tiny(), volumes(1, 1, 3, 8, 8)
    changed = volume.clone()
    changed[:, :, 1] = 0
    before, after = network.decode(network.encode(volume)), network.decode(network.encode(changed))
    assert_close(after[:, :, [0, 2]], before[:, :, [0, 2]])
    assert not torch.allclose(after[:, :, 1], before[:, :, 1])


@torch.no_grad()
@pytest.mark.parametrize("at_once", [1, 2, 5, None])
def test_the_number_of_slices_taken_together_changes_nothing(at_once: int | None) -> None:
    network, volume = tiny(), volumes(2, 1, 5, 8, 8)
    mean, _ = network.moments(volume)
    network.slices_at_once = at_once
    z = network.encode(volume)
    assert_close(z, 0.18215 * mean)
    network.slices_at_once = None
    whole = network.decode(z)
    network.slices_at_once = at_once
    assert_close(network.decode(z), whole)


def test_no_more_slices_than_asked_for_are_taken_together() -> None:
    network, seen = tiny(slices_at_once=2), []
    network.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    with torch.no_grad():
        network.encode(volumes(1, 1, 5, 8, 8))
    assert seen == [2, 2, 1]


@torch.no_grad()
def test_latents_are_the_mean_times_the_scale() -> None:
    volume = volumes(1, 1, 2, 8, 8)
    network = tiny(scale=2.0)
    z = network.encode(volume)
    assert_close(z, 2 * network.moments(volume)[0])
    network.scale = 1.0
    assert_close(network.decode_unclipped(z / 2), network(volume).reconstruction)


@torch.no_grad()
def test_without_noise_the_mean_is_decoded_and_with_it_a_draw() -> None:
    network, volume = tiny(), volumes(1, 1, 2, 8, 8)
    mean, log_variance = network.moments(volume)
    noise = torch.ones_like(mean)
    without, drawn = network(volume), network(volume, noise=noise)
    assert_close(without.mean, mean)
    assert_close(without.log_variance, log_variance)
    assert_close(without.reconstruction, network(volume, noise=0 * noise).reconstruction)
    at_one_deviation = 0.18215 * (mean + (0.5 * log_variance).exp())
    assert_close(drawn.reconstruction, network.decode_unclipped(at_one_deviation), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_log_variances_are_bounded() -> None:
    network = tiny()
    network.quant.bias.copy_(torch.tensor([0.0] * 4 + [1e3] * 2 + [-1e3] * 2))
    assert network.moments(volumes(1, 1, 1, 8, 8))[1].unique().tolist() == [-30, 20]


@torch.no_grad()
@pytest.mark.parametrize(("grey", "expected"), [(None, 0.2), (PUBLISHED_GREY, 0.114 * 0.9 + 0.587 * 0 + 0.299 * -0.3)])
def test_decoded_channels_become_grey_by_their_shares(grey: Any, expected: float) -> None:
    network = tiny(image_channels=3, grey=grey)
    head = network.decoder.blocks[-1].conv
    head.weight.zero_()
    head.bias.copy_(torch.tensor([0.9, 0.0, -0.3]))
    assert_close(network.decode(torch.zeros(1, 4, 1, 2, 2)), torch.full((1, 1, 1, 8, 8), expected))


@torch.no_grad()
def test_each_channel_is_clipped_before_it_becomes_grey() -> None:
    network = tiny(image_channels=3)
    head = network.decoder.blocks[-1].conv
    head.weight.zero_()
    head.bias.copy_(torch.tensor([4.0, 0.0, -1.0]))
    z = torch.zeros(1, 4, 1, 2, 2)
    assert_close(network.decode(z), torch.zeros(1, 1, 1, 8, 8))
    assert_close(network.decode_unclipped(z), torch.ones(1, 1, 1, 8, 8))


def test_a_gradient_reaches_the_latents_through_decoding() -> None:
    network, z = tiny(slices_at_once=1), torch.zeros(1, 4, 2, 2, 2, requires_grad=True)
    network.decode_unclipped(z).sum().backward()
    assert (z.grad.abs().sum(dim=(0, 1, 3, 4)) > 0).all()


@pytest.mark.parametrize("size", [(4, 10, 8), (4, 8, 9), (0, 8, 8), (8, 8)])
def test_a_size_that_does_not_fit_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="multiples of 1, 4, 4"):
        tiny().latent_size(size)


def test_volumes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="found 2 × 10 × 8 voxels"):
        tiny().encode(torch.zeros(1, 1, 2, 10, 8))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"channels": (8, 10)}, r"SliceAutoencoder, channels: found \[8, 10\] with norm_groups 4"),
        ({"channels": ()}, "wanted the width of at least one level"),
        ({"scale": 0}, "SliceAutoencoder, scale: found 0"),
        ({"scale": "0.18"}, "SliceAutoencoder, scale: found '0.18'"),
        ({"slices_at_once": 0}, "SliceAutoencoder, slices_at_once: found 0"),
        ({"slices_at_once": True}, "SliceAutoencoder, slices_at_once: found True"),
        ({"grey": [0.5, 0.5]}, r"SliceAutoencoder, grey: found \[0.5, 0.5\] for 1 image_channels"),
        ({"grey": [0.5]}, "1 in all"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        tiny(**wrong)


def test_what_the_weights_do_not_tell_is_printed() -> None:
    assert "scale=0.13025, grey=[1.0]" in str(tiny(scale=0.13025))
    assert "grey" not in "".join(tiny().state_dict())
