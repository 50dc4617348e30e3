"""The tower of BiomedCLIP: frozen in every sense, never with random weights, and what it tells of a radiograph."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.encoders import PairedEncoder, RadiographEncoder
from xray2ctpa_bundle.vit import BiomedCLIP, tower_input

from transmodal.errors import InputError

TINY = {"image_size": 32, "patch_size": 8, "width": 16, "depth": 2, "heads": 4, "embedding_dim": 12}


def tower(frozen: bool = True) -> BiomedCLIP:
    """With weights from a state dict, as after loading a file."""
    network = BiomedCLIP(**TINY, frozen=frozen)
    state = {key: 0.3 * torch.randn(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict(state)
    return network


def radiographs(side: int = 32) -> Tensor:
    return torch.randn(2, 1, side, side, generator=torch.Generator().manual_seed(1)).tanh()


@torch.no_grad()
def test_the_parts_have_the_sizes_that_the_tower_names() -> None:
    network = tower()
    condition = network(radiographs())
    assert condition.embedding.shape == (2, network.embedding_dim) == (2, 12)
    assert condition.tokens.shape == (2, 16, network.token_dim) == (2, 16, 16)
    assert condition.plane.shape == (2, network.plane_channels, 4, 4)


@torch.no_grad()
def test_the_embedding_has_length_1() -> None:
    assert_close(tower()(radiographs()).embedding.norm(dim=1), torch.ones(2))


@torch.no_grad()
def test_the_plane_is_the_tokens_in_their_places() -> None:
    condition = tower()(radiographs())
    assert_close(condition.plane[1, :, 2, 3], condition.tokens[1, 2 * 4 + 3])


@torch.no_grad()
def test_tokens_are_of_their_patches_row_by_row() -> None:
    network, image = tower(), radiographs()
    network.trunk.blocks = nn.Sequential()  # without attention a token knows its own patch alone
    changed = image.clone()
    changed[0, :, 8:16, 24:32] += 0.5
    moved = (network(changed).tokens - network(image).tokens).abs().sum(-1)
    assert moved.nonzero().tolist() == [[0, 1 * 4 + 3]]


def test_a_frozen_tower_stays_in_evaluation_mode() -> None:
    network = nn.Sequential(tower())
    network.train()
    assert network.training
    assert not any(module.training for module in network[0].modules())


def test_no_gradient_enters_a_frozen_tower() -> None:
    network, image = tower(), radiographs().requires_grad_()
    condition = network.train()(image)
    assert not any(part.requires_grad for part in condition)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_an_optimizer_step_leaves_a_frozen_tower_as_it_is_and_moves_what_is_beside_it() -> None:
    spatial = RadiographEncoder((4, 4), embedding_dim=0, plane_channels=3, norm_groups=2)
    pair = PairedEncoder(tower(), spatial).train()
    before = deepcopy(pair.state_dict())
    optimizer = torch.optim.AdamW(pair.parameters(), lr=0.1, weight_decay=0.1)
    condition = pair(radiographs())
    (condition.plane.square().sum() + condition.embedding.sum() + condition.tokens.sum()).backward()
    optimizer.step()
    moved = {key.split(".")[0] for key, value in pair.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"spatial"}


def test_a_tower_that_is_not_frozen_learns() -> None:
    network = BiomedCLIP(**TINY, frozen=False)
    assert network.training
    condition = network(radiographs())
    (condition.embedding.square().sum() + condition.tokens.square().sum()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_frozen_tower_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="never loaded"):
        BiomedCLIP(**TINY)(radiographs())


def test_weights_that_come_with_the_whole_network_count_and_so_does_a_copy() -> None:
    whole = nn.ModuleDict({"encoder": BiomedCLIP(**TINY)})
    whole.load_state_dict({f"encoder.{key}": value for key, value in tower().state_dict().items()})
    assert deepcopy(whole)["encoder"](radiographs()).embedding.shape == (2, 12)


def test_weights_for_others_do_not_count() -> None:
    whole = nn.ModuleDict({"encoder": BiomedCLIP(**TINY), "other": nn.Linear(1, 1)})
    whole.load_state_dict({f"other.{key}": value for key, value in whole["other"].state_dict().items()}, strict=False)
    with pytest.raises(InputError, match="never loaded"):
        whole["encoder"](radiographs())


def test_the_input_is_normalised_by_the_statistics_of_radiographs() -> None:
    """Expected by hand: 0 is half of the greys, (0.5 - 0.633) / 0.181."""
    given = tower_input(torch.zeros(1, 1, 32, 32), 32)
    assert_close(given, torch.full((1, 3, 32, 32), -0.7348066))


@torch.no_grad()
def test_radiographs_of_another_size_are_resampled() -> None:
    network, image = tower(), radiographs(64)
    smaller = nn.functional.interpolate(image, size=(32, 32), mode="bilinear", align_corners=False)
    assert_close(network(image).embedding, network(smaller).embedding)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [({"image_size": 30}, "30 pixels in patches of 8"), ({"frozen": "false"}, "'false'")],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], found: str) -> None:
    with pytest.raises(InputError, match=found):
        BiomedCLIP(**(TINY | arguments))  # type: ignore[arg-type]
