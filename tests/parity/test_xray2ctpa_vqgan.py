"""The VQ-GAN against the published one: latents, codes, volumes, losses, critics and a step of the codebook."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.discriminators import HingeLoss, PatchCritic
from xray2ctpa_bundle.published_autoencoder import autoencoder_in, recognise_autoencoder
from xray2ctpa_bundle.published_vqgan_names import FRESH, TRAINING_ONLY, vqgan_names
from xray2ctpa_bundle.vqgan import VQGAN

from tests.parity.fill import fill_keys
from tests.parity.published_names import patch_critic_names
from transmodal.checkpoints import KeyMap, match
from transmodal.losses import SoftplusLoss


def keys(shared: Path, name: str) -> list[tuple[str, list[int], str]]:
    listed: list[tuple[str, list[int], str]] = json.loads((shared / f"goldens/xray2ctpa/{name}_keys.json").read_text())
    return listed


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Tensor]:
    arrays = np.load(shared / "goldens/xray2ctpa/vqgan_small_golden.npz")
    return {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays.files}


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Tensor]:
    return fill_keys(keys(shared, "vqgan_small"))


@pytest.fixture
def network(published: dict[str, Tensor]) -> VQGAN:
    autoencoder = VQGAN(channels=8, embedding_dim=8, num_codes=32, norm_groups=8, restart=0)
    key_map = KeyMap(vqgan_names(), TRAINING_ONLY, FRESH)
    autoencoder.load_state_dict(match(published, autoencoder.state_dict(), key_map, where="vqgan_small")[0])
    return autoencoder.eval()


def critic(published: dict[str, Tensor], kind: str, spatial_dims: int) -> PatchCritic:
    prefix = f"{kind}_discriminator."
    state = {key.removeprefix(prefix): value for key, value in published.items() if key.startswith(prefix)}
    network = PatchCritic(spatial_dims, channels=8)
    network.load_state_dict(match(state, network.state_dict(), KeyMap(patch_critic_names()), where=kind)[0])
    return network.eval()


@torch.no_grad()
def test_latents_codes_and_volume_are_the_published_ones(network: VQGAN, expected: dict[str, Tensor]) -> None:
    made = network(expected["x"])
    assert_close(made.latents, expected["z"], rtol=0, atol=1e-5)
    assert torch.equal(made.numbers, expected["codes"])
    assert_close(made.codes, expected["quant"], rtol=0, atol=1e-6)
    assert_close(made.reconstruction, expected["recon"], rtol=0, atol=2e-5)
    assert_close(0.25 * (made.latents - made.codes).square().mean(), expected["commitment"])


@torch.no_grad()
@pytest.mark.parametrize("slab", [1, 3])
def test_slabs_make_the_published_volume_too(network: VQGAN, expected: dict[str, Tensor], slab: int) -> None:
    network.slab = slab
    z = network.encode(expected["x"])
    assert_close(z, expected["z"], rtol=0, atol=1e-5)
    assert_close(network.decode_unclipped(z), expected["recon"], rtol=0, atol=2e-5)


@torch.no_grad()
def test_a_step_of_the_codebook_is_the_published_one(network: VQGAN, expected: dict[str, Tensor]) -> None:
    """Every code used once before, none restarted."""
    codebook = network.codebook.train()
    codebook.uses.fill_(1)
    codebook.sums.copy_(codebook.codes)
    codebook(expected["z"])
    assert_close(codebook.codes, expected["ema_embeddings"], rtol=0, atol=1e-6)
    assert_close(codebook.uses, expected["ema_N"], rtol=0, atol=1e-6)
    assert_close(codebook.sums, expected["ema_z_avg"], rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_critic_of_slices_says_what_was_published(
    published: dict[str, Tensor], expected: dict[str, Tensor]
) -> None:
    logits = critic(published, "image", 2)(expected["x"][:, :, 0])[-1]
    assert_close(logits, expected["disc2d_logits"], rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_critic_of_volumes_and_its_losses_are_the_published_ones(
    published: dict[str, Tensor], expected: dict[str, Tensor]
) -> None:
    judge = critic(published, "video", 3)
    first, *_, real = judge(expected["x"])
    fake = judge(expected["recon"])[-1]
    assert_close(first, expected["disc3d_feat0"], rtol=0, atol=1e-6)
    assert_close(real, expected["disc3d_logits"], rtol=0, atol=1e-6)
    assert_close(fake, expected["disc3d_fake_logits"], rtol=0, atol=1e-6)
    hinge, cross_entropy = HingeLoss(), SoftplusLoss()
    assert_close(hinge.real(real) + hinge.fake(fake), expected["hinge_d3d"])
    assert_close(0.5 * (cross_entropy.real(real) + cross_entropy.fake(fake)), expected["vanilla_d3d"])


@pytest.mark.parametrize(
    ("name", "downsample"),
    [("vqgan_lidc_low_compression", [4, 4, 4]), ("vqgan_lidc_ds8", [8, 8, 8])],
)
def test_every_published_tensor_has_its_place(shared: Path, name: str, downsample: list[int]) -> None:
    state = autoencoder_in({key: torch.zeros(()).expand(shape) for key, shape, _ in keys(shared, name)})
    found = recognise_autoencoder(state, where="vqgan.ckpt")
    arguments = {key: value for key, value in found.definition.items() if key != "_target_"}
    assert arguments["downsample"] == downsample
    with torch.device("meta"):
        expected = VQGAN(**arguments).state_dict()
    _, report = match(state, expected, found.key_map, where="vqgan.ckpt")
    assert {*report.loaded.values(), "codebook.fresh"} == set(expected)


def test_factors_that_differ_change_no_shape(shared: Path) -> None:
    with torch.device("meta"):
        network = VQGAN(channels=8, embedding_dim=8, num_codes=32, norm_groups=8, downsample=(2, 4, 4))
    state = {key: torch.zeros(()).expand(shape) for key, shape, _ in keys(shared, "vqgan_aniso")}
    _, report = match(state, network.state_dict(), KeyMap(vqgan_names(), TRAINING_ONLY, FRESH), where="vqgan_aniso")
    assert {*report.loaded.values(), "codebook.fresh"} == set(network.state_dict())
