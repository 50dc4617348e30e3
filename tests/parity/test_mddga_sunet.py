"""SUNet against the published one: outputs, every layer, gradients and key lists, from the same deterministic weights.

The reference numbers come from the published code; weights and inputs follow from keys and seeds (``fill.py``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mddga_bundle.losses import ConsistentNoise, L1Noise
from mddga_bundle.published_names import sunet_names
from mddga_bundle.sunet import SUNet
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill
from transmodal.checkpoints import KeyMap, match

SMALL = ("sunet2d_small", "sunet3d_small")
JOINT = ("sunet2d_small_double_rb2", "sunet3d_small_double")
JOINTLY = {"in_channels": 2, "condition_channels": 2, "out_channels": 2}

small_networks = pytest.mark.parametrize("name", SMALL)


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    with np.load(shared / f"goldens/mddga/{name}_golden.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def config(shared: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((shared / f"goldens/mddga/{name}_config.json").read_text())
    return content


def definition(arguments: dict[str, Any]) -> dict[str, Any]:
    """Our arguments for the published ones, which give attention by level and count both images as one input."""
    channel_mult = arguments.get("channel_mults", [1, 2, 4, 8, 8])
    attention = [level in arguments.get("attn_res", [3, 4]) for level in range(len(channel_mult))]
    return {
        "spatial_dims": arguments["dims"],
        "in_channels": arguments["in_channel"] // 2,
        "condition_channels": arguments["in_channel"] // 2,
        "out_channels": arguments["out_channel"],
        "channels": arguments["inner_channel"],
        "channel_mult": channel_mult,
        "attention": attention,
        "num_res_blocks": arguments.get("res_blocks", 1),
    }


def filled(shared: Path, name: str, **changes: Any) -> tuple[SUNet, dict[str, str]]:
    """Our network with the deterministic weights, and the published names of its modules."""
    ours = definition(config(shared, name)["kwargs"])
    with torch.device("meta"):  # no weights are drawn only to be replaced
        network = SUNet(**(ours | changes)).eval()
    names = sunet_names(len(ours["channel_mult"]), ours["num_res_blocks"])
    theirs = {own: published for published, own in names.items()}
    state = {}
    for key, value in network.state_dict().items():
        module, _, parameter = key.rpartition(".")
        state[f"{theirs[module]}.{parameter}"] = value
    filled_in, _ = match(fill(state), network.state_dict(), KeyMap(names), where=name)
    network.load_state_dict(filled_in, assign=True)
    return network, names


def counterpart(network: SUNet, published: str, names: dict[str, str]) -> nn.Module:
    """Our module that ends where a published one does."""
    ends = {"noise_level_mlp": "noise_level_mlp.3", "final_conv": "final_conv.block.3"}
    if ends.get(published, published) in names:
        return network.get_submodule(names[ends.get(published, published)])
    if f"{published}.conv" in names:
        return network.get_submodule(names[f"{published}.conv"].removesuffix(".conv"))
    norms = (f"{published}.{norm}" for norm in ("attn.norm", "res_block.block1.block.0", "block.0"))
    return network.get_submodule(next(names[norm] for norm in norms if norm in names).rpartition(".")[0])


@pytest.mark.parametrize("name", SMALL + JOINT)
@torch.no_grad()
def test_the_noise_is_the_published_one(shared: Path, name: str) -> None:
    expected = golden(shared, name)
    network, _ = filled(shared, name, legacy_padding=True)
    assert_close(network(expected["c"], expected["x"], expected["t"]), expected["out"], rtol=0, atol=1e-5)


@small_networks
@torch.no_grad()
def test_in_a_batch_each_sample_is_what_the_published_network_makes_of_it_alone(shared: Path, name: str) -> None:
    expected = golden(shared, name)
    network, _ = filled(shared, name)
    found = network(expected["c"], expected["x"], expected["t"])
    alone = torch.cat([expected["out_single0"], expected["out_single1"]])
    assert_close(found, alone, rtol=0, atol=1e-5)
    assert (alone - expected["out"]).abs().amax().item() > 0.01  # the published batch would not have passed


@pytest.mark.parametrize("name", SMALL + JOINT)
@torch.no_grad()
def test_every_layer_gives_what_the_published_one_gives(shared: Path, name: str) -> None:
    """Shape, mean, deviation and largest magnitude of each output, so that a difference can be traced."""
    given, trace = golden(shared, name), config(shared, name)["trace"]
    network, names = filled(shared, name, legacy_padding=True)
    found: dict[str, list[Any]] = {}
    for published, *_ in trace:

        def note(_module: nn.Module, _inputs: object, output: Tensor, published: str = published) -> None:
            values = output.double()
            statistics = [values.mean().item(), values.std().item(), values.abs().max().item()]
            found[published] = [list(output.shape), *statistics]

        counterpart(network, published, names).register_forward_hook(note)
    network(given["c"], given["x"], given["t"])
    for published, _, shape, *statistics in trace:
        assert found[published][0] == shape, published
        assert found[published][1:] == pytest.approx(statistics, rel=1e-4, abs=1e-5), published


@small_networks
def test_the_loss_has_the_published_gradient_in_every_weight(shared: Path, name: str) -> None:
    """Gradients reach the padding too: its border is the minimum of the features."""
    given, norms = golden(shared, name), config(shared, name)["grad_l2"]
    network, names = filled(shared, name, legacy_padding=True)
    loss = L1Noise() if name == "sunet2d_small" else ConsistentNoise()
    terms = loss(network(given["c"], given["x"], given["t"]), given["target_noise"])
    total = torch.stack(list(terms.values())).sum()
    assert_close(total, given["loss"], rtol=1e-5, atol=0)
    total.backward()
    found = {key: value.grad.norm().item() for key, value in network.named_parameters()}
    expected = {KeyMap(names).name(published): norm for published, norm in norms.items()}
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "arguments", "values"),
    [
        ("2d_ic32", {"spatial_dims": 2}, 23_028_833),
        ("2d_ic32_double", {"spatial_dims": 2, **JOINTLY}, 23_029_986),
        ("3d_ic32", {"spatial_dims": 3}, 61_498_721),
        ("3d_ic64", {"spatial_dims": 3, "channels": 64}, 245_897_921),
        ("3d_ic64_double", {"spatial_dims": 3, "channels": 64, **JOINTLY}, 245_904_834),
    ],
)
def test_every_published_tensor_has_its_place(shared: Path, name: str, arguments: dict[str, Any], values: int) -> None:
    with torch.device("meta"):
        expected = SUNet(**arguments).state_dict()
    keys = json.loads((shared / f"goldens/mddga/sunet_v1_{name}_keys.json").read_text())
    state = {key: torch.zeros(()).expand(shape) for key, shape, _ in keys}
    _, report = match(state, expected, KeyMap(sunet_names()), where=name)
    assert (len(report.loaded), report.values) == (397, values)
    assert set(report.loaded.values()) == set(expected)
    assert not report.zeroed
    assert not report.dropped


@pytest.mark.parametrize(
    "name",
    [
        "sunet_v1_2d_ic32_224x168",
        pytest.param("sunet_v1_3d_ic64_lat40x56x42", marks=pytest.mark.slow),
    ],
)
@torch.no_grad()
def test_the_network_of_full_size_predicts_as_published(shared: Path, name: str) -> None:
    expected = golden(shared, name)
    network, _ = filled(shared, name)
    assert sum(value.numel() for value in network.parameters()) == config(shared, name)["n_params"]
    assert_close(network(expected["c"], expected["x"], expected["t"]), expected["out"], rtol=0, atol=2e-5)
