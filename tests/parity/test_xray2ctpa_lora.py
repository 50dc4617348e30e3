"""Adapters of the factorised 3D U-Net against the published ones: which layers, in which order, to which effect.

The reference numbers come from the published code; weights and inputs follow from keys and seeds (``fill.py``).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close
from xray2ctpa_bundle.lora import AdaptedLinear, linear_layers, merge_, trained_parameters, trained_share, with_adapters
from xray2ctpa_bundle.published_names import CONSTANTS, adapted_layers, unet_names
from xray2ctpa_bundle.unet3d import FactorisedUNet

from tests.parity.fill import fill_keys
from tests.parity.published_names import ADAPTER
from tests.parity.test_xray2ctpa_unet3d import SIZES, condition, golden, published_keys, weightless
from transmodal.checkpoints import KeyMap, match


def names(num_levels: int) -> dict[str, str]:
    """Published names, those of adapters included, to ours."""
    plain = unet_names(num_levels)
    return plain | {
        f"{theirs}.{part}": f"{ours}.{own}".rstrip(".")
        for theirs, ours in plain.items()
        if ours in adapted_layers(num_levels)
        for part, own in ADAPTER.items()
    }


def adapted(shared: Path) -> FactorisedUNet:
    """Our small network with adapters, all with the deterministic weights."""
    network = FactorisedUNet(**SIZES["unet3d_small"]).eval()
    with_adapters(network)
    state, report = match(
        fill_keys(published_keys(shared, "unet3d_small_lora")),
        network.state_dict(),
        KeyMap(names(3), dropped=CONSTANTS),
        where="lora",
    )
    assert set(report.loaded.values()) == set(network.state_dict())
    network.load_state_dict(state)
    return network


@torch.no_grad()
def test_the_adapted_network_predicts_as_published(shared: Path) -> None:
    given = golden(shared, "unet3d_small_lora")
    found = adapted(shared)(condition(given["cond"]), given["x"], given["t"])
    assert_close(found, given["y"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_merged_network_predicts_the_same(shared: Path) -> None:
    given = golden(shared, "unet3d_small_lora")
    network = adapted(shared)
    assert merge_(network) is network
    assert not any(isinstance(module, AdaptedLinear) for module in network.modules())
    found = network(condition(given["cond"]), given["x"], given["t"])
    assert_close(found, given["y"], rtol=0, atol=2e-5)


def test_the_layers_of_the_readme_and_their_order_are_the_published_ones(shared: Path) -> None:
    order = json.loads((shared / "goldens/xray2ctpa/unet3d_readme_lora_order.json").read_text())
    layers = linear_layers(weightless("unet3d_readme"))
    theirs = {ours: published for published, ours in unet_names().items()}
    found = [[theirs[name], layers[name].in_features, layers[name].out_features] for name in adapted_layers()]
    assert found == order
    assert set(layers) == set(adapted_layers())


def test_exactly_the_published_adapters_learn() -> None:
    """40 layers of rank 4 and 117,248 weights, a hundredth of the network."""
    network = with_adapters(FactorisedUNet())
    learning = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert len(learning) == 80
    assert all(name.endswith((".up", ".down")) for name in learning)
    assert sum(parameter.numel() for parameter in trained_parameters(network)) == 117_248
    assert trained_share(network) == pytest.approx(117_248 / (12_007_236 + 117_248))


def test_every_tensor_of_the_published_network_with_adapters_has_its_place(shared: Path) -> None:
    network = with_adapters(FactorisedUNet())
    keys = published_keys(shared, "unet3d_readme_lora")
    state = {key: torch.zeros(shape) for key, shape, _ in keys}
    _, report = match(state, network.state_dict(), KeyMap(names(4), dropped=CONSTANTS), where="lora")
    assert set(report.loaded.values()) == set(network.state_dict())
    assert (len(keys), len(report.dropped)) == (381, 10)
