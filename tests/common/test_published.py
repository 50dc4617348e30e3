"""Layer names of published networks lead to every tensor of ours, and to each once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.nets import PatchDiscriminator

from transmodal.checkpoints import KeyMap
from transmodal.networks.nets import NCSNpp, ResNetGenerator, TimeDiscriminator
from transmodal.published import (
    LAYER,
    NCSNppLayout,
    ncsnpp_in_words,
    patch_discriminator_names,
    resnet_generator_names,
    time_discriminator_names,
)


@pytest.mark.parametrize("num_blocks", [6, 9])
@pytest.mark.parametrize("norm", ["BATCH", ("INSTANCE", {"affine": False})])
def test_names_of_the_resnet_generator_are_those_of_ours(num_blocks: int, norm: Any) -> None:
    with torch.device("meta"):
        network = ResNetGenerator(channels=4, num_blocks=num_blocks, norm=norm)
    names = list(resnet_generator_names(num_blocks).values())
    assert {key.rpartition(".")[0] for key in network.state_dict()} <= set(names)
    assert len(set(names)) == len(names)


def test_dropout_moves_the_second_convolution_of_a_block_by_one_place() -> None:
    assert resnet_generator_names(1)["model.10.conv_block.5"] == "blocks.0.conv2"
    assert resnet_generator_names(1, dropout=True)["model.10.conv_block.6"] == "blocks.0.conv2"


@pytest.mark.parametrize("num_layers", [1, 3])
def test_names_of_the_patch_discriminator_are_those_of_monais(num_layers: int) -> None:
    norm = ("INSTANCE", {"affine": False})
    with torch.device("meta"):
        network = PatchDiscriminator(2, channels=4, in_channels=1, num_layers_d=num_layers, norm=norm, bias=True)
    names = list(patch_discriminator_names(num_layers).values())
    assert {key.rpartition(".")[0] for key in network.state_dict()} == set(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("attention", [(False, False), (True, False), (True, True, True)])
@pytest.mark.parametrize(("num_res_blocks", "mapping_layers"), [(1, 0), (2, 3)])
def test_names_of_ncsnpp_are_those_of_ours(attention: Any, num_res_blocks: int, mapping_layers: int) -> None:
    layout = {"attention": attention, "num_res_blocks": num_res_blocks, "mapping_layers": mapping_layers}
    with torch.device("meta"):
        network = NCSNpp(channels=4, channel_mult=(1,) * len(attention), latent_dim=2, style_dim=2, **layout)
    names = list(NCSNppLayout([("stem", LAYER)], **layout).names().values())
    keys = list(network.state_dict())
    assert [key for key in keys if not any(f"{key}.".startswith(f"{name}.") for name in names)] == []
    assert len(set(names)) == len(names)


def test_stems_move_the_modules_behind_them() -> None:
    one, three = (NCSNppLayout([("stem", LAYER)] * count, [False]).names() for count in (1, 3))
    assert one["all_modules.3.Conv_0"] == three["all_modules.5.Conv_0"] == "trunk.down.0.blocks.0.conv1"


def test_a_layout_is_told_in_words() -> None:
    settings = {"channels": 16, "channel_mult": [1, 2], "num_res_blocks": 2, "attention": [False, True]}
    assert ncsnpp_in_words(settings) == (
        "2 levels (1 2 times 16 wide), 2 residual blocks each, attention at level 1 and in the middle"
    )


@pytest.mark.parametrize("num_blocks", [6, 3])
def test_names_of_the_diffusive_discriminator_are_those_of_ours(num_blocks: int) -> None:
    with torch.device("meta"):
        network = TimeDiscriminator(channels=4)
    names = KeyMap(time_discriminator_names(num_blocks)).names
    assert len(set(names.values())) == len(names)
    blocks = {key.rpartition(".")[0] for key in network.state_dict()}
    assert (blocks <= set(names.values())) == (num_blocks == 6)
