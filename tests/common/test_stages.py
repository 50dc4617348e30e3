"""What a stage takes from earlier ones: parts from files, and a scale that a data set follows."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from transmodal.checkpoints import save_weights
from transmodal.errors import InputError
from transmodal.networks import LatentScale
from transmodal.stages import identity_of, measured, with_parts


class Network(nn.Module):
    """Two parts, of which one has a stage of its own, and a scale."""

    stages = ("coder",)

    def __init__(self) -> None:
        super().__init__()
        self.coder, self.denoiser, self.scale = nn.Linear(2, 3), nn.Linear(3, 3), LatentScale(2)


class Latents:
    """A data set of two volumes."""

    def __init__(self) -> None:
        self.scale: LatentScale | None = None
        self.latents = [torch.randn(2, 3, 4, 5) * 2 + 7, torch.randn(2, 2, 2, 2) - 3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_weights(nn.Linear(2, 3).state_dict(), tmp_path / "coder.pt")
    return tmp_path / "coder.pt"


def test_a_part_comes_from_its_file_and_is_frozen(file: Path) -> None:
    network = Network()
    assert with_parts(network, {"coder": file}, device="cpu") is network
    assert torch.equal(network.coder.weight, torch.load(file, weights_only=True)["weight"])
    assert {name for name, value in network.named_parameters() if value.requires_grad} == {
        "denoiser.weight",
        "denoiser.bias",
    }


def test_without_parts_all_is_trained() -> None:
    assert all(parameter.requires_grad for parameter in with_parts(Network(), {}).parameters())


def test_a_missing_file_is_refused_with_the_command_of_its_stage(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        with_parts(Network(), {"coder": tmp_path / "coder.pt"})
    assert "\"['configs/train.json','configs/train_coder.json']\"" in caught.value.remedy


@pytest.mark.parametrize("name", ["denoiser", "critic"])
def test_a_part_without_a_stage_is_refused(file: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"with_parts, parts: found a part '{name}'; wanted coder"):
        with_parts(Network(), {name: file})


def test_a_network_without_stages_has_no_parts(file: Path) -> None:
    with pytest.raises(InputError, match="wanted none: no stage trains a part of a Linear"):
        with_parts(nn.Linear(2, 3), {"coder": file})


def test_the_scale_is_measured_and_the_data_set_has_a_copy() -> None:
    network, dataset = Network(), Latents()
    assert measured(network, dataset) is network
    voxels = torch.cat([latent.flatten(1) for latent in dataset.latents], dim=1)
    assert_close(network.scale.mean, voxels.mean(dim=1))
    assert_close(dataset.scale.state_dict(), network.scale.state_dict())
    assert dataset.scale is not network.scale


def test_bounds_take_the_place_of_what_is_measured() -> None:
    network, dataset = Network(), Latents()
    measured(network, dataset, bounds=[-3.0, 1.0])
    assert (network.scale.mean.tolist(), network.scale.std.tolist()) == ([-1, -1], [2, 2])
    assert_close(dataset.scale.state_dict(), network.scale.state_dict())


def test_a_scale_may_stay_as_it_is() -> None:
    network, dataset = Network(), Latents()
    measured(network, dataset, enabled=False, bounds=[-3.0, 1.0])
    assert (network.scale.mean.tolist(), dataset.scale.std.tolist()) == ([0, 0], [1, 1])


def test_the_data_set_follows_what_is_loaded_into_the_network_but_not_into_its_copies() -> None:
    network, dataset = Network(), Latents()
    average = deepcopy(measured(network, dataset))
    earlier = {**network.state_dict(), "scale.mean": torch.full((2,), 5.0)}
    average.load_state_dict(earlier)
    assert not torch.equal(dataset.scale.mean, torch.full((2,), 5.0))
    network.load_state_dict(earlier)
    assert torch.equal(dataset.scale.mean, torch.full((2,), 5.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"enabled": "True"}, "measured, enabled: found 'True'; wanted true or false"),
        ({"bounds": [1.0]}, r"measured, bounds: found \[1.0\]; wanted two numbers, or null"),
        ({"bounds": "-1"}, "measured, bounds: found '-1'"),
        ({"bounds": [2.0, 1.0]}, "range of the latents: found 2.0 to 1.0"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measured(Network(), Latents(), **arguments)


def test_equal_weights_have_one_identity_and_any_other_another() -> None:
    network = Network()
    same, other = deepcopy(network), deepcopy(network)
    with torch.no_grad():
        other.coder.bias[0] += 1e-6
    assert identity_of(network) == identity_of(same)
    assert identity_of(network) != identity_of(other)


def test_names_of_weights_are_part_of_the_identity() -> None:
    weight = torch.ones(1)
    first, second = nn.Module(), nn.Module()
    first.register_buffer("a", weight)
    second.register_buffer("b", weight)
    assert identity_of(first) != identity_of(second)
