"""Judges of images against the published ones: the layers of LPIPS, and the discriminator of latents."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import PatchDiscriminator
from torch.testing import assert_close
from xray2ctpa_bundle.published_perceptual import OF_NO_USE, lpips_names

from tests.parity.fill import fill
from transmodal.checkpoints import KeyMap, match
from transmodal.losses import LPIPS


def test_every_tensor_of_lpips_has_its_place(shared: Path) -> None:
    keys = json.loads((shared / "goldens/xray2ctpa/lpips_vgg_keys.json").read_text())
    state = {key: torch.zeros(()).expand(shape) for key, shape, _ in keys}
    with torch.device("meta"):
        expected = LPIPS().state_dict()
    _, report = match(state, expected, KeyMap(lpips_names(), OF_NO_USE), where="lpips")
    assert set(report.loaded.values()) == set(expected)
    assert report.values == 14_716_160  # 14,714,688 of VGG-16's convolutions and a weight for each of 1,472 channels


@torch.no_grad()
def test_the_discriminator_of_latents_says_what_was_published(shared: Path) -> None:
    """MONAI's own, as configurations name it."""
    network = PatchDiscriminator(spatial_dims=3, num_layers_d=4, channels=32, in_channels=4, kernel_size=3).eval()
    keys = json.loads((shared / "goldens/xray2ctpa/patch_discriminator_latent_keys.json").read_text())
    assert [[key, list(value.shape)] for key, value in network.state_dict().items()] == [key[:2] for key in keys]
    network.load_state_dict(fill(network.state_dict()))
    latents = np.random.RandomState(1031).standard_normal((1, 4, 32, 32, 32)).astype(np.float32)
    logits = np.load(shared / "goldens/xray2ctpa/patch_discriminator_golden.npz")["logits"]
    assert_close(network(torch.from_numpy(latents))[-1], torch.from_numpy(logits), rtol=0, atol=1e-6)
