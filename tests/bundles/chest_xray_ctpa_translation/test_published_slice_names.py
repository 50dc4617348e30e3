"""Names of published layers by the order in which they run."""

from __future__ import annotations

from xray2ctpa_bundle.published_slice_names import DIFFUSERS, LDM, slice_autoencoder_names


def test_numbers_follow_the_order_of_the_encoder() -> None:
    """Of two levels and one block: stem 0, block 1, border 2, block 3, middle 4 to 6, norm 7, activation 8, head 9."""
    names = slice_autoencoder_names(DIFFUSERS, num_levels=2, num_res_blocks=1)
    assert names["encoder.conv_in"] == "encoder.blocks.0.conv"
    assert names["encoder.down_blocks.0.downsamplers.0.conv"] == "encoder.blocks.2.conv.conv"
    assert names["encoder.down_blocks.1.resnets.0.conv_shortcut"] == "encoder.blocks.3.nin_shortcut.conv"
    assert names["encoder.mid_block.attentions.0.to_out.0"] == "encoder.blocks.5.attn.out_proj"
    assert names["encoder.conv_norm_out"] == "encoder.blocks.7"
    assert names["encoder.conv_out"] == "encoder.blocks.9.conv"


def test_levels_on_the_way_up_are_counted_from_either_end() -> None:
    """The coarsest is the first to run: behind the stem and the middle it begins with layer 4."""
    coarsest = "decoder.blocks.4.conv1.conv"
    assert slice_autoencoder_names(DIFFUSERS)["decoder.up_blocks.0.resnets.0.conv1"] == coarsest
    assert slice_autoencoder_names(LDM)["decoder.up.3.block.0.conv1"] == coarsest
