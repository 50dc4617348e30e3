"""Files as the published X-ray2CTPA code leaves them, of small networks with known weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from xray2ctpa_bundle.published_names import unet_names
from xray2ctpa_bundle.published_slice_names import DIFFUSERS, slice_autoencoder_names
from xray2ctpa_bundle.published_tower import tower_names
from xray2ctpa_bundle.slice_autoencoder import SliceAutoencoder
from xray2ctpa_bundle.unet3d import FactorisedUNet
from xray2ctpa_bundle.vit import BiomedCLIP

from tests.parity.fill import fill


def published_denoiser(network: FactorisedUNet) -> dict[str, Tensor]:
    """The tensors of a denoiser under published keys, filled as those of reference (``fill.py``)."""
    return _filled(network, unet_names(len(network.down)))


def published_autoencoder(network: SliceAutoencoder, num_levels: int, num_res_blocks: int) -> dict[str, Tensor]:
    """The same of an autoencoder of slices, in the layout of diffusers."""
    return _filled(network, slice_autoencoder_names(DIFFUSERS, num_levels, num_res_blocks))


def published_tower(network: BiomedCLIP) -> dict[str, Tensor]:
    """The same of the encoder of radiographs."""
    return _filled(network, tower_names(len(network.trunk.blocks)))


def training(file: Path, denoiser: Mapping[str, Tensor], **others: Mapping[str, Tensor]) -> Path:
    """Write ``model-<n>.pt``, whose weights are useless and whose moving averages are those given.

    Args:
        others: prefix of further networks to their tensors.
    """
    parts = {"denoise_fn": denoiser, **others}
    averages = {f"{prefix}.{key}": value for prefix, state in parts.items() for key, value in state.items()}
    averages |= {"betas": torch.zeros(1000), "netD.model.0.weight": torch.zeros(3), "classifier.bias": torch.zeros(1)}
    weights = {key: torch.full_like(value, 7.0) for key, value in averages.items()}
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "growth_interval": 2000, "_growth_tracker": 0}
    torch.save({"step": 81_000, "model": weights, "ema": averages, "scaler": scaler}, file)
    return file


def _filled(network: nn.Module, names: Mapping[str, str]) -> dict[str, Tensor]:
    published = {ours: theirs for theirs, ours in names.items()}
    state = {}
    for key, value in network.state_dict().items():
        module, _, parameter = key.rpartition(".")
        state[published[key] if key in published else f"{published[module]}.{parameter}"] = value
    return fill(state)
