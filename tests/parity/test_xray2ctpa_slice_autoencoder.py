"""The autoencoder of slices against the one of Stable Diffusion: same latents, pictures and grey values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.published_autoencoder import autoencoder_in, recognise_autoencoder
from xray2ctpa_bundle.published_slice_names import DIFFUSERS, slice_autoencoder_names
from xray2ctpa_bundle.slice_autoencoder import PUBLISHED_GREY, SliceAutoencoder

from tests.parity.fill import fill_keys
from transmodal.checkpoints import KeyMap, match


def keys(shared: Path, name: str) -> list[tuple[str, list[int], str]]:
    listed: list[tuple[str, list[int], str]] = json.loads((shared / f"goldens/xray2ctpa/{name}_keys.json").read_text())
    return listed


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Tensor]:
    arrays = np.load(shared / "goldens/xray2ctpa/vae_small_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


@pytest.fixture(scope="module")
def network(shared: Path) -> SliceAutoencoder:
    """The reference network: its deterministic weights, which follow from the published keys, at our keys."""
    autoencoder = SliceAutoencoder(channels=(16, 32, 32), norm_groups=8, grey=PUBLISHED_GREY)
    key_map = KeyMap(slice_autoencoder_names(DIFFUSERS, num_levels=3))
    state = fill_keys(keys(shared, "vae_small_diffusers"))
    autoencoder.load_state_dict(match(state, autoencoder.state_dict(), key_map, where="vae_small")[0])
    return autoencoder.eval()


@torch.no_grad()
def test_latents_are_distributed_as_published(network: SliceAutoencoder, expected: dict[str, Tensor]) -> None:
    mean, log_variance = network.moments(expected["x"][:, :, None])
    assert_close(mean[:, :, 0], expected["mean"], rtol=0, atol=1e-5)
    assert_close(log_variance[:, :, 0], expected["logvar"], rtol=0, atol=1e-5)
    assert_close(network.encode(expected["x"][:, :, None])[:, :, 0], 0.18215 * expected["mean"], rtol=0, atol=2e-6)


@torch.no_grad()
def test_a_draw_of_the_latents_is_the_published_one(network: SliceAutoencoder, expected: dict[str, Tensor]) -> None:
    image, noise = (expected[key][:, :, None] for key in ("x", "eps"))
    colours = network.decoder(network.post_quant(expected["z"]))
    drawn = network(image, noise=noise).reconstruction[:, 0, 0]
    assert_close(drawn, torch.einsum("bchw,c->bhw", colours, torch.tensor(PUBLISHED_GREY)), rtol=0, atol=2e-5)


@torch.no_grad()
def test_decoded_pictures_are_the_published_ones(network: SliceAutoencoder, expected: dict[str, Tensor]) -> None:
    picture = network.decoder(network.post_quant(expected["mean"]))
    assert_close(picture, expected["recon"], rtol=0, atol=2e-5)
    eight_bits = ((picture / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    assert torch.equal(eight_bits.permute(0, 2, 3, 1), expected["u8"])


@torch.no_grad()
def test_grey_values_are_the_published_ones_before_their_rounding(
    network: SliceAutoencoder, expected: dict[str, Tensor]
) -> None:
    """Published, three 8-bit channels are weighted; each is off by half a step of 2 / 255 at most."""
    grey = expected["u8"].float() @ torch.tensor(PUBLISHED_GREY) / 255 * 2 - 1
    decoded = network.decode(0.18215 * expected["mean"][:, :, None])
    assert tuple(decoded.shape) == (2, 1, 1, 32, 32)
    assert_close(decoded[:, 0, 0], grey, rtol=0, atol=1.001 / 255)


@pytest.mark.parametrize("layout", ["diffusers", "ldm"])
def test_every_tensor_of_stable_diffusion_has_its_place(shared: Path, layout: str) -> None:
    listed = keys(shared, f"vae_sd_{layout}")
    state = autoencoder_in({key: torch.zeros(()).expand(shape) for key, shape, _ in listed})
    with torch.device("meta"):
        expected = SliceAutoencoder().state_dict()
    published = recognise_autoencoder(state, where="vae.safetensors")
    _, report = match(state, expected, published.key_map, where="vae.safetensors")
    assert (len(report.loaded), report.values) == (248, 83_653_863)
    assert set(report.loaded.values()) == set(expected)


def test_both_layouts_name_the_same_tensors(shared: Path) -> None:
    """By the reference's own table from one layout to the other."""
    table = json.loads((shared / "goldens/xray2ctpa/vae_sd_ldm_to_diffusers.json").read_text())
    places = []
    for layout in ("ldm", "diffusers"):
        state = autoencoder_in(
            {key: torch.zeros(()).expand(shape) for key, shape, _ in keys(shared, f"vae_sd_{layout}")}
        )
        places.append({key: recognise_autoencoder(state, where="").key_map.name(key) for key in state})
    ldm, diffusers = places
    assert {key: diffusers[other] for key, other in table.items()} == ldm
