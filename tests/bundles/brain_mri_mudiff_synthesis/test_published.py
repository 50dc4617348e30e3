"""Published denoisers of MU-Diff, told apart by their tensors, and everything else refused by name."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from mudiff_bundle.networks import ContrastAwareDenoiser, ContrastSpecificDenoiser
from mudiff_bundle.published import read, recognise
from torch import Tensor, nn

from tests.parity.fill import fill_keys
from tests.parity.published_names import aware_names, specific_names
from transmodal.checkpoints import KeyMap, match
from transmodal.errors import InputError
from transmodal.published import TRANSPOSED

SPECIFIC = {
    "_target_": "mudiff_bundle.networks.ContrastSpecificDenoiser",
    "num_sources": 3,
    "channels": 64,
    "channel_mult": [1, 2, 4],
    "num_res_blocks": 2,
    "attention": [False, False, False],
    "latent_dim": 100,
    "style_dim": 256,
    "mapping_layers": 3,
}
AWARE = {**SPECIFIC, "_target_": "mudiff_bundle.networks.ContrastAwareDenoiser", "stem_style_dim": 256}
ODD: dict[str, Any] = {
    "channels": 4,
    "channel_mult": [2, 1],
    "num_res_blocks": 1,
    "attention": [True, True],
    "latent_dim": 5,
    "style_dim": 6,
    "mapping_layers": 1,
}
NETWORKS = {"gen1": SPECIFIC, "gen2": AWARE, "gen1_healthy": SPECIFIC, "gen2_healthy": AWARE}

networks = pytest.mark.parametrize("name", NETWORKS)


def listed(shared: Path, name: str, folder: str = "mudiff") -> list[Any]:
    keys: list[Any] = json.loads((shared / f"goldens/{folder}/{name}_keys.json").read_text())
    return keys


def shapes(shared: Path, name: str, folder: str = "mudiff") -> dict[str, Tensor]:
    """The published keys with tensors of no content."""
    return {key: torch.empty(shape, device="meta") for key, shape, _ in listed(shared, name, folder)}


def small(shared: Path, name: str) -> dict[str, Tensor]:
    """A published state dict 16 channels wide, with attention at the coarsest level."""
    return fill_keys(json.loads((shared / f"goldens/mudiff/{name}_config.json").read_text())["keys"])


def published_shapes(network: nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    """The tensors of our network under published keys, those of attention turned."""
    key_map, ours, state = KeyMap(names, transposed=TRANSPOSED), network.state_dict(), {}
    for published, name in names.items():
        for key in ours:
            if key == name or key.startswith(f"{name}."):
                full = published + key.removeprefix(name)
                state[full] = key_map.oriented(full, ours[key])
    return state


@networks
def test_a_denoiser_is_recognised_by_its_tensors(shared: Path, name: str) -> None:
    published = recognise(shapes(shared, name), where="gen.pth")
    assert published.definition == {**NETWORKS[name], "num_sources": 2 if "healthy" in name else 3}
    assert published.settings == {"latent_dim": 100}


@networks
def test_the_recognised_network_has_exactly_the_published_tensors(shared: Path, name: str) -> None:
    state = shapes(shared, name)
    published = recognise(state, where=name)
    with torch.device("meta"):
        network = ConfigParser({"network": dict(published.definition)}).get_parsed_content("network")
    arrived = {published.key_map.name(key): published.key_map.oriented(key, state[key]).shape for key in state}
    assert arrived == {key: value.shape for key, value in network.state_dict().items()}


def test_attention_within_a_level_is_recognised(shared: Path) -> None:
    for name in NETWORKS:
        definition = recognise(small(shared, name), where=name).definition
        assert definition["attention"] == [False, False, True]
        assert (definition["channels"], definition["style_dim"]) == (16, 32)


@pytest.mark.parametrize("num_sources", [1, 2, 4, 5])
@pytest.mark.parametrize("aware", [False, True])
def test_any_number_of_sources_and_other_layouts_are_recognised(num_sources: int, aware: bool) -> None:
    layout = {name: ODD[name] for name in ("attention", "num_res_blocks", "mapping_layers")}
    names = (aware_names if aware else specific_names)(num_sources, **layout)
    if aware:
        network: nn.Module = ContrastAwareDenoiser(num_sources, **ODD, stem_style_dim=7)
        expected = {**AWARE, **ODD, "num_sources": num_sources, "stem_style_dim": 7}
    else:
        network, expected = (
            ContrastSpecificDenoiser(num_sources, **ODD),
            {**SPECIFIC, **ODD, "num_sources": num_sources},
        )
    assert recognise(published_shapes(network, names), where="x").definition == expected


def test_the_convolutions_of_a_pair_count_sources_from_one() -> None:
    names = aware_names(3)
    assert names["feat_att1_c12"] == "fusion.0.gate1"
    assert names["feat_att2_c23"] == "fusion.1.gate2"
    assert names["feat_att1_c31"] == "fusion.2.gate1"
    assert names["feat_weight_c3"] == "fusion.2.blend"


@networks
def test_every_value_arrives_and_projections_are_turned(shared: Path, name: str) -> None:
    state = small(shared, name)
    published = recognise(state, where=name)
    network = ConfigParser({"network": dict(published.definition)}).get_parsed_content("network")
    loaded, report = match(state, network.state_dict(), published.key_map, where=name)
    assert {key for key in state if key.endswith(".W")} == set(report.transposed)
    assert {report.loaded[key] for key in report.transposed} >= {"trunk.middle.attention.query.weight"}
    assert sorted(value.sum().item() for value in loaded.values()) == pytest.approx(
        sorted(value.sum().item() for value in state.values()), abs=1e-4
    )


@pytest.mark.parametrize(
    ("folder", "keys", "what"),
    [
        ("mudiff", "disc", "the discriminator"),
        ("syndiff", "ncsnpp_orig256", "a diffusive generator of SynDiff"),
        ("syndiff", "ncsnpp_small_64x64", "a diffusive generator of SynDiff"),
        ("syndiff", "disc_diffusive_small", "the discriminator"),
        ("syndiff", "resnet_gen_small", "a non-diffusive network of SynDiff or CycleGAN"),
        ("syndiff", "disc_nondiffusive_small", "a non-diffusive network of SynDiff or CycleGAN"),
        ("gan", "stargan_g", "keys such as main.0.weight"),
    ],
)
def test_another_published_network_is_refused_by_name(shared: Path, folder: str, keys: str, what: str) -> None:
    with pytest.raises(InputError, match=rf"net.pth: found {what}.*wanted a denoiser of the published MU-Diff code"):
        recognise(shapes(shared, keys, folder), where="net.pth")


def test_a_gap_in_the_numbering_is_named(shared: Path) -> None:
    state = {key: value for key, value in shapes(shared, "gen1").items() if not key.startswith("all_modules.7.")}
    with pytest.raises(InputError, match=r"found a numbering without all_modules.7"):
        recognise(state, where="net.pth")


def test_a_missing_stem_is_refused(shared: Path) -> None:
    """The numbers that follow are taken for other modules, so none has its place."""
    state = {key: value for key, value in shapes(shared, "gen1").items() if not key.startswith("all_modules.5.")}
    state["all_modules.5.Conv_0.weight"] = torch.empty(1, device="meta")
    with pytest.raises(InputError, match="found 32 modules in an order that is not NCSN"):
        recognise(state, where="net.pth")


@pytest.mark.parametrize("key", ["all_modules.3.conv1.weight", "all_modules.2.fc.weight", "z_transform.1.weight"])
def test_a_tensor_that_tells_the_widths_is_named_where_it_lacks_its_dimensions(shared: Path, key: str) -> None:
    state = {**shapes(shared, "gen2"), key: torch.empty(3, device="meta")}
    with pytest.raises(InputError, match=f"found no {key} of the right number of dimensions"):
        recognise(state, where="net.pth")


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
@pytest.mark.parametrize(("name", "role"), [("gen1", "specific"), ("gen2", "aware")])
def test_a_file_is_read_whatever_its_prefix(shared: Path, tmp_path: Path, name: str, role: str, prefix: str) -> None:
    state, file = small(shared, name), tmp_path / "gen.pth"
    torch.save({prefix + key: value for key, value in state.items()}, file)
    found, where, published = read(file, role)
    assert list(found) == list(state)
    assert where == str(file)
    assert published.definition["num_sources"] == 3


@pytest.mark.parametrize(
    ("name", "role", "found", "remedy"),
    [
        ("gen2", "specific", "the contrast-aware denoiser", "aware=FILE"),
        ("gen1", "aware", "the contrast-specific denoiser", "specific=FILE"),
    ],
)
def test_the_other_denoisers_file_is_told_by_name(
    shared: Path, tmp_path: Path, name: str, role: str, found: str, remedy: str
) -> None:
    torch.save(small(shared, name), tmp_path / "gen.pth")
    with pytest.raises(InputError, match=rf"gen.pth: found {found}(.|\n)*give this file as {remedy}"):
        read(tmp_path / "gen.pth", role)


def training(shared: Path, path: Path, moments: dict[str, Any] | None = None, **arguments: Any) -> Path:
    """A ``content.pth`` with both denoisers."""
    content: dict[str, Any] = {"epoch": 3, "args": Namespace(**arguments)}
    for name in ("gen_diffusive_1", "gen_diffusive_2"):
        state = small(shared, f"gen{name[-1]}")
        content[f"{name}_dict"] = {f"module.{key}": value for key, value in state.items()}
        content[f"optimizer_{name}"] = {"state": {0: moments or {"step": 1}}, "param_groups": []}
    torch.save(content, path)
    return path


@pytest.mark.parametrize(("name", "role"), [("gen_diffusive_1", "specific"), ("gen_diffusive_2", "aware")])
def test_a_training_serves_for_both_and_tells_the_number_of_steps(
    shared: Path, tmp_path: Path, name: str, role: str
) -> None:
    file = training(shared, tmp_path / "content.pth", num_timesteps=2)
    state, where, published = read(file, role)
    assert where == f"{file}, {name}"
    assert list(state) == list(small(shared, f"gen{name[-1]}"))
    assert published.settings == {"latent_dim": 100, "num_timesteps": 2}


def test_a_training_with_averages_is_sent_to_the_file_that_holds_them(shared: Path, tmp_path: Path) -> None:
    file = training(shared, tmp_path / "content.pth", moments={"step": 1, "ema": torch.zeros(1)})
    with pytest.raises(InputError, match=r"found a training with moving averages(.|\n)*give gen_diffusive_1_EPOCH.pth"):
        read(file, "specific")


def test_a_training_without_tanh_is_refused(shared: Path, tmp_path: Path) -> None:
    file = training(shared, tmp_path / "content.pth", not_use_tanh=True)
    with pytest.raises(InputError, match="found a training with --not_use_tanh"):
        read(file, "aware")
