"""NCSN++ against the published diffusive generator: same outputs from the same deterministic weights.

The reference numbers come from the published code; weights and inputs follow from keys and seeds (``fill.py``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill_keys, image
from tests.parity.published_names import ncsnpp_key_map, ncsnpp_names
from transmodal.checkpoints import match
from transmodal.networks.nets import NCSNpp

SIX_LEVELS: dict[str, Any] = {"channel_mult": (1, 1, 2, 2, 4, 4), "attention": (False,) * 4 + (True, False)}
FIVE_LEVELS: dict[str, Any] = {"channel_mult": (1, 1, 2, 2, 4), "attention": (False,) * 4 + (True,)}
NO_ATTENTION = FIVE_LEVELS | {"attention": (False,) * 5}
SMALL = {
    "channels": 16,
    "channel_mult": (1, 2, 4),
    "attention": (False, False, True),
    "latent_dim": 24,
    "style_dim": 32,
}
small_sizes = pytest.mark.parametrize("size", ["64x64", "48x64"])


def published(shared: Path, keys: str, **definition: Any) -> NCSNpp:
    """Our network with the deterministic weights, each published tensor in its place."""
    network = NCSNpp(**definition)
    state = fill_keys(json.loads((shared / f"goldens/syndiff/ncsnpp_{keys}_keys.json").read_text()))
    key_map = ncsnpp_key_map(definition["attention"])
    network.load_state_dict(match(state, network.state_dict(), key_map, where=keys)[0])
    return network.eval()


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    arrays = np.load(shared / f"goldens/syndiff/ncsnpp_{name}_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def numbered(network: nn.Module, attention: tuple[bool, ...]) -> dict[int, nn.Module]:
    """Our module behind each number of the published list."""
    modules: dict[int, nn.Module] = {}
    for theirs, ours in ncsnpp_names(attention).items():
        if theirs.startswith("all_modules."):
            _, number, *child = theirs.split(".", 2)
            modules.setdefault(int(number), network.get_submodule(ours.rpartition(".")[0] if child else ours))
    return modules


@pytest.mark.parametrize(
    ("name", "definition", "tensors", "values"),
    [
        ("orig256", SIX_LEVELS, 548, 39_725_250),
        ("fork400x480", NO_ATTENTION, 436, 25_385_410),
        ("fork256_5level", FIVE_LEVELS, 466, 26_176_450),
    ],
)
def test_every_published_tensor_has_its_place(
    shared: Path, name: str, definition: dict[str, Any], tensors: int, values: int
) -> None:
    with torch.device("meta"):
        expected = NCSNpp(**definition).state_dict()
    keys = json.loads((shared / f"goldens/syndiff/ncsnpp_{name}_keys.json").read_text())
    state = {key: torch.zeros(()).expand(shape) for key, shape, _ in keys}
    _, report = match(state, expected, ncsnpp_key_map(definition["attention"]), where=name)
    assert (len(report.loaded), report.values) == (tensors, values)
    assert set(report.loaded.values()) == set(expected)
    assert not report.zeroed
    assert not report.dropped


@small_sizes
@torch.no_grad()
def test_the_prediction_is_the_published_one(shared: Path, size: str) -> None:
    expected = golden(shared, f"small_{size}")
    predicted = published(shared, "small_64x64", **SMALL)(expected["x"], expected["t"], expected["z"])
    assert_close(predicted, expected["y"], rtol=0, atol=2e-6)


@small_sizes
@torch.no_grad()
def test_the_style_is_the_published_one(shared: Path, size: str) -> None:
    expected = golden(shared, f"small_{size}")
    style = published(shared, "small_64x64", **SMALL).latent_mapping(expected["z"])
    assert_close(style, expected["zemb"], rtol=0, atol=1e-6)


@small_sizes
@torch.no_grad()
def test_every_module_gives_what_the_published_one_gives(shared: Path, size: str) -> None:
    """Mean and standard deviation of each output, so that a difference in the prediction can be traced."""
    expected = golden(shared, f"small_{size}")
    network = published(shared, "small_64x64", **SMALL)
    found: dict[int, list[float]] = {}
    for number, module in numbered(network, SMALL["attention"]).items():

        def note(_module: nn.Module, _inputs: object, output: Tensor, number: int = number) -> None:
            found[number] = [number, output.mean().item(), output.std().item()]

        module.register_forward_hook(note)
    network(expected["x"], expected["t"], expected["z"])
    assert_close(
        torch.tensor([found[number] for number in sorted(found)], dtype=torch.float64),
        expected["module_stats"],
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.slow
@torch.no_grad()
def test_the_network_of_full_size_predicts_as_published(shared: Path) -> None:
    expected = golden(shared, "fork400x480")
    network = published(shared, "fork400x480", **NO_ATTENTION)
    predicted = network(image(1008, (1, 2, 400, 480)), expected["t"], expected["z"])
    assert_close(predicted[:, :, ::4, ::4], expected["y_sub"], rtol=0, atol=5e-6)
    assert_close(predicted[0, :, 200], expected["y_row"], rtol=0, atol=5e-6)
    assert_close(predicted.double().mean(), expected["y_mean"], rtol=0, atol=1e-6)
    assert_close(predicted.double().std(), expected["y_std"], rtol=0, atol=1e-6)
