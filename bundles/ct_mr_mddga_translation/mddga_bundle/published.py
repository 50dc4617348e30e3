"""Recognises checkpoints of the published MD-DGA code: ``best.pth`` and ``latest.pth`` of its three networks.

Both generations of files are read, those with ``model_parameters`` and the older ones with ``model``. The network, its
widths and its levels follow from names and shapes of the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mddga_bundle.published_names import sunet_names
from transmodal.checkpoints import KeyMap, Published, read_checkpoint
from transmodal.errors import InputError
from transmodal.published import Part

AUTOENCODER, SUNET = "mddga_bundle.vqvae.VQVAE", "mddga_bundle.sunet.SUNet"
ROLES = {
    "autoencoder": (AUTOENCODER, 3, "the VQ-VAE of volumes"),
    "slices": (SUNET, 2, "the SUNet v1 of slices (2D-SDM)"),
    "volume": (SUNET, 3, "the SUNet v1 of latent volumes (3D-SLDM)"),
}
PARTS = {
    "autoencoder": Part("models/autoencoder.pt", ("configs/train.json",), "autoencoder_path"),
    "slices": Part("models/slices.pt", ("configs/inference.json", "configs/inference_slices.json"), "ckpt_path"),
}
"""Children that a stage of training leaves in a file of their own, and what uses that file."""
REFUSED = {
    r"complete_x\..*": "SUNet v1_1 of an ablation, which pads the whole image by reflection",
    r"complete_c\..*": "SUNet v1_2 of an ablation, which has no encoder for the condition",
}
UNCONDITIONAL = "SUNet v2 of an ablation, which has no condition"
NORM_GROUPS = 32  # of every published network; they leave no trace in the tensors


def read(path: str | Path, role: str) -> tuple[dict[str, Tensor], str, Published]:
    """Read the network of a role.

    Args:
        path: ``best.pth`` or ``latest.pth``.
        role: child of ``MDDGA``.
    Returns:
        The state dict with published keys, the file, and the network it belongs to.
    Raises:
        InputError: if the network is another, be it that of another role.
    """
    state, where = read_checkpoint(path), str(path)
    published = recognise(state, where)
    target, spatial_dims, wanted = ROLES[role]
    found = (published.definition["_target_"], published.definition["spatial_dims"])
    if found != (target, spatial_dims):
        other = next((other for other, (*kind, _) in ROLES.items() if tuple(kind) == found), None)
        raise InputError(
            where,
            found=published.title,
            wanted=wanted,
            remedy="give the file of the volumes" if other is None else f"give this file as {other}=FILE",
        )
    return state, where, published


def recognise(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the network that a published state dict belongs to.

    Told are the kind, the dimensions, every width, levels, blocks and attention, the number of codes and of latent
    channels, and whether these are denoised together. Groups of norms, heads and dropout leave no trace in the tensors
    and are taken to be as published: 32, 4 and none.

    Args:
        state: with published keys, ``module.`` removed.
        where: the file, for the error.
    Raises:
        InputError: if it is another network; those of the published ablations are named.
    """
    for pattern, network in REFUSED.items():
        if any(re.fullmatch(pattern, key) for key in state):
            raise _refusal(where, network)
    if "vq_layer.embedding.weight" in state:
        return _autoencoder(state, where)
    if {"downs.0.weight", "final_conv.block.3.weight"} <= set(state):
        if "c_downs.0.weight" not in state:
            raise _refusal(where, UNCONDITIONAL)
        return _sunet(state, where)
    raise _refusal(where, f"keys such as {', '.join(list(state)[:3])}")


def autoencoder_names(num_stages: int = 2, num_res_blocks: int = 6) -> dict[str, str]:
    """Published names of the modules of the VQ-VAE to those of ``VQVAE``.

    Args:
        num_stages: strided convolutions of the encoder.
        num_res_blocks: residual blocks of the encoder, and of the decoder.
    """
    names = {"vq_layer.embedding": "codebook", "decoder.0.0": "decoder.conv"}
    names |= {f"encoder.{stage}.0": f"encoder.down.{stage}.conv" for stage in range(num_stages)}
    names |= {f"encoder.{num_stages}.0": "encoder.conv"}
    for part, first in (("encoder", num_stages + 1), ("decoder", 1)):
        for block in range(num_res_blocks):
            published, ours = f"{part}.{first + block}.resblock", f"{part}.blocks.{block}"
            names |= {f"{published}.0": f"{ours}.conv1", f"{published}.2": f"{ours}.conv2"}
    names |= {f"encoder.{num_stages + num_res_blocks + 2}.0": "encoder.head"}  # behind an activation of its own
    return names | {
        f"decoder.{num_res_blocks + 2 + stage}.0": f"decoder.up.{stage}.conv" for stage in range(num_stages)
    }


def _autoencoder(state: Mapping[str, Tensor], where: str | Path) -> Published:
    numbers = _numbers(state, r"encoder\.(\d+)\.0\.weight")
    strided = [number for number in numbers if state[f"encoder.{number}.0.weight"].shape[-1] == 4]
    blocks = len(_numbers(state, r"encoder\.(\d+)\.resblock\.0\.weight"))
    codes, first = state["vq_layer.embedding.weight"], state.get("encoder.0.0.weight")
    if first is None or _not_spatial(first) or codes.ndim != 2 or strided != list(range(len(strided) or 1)):
        raise _refusal(where, "an autoencoder that does not begin with strided convolutions of width 4")
    channels = [state[f"encoder.{number}.0.weight"].shape[0] for number in strided]
    num_embeddings, embedding_dim = codes.shape
    definition = {
        "_target_": AUTOENCODER,
        "spatial_dims": first.ndim - 2,
        "embedding_dim": embedding_dim,
        "num_embeddings": num_embeddings,
        "channels": channels,
        "num_res_blocks": blocks,
    }
    settings = {
        "embedding_dim": embedding_dim,
        "num_embeddings": num_embeddings,
        "autoencoder_channels": channels,
        "autoencoder_blocks": blocks,
    }
    title = (
        f"VQ-VAE of {_things(first.ndim - 2)} with {num_embeddings} codes of {embedding_dim} numbers, "
        f"{' and '.join(map(str, channels))} wide, residual blocks in encoder and decoder: {blocks}"
    )
    return Published(title, definition, KeyMap(autoencoder_names(len(strided), blocks)), settings)


def _sunet(state: Mapping[str, Tensor], where: str | Path) -> Published:
    stem, condition_stem = state["downs.0.weight"], state["c_downs.0.weight"]
    levels = _levels(state)
    if _not_spatial(stem) or condition_stem.ndim != stem.ndim:
        raise _refusal(where, f"a SUNet with a stem of shape {tuple(stem.shape)}")
    channels, entering, condition = stem.shape[0], stem.shape[1], condition_stem.shape[1]
    num_res_blocks = len(levels[0])
    widths = [state[_last_conv(level[0])].shape[0] for level in levels if level]
    regular = all(len(level) == num_res_blocks for level in levels) and num_res_blocks > 0
    if not regular or any(width % channels for width in widths) or entering <= condition:
        raise _refusal(where, "a SUNet whose levels or channels are not laid out as those of version 1")
    attention = [f"downs.{level[0]}.attn.qkv.weight" in state for level in levels]
    spatial_dims, out_channels = stem.ndim - 2, state["final_conv.block.3.weight"].shape[0]
    multiples = [width // channels for width in widths]
    definition = {
        "_target_": SUNET,
        "spatial_dims": spatial_dims,
        "in_channels": entering - condition,
        "condition_channels": condition,
        "out_channels": out_channels,
        "channels": channels,
        "channel_mult": multiples,
        "attention": attention,
        "num_res_blocks": num_res_blocks,
        "norm_groups": NORM_GROUPS,
        "legacy_padding": "@legacy_padding",
    }
    settings: dict[str, Any] = {"slice_channels": channels}
    if spatial_dims == 3:
        settings = {"volume_channels": channels, "joint": out_channels > 1}
    title = _sunet_in_words(spatial_dims, out_channels, channels, multiples, num_res_blocks, attention)
    return Published(title, definition, KeyMap(sunet_names(len(levels), num_res_blocks)), settings)


def _levels(state: Mapping[str, Tensor]) -> list[list[int]]:
    """Numbers of the residual blocks of each level on the way down, the finest first."""
    blocks = _numbers(state, r"downs\.(\d+)\.res_block\.block2\.block\.3\.weight")
    steps = _numbers(state, r"downs\.(\d+)\.conv\.weight")
    return [
        [block for block in blocks if after < block and (before is None or block < before)]
        for after, before in zip([0, *steps], [*steps, None], strict=True)
    ]


def _last_conv(block: int) -> str:
    return f"downs.{block}.res_block.block2.block.3.weight"


def _numbers(state: Mapping[str, Tensor], pattern: str) -> list[int]:
    """What the group of ``pattern`` is in the keys that it fits, sorted."""
    return sorted(int(found[1]) for found in filter(None, (re.fullmatch(pattern, key) for key in state)))


def _not_spatial(weight: Tensor) -> bool:
    """Whether this is no weight of a convolution of slices or volumes."""
    return weight.ndim not in (4, 5)


def _things(spatial_dims: int) -> str:
    return {2: "slices", 3: "volumes"}[spatial_dims]


def _sunet_in_words(
    spatial_dims: int,
    out_channels: int,
    channels: int,
    multiples: Sequence[int],
    num_res_blocks: int,
    attention: Sequence[bool],
) -> str:
    attending = " and ".join(str(level) for level, attends in enumerate(attention) if attends)
    together = "1 channel" if out_channels == 1 else f"{out_channels} channels at once"
    levels = "1 level" if len(multiples) == 1 else f"{len(multiples)} levels"
    return (
        f"SUNet v1 of {_things(spatial_dims)}, {together}, "
        f"{levels} ({' '.join(map(str, multiples))} times {channels} wide), residual blocks per level: "
        f"{num_res_blocks}, attention {f'at level {attending} and ' if attending else ''}in the middle"
    )


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="a VQ-VAE or a SUNet v1 of the published MD-DGA code",
        remedy="give `best.pth` of such a network; one of another kind has to be trained again with this bundle",
    )
