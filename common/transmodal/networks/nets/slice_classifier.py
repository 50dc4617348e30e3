"""A small residual CNN that names the class of an image, and the calibration that lets it abstain.

Temperature scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (arXiv:1706.04599, section 4.2).
Answering only above a confidence: Chow, On optimum recognition error and reject tradeoff, 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from monai.networks.layers import Conv, Pool
from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn
from torch.nn import functional

from transmodal.networks.nets.resnet_generator import Norm

__all__ = ["CalibratedClassifier", "SliceClassifier"]


class SliceClassifier(nn.Module):
    """Stages that each halve the image, then what there is on average and at most, and a layer.

    The first stages only halve it, which keeps the network cheap where images are large.

    Args:
        num_classes: K.
        in_channels: channels of the image.
        spatial_dims: 2 for slices, 3 for volumes.
        channels: width of each stage.
        blocks: residual blocks of each stage behind its strided convolution.
        norm: a MONAI norm, its name or its name and arguments. Batch norm learns several times faster than group norm
            here, which in turn does not depend on what else is in a training batch.
    """

    def __init__(
        self,
        num_classes: int = 2,
        in_channels: int = 1,
        spatial_dims: int = 2,
        channels: Sequence[int] = (8, 16, 32, 64, 96),
        blocks: Sequence[int] = (0, 0, 1, 1, 1),
        norm: Norm = "BATCH",
    ) -> None:
        super().__init__()
        inputs = [in_channels, *channels[:-1]]
        self.stages = nn.ModuleList(
            Stage(before, after, number, spatial_dims, norm)
            for before, after, number in zip(inputs, channels, blocks, strict=True)
        )
        self.mean = Pool[Pool.ADAPTIVEAVG, spatial_dims](1)
        self.most = Pool[Pool.ADAPTIVEMAX, spatial_dims](1)
        self.head = nn.Linear(2 * channels[-1], num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K) of ``image``, (B, in_channels, H, W[, D]) in [-1, 1]."""
        features = image
        for stage in self.stages:
            features = stage(features)
        logits: Tensor = self.head(torch.cat([self.mean(features), self.most(features)], dim=1).flatten(1))
        return logits


class Stage(nn.Module):
    """A strided convolution to half the size, and residual blocks at that size.

    Args:
        in_channels, channels: of the features that come in and go out.
        blocks: how many residual blocks.
        spatial_dims: 2 or 3.
        norm: as of :class:`SliceClassifier`.
    """

    def __init__(self, in_channels: int, channels: int, blocks: int, spatial_dims: int, norm: Norm) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        self.down = conv(in_channels, channels, kernel_size=3, stride=2, padding=1, bias=False)
        self.norm = get_norm_layer(norm, spatial_dims=spatial_dims, channels=channels)
        self.blocks = nn.ModuleList(ResidualBlock(channels, spatial_dims, norm) for _ in range(blocks))

    def forward(self, features: Tensor) -> Tensor:
        """From (B, in_channels, *S) to (B, channels, *S / 2), odd sizes rounded up."""
        features = functional.relu(self.norm(self.down(features)))
        for block in self.blocks:
            features = block(features)
        return features


class ResidualBlock(nn.Module):
    """Two convolutions around which a shortcut runs.

    Args:
        channels: of the features that come in and go out.
        spatial_dims: 2 or 3.
        norm: as of :class:`SliceClassifier`.
    """

    def __init__(self, channels: int, spatial_dims: int, norm: Norm) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        self.first = conv(channels, channels, kernel_size=3, padding=1, bias=False)
        self.first_norm = get_norm_layer(norm, spatial_dims=spatial_dims, channels=channels)
        self.second = conv(channels, channels, kernel_size=3, padding=1, bias=False)
        self.second_norm = get_norm_layer(norm, spatial_dims=spatial_dims, channels=channels)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, channels, *S) of the same shape."""
        residual = functional.relu(self.first_norm(self.first(features)))
        return functional.relu(features + self.second_norm(self.second(residual)))


class CalibratedClassifier(nn.Module):
    """A classifier with what was fixed on validation data: a temperature, and the probability below which it abstains.

    Both are buffers, so they travel with the weights.

    Args:
        classifier: from (B, C, H, W[, D]) to logits (B, K).
        temperature: the logits are divided by it.
        threshold: a mean probability below it is no answer, in [0.5, 1].
    """

    def __init__(self, classifier: nn.Module, temperature: float = 1.0, threshold: float = 0.8) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("temperature", torch.tensor(float(temperature)))
        self.register_buffer("threshold", torch.tensor(float(threshold)))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K) before calibration, which is what a loss takes; :meth:`scores` makes use of them."""
        logits: Tensor = self.classifier(image)
        return logits

    def scores(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities of logits (B, K) and, last, the score of no answer: (B, K + 1).

        The answer is the class of the largest score. As the score of no answer is the threshold itself, this also holds
        for the mean over several images, and the threshold need not be known to whoever decides.
        """
        temperature, threshold = cast(Tensor, self.temperature), cast(Tensor, self.threshold)
        probabilities = torch.softmax(logits.float() / temperature, dim=1)
        return torch.cat([probabilities, threshold.expand(len(logits), 1)], dim=1)
