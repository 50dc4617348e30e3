"""Recognises published autoencoders: those of Stable Diffusion, in both layouts of their files, and the VQ-GAN.

They are read alone, or from a checkpoint of the whole they are a part of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from transmodal.checkpoints import KeyMap, Published
from transmodal.errors import InputError
from xray2ctpa_bundle.published_slice_names import DIFFUSERS, LDM, Layout, slice_autoencoder_names
from xray2ctpa_bundle.published_vqgan_names import FRESH, TRAINING_ONLY, vqgan_names
from xray2ctpa_bundle.slice_autoencoder import PUBLISHED_GREY

__all__ = ["autoencoder_in", "recognise_autoencoder"]

SLICES = "xray2ctpa_bundle.slice_autoencoder.SliceAutoencoder"
VOLUMES = "xray2ctpa_bundle.vqgan.VQGAN"
PREFIXES = ("vae.", "vqgan.", "first_stage_model.")
"""Beginnings of an autoencoder's keys in checkpoints of X-ray2CTPA and of Stable Diffusion."""
NORM_GROUPS = 32  # of every published network; they leave no trace in the tensors
SCALE = 0.18215  # of Stable Diffusion 1.x; the files do not tell
LEFT_OUT = {
    r"loss\..*": "the loss serves training alone",
    r"model_ema\..*": "the weights themselves are read, not their averages",
}


def autoencoder_in(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The autoencoder among the networks of a checkpoint, or alone.

    Weights of an attention that are stored as convolutions of width 1 become matrices, as they act.
    """
    found = next((prefix for prefix in PREFIXES if any(key.startswith(prefix) for key in state)), "")
    own = {key.removeprefix(found): value for key, value in state.items() if key.startswith(found)}
    return {key: value.flatten(1) if _is_attention(key, value) else value for key, value in own.items()}


def recognise_autoencoder(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the autoencoder that a published state dict belongs to.

    Told are all widths, the levels and blocks, latent and image channels, and the number of codes. Groups of norms
    leave no trace in the tensors and are taken to be as published, 32; so are the scale of latents, that of Stable
    Diffusion 1.x, and the strides of a VQ-GAN, which are taken to halve every axis at every level.

    Args:
        state: from :func:`autoencoder_in`.
        where: the file, for the error.
    Raises:
        InputError: if it is another network.
    """
    if {"pre_vq_conv.conv.weight", "codebook.embeddings", "encoder.conv_first.conv.weight"} <= state.keys():
        return _vqgan(state)
    for layout in (DIFFUSERS, LDM):
        first = f"encoder.{layout.down.format(level=0)}.{layout.block.format(block=0)}.conv1.weight"
        if {first, "encoder.conv_in.weight", "post_quant_conv.weight"} <= state.keys():
            return _slices(state, layout)
    raise InputError(
        where,
        found=f"keys such as {', '.join(list(state)[:3])}",
        wanted="an autoencoder of Stable Diffusion in the layout of diffusers or LDM, or a VQ-GAN of X-ray2CTPA",
        remedy="give `vae-ft-mse-840000-ema-pruned.safetensors`, `diffusion_pytorch_model.safetensors` of a VAE, or a "
        "checkpoint of the published VQ-GAN; another has to be trained again with this bundle",
    )


def _slices(state: Mapping[str, Tensor], layout: Layout) -> Published:
    name = r"encoder\." + re.escape(layout.down).replace(r"\{level\}", r"(\d+)") + r"\."
    name += re.escape(layout.block).replace(r"\{block\}", r"(\d+)") + r"\.conv1\.weight"
    blocks = {found.groups(): key for key in state if (found := re.fullmatch(name, key))}
    levels = sorted({int(level) for level, _ in blocks})
    num_res_blocks = sum(level == "0" for level, _ in blocks)
    channels = [state[blocks[str(level), "0"]].shape[0] for level in levels]
    latent_channels, image_channels = state["post_quant_conv.weight"].shape[0], state["encoder.conv_in.weight"].shape[1]
    grey = list(PUBLISHED_GREY) if image_channels == len(PUBLISHED_GREY) else None
    definition = {
        "_target_": SLICES,
        "channels": channels,
        "num_res_blocks": num_res_blocks,
        "norm_groups": NORM_GROUPS,
        "latent_channels": latent_channels,
        "image_channels": image_channels,
        "scale": SCALE,
        "grey": grey,
    }
    title = (
        f"autoencoder of slices in the layout of {layout.title}, {len(levels)} levels "
        f"({' '.join(map(str, channels))} wide) of {num_res_blocks} residual blocks, {latent_channels} latent "
        f"channels, scaled by {SCALE} as for Stable Diffusion 1.x"
    )
    settings = {
        "latent_channels": latent_channels,
        "autoencoder_channels": channels,
        "autoencoder_blocks": num_res_blocks,
        "autoencoder_groups": NORM_GROUPS,
        "image_channels": image_channels,
        "latent_factor": SCALE,
        "grey": grey,
    }
    names = slice_autoencoder_names(layout, len(levels), num_res_blocks)
    return Published(title, definition, KeyMap(names, LEFT_OUT), settings)


def _vqgan(state: Mapping[str, Tensor]) -> Published:
    num_levels = sum(re.fullmatch(r"encoder\.conv_blocks\.\d+\.down\.conv\.weight", key) is not None for key in state)
    channels = state["encoder.conv_first.conv.weight"].shape[0]
    num_codes, embedding_dim = state["codebook.embeddings"].shape
    downsample = [2**num_levels] * 3
    definition = {
        "_target_": VOLUMES,
        "channels": channels,
        "embedding_dim": embedding_dim,
        "num_codes": num_codes,
        "downsample": downsample,
        "norm_groups": NORM_GROUPS,
    }
    title = (
        f"VQ-GAN of volumes with {num_codes} codes of {embedding_dim} numbers, {num_levels} levels from {channels} "
        f"channels, taken to make one latent of {' × '.join(map(str, downsample))} voxels"
    )
    settings = {
        "latent_channels": embedding_dim,
        "vqgan_channels": channels,
        "num_codes": num_codes,
        "downsample": downsample,
        "vqgan_groups": NORM_GROUPS,
    }
    return Published(title, definition, KeyMap(vqgan_names(num_levels), TRAINING_ONLY, FRESH), settings)


def _is_attention(key: str, value: Tensor) -> bool:
    return value.ndim == 4 and re.search(r"\.attn_\d+\.(q|k|v|proj_out)\.weight$", key) is not None
