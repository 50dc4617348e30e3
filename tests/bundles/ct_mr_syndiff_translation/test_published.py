"""Published generators of SynDiff, told apart by their tensors, and everything else refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from syndiff_bundle.published import read, recognise, time_discriminator_names
from torch import Tensor
from torch.testing import assert_close

from tests.parity.published_names import ncsnpp_key_map
from tests.parity.syndiff_training import PublishedTraining, published_state
from transmodal.checkpoints import KeyMap, match
from transmodal.errors import InputError
from transmodal.networks.nets import NCSNpp, TimeDiscriminator

DEFAULT = {
    "_target_": "transmodal.networks.nets.NCSNpp",
    "in_channels": 2,
    "out_channels": 2,
    "channels": 64,
    "channel_mult": [1, 1, 2, 2, 4, 4],
    "num_res_blocks": 2,
    "attention": [False, False, False, False, True, False],
    "latent_dim": 100,
    "style_dim": 256,
    "mapping_layers": 3,
}
FIVE_LEVELS = {**DEFAULT, "channel_mult": [1, 1, 2, 2, 4], "attention": [False, False, False, False, True]}
SMALL = {
    **DEFAULT,
    "channels": 16,
    "channel_mult": [1, 2, 4],
    "attention": [False, False, True],
    "latent_dim": 24,
    "style_dim": 32,
}
ODD = {"channels": 4, "channel_mult": [2, 1], "num_res_blocks": 1, "attention": [True, True], "mapping_layers": 1}


def shapes(shared: Path, name: str) -> dict[str, Tensor]:
    """The published keys with tensors of no content."""
    keys = json.loads((shared / "goldens" / f"{name}_keys.json").read_text())
    return {key: torch.empty(shape, device="meta") for key, shape, _ in keys}


def published_shapes(network: NCSNpp, **layout: Any) -> dict[str, Tensor]:
    """The tensors of our network under the published keys of this layout, those of attention turned."""
    key_map, ours, state = ncsnpp_key_map(**layout), network.state_dict(), {}
    for published, name in key_map.names.items():
        for key in ours:
            if key == name or key.startswith(f"{name}."):
                full = published + key.removeprefix(name)
                state[full] = key_map.oriented(full, ours[key])
    return state


@pytest.mark.parametrize(
    ("keys", "definition"),
    [
        ("ncsnpp_orig256", DEFAULT),
        ("ncsnpp_fork256_5level", FIVE_LEVELS),
        ("ncsnpp_fork400x480", {**FIVE_LEVELS, "attention": [False] * 5}),
        ("ncsnpp_small_64x64", SMALL),
    ],
)
def test_a_generator_is_recognised_by_its_tensors(shared: Path, keys: str, definition: dict[str, Any]) -> None:
    published = recognise(shapes(shared, f"syndiff/{keys}"), where="gen_diffusive_1_500.pth")
    assert published.definition == definition
    assert published.settings == {"latent_dim": definition["latent_dim"]}


@pytest.mark.parametrize(
    "keys", ["ncsnpp_orig256", "ncsnpp_fork256_5level", "ncsnpp_fork400x480", "ncsnpp_small_64x64"]
)
def test_the_recognised_network_has_exactly_the_published_tensors(shared: Path, keys: str) -> None:
    state = shapes(shared, f"syndiff/{keys}")
    published = recognise(state, where=keys)
    with torch.device("meta"):
        network = ConfigParser({"network": dict(published.definition)}).get_parsed_content("network")
    arrived = {published.key_map.name(key): published.key_map.oriented(key, state[key]).shape for key in state}
    assert arrived == {key: value.shape for key, value in network.state_dict().items()}


def test_one_block_a_level_and_attention_at_every_level_are_recognised() -> None:
    network = NCSNpp(**ODD, latent_dim=5, style_dim=6)
    layout = {name: ODD[name] for name in ("attention", "num_res_blocks", "mapping_layers")}
    definition = recognise(published_shapes(network, **layout), where="x").definition
    assert definition == {**DEFAULT, **ODD, "latent_dim": 5, "style_dim": 6}


def test_every_value_arrives_and_projections_are_turned(shared: Path) -> None:
    state = published_state(shared, "ncsnpp_small_64x64")
    published = recognise(state, where="x")
    network = ConfigParser({"network": dict(published.definition)}).get_parsed_content("network")
    loaded, report = match(state, network.state_dict(), published.key_map, where="x")
    assert torch.equal(loaded["trunk.middle.attention.query.weight"], state["all_modules.16.NIN_0.W"].T)
    assert torch.equal(loaded["trunk.middle.block1.conv1.weight"], state["all_modules.15.Conv_0.weight"])
    assert {key for key in state if key.endswith(".W")} == set(report.transposed)
    assert sorted(value.sum().item() for value in loaded.values()) == pytest.approx(
        sorted(value.sum().item() for value in state.values()), abs=1e-4
    )


def test_keys_of_the_time_discriminator_are_the_published_ones(shared: Path) -> None:
    key_map = KeyMap(time_discriminator_names())
    with torch.device("meta"):
        expected = TimeDiscriminator().state_dict()
    published = shapes(shared, "syndiff/disc_diffusive_large_ngf64")
    assert {key_map.name(key): value.shape for key, value in published.items()} == {
        key: value.shape for key, value in expected.items()
    }


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ("syndiff/resnet_gen_small", "a non-diffusive generator"),
        ("syndiff/disc_diffusive_small", "a diffusive discriminator"),
        ("syndiff/disc_nondiffusive_small", "a non-diffusive discriminator"),
        ("mudiff/gen1", "a generator of MU-Diff"),
        ("mudiff/gen2", "a generator of MU-Diff"),
        ("mudiff/gen1_healthy", "a generator of MU-Diff"),
        ("gan/stargan_g", "keys such as main.0.weight"),
    ],
)
def test_another_published_network_is_refused_by_name(shared: Path, keys: str, what: str) -> None:
    with pytest.raises(InputError, match=rf"net.pth: found {what}.*wanted a diffusive generator"):
        recognise(shapes(shared, keys), where="net.pth")


def test_a_gap_in_the_numbering_is_named(shared: Path) -> None:
    state = shapes(shared, "syndiff/ncsnpp_small_64x64")
    cut = {key: value for key, value in state.items() if not key.startswith(("all_modules.7.", "all_modules.9."))}
    with pytest.raises(InputError, match=r"found a numbering without all_modules.7, all_modules.9"):
        recognise(cut, where="net.pth")


def test_modules_in_another_order_are_refused(shared: Path) -> None:
    state = shapes(shared, "syndiff/ncsnpp_small_64x64")
    more = {**state, "all_modules.32.Conv_0.weight": torch.empty(1, device="meta")}
    with pytest.raises(InputError, match="found 33 modules in an order that is not NCSN"):
        recognise(more, where="net.pth")


@pytest.mark.parametrize("key", ["all_modules.2.weight", "all_modules.3.Conv_0.weight", "z_transform.1.weight"])
def test_a_tensor_that_tells_the_widths_is_named_where_it_lacks(shared: Path, key: str) -> None:
    state = shapes(shared, "syndiff/ncsnpp_small_64x64")
    flat = {**state, key: torch.empty(3, device="meta")}
    for faulty in (flat, {name: value for name, value in state.items() if name != key}):
        with pytest.raises(InputError, match=f"found no {key} of the right number of dimensions"):
            recognise(faulty, where="net.pth")


def test_a_generator_of_more_than_one_source_is_refused(shared: Path) -> None:
    state = shapes(shared, "syndiff/ncsnpp_small_64x64")
    state["all_modules.2.weight"] = torch.empty(16, 3, 3, 3, device="meta")
    with pytest.raises(InputError, match="found a diffusive generator of 3 channels"):
        recognise(state, where="net.pth")


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_a_generators_own_file_is_read_whatever_its_prefix(shared: Path, tmp_path: Path, prefix: str) -> None:
    state = published_state(shared, "ncsnpp_small_64x64")
    torch.save({prefix + key: value for key, value in state.items()}, tmp_path / "gen_diffusive_1_500.pth")
    found, where, published = read(tmp_path / "gen_diffusive_1_500.pth", role="first")
    assert list(found) == list(state)
    assert where == str(tmp_path / "gen_diffusive_1_500.pth")
    assert published.definition == SMALL


@pytest.mark.parametrize(("role", "name"), [("first", "gen_diffusive_1"), ("second", "gen_diffusive_2")])
def test_a_training_gives_the_average_of_the_roles_generator(
    training: PublishedTraining, tmp_path: Path, role: str, name: str
) -> None:
    state, where, _ = read(training.save(tmp_path / "content.pth"), role)
    assert where == f"{tmp_path / 'content.pth'}, {name}, averaged (EMA) weights after 2 epochs"
    assert_close(state, training.average(name), rtol=0, atol=0)


def test_a_training_without_averages_gives_the_weights_and_says_so(training: PublishedTraining, tmp_path: Path) -> None:
    state, where, _ = read(training.save(tmp_path / "content.pth", use_ema=False), role="first")
    assert "gen_diffusive_1, weights as trained, there is no average of them, after 2 epochs" in where
    assert_close(state, training.weights("gen_diffusive_1"), rtol=0, atol=0)


def test_options_of_a_training_that_leave_no_trace_in_tensors_are_settings(
    training: PublishedTraining, tmp_path: Path
) -> None:
    file = training.save(tmp_path / "content.pth", num_timesteps=2, not_use_tanh=True)
    _, _, published = read(file, role="first")
    assert published.settings == {"latent_dim": 24, "num_timesteps": 2, "generator_def#tanh": False}
    assert published.definition["tanh"] is False
