"""Published networks of MD-DGA, told apart by their tensors, and everything else refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mddga_bundle.published import read, recognise
from mddga_bundle.sunet import SUNet
from mddga_bundle.vqvae import VQVAE
from monai.bundle import ConfigParser
from torch import Tensor, nn

from tests.bundles.ct_mr_mddga_translation.published_files import checkpoint, published_state
from transmodal.checkpoints import Published
from transmodal.errors import InputError

SLICES: dict[str, Any] = {
    "_target_": "mddga_bundle.sunet.SUNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "condition_channels": 1,
    "out_channels": 1,
    "channels": 32,
    "channel_mult": [1, 2, 4, 8, 8],
    "attention": [False, False, False, True, True],
    "num_res_blocks": 1,
    "norm_groups": 32,
    "legacy_padding": "@legacy_padding",
}
JOINT = {"in_channels": 2, "condition_channels": 2, "out_channels": 2}
AUTOENCODER: dict[str, Any] = {
    "_target_": "mddga_bundle.vqvae.VQVAE",
    "spatial_dims": 3,
    "embedding_dim": 2,
    "num_embeddings": 512,
    "channels": [128, 256],
    "num_res_blocks": 6,
}
NETWORKS = {
    "sunet_v1_2d_ic32": SLICES,
    "sunet_v1_2d_ic32_double": {**SLICES, **JOINT},
    "sunet_v1_3d_ic32": {**SLICES, "spatial_dims": 3},
    "sunet_v1_3d_ic64": {**SLICES, "spatial_dims": 3, "channels": 64},
    "sunet_v1_3d_ic64_double": {**SLICES, **JOINT, "spatial_dims": 3, "channels": 64},
    "vqvae3d_e2": AUTOENCODER,
    "vqvae3d_e64": {**AUTOENCODER, "embedding_dim": 64},
}

networks = pytest.mark.parametrize("name", NETWORKS)


def shapes(shared: Path, name: str, folder: str = "mddga") -> dict[str, Tensor]:
    """The published keys with tensors of no content."""
    keys = json.loads((shared / f"goldens/{folder}/{name}_keys.json").read_text())
    return {key: torch.empty(shape, device="meta") for key, shape, _ in keys}


def built(published: Published) -> nn.Module:
    config = ConfigParser({"legacy_padding": False, "network": dict(published.definition)})
    with torch.device("meta"):
        network: nn.Module = config.get_parsed_content("network")
    return network


@networks
def test_a_network_is_recognised_by_its_tensors(shared: Path, name: str) -> None:
    assert recognise(shapes(shared, name), where="best.pth").definition == NETWORKS[name]


@networks
def test_the_recognised_network_has_exactly_the_published_tensors(shared: Path, name: str) -> None:
    state = shapes(shared, name)
    published = recognise(state, where=name)
    arrived = {published.key_map.name(key): value.shape for key, value in state.items()}
    assert arrived == {key: value.shape for key, value in built(published).state_dict().items()}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sunet_v1_2d_ic32", {"slice_channels": 32}),
        ("sunet_v1_3d_ic32", {"volume_channels": 32, "joint": False}),
        ("sunet_v1_3d_ic64_double", {"volume_channels": 64, "joint": True}),
        (
            "vqvae3d_e64",
            {
                "embedding_dim": 64,
                "num_embeddings": 512,
                "autoencoder_channels": [128, 256],
                "autoencoder_blocks": 6,
            },
        ),
    ],
)
def test_the_ids_of_the_bundle_follow_from_the_tensors(shared: Path, name: str, settings: dict[str, Any]) -> None:
    assert recognise(shapes(shared, name), where=name).settings == settings


def test_the_ids_are_those_of_every_config_that_builds_the_networks(shared: Path, root: Path) -> None:
    ids = {key for name in NETWORKS for key in recognise(shapes(shared, name), where=name).settings}
    for config in ("inference.json", "train.json"):
        written = json.loads((root / "bundles/ct_mr_mddga_translation/configs" / config).read_text())
        assert ids | {"legacy_padding"} <= set(written)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(
    "layout",
    [
        {"channel_mult": [1], "attention": [True], "num_res_blocks": 2},
        {"channel_mult": [2, 1], "attention": [True, False], "num_res_blocks": 1},
        {"channel_mult": [1, 2, 1, 2, 1, 1], "attention": [False, True] * 3, "num_res_blocks": 3},
    ],
)
def test_other_levels_are_recognised(spatial_dims: int, layout: dict[str, Any]) -> None:
    with torch.device("meta"):
        network = SUNet(spatial_dims, condition_channels=3, channels=32, **layout)
    published = recognise(published_state(network), where="x")
    assert published.definition == {**SLICES, **layout, "spatial_dims": spatial_dims, "condition_channels": 3}
    assert str(built(published)) == str(network)
    assert {published.key_map.name(key) for key in published_state(network)} == set(network.state_dict())


@pytest.mark.parametrize(("spatial_dims", "channels", "blocks"), [(2, [8, 16, 24], 6), (3, [4], 1), (3, [4, 8], 0)])
def test_other_autoencoders_are_recognised(spatial_dims: int, channels: list[int], blocks: int) -> None:
    network = VQVAE(spatial_dims, 5, 7, channels, blocks)
    published = recognise(published_state(network), where="x")
    changed = {"embedding_dim": 5, "num_embeddings": 7, "channels": channels, "num_res_blocks": blocks}
    assert published.definition == {**AUTOENCODER, **changed, "spatial_dims": spatial_dims}
    assert str(built(published)) == str(network)


@pytest.mark.parametrize("dims", ["2d_ic32", "3d_ic64"])
@pytest.mark.parametrize(
    ("ablation", "what"),
    [
        ("v1_1", "SUNet v1_1 of an ablation, which pads the whole image"),
        ("v1_2", "SUNet v1_2 of an ablation, which has no encoder for the condition"),
        ("v2", "SUNet v2 of an ablation, which has no condition"),
    ],
)
def test_a_network_of_an_ablation_is_refused_by_name(shared: Path, ablation: str, what: str, dims: str) -> None:
    with pytest.raises(InputError, match=f"best.pth: found {what}.*wanted a VQ-VAE or a SUNet v1"):
        recognise(shapes(shared, f"ablation_sunet_{ablation}_{dims}"), where="best.pth")


@pytest.mark.parametrize(("folder", "keys"), [("gan", "stargan_g"), ("syndiff", "ncsnpp_orig256"), ("mudiff", "gen1")])
def test_a_network_of_another_method_is_refused(shared: Path, folder: str, keys: str) -> None:
    with pytest.raises(InputError, match=r"found keys such as .*wanted a VQ-VAE or a SUNet v1 of the published MD-DGA"):
        recognise(shapes(shared, keys, folder), where="net.pth")


@pytest.mark.parametrize(
    ("name", "changes", "what"),
    [
        ("sunet_v1_2d_ic32", {"downs.0.weight": (32, 2)}, r"a SUNet with a stem of shape \(32, 2\)"),
        ("sunet_v1_2d_ic32", {"downs.0.weight": (32, 1, 3, 3)}, "a SUNet whose levels or channels"),
        ("sunet_v1_2d_ic32", {"downs.4.res_block.block2.block.3.weight": (50, 50, 3, 3)}, "a SUNet whose levels"),
        ("vqvae3d_e2", {"encoder.0.0.weight": (128, 1, 3, 3, 3)}, "an autoencoder that does not begin with strided"),
    ],
)
def test_tensors_that_do_not_go_together_are_refused(
    shared: Path, name: str, changes: dict[str, tuple[int, ...]], what: str
) -> None:
    state = shapes(shared, name) | {key: torch.empty(shape, device="meta") for key, shape in changes.items()}
    with pytest.raises(InputError, match=f"best.pth: found {what}"):
        recognise(state, where="best.pth")


def test_a_level_without_its_block_is_refused(shared: Path) -> None:
    state = {key: value for key, value in shapes(shared, "sunet_v1_2d_ic32").items() if not key.startswith("downs.7.")}
    with pytest.raises(InputError, match="found a SUNet whose levels or channels are not laid out"):
        recognise(state, where="best.pth")


@pytest.mark.parametrize("old", [False, True])
def test_files_of_both_generations_are_read(tmp_path: Path, old: bool) -> None:
    network = VQVAE(3, 2, 7, [4], 1)
    file = checkpoint(network, tmp_path / "best.pth", old)
    state, where, published = read(file, role="autoencoder")
    assert where == str(file)
    assert published.title == (
        "VQ-VAE of volumes with 7 codes of 2 numbers, 4 wide, residual blocks in encoder and decoder: 1"
    )
    expected = published_state(network)
    assert list(state) == list(expected)
    assert all(torch.equal(state[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    ("network", "role", "words"),
    [
        (SUNet(2, channel_mult=[1], attention=[False]), "volume", ("SUNet v1 of slices", "latent volumes", "slices")),
        (SUNet(3, channel_mult=[1], attention=[False]), "slices", ("SUNet v1 of volumes", "slices", "volume")),
        (VQVAE(3, 2, 7, [4], 1), "slices", ("VQ-VAE of volumes", "slices", "autoencoder")),
        (SUNet(2, channel_mult=[1], attention=[False]), "autoencoder", ("SUNet v1 of slices", "VQ-VAE", "slices")),
    ],
)
def test_a_network_of_another_role_is_refused_with_the_role_it_is_for(
    tmp_path: Path, network: VQVAE | SUNet, role: str, words: tuple[str, str, str]
) -> None:
    file = checkpoint(network, tmp_path / "best.pth")
    found, wanted, other = words
    with pytest.raises(InputError, match=rf"found {found}.*wanted the .*{wanted}(.|\n)*give this file as {other}=FILE"):
        read(file, role)


def test_an_autoencoder_of_slices_has_no_role(tmp_path: Path) -> None:
    file = checkpoint(VQVAE(2, 2, 7, [4], 1), tmp_path / "best.pth")
    with pytest.raises(InputError, match=r"found VQ-VAE of slices.*wanted the VQ-VAE of volumes"):
        read(file, "autoencoder")
