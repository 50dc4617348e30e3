"""Checkpoints as the published MD-DGA code writes them, made of our networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mddga_bundle.published import autoencoder_names
from mddga_bundle.published_names import sunet_names
from mddga_bundle.sunet import SUNet
from mddga_bundle.vqvae import VQVAE
from torch import Tensor

from tests.parity.fill import fill

WIDE: dict[str, Any] = {"channel_mult": (1, 1, 2, 2, 2), "attention": (False, False, False, True, True)}
"""Levels of the small networks of reference, all 32 wide."""


def published_state(network: VQVAE | SUNet) -> dict[str, Tensor]:
    """The tensors of a network under published keys, filled as those of reference (``fill.py``)."""
    if isinstance(network, VQVAE):
        names = autoencoder_names(len(network.encoder.down), len(network.encoder.blocks))
    else:
        names = sunet_names(len(network.up), len(network.encoder.levels[0].blocks))
    published = {ours: theirs for theirs, ours in names.items()}
    state = {}
    for key, value in network.state_dict().items():
        module, _, parameter = key.rpartition(".")
        state[f"{published[module]}.{parameter}"] = value
    return fill(state)


def checkpoint(network: VQVAE | SUNet, file: Path, old: bool = False) -> Path:
    """Write the training file of a network, of the current generation or the older one."""
    state, optimizer = published_state(network), {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": []}
    if old:
        content = {"model": state, "optimizer": optimizer, "epoch": 3, "loss": 0.1, "best_loss": 0.1, "best_epoch": 2}
    else:
        content = {"model_parameters": state, "optimizer_parameters": optimizer, "current_epoch": 3}
        content |= {"current_loss": 0.1, "best_epoch": 2, "best_loss": 0.1}
    torch.save(content, file)
    return file
