"""Recognises DeepLab checkpoints by their tensors: V3+ of the VainF collection, and torchvision's V3.

VainF's files are whole trainings, ``best_deeplabv3plus_resnet50_voc_os16.pth`` and so on, with the weights under
``model_state``; torchvision's are ``deeplabv3_resnet50_coco-….pth`` and ``deeplabv3_resnet101_coco-….pth``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from segmentation_bundle.backbone import UNCOUNTED, ResNetLayout
from transmodal.checkpoints import KeyMap, Published
from transmodal.errors import InputError

REFUSED = {
    r"fc\.weight|layer1\..*": "a ResNet alone, without a segmentation head",
    r"backbone\.(low_level_features|high_level_features|features|\d+)\..*": "a DeepLab on MobileNet",
    r"backbone\.(stage2|transition1)\..*": "a DeepLab on HRNet",
    r"backbone\.block\d+\..*": "a DeepLab on Xception",
    r"classifier\..*\.body\.\d+\..*": "a DeepLab with separable convolutions",
    r"classifier\.classifier\.0\.convs\..*": "a DeepLabV3 of the VainF collection, without the decoder of V3+",
    r"classifier\.0\.weight": "a fully convolutional network (FCN)",
}
DROPPED = {r"aux_classifier\..*": "the auxiliary head adds a loss in training alone; masks come from the other head"}


def recognise(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the DeepLab that a published state dict belongs to.

    Told apart are V3+ and V3, the ResNet, every width, the channels of the image and the number of classes. What leaves
    no trace in the tensors: the output stride of V3+, which the config's ``output_stride`` gives, and that of V3, which
    torchvision publishes at 8; the published dropout; and that three channels mean colours normalised by ImageNet.

    Args:
        state: with published keys, ``module.`` removed.
        where: the file, for the error.
    Raises:
        InputError: if it is another network; the relatives of these are named.
    """
    for pattern, network in REFUSED.items():
        if any(re.fullmatch(pattern, key) for key in state):
            raise _refusal(where, network)
    plus = "classifier.project.0.weight" in state
    names = deeplab_names(plus)
    weights = {ours: state.get(f"{published}.weight") for published, ours in names.items() if published != "backbone"}
    backbone = ResNetLayout.of(state, "backbone.")
    if backbone is None or any(weight is None for weight in weights.values()):
        raise _refusal(where, f"keys such as {', '.join(list(state)[:3])}")
    if backbone.in_channels not in (1, 3):
        raise _refusal(where, f"a DeepLab for images of {backbone.in_channels} channels")
    num_classes = weights["head"].shape[0]
    definition: dict[str, Any] = {
        "_target_": f"transmodal.networks.nets.{'DeepLabV3Plus' if plus else 'DeepLabV3'}",
        "num_classes": num_classes,
        **backbone.definition,
        "output_stride": "@output_stride" if plus else 8,
        "aspp_channels": weights["aspp.project.conv"].shape[0],
        "dropout": 0.1 if plus else 0.5,
    }
    if plus:
        definition["low_level_channels"] = weights["low_level.conv"].shape[0]
    if backbone.in_channels == 3:
        names = {published: f"network.{ours}" for published, ours in names.items()}
        definition = {"_target_": "segmentation_bundle.networks.ImageNetGrey", "network": definition}
    title = f"DeepLabV3{'+' if plus else ''} on {backbone}, {num_classes} classes"
    return Published(title, definition, KeyMap(names, dropped=DROPPED, zeroed=UNCOUNTED))


def deeplab_names(plus: bool) -> dict[str, str]:
    """Published module names to ours, of V3+ (VainF) or V3 (torchvision)."""
    aspp, decoder, norm, head = (
        ("classifier.aspp", "classifier.classifier.0", "classifier.classifier.1", "classifier.classifier.3")
        if plus
        else ("classifier.0", "classifier.1", "classifier.2", "classifier.4")
    )
    stages = {f"{aspp}.convs.0": "aspp.pixel", f"{aspp}.project": "aspp.project"}
    stages |= {f"{aspp}.convs.{1 + index}": f"aspp.neighbourhoods.{index}" for index in range(3)}
    if plus:
        stages["classifier.project"] = "low_level"
    names = {"backbone": "backbone", f"{aspp}.convs.4.1": "aspp.image.conv", f"{aspp}.convs.4.2": "aspp.image.norm"}
    for published, ours in stages.items():
        names |= {f"{published}.0": f"{ours}.conv", f"{published}.1": f"{ours}.adn.N"}
    return names | {decoder: "decoder.conv", norm: "decoder.adn.N", head: "head"}


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="a DeepLabV3+ of the VainF collection or a DeepLabV3 of torchvision, on a ResNet",
        remedy="give such a file; a network of another kind has to be trained again with this bundle, "
        "which can start from a ResNet of ImageNet by --pretrained FILE",
    )
