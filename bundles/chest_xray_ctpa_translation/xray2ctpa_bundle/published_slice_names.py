"""Layer names of the published autoencoders of slices, in the two layouts of their files, and of ours.

MONAI numbers the layers of an encoder or decoder in the order in which they run; the published codes name them by level
and kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["DIFFUSERS", "LDM", "Layout", "slice_autoencoder_names"]

CONVOLUTION = {"": "conv"}
RESIDUAL_BLOCK = {"norm1": "norm1", "conv1": "conv1.conv", "norm2": "norm2", "conv2": "conv2.conv"}


@dataclass(frozen=True)
class Layout:
    """How a published code names the layers of an autoencoder.

    Args:
        title: of the layout, for the reader.
        down, up: beginning of a level's names on the way down and up, with ``{level}``.
        finest_first: whether the levels on the way up are numbered from the finest.
        block: of a residual block within a level, with ``{block}``.
        downsample, upsample: of the convolution between levels, within a level.
        middle: of the first block, the attention and the second block at the coarsest level.
        attention: children of an attention to those of MONAI's.
        shortcut: child of a residual block that changes the width.
        norm_out: the last norm.
    """

    title: str
    down: str
    up: str
    finest_first: bool
    block: str
    downsample: str
    upsample: str
    middle: tuple[str, str, str]
    attention: Mapping[str, str]
    shortcut: str
    norm_out: str


DIFFUSERS = Layout(
    title="diffusers",
    down="down_blocks.{level}",
    up="up_blocks.{level}",
    finest_first=False,
    block="resnets.{block}",
    downsample="downsamplers.0.conv",
    upsample="upsamplers.0.conv",
    middle=("mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"),
    attention={
        "group_norm": "norm",
        **{f"to_{name}": f"attn.to_{name}" for name in "qkv"},
        **{old: f"attn.to_{old[0]}" for old in ("query", "key", "value")},  # in files of before 2023
        "to_out.0": "attn.out_proj",
        "proj_attn": "attn.out_proj",
    },
    shortcut="conv_shortcut",
    norm_out="conv_norm_out",
)
LDM = Layout(
    title="latent diffusion (LDM)",
    down="down.{level}",
    up="up.{level}",
    finest_first=True,
    block="block.{block}",
    downsample="downsample.conv",
    upsample="upsample.conv",
    middle=("mid.block_1", "mid.attn_1", "mid.block_2"),
    attention={"norm": "norm", **{name: f"attn.to_{name}" for name in "qkv"}, "proj_out": "attn.out_proj"},
    shortcut="nin_shortcut",
    norm_out="norm_out",
)


def slice_autoencoder_names(layout: Layout, num_levels: int = 4, num_res_blocks: int = 2) -> dict[str, str]:
    """Published names of the modules of an autoencoder to those of ``SliceAutoencoder``.

    Args:
        layout: of the file.
        num_levels: of the network.
        num_res_blocks: residual blocks of a level of the encoder; the decoder has one more.
    """
    names = {"quant_conv": "quant", "post_quant_conv": "post_quant"}
    block = {**RESIDUAL_BLOCK, layout.shortcut: "nin_shortcut.conv"}
    for part, modules in (
        ("encoder", _encoder(layout, block, num_levels, num_res_blocks)),
        ("decoder", _decoder(layout, block, num_levels, num_res_blocks + 1)),
    ):
        for number, (published, children) in enumerate(modules):
            for theirs, ours in children.items():
                names[_dotted(part, published, theirs)] = _dotted(part, "blocks", str(number), ours)
    return names


def _encoder(
    layout: Layout, block: Mapping[str, str], num_levels: int, num_res_blocks: int
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Published name and children of each of MONAI's numbered layers, in their order."""
    yield "conv_in", CONVOLUTION
    for level in range(num_levels):
        name = layout.down.format(level=level)
        for number in range(num_res_blocks):
            yield f"{name}.{layout.block.format(block=number)}", block
        if level < num_levels - 1:
            yield f"{name}.{layout.downsample}", {"": "conv.conv"}
    yield from _middle(layout, block)
    yield from _end(layout)


def _decoder(
    layout: Layout, block: Mapping[str, str], num_levels: int, num_res_blocks: int
) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield "conv_in", CONVOLUTION
    yield from _middle(layout, block)
    for level in range(num_levels):
        name = layout.up.format(level=num_levels - 1 - level if layout.finest_first else level)
        for number in range(num_res_blocks):
            yield f"{name}.{layout.block.format(block=number)}", block
        if level < num_levels - 1:
            yield f"{name}.{layout.upsample}", {"": "postconv.conv"}
    yield from _end(layout)


def _middle(layout: Layout, block: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield from zip(layout.middle, (block, layout.attention, block), strict=True)


def _end(layout: Layout) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield layout.norm_out, {"": ""}
    yield "activation", {}  # ours, without weights
    yield "conv_out", CONVOLUTION


def _dotted(*parts: str) -> str:
    return ".".join(filter(None, parts))
