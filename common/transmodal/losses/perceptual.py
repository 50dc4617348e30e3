"""How different two images look to a network that has learnt to see: distances of its features.

Sources: R. Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018,
arXiv:1801.03924 (equation 1); K. Simonyan, A. Zisserman, Very deep convolutional networks, 2015, arXiv:1409.1556
(configuration D); X. Mei et al., RadImageNet, Radiology: Artificial Intelligence 4(5), 2022, whose ResNet-50 has learnt
from radiological images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from monai.networks.nets.resnet import resnet50
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LPIPS", "FeatureDistance", "ResNet50Features", "VGG16Features"]

VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation for pictures in [-1, 1]."""
EPS = 1e-10


class Frozen(nn.Module):
    """A network that is never trained: its weights need no gradient, and it stays in evaluation mode."""

    def freeze(self) -> Self:
        """To be called when all layers are made."""
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, whatever the network around this one does."""
        return super().train(False)


class LPIPS(Frozen):
    """Learnt perceptual distance: weighted differences of the features of VGG-16, stage by stage.

    As made its weights are random; they mean something once they are filled from a file of published ones.

    Attributes:
        features: of pictures.
        heads: weight of each channel of each stage, as convolutions of width 1.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = VGG16Features()
        self.heads = nn.ModuleList(nn.Conv2d(widths[-1], 1, kernel_size=1, bias=False) for widths in VGG_STAGES)
        for name, values in (("shift", LPIPS_SHIFT), ("scale", LPIPS_SCALE)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.freeze()

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """The distance of each pair.

        Args:
            made, true: images in [-1, 1], (N, C, H, W) with one channel or three, of 16 pixels an edge at least.
        Returns:
            (N,), 0 or more for the published weights, which are no less.
        """
        pairs = zip(
            *(self.features((_coloured(image) - self.shift) / self.scale) for image in (made, true)), strict=True
        )
        stages = [
            head((_of_unit_length(of_made) - _of_unit_length(of_true)).square()).mean(dim=(1, 2, 3))
            for head, (of_made, of_true) in zip(self.heads, pairs, strict=True)
        ]
        return torch.stack(stages).sum(dim=0)


class FeatureDistance(Frozen):
    """Square difference of features of unit length, averaged over the places, summed over the stages.

    Args:
        features: makes a list of features, (N, C, h, w) each, of pictures of three channels in [-1, 1], such as
            :class:`ResNet50Features`.
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.freeze()

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """The distance, (N,), of each pair of images in [-1, 1], (N, C, H, W) with one channel or three."""
        pairs = zip(self.features(_coloured(made)), self.features(_coloured(true)), strict=True)
        stages = [(_of_unit_length(a) - _of_unit_length(b)).square().sum(dim=1).mean(dim=(1, 2)) for a, b in pairs]
        return torch.stack(stages).sum(dim=0)


class VGG16Features(nn.Module):
    """The convolutions of VGG-16, before each of which but the first stage the picture is halved.

    Attributes:
        stages: convolutions of each stage.
    """

    def __init__(self) -> None:
        super().__init__()
        entering = [3, *(widths[-1] for widths in VGG_STAGES)]
        self.stages = nn.ModuleList(
            _stage(channels, widths) for channels, widths in zip(entering[:-1], VGG_STAGES, strict=True)
        )

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Features of each stage, the finest first, of pictures (N, 3, H, W)."""
        features, found = picture, []
        for number, stage in enumerate(self.stages):
            features = stage(features if number == 0 else F.max_pool2d(features, kernel_size=2))
            found.append(features)
        return found


class ResNet50Features(nn.Module):
    """The last features of a ResNet-50, at 1/32 of the size.

    Attributes:
        layers: MONAI's network, without its classifier.
    """

    def __init__(self) -> None:
        super().__init__()
        kinds: dict[str, Any] = {"shortcut_type": "B", "bias_downsample": False, "conv1_t_stride": 2}
        self.layers = resnet50(pretrained=False, spatial_dims=2, n_input_channels=3, feed_forward=False, **kinds)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Features of pictures, (N, 3, H, W) in [-1, 1], as a list of one."""
        net = self.layers
        features = net.maxpool(net.act(net.bn1(net.conv1(picture))))
        for level in (net.layer1, net.layer2, net.layer3, net.layer4):
            features = level(features)
        return [features]


def _stage(channels: int, widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers)


def _coloured(image: Tensor) -> Tensor:
    """An image of one channel repeated to three."""
    return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image


def _of_unit_length(features: Tensor) -> Tensor:
    """Features divided by their length at each place, (N, C, h, w)."""
    # the square root of 0 has no gradient, which air, where every feature is 0, would meet
    length = features.square().sum(dim=1, keepdim=True).clamp(min=EPS**2).sqrt()
    return features / (length + EPS)
