"""Recognises checkpoints of the published StarGAN code (files ``<iteration>-G.ckpt``) by their tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from transmodal.checkpoints import KeyMap, Published
from transmodal.errors import InputError

DROPPED = {
    r".*\.(running_mean|running_var|num_batches_tracked)": "the published code never evaluates with them: its norms"
    " take the statistics of each image, in training and in translation"
}


def recognise(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the generator that a published state dict belongs to.

    Blocks, width, channels and the number of domains show in the tensors. Which domain is which does not: the published
    code numbers the folders of its data set in the order of the alphabet.

    Args:
        state: with published keys, ``module.`` removed.
        where: the file, for the error.
    Raises:
        InputError: if it is another network; the discriminator is named.
    """
    if {"conv1.weight", "conv2.weight"} <= set(state):
        raise _refusal(where, "the discriminator (`-D.ckpt`)")
    blocks = {key.split(".")[1] for key in state if re.fullmatch(r"main\.\d+\.main\..*", key)}
    first, last = state.get("main.0.weight"), state.get(f"main.{15 + len(blocks)}.weight")
    if not blocks or first is None or last is None or first.ndim != 4 or last.ndim != 4:
        raise _refusal(where, f"keys such as {', '.join(list(state)[:3])}")
    channels, num_domains = last.shape[0], first.shape[1] - last.shape[0]
    if num_domains < 2:
        raise _refusal(where, f"a generator of {channels} channels with {num_domains} channels for the label")
    definition: dict[str, Any] = {
        "_target_": "stargan_bundle.networks.StarGANGenerator",
        "num_domains": num_domains,
        "channels": first.shape[0],
        "num_blocks": len(blocks),
        "in_channels": channels,
        "spatial_dims": 2,
    }
    title = (
        f"StarGAN generator of {num_domains} domains, {len(blocks)} blocks, {first.shape[0]} wide, "
        f"{channels} channel{'s' if channels > 1 else ''}"
    )
    names = generator_names(len(blocks))
    if channels != 1:
        names = {published: f"network.{ours}" for published, ours in names.items()}
        grey = {"_target_": "stargan_bundle.networks.GreyImages", "channels": channels}
        definition = {**grey, "network": definition}
    return Published(title, definition, KeyMap(names, dropped=DROPPED))


def generator_names(num_blocks: int) -> dict[str, str]:
    """Published names of the modules, which number them, to those of ``StarGANGenerator``."""
    names = {"main.0": "stem.conv", "main.1": "stem.norm"}
    names |= {"main.3": "down.0.conv", "main.4": "down.0.norm", "main.6": "down.1.conv", "main.7": "down.1.norm"}
    for index in range(num_blocks):
        published, ours = f"main.{9 + index}.main", f"blocks.{index}"
        names |= {f"{published}.0": f"{ours}.conv1", f"{published}.1": f"{ours}.norm1"}
        names |= {f"{published}.3": f"{ours}.conv2", f"{published}.4": f"{ours}.norm2"}
    tail = 9 + num_blocks
    names |= {f"main.{tail}": "up.0.conv", f"main.{tail + 1}": "up.0.norm"}
    return names | {
        f"main.{tail + 3}": "up.1.conv",
        f"main.{tail + 4}": "up.1.norm",
        f"main.{tail + 6}": "head",
    }


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="a generator of the published StarGAN code (`-G.ckpt`) for two domains or more",
        remedy="give the generator file; a network of another kind has to be trained again with this bundle",
    )
