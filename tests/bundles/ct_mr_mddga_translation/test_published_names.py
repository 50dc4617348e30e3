"""Names of the published SUNet: each module of ours has one, and its number is that of the published layer table."""

from __future__ import annotations

import pytest
import torch
from mddga_bundle.published_names import sunet_names
from mddga_bundle.sunet import SUNet


@pytest.mark.parametrize("num_res_blocks", [1, 2])
@pytest.mark.parametrize("num_levels", [1, 3, 5])
def test_every_layer_of_ours_has_one_published_name(num_levels: int, num_res_blocks: int) -> None:
    levels = {"channel_mult": range(1, num_levels + 1), "attention": (True,) * num_levels}
    with torch.device("meta"):
        network = SUNet(channels=8, norm_groups=8, num_res_blocks=num_res_blocks, **levels)
    layers = {key.rpartition(".")[0] for key in network.state_dict()}
    names = list(sunet_names(num_levels, num_res_blocks).values())
    assert layers <= set(names)
    assert len(names) == len(set(names))
    unused = {name.rpartition(".")[2] for name in set(names) - layers}
    assert unused <= {"shortcut"}  # only where a block changes the number of channels


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        ("downs.0", "encoder.stem"),
        ("c_downs.2.block.2", "condition_encoder.levels.0.border.projection"),
        ("downs.9.conv", "encoder.levels.2.downsample"),
        ("downs.13.attn.out", "encoder.levels.4.attention.0.projection"),
        ("mid.1.res_block.mlp.1", "middle.block3.time_projection"),
        ("ups.1.attn.qkv", "up.4.attention.1.query_key_value"),
        ("ups.2.conv", "up.4.upsample.conv"),
        ("ups.3.block.0", "up.4.border.norm"),
        ("ups.17.res_block.res_conv", "up.0.blocks.1.shortcut"),
    ],
)
def test_the_numbers_of_five_levels_are_those_of_the_published_layer_table(published: str, ours: str) -> None:
    assert sunet_names()[published] == ours
