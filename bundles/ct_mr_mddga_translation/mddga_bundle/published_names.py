"""Layer names of the published SUNet, which numbers its layers, and of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

RESIDUAL_BLOCK = {
    "res_block.mlp.1": "time_projection",
    "res_block.block1.block.0": "norm1",
    "res_block.block1.block.3": "conv1",
    "res_block.block2.block.0": "norm2",
    "res_block.block2.block.3": "conv2",
    "res_block.res_conv": "shortcut",
}
SELF_ATTENTION = {"attn.norm": "norm", "attn.qkv": "query_key_value", "attn.out": "projection"}
CROSS_ATTENTION = {"attn.norm": "norm", "attn.q": "query", "attn.kv": "key_value", "attn.out": "projection"}
BORDER = {"block.0": "norm", "block.2": "projection"}
AROUND = {
    "noise_level_mlp.1": "time_embedding.linear1",
    "noise_level_mlp.3": "time_embedding.linear2",
    "final_conv.block.0": "norm",
    "final_conv.block.3": "head",
}


def sunet_names(num_levels: int = 5, num_res_blocks: int = 1) -> dict[str, str]:
    """Published names of the modules of SUNet, version 1, to those of ``SUNet``.

    The names of attention stand for every level; a network has those of the levels that attend.

    Args:
        num_levels: of the network.
        num_res_blocks: residual blocks of a level on the way down; there is one more on the way up.
    """
    names = dict(AROUND)
    for theirs, ours in (("downs", "encoder"), ("c_downs", "condition_encoder")):
        for number, layers in enumerate(_down(num_levels, num_res_blocks)):
            names |= _dotted(f"{theirs}.{number}", {layer: f"{ours}.{name}" for layer, name in layers.items()})
    for number, layers in enumerate(_up(num_levels, num_res_blocks)):
        names |= _dotted(f"ups.{number}", {layer: f"up.{name}" for layer, name in layers.items()})
    names |= _dotted("cross_attention", _block("middle.block1", "middle.cross_attention", CROSS_ATTENTION))
    names |= _dotted("mid.0", _block("middle.block2", "middle.attention"))
    return names | _dotted("mid.1", _within("middle.block3", RESIDUAL_BLOCK))


def _down(num_levels: int, num_res_blocks: int) -> Iterator[dict[str, str]]:
    """Layers of each numbered module of an encoder to ours, in the published order."""
    yield {"": "stem"}
    for level in range(num_levels):
        for block in range(num_res_blocks):
            yield _block(f"levels.{level}.blocks.{block}", f"levels.{level}.attention.{block}")
        if level < num_levels - 1:
            yield _within(f"levels.{level}.border", BORDER)
            yield {"conv": f"levels.{level}.downsample"}


def _up(num_levels: int, num_res_blocks: int) -> Iterator[dict[str, str]]:
    for level in reversed(range(num_levels)):
        for block in range(num_res_blocks + 1):
            yield _block(f"{level}.blocks.{block}", f"{level}.attention.{block}")
        if level > 0:
            yield {"conv": f"{level}.upsample.conv"}
            yield _within(f"{level}.border", BORDER)


def _block(block: str, attention: str, layers: Mapping[str, str] = SELF_ATTENTION) -> dict[str, str]:
    return _within(block, RESIDUAL_BLOCK) | _within(attention, layers)


def _within(ours: str, layers: Mapping[str, str]) -> dict[str, str]:
    return {theirs: f"{ours}.{name}" for theirs, name in layers.items()}


def _dotted(theirs: str, layers: Mapping[str, str]) -> dict[str, str]:
    return {f"{theirs}.{layer}".rstrip("."): name for layer, name in layers.items()}
