"""Names of the published VQ-GAN and its critics."""

from __future__ import annotations

from xray2ctpa_bundle.discriminators import PatchCritic
from xray2ctpa_bundle.published_vqgan_names import vqgan_names
from xray2ctpa_bundle.vqgan import VQGAN

from tests.parity.published_names import patch_critic_names


def test_every_layer_of_three_levels_has_a_published_name() -> None:
    network = VQGAN(channels=4, num_codes=4, downsample=(8, 8, 8), norm_groups=4)
    ours = {key.removesuffix(".weight").removesuffix(".bias") for key in network.state_dict()}
    assert set(vqgan_names(3).values()) == ours - {"codebook.fresh"}


def test_every_layer_of_a_critic_has_a_published_name() -> None:
    ours = {key.rpartition(".")[0] for key in PatchCritic(2, channels=4, num_layers=2).state_dict()}
    assert set(patch_critic_names(2).values()) == ours
