"""Both denoisers of MU-Diff against the published ones: same outputs from the same deterministic weights.

The reference numbers come from the published code; weights and inputs follow from keys and seeds (``fill.py``). Its
contrast-aware network runs 64 channels wide only, so a published layer of fixed width was widened for the others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from mudiff_bundle.networks import ContrastAwareDenoiser, ContrastSpecificDenoiser
from mudiff_bundle.published import recognise
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from tests.parity.fill import fill_keys
from tests.parity.published_names import aware_names, specific_names
from transmodal.checkpoints import KeyMap, match
from transmodal.networks.blocks import FIRDownsample, FIRUpsample, PyramidDownsample, sinusoid
from transmodal.published import TRANSPOSED

Denoiser = ContrastSpecificDenoiser | ContrastAwareDenoiser

networks = pytest.mark.parametrize("name", ["gen1", "gen2", "gen2_nf64", "gen1_healthy", "gen2_healthy"])
aware_networks = pytest.mark.parametrize("name", ["gen2", "gen2_nf64", "gen2_healthy"])


def published(shared: Path, name: str) -> Denoiser:
    """The network of a reference, recognised by its tensors, each in its place."""
    config = json.loads((shared / f"goldens/mudiff/{name}_config.json").read_text())
    state = fill_keys(config["keys"])
    found = recognise(state, where=name)
    network = ConfigParser({"network": dict(found.definition)}).get_parsed_content("network")
    network.load_state_dict(match(state, network.state_dict(), found.key_map, where=name)[0])
    return network.eval()


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    arrays = np.load(shared / f"goldens/mudiff/{name}_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def inputs(expected: dict[str, Tensor]) -> list[Tensor]:
    """The arguments of ``forward``."""
    sources = torch.cat([expected[key] for key in sorted(expected) if key.startswith("cond")], dim=1)
    guess = [expected["pseudo_target"]] if "pseudo_target" in expected else []
    return [expected["x"], sources, expected["t"], expected["z"], *guess]


def entering(network: Denoiser, child: str, arguments: list[Tensor]) -> Tensor:
    """The first argument of a child while the network runs."""
    noted: list[Tensor] = []

    def note(_module: nn.Module, arrived: tuple[Tensor, ...]) -> None:
        noted.append(arrived[0])

    with network.get_submodule(child).register_forward_pre_hook(note):
        network(*arguments)
    return noted[0]


@networks
@torch.no_grad()
def test_the_prediction_is_the_published_one(shared: Path, name: str) -> None:
    expected = golden(shared, name)
    predicted = published(shared, name)(*inputs(expected))
    assert expected["out"].std() > 0.1
    assert_close(predicted, expected["out"], rtol=0, atol=2e-6)


@networks
@torch.no_grad()
def test_style_and_time_are_the_published_ones(shared: Path, name: str) -> None:
    expected, network = golden(shared, name), published(shared, name)
    assert_close(network.latent_mapping(expected["z"]), expected["zemb"], rtol=0, atol=1e-6)
    assert_close(network.time_embedding(expected["t"]), F.silu(expected["temb"]), rtol=0, atol=1e-6)


@networks
@torch.no_grad()
def test_what_enters_the_trunk_and_what_leaves_it_are_the_published_features(shared: Path, name: str) -> None:
    expected, network = golden(shared, name), published(shared, name)
    arguments = inputs(expected)
    stems = entering(network, "trunk", arguments)
    assert_close(stems[:, :, ::8, ::8], expected["stem_cat_stride8"], rtol=0, atol=5e-6)
    last = entering(network, "trunk.norm", arguments)
    assert_close(last[:, :, ::8, ::8], expected["pre_out_norm_stride8"], rtol=0, atol=1e-5)


@aware_networks
@torch.no_grad()
def test_the_style_of_the_guess_is_the_published_one(shared: Path, name: str) -> None:
    expected, network = golden(shared, name), published(shared, name)
    assert isinstance(network, ContrastAwareDenoiser)
    assert_close(network.guess_stem(expected["pseudo_target"]), expected["pseudo_style"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "tensors", "values"),
    [
        ("gen1", 288, 20_472_065),
        ("gen2", 318, 21_399_681),
        ("gen1_healthy", 284, 20_286_785),
        ("gen2_healthy", 300, 20_443_585),
    ],
)
def test_every_published_tensor_has_its_place(shared: Path, name: str, tensors: int, values: int) -> None:
    """Networks built by hand, of the published width, and names that are not inferred from the tensors."""
    num_sources = 2 if "healthy" in name else 3
    kind, names = {
        "gen1": (ContrastSpecificDenoiser, specific_names),
        "gen2": (ContrastAwareDenoiser, aware_names),
    }[name[:4]]
    with torch.device("meta"):
        expected = kind(num_sources).state_dict()
    keys: list[Any] = json.loads((shared / f"goldens/mudiff/{name}_keys.json").read_text())
    state = {key: torch.zeros(()).expand(shape) for key, shape, _ in keys}
    _, report = match(state, expected, KeyMap(names(num_sources), transposed=TRANSPOSED), where=name)
    assert (len(report.loaded), report.values) == (tensors, values)
    assert set(report.loaded.values()) == set(expected)
    assert not report.zeroed
    assert not report.dropped


def test_the_sinusoid_is_the_published_one(shared: Path) -> None:
    expected = golden(shared, "timestep_embedding")
    for dim in (16, 64, 256):
        assert_close(sinusoid(expected["t"], dim), expected[f"e{dim}"], rtol=0, atol=1e-6)


def test_resampling_is_the_published_one(shared: Path) -> None:
    expected = golden(shared, "upfirdn")
    assert_close(FIRDownsample()(expected["x"]), expected["downsample_2d"], rtol=0, atol=1e-6)
    assert_close(FIRUpsample()(expected["x"]), expected["upsample_2d"], rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_step_of_the_pyramid_is_the_published_one(shared: Path) -> None:
    expected, pyramid = golden(shared, "upfirdn"), PyramidDownsample(3, 5)
    pyramid.conv.weight.copy_(expected["w"])
    assert_close(pyramid(expected["x"]), expected["conv_downsample_2d"], rtol=0, atol=2e-6)
