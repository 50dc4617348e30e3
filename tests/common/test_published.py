"""Layer names of published networks lead to every tensor of ours, and to each once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.nets import PatchDiscriminator

from transmodal.networks.nets import ResNetGenerator
from transmodal.published import patch_discriminator_names, resnet_generator_names


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
