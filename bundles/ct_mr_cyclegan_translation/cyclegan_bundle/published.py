"""Recognises checkpoints of the published CycleGAN code (files ``<epoch>_net_G_A.pth`` and so on) by their tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from transmodal.checkpoints import KeyMap, Published
from transmodal.errors import InputError
from transmodal.published import resnet_generator_names

REFUSED = {
    r"model\.model\..*": "a U-Net generator (`--netG unet_128` or `unet_256`)",
    r"model\.0\..*": "a PatchGAN discriminator (`net_D`)",
    r"net\.\d+\..*": "a pixel discriminator (`--netD pixel`)",
}
DROPPED = {
    r".*\.(running_mean|running_var|num_batches_tracked)": "instance norm takes the statistics of each image itself"
}
ZEROED = {
    r"(.*\.)?(conv|conv1|conv2)\.bias": "the instance norm behind this bias subtracts it again",
}
UNCOUNTED = {r".*\.num_batches_tracked": "files older than PyTorch 0.4.1 lack this count, which inference never reads"}


def recognise(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the generator that a published state dict belongs to.

    Told apart are the number of blocks, width and channels, batch or instance norm (with the running statistics of
    mid-2018 or without), and dropout, which moves the second convolution of a block by one place.

    Args:
        state: with published keys, ``module.`` removed.
        where: the file, for the error.
    Raises:
        InputError: if it is another network; the U-Net and the discriminators are named.
    """
    for pattern, network in REFUSED.items():
        if any(re.fullmatch(pattern, key) for key in state):
            raise _refusal(where, network)
    blocks = {key.split(".")[1] for key in state if re.fullmatch(r"model\.\d+\.conv_block\..*", key)}
    first, last = state.get("model.1.weight"), state.get(f"model.{17 + len(blocks)}.weight")
    if not blocks or first is None or last is None or first.ndim != 4:
        raise _refusal(where, f"keys such as {', '.join(list(state)[:3])}")
    dropout = any(re.fullmatch(r".*\.conv_block\.6\.weight", key) and value.ndim == 4 for key, value in state.items())
    batch_norm = "model.2.weight" in state
    definition: dict[str, Any] = {
        "_target_": "transmodal.networks.nets.ResNetGenerator",
        "spatial_dims": 2,
        "in_channels": first.shape[1],
        "out_channels": last.shape[0],
        "channels": first.shape[0],
        "num_blocks": len(blocks),
        "norm": "BATCH" if batch_norm else ["INSTANCE", {"affine": False}],
        "dropout": 0.5 if dropout else 0.0,
    }
    title = (
        f"ResNet generator of {len(blocks)} blocks, {first.shape[0]} wide, {first.shape[1]} → {last.shape[0]} channels"
        f", {'batch' if batch_norm else 'instance'} norm{', dropout' if dropout else ''}"
    )
    names = resnet_generator_names(len(blocks), dropout)
    if first.shape[1] != 1 or last.shape[0] != 1:
        names = {published: f"network.{ours}" for published, ours in names.items()}
        grey = {"_target_": "cyclegan_bundle.networks.GreyImages", "channels": first.shape[1]}
        definition = {**grey, "network": definition}
    key_map = KeyMap(names, zeroed=UNCOUNTED) if batch_norm else KeyMap(names, dropped=DROPPED, zeroed=ZEROED)
    return Published(title, definition, key_map)


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="a ResNet generator of the published CycleGAN code (`net_G_A` or `net_G_B`)",
        remedy="give the generator files; a network of another kind has to be trained again with this bundle",
    )
