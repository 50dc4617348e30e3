"""Published ResNets (He et al. 2016): what a state dict holds, and training that starts from one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segmentation_bundle.networks import IMAGENET_MEAN, IMAGENET_STD
from transmodal.checkpoints import KeyMap, match, read_checkpoint
from transmodal.errors import InputError
from transmodal.networks.nets.deeplab import DilatedResNet

UNCOUNTED = {r".*\.num_batches_tracked": "older files lack this count, which inference never reads"}
DROPPED = {r"fc\.(weight|bias)": "it tells the 1000 classes of ImageNet apart"}
STAGES = (1, 2, 3, 4)


@dataclass(frozen=True)
class ResNetLayout:
    """What makes one ResNet another.

    Args:
        block: ``"bottleneck"`` or ``"basic"``.
        layers: residual blocks of the four stages.
        widths: of the stages.
        in_channels: of the image.
    """

    block: str
    layers: tuple[int, ...]
    widths: tuple[int, ...]
    in_channels: int

    @classmethod
    def of(cls, state: Mapping[str, Tensor], prefix: str = "") -> ResNetLayout | None:
        """The ResNet whose keys start with ``prefix``, or None where there is none."""
        firsts = [f"{prefix}conv1.weight", *(f"{prefix}layer{stage}.0.conv1.weight" for stage in STAGES)]
        if any(key not in state or state[key].ndim < 4 for key in firsts):
            return None
        stem, *stages = (state[key].shape for key in firsts)
        block = "bottleneck" if f"{prefix}layer1.0.conv3.weight" in state else "basic"
        blocks = {key.removeprefix(prefix).rsplit(".", 2)[0] for key in state if key.endswith(".conv1.weight")}
        layers = tuple(sum(name.startswith(f"layer{stage}.") for name in blocks) for stage in STAGES)
        return cls(block, layers, tuple(shape[0] for shape in stages), stem[1])

    @property
    def definition(self) -> dict[str, Any]:
        """As arguments of a network in JSON."""
        layers, widths = list(self.layers), list(self.widths)
        return {"in_channels": self.in_channels, "layers": layers, "widths": widths, "block": self.block}

    def __str__(self) -> str:
        depth = 2 + sum(self.layers) * (3 if self.block == "bottleneck" else 2)
        blocks = f"{self.block} blocks {list(self.layers)}, widths {list(self.widths)}"
        return f"ResNet-{depth} ({blocks}) for {self.in_channels} channel{'s' if self.in_channels > 1 else ''}"


def with_pretrained_backbone(
    network: nn.Module, path: str | Path | None = None, device: str | torch.device | None = None
) -> nn.Module:
    """Start from a ResNet that was trained to classify photographs, with the keys of torchvision and MONAI.

    A grey network takes the weights of a colour one with the mapping of
    :class:`~segmentation_bundle.networks.ImageNetGrey` folded into the first convolution and its norm. That is exact
    where the convolution does not reach over the border, which it fills with grey instead of ImageNet's mean colour.

    Args:
        network: with one :class:`~transmodal.networks.nets.deeplab.DilatedResNet` in it; changed in place.
        path: ``resnet50-….pth`` and so on; None leaves the random weights.
        device: where ``network`` goes; where it is, if None.
    Returns:
        ``network``.
    Raises:
        InputError: if the file is no ResNet or another one; nothing is loaded in part.
    """
    if path is not None:
        backbone = next(module for module in network.modules() if isinstance(module, DilatedResNet))
        backbone.load_state_dict(_pretrained(backbone.state_dict(), path))
    return network if device is None else network.to(device)


def _pretrained(expected: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """The weights in ``path`` for a backbone whose state dict is ``expected``."""
    state = read_checkpoint(path)
    found, wanted = ResNetLayout.of(state), ResNetLayout.of(expected)
    if found is None:
        whole = ResNetLayout.of(state, "backbone.") is not None
        raise InputError(
            path,
            found="a whole segmentation network" if whole else f"keys such as {', '.join(list(state)[:3])}",
            wanted="a ResNet alone, with keys such as conv1.weight and layer1.0.conv1.weight",
            remedy="import a whole network by tools/import_weights.py" if whole else "give a ResNet of torchvision",
        )
    from_colours = (found.in_channels, wanted.in_channels) == (3, 1)
    if from_colours:
        wanted = replace(wanted, in_channels=3)
    if found != wanted:
        raise InputError(
            path,
            found=f"{found}",
            wanted=f"{wanted}, the backbone of the config",
            remedy="set --block, --layers and --widths to those of the file",
        )
    if from_colours:
        expected = {**expected, "conv1.weight": expected["conv1.weight"].repeat_interleave(3, dim=1)}
    weights, _ = match(state, expected, KeyMap({"": ""}, dropped=DROPPED, zeroed=UNCOUNTED), where=path)
    return _for_grey_images(weights) if from_colours else weights


def _for_grey_images(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a ResNet for colours normalised by ImageNet, for grey images in [-1, 1]."""
    weight = state["conv1.weight"].movedim(1, -1)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    # a grey x becomes ((x + 1) / 2 - mean) / std = x / (2 std) + (0.5 - mean) / std
    scaled = (weight / (2 * std)).sum(dim=-1).unsqueeze(1)
    offset = (weight * (0.5 - mean) / std).flatten(1).sum(dim=1)
    return {**state, "conv1.weight": scaled, "bn1.running_mean": state["bn1.running_mean"] - offset}
