"""Layer names of the published denoiser of X-ray2CTPA, which numbers its layers, and of ours."""

from __future__ import annotations

from collections.abc import Mapping

RESIDUAL_BLOCK = {
    "mlp.1": "context_projection",
    "block1.proj": "conv1",
    "block1.norm": "norm1",
    "block2.proj": "conv2",
    "block2.norm": "norm2",
    "res_conv": "shortcut",
}
ATTENTION = {
    "fn.norm.gamma": "norm.weight",
    "fn.fn.fn.to_qkv": "attention.query_key_value",
    "fn.fn.fn.to_out": "attention.projection",
}
LINEAR_ATTENTION = {
    "fn.norm.gamma": "norm.weight",
    "fn.fn.to_qkv": "attention.query_key_value",
    "fn.fn.to_out": "attention.projection",
}
AROUND = {
    "null_cond_emb": "null_embedding",
    "time_rel_pos_bias.relative_attention_bias": "relative_bias",
    "time_mlp.1": "time_embedding.linear1",
    "time_mlp.3": "time_embedding.linear2",
    "init_conv": "stem",
    "final_conv.1": "head",
}
CONSTANTS = {r"(.*\.)?rotary_emb\.freqs": "the angles of rotary positions follow from the width of a head"}
"""Published tensors that this network computes."""


def unet_names(num_levels: int = 4) -> dict[str, str]:
    """Published names of the modules of the denoiser to those of ``FactorisedUNet``, in the published order.

    Args:
        num_levels: of the network.
    """
    names = dict(AROUND) | _within("init_temporal_attn", "stem_attention", ATTENTION)
    for level in range(num_levels):
        names |= _level(f"downs.{level}", f"down.{level}")
    for level in range(num_levels):
        names |= _level(f"ups.{level}", f"up.{num_levels - 1 - level}")
    names |= _within("mid_block1", "middle.block1", RESIDUAL_BLOCK)
    names |= _within("mid_spatial_attn", "middle.pixels", ATTENTION)
    names |= _within("mid_temporal_attn", "middle.frames", ATTENTION)
    names |= _within("mid_block2", "middle.block2", RESIDUAL_BLOCK)
    return names | _within("final_conv.0", "last", RESIDUAL_BLOCK)


def adapted_layers(num_levels: int = 4) -> list[str]:
    """Linear layers of ``FactorisedUNet`` that the published code adapts, in the order of its files of adapters."""
    kinds = ("context_projection", "attention.query_key_value", "attention.projection")
    pixels = tuple(f"{side}.{level}.pixels" for side in ("down", "up") for level in range(num_levels))
    return [
        ours
        for ours in unet_names(num_levels).values()
        if ours.endswith(kinds) and not ours.startswith((*pixels, "last."))
    ]


def _level(theirs: str, ours: str) -> dict[str, str]:
    return (
        _within(f"{theirs}.0", f"{ours}.block1", RESIDUAL_BLOCK)
        | _within(f"{theirs}.1", f"{ours}.block2", RESIDUAL_BLOCK)
        | _within(f"{theirs}.2", f"{ours}.pixels", LINEAR_ATTENTION)
        | _within(f"{theirs}.3", f"{ours}.frames", ATTENTION)
        | {f"{theirs}.4": f"{ours}.step"}
    )


def _within(theirs: str, ours: str, layers: Mapping[str, str]) -> dict[str, str]:
    return {f"{theirs}.{layer}": f"{ours}.{name}" for layer, name in layers.items()}
