"""Perceptual distances with published weights from local files; without a file there is no such term."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from transmodal.checkpoints import KeyMap, match, read_checkpoint
from transmodal.errors import InputError
from transmodal.losses import LPIPS, FeatureDistance, ResNet50Features

__all__ = ["lpips", "lpips_names", "radimagenet", "resnet_names"]

WITHIN = "perceptual_model."
"""Beginning of the keys of LPIPS in a checkpoint of the published VQ-GAN."""
VGG_LAYERS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""Numbers of the convolutions of each stage among all layers of VGG-16."""
OF_NO_USE = {
    r"scaling_layer\.(shift|scale)": "they are constants of the method",
    r"classifier\..*": "the distance needs the convolutions alone",
    r"fc\..*": "the distance needs the convolutions alone",
}
BACKBONE = ("conv1", "bn1", None, None, "layer1", "layer2", "layer3", "layer4")
"""What the numbered children of the published RadImageNet networks are; an activation and a pooling have no weights."""


def lpips(
    path: str | Path | None = None, vgg_path: str | Path | None = None, device: str | torch.device = "cpu"
) -> nn.Module | None:
    """LPIPS on VGG-16.

    Args:
        path: weights of the whole, alone or within a checkpoint of the published VQ-GAN; or those of its heads alone,
            ``vgg.pth`` of the package lpips. Null makes no distance.
        vgg_path: VGG-16 of torchvision, where ``path`` holds the heads alone.
        device: where it goes.
    Raises:
        InputError: if a file is missing, or they do not hold all weights and nothing else.
    """
    if path is None:
        return None
    state = read_checkpoint(path)
    if any(key.startswith(WITHIN) for key in state):
        state = {key.removeprefix(WITHIN): value for key, value in state.items() if key.startswith(WITHIN)}
    if vgg_path is not None:
        state = {**state, **read_checkpoint(vgg_path)}
    elif len(state) <= len(VGG_LAYERS):
        raise InputError(
            path,
            found="the heads of LPIPS alone",
            wanted="the convolutions of VGG-16 too",
            remedy="name a local copy of torchvision's vgg16-397923af.pth as vgg_path",
        )
    return _filled(LPIPS(), state, KeyMap(lpips_names(), OF_NO_USE), path).to(device)


def radimagenet(path: str | Path | None = None, device: str | torch.device = "cpu") -> nn.Module | None:
    """Distance of the features of RadImageNet's ResNet-50.

    Args:
        path: ``ResNet50.pt`` as RadImageNet gives it for PyTorch, or any ResNet-50 in torchvision's layout. Null makes
            no distance.
        device: where it goes.
    Raises:
        InputError: if the file is missing or of another network, such as the one converted from Keras.
    """
    if path is None:
        return None
    if not Path(path).is_file():
        raise InputError(
            path,
            found="no such file",
            wanted="weights of RadImageNet's ResNet-50 for PyTorch, ResNet50.pt",
            remedy="get the PyTorch weights that the authors of RadImageNet (Mei et al. 2022, github.com/BMEII-AI/"
            "RadImageNet) give out, and name their ResNet50.pt as --features_path; nothing is downloaded here",
        )
    return _filled(
        FeatureDistance(ResNet50Features()), read_checkpoint(path), KeyMap(resnet_names(), OF_NO_USE), path
    ).to(device)


def lpips_names() -> dict[str, str]:
    """Published names of the modules of LPIPS, and of VGG-16 in torchvision, to those of ``LPIPS``."""
    names = {f"lin{stage}.model.1": f"heads.{stage}" for stage in range(len(VGG_LAYERS))}
    for stage, numbers in enumerate(VGG_LAYERS):
        for place, number in enumerate(numbers):
            ours = f"features.stages.{stage}.{2 * place}"  # an activation follows each
            names |= {f"net.slice{stage + 1}.{number}": ours, f"features.{number}": ours}
    return names


def resnet_names() -> dict[str, str]:
    """Names of the modules of a ResNet-50 in both layouts to those of ``FeatureDistance``."""
    parts = {number: name for number, name in enumerate(BACKBONE) if name is not None}
    names = {name: f"features.layers.{name}" for name in parts.values()}
    return names | {f"backbone.{number}": f"features.layers.{name}" for number, name in parts.items()}


def _filled(network: nn.Module, state: Mapping[str, Tensor], key_map: KeyMap, where: str | Path) -> nn.Module:
    weights, _ = match(state, network.state_dict(), key_map, where)
    network.load_state_dict(weights)
    return network
