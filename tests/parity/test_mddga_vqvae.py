"""The autoencoder of MD-DGA against the published one: same latents, codes and images from the same weights.

Sizes that its stages do not divide lose their last voxels in the published network. Ours pads before its encoder and
crops behind its decoder, so that the networks themselves are compared, without either.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mddga_bundle.published import autoencoder_names, recognise
from mddga_bundle.vqvae import VQVAE, Codebook
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from tests.parity.fill import fill
from transmodal.checkpoints import KeyMap, match
from transmodal.networks.blocks.straight_through import straight_through

BETA = 0.25
CASES = [
    ("vqvae3d_small", "16x20x12"),
    ("vqvae3d_small", "13x18x15"),
    ("vqvae2d_small", "40x24"),
    ("vqvae2d_small", "37x53"),
    ("vqvae3d_e2", "16x24x20"),
    ("vqvae3d_e64", "16x24x20"),
]

cases = pytest.mark.parametrize(("name", "size"), CASES)
divided = pytest.mark.parametrize(("name", "size"), [case for case in CASES if case[1] not in ("13x18x15", "37x53")])
quantisers = pytest.mark.parametrize("name", ["vq_layer_d2_k512", "vq_layer_2d_d4_k64"])


def golden(shared: Path, name: str, size: str = "") -> dict[str, Tensor]:
    """Reference arrays of one size, without the size in their names."""
    arrays = np.load(shared / f"goldens/mddga/{name}_golden.npz")
    return {key.removeprefix(f"{size}_"): torch.from_numpy(arrays[key]) for key in arrays.files if key.startswith(size)}


def configured(shared: Path, name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((shared / f"goldens/mddga/{name}_config.json").read_text())
    return config


def published(shared: Path, name: str) -> VQVAE:
    """The reference network: its deterministic weights, which follow from the published keys, at our keys."""
    config = configured(shared, name)
    arguments = config["kwargs"]
    channels = arguments.get("hidden_dims", [128, 256])
    network = VQVAE(arguments["dims"], arguments["embedding_dim"], arguments["num_embeddings"], channels)
    assert sum(parameter.numel() for parameter in network.parameters()) == config["n_params"]
    names = autoencoder_names(len(channels))
    published_of = {ours: theirs for theirs, ours in names.items()}
    state = {}
    for key, value in network.state_dict().items():
        module, _, parameter = key.rpartition(".")
        state[f"{published_of[module]}.{parameter}"] = value
    filled = fill(state)
    network.load_state_dict(match(filled, network.state_dict(), KeyMap(names), where=name)[0])
    return network.eval()


def vq_loss(z: Tensor, codes: Tensor) -> Tensor:
    return BETA * F.mse_loss(codes.detach(), z) + F.mse_loss(codes, z.detach())


@cases
@torch.no_grad()
def test_latents_codes_image_and_loss_are_the_published_ones(shared: Path, name: str, size: str) -> None:
    expected, network = golden(shared, name, size), published(shared, name)
    z = network.encoder(expected["in"])
    assert_close(z, expected["z"], rtol=0, atol=2e-6)
    indices = network.codebook.nearest(z)
    assert torch.equal(indices, expected["idx"].long())
    codes = network.codebook(indices)
    assert_close(codes, expected["q"], rtol=0, atol=1e-6)
    assert_close(network.decoder(straight_through(z, codes)), expected["recon"], rtol=0, atol=2e-6)
    assert_close(vq_loss(z, codes), expected["vq_loss"], rtol=1e-5, atol=0)


@divided
@torch.no_grad()
def test_where_the_stages_divide_the_size_the_whole_is_the_published_one(shared: Path, name: str, size: str) -> None:
    expected, network = golden(shared, name, size), published(shared, name)
    reconstruction, z, codes = network(expected["in"])
    assert_close(reconstruction, expected["recon"], rtol=0, atol=2e-6)
    assert_close(z, expected["z"], rtol=0, atol=2e-6)
    assert_close(codes, expected["q"], rtol=0, atol=1e-6)
    assert_close(F.mse_loss(reconstruction, expected["in"]), expected["recon_loss"], rtol=1e-5, atol=0)


@quantisers
def test_the_quantiser_is_the_published_one(shared: Path, name: str) -> None:
    """With many codes in use, the smallest margin between two of them 1e-5 and less."""
    config, expected = configured(shared, name), golden(shared, name)
    codebook = Codebook(config["K"], config["D"])
    codebook.load_state_dict({"weight": fill({config["fill_key"]: codebook.weight})[config["fill_key"]]})
    indices = codebook.nearest(expected["z"])
    assert torch.equal(indices, expected["idx"].long())
    assert indices.unique().numel() == config["codes_used"]
    assert_close(codebook(indices), expected["q"], rtol=0, atol=1e-6)
    assert_close(vq_loss(expected["z"], codebook(indices)), expected["loss"], rtol=1e-5, atol=0)


@pytest.mark.parametrize(("latents", "values"), [(2, 28_016_643), (64, 28_492_865)])
def test_every_published_tensor_has_its_place(shared: Path, latents: int, values: int) -> None:
    keys = json.loads((shared / f"goldens/mddga/vqvae3d_e{latents}_keys.json").read_text())
    state = {key: torch.zeros(()).expand(shape) for key, shape, _ in keys}
    with torch.device("meta"):
        expected = VQVAE(embedding_dim=latents).state_dict()
    _, report = match(state, expected, recognise(state, where="best.pth").key_map, where="best.pth")
    assert (len(report.loaded), report.values) == (39, values)
    assert list(report.loaded.values()) != []
    assert set(report.loaded.values()) == set(expected)
