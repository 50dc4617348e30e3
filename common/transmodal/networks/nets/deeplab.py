"""Segmentation with dilated residual networks: DeepLabV3 (Chen et al. 2017) and DeepLabV3+ (Chen et al. 2018).

The encoder is MONAI's ResNet, whose keys are torchvision's. Where its last stages would halve the image once more, they
dilate instead; atrous spatial pyramid pooling looks at the result at five scales. V3+ adds fine features of the first
stage before it decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from monai.networks.blocks import Convolution
from monai.networks.layers.factories import Conv, Norm, Pool
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn

from transmodal.errors import InputError

RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
"""Dilations of the pyramid by output stride: they cover the same part of the image."""
EXPANSION = {"basic": 1, "bottleneck": 4}
"""Channels that a residual block makes, in multiples of its width."""


class DeepLabV3Plus(nn.Module):
    """Dilated ResNet, pyramid pooling, and a decoder that adds features at a quarter of the size.

    The defaults are the published ResNet-50 at output stride 16 on grey images; ResNet-101 has layers (3, 4, 23, 3).

    Args:
        num_classes: logits for each pixel.
        in_channels: of the image.
        spatial_dims: 2 for slices, 3 for volumes.
        layers: residual blocks of the four stages.
        widths: of the stages; bottleneck blocks make four times as many channels.
        block: ``"bottleneck"``, or ``"basic"`` as in ResNet-18 and -34.
        output_stride: 16, or 8 for sharper and three times as expensive features.
        aspp_channels: of the pyramid and of the decoder.
        low_level_channels: to which the fine features are reduced.
        dropout: probability behind the pyramid.
    """

    def __init__(
        self,
        num_classes: int = 2,
        in_channels: int = 1,
        spatial_dims: int = 2,
        layers: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        block: str = "bottleneck",
        output_stride: int = 16,
        aspp_channels: int = 256,
        low_level_channels: int = 48,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        rates = _rates(output_stride)
        self.num_classes = num_classes
        self.backbone = DilatedResNet(in_channels, spatial_dims, layers, widths, block, output_stride)
        fine, coarse = self.backbone.channels
        self.aspp = PyramidPooling(spatial_dims, coarse, aspp_channels, rates, dropout)
        self.low_level = _stage(spatial_dims, fine, low_level_channels, kernel_size=1)
        self.decoder = _stage(spatial_dims, low_level_channels + aspp_channels, aspp_channels, kernel_size=3)
        self.head = Conv[Conv.CONV, spatial_dims](aspp_channels, num_classes, kernel_size=1)
        self.linear = _linear(spatial_dims)

    def forward(self, image: Tensor) -> Tensor:
        """Classify each pixel of ``image``.

        Args:
            image: (B, in_channels, H, W[, D]) of any size.
        Returns:
            Logits, (B, num_classes, H, W[, D]).
        """
        fine, coarse = self.backbone(image)
        fine = self.low_level(fine)
        context = F.interpolate(self.aspp(coarse), size=fine.shape[2:], mode=self.linear, align_corners=False)
        logits = self.head(self.decoder(torch.cat([fine, context], dim=1)))
        return F.interpolate(logits, size=image.shape[2:], mode=self.linear, align_corners=False)


class DeepLabV3(nn.Module):
    """Dilated ResNet and pyramid pooling without a decoder, the network that torchvision publishes.

    Args:
        num_classes, in_channels, spatial_dims, layers, widths, block, output_stride, aspp_channels, dropout: as for
            :class:`DeepLabV3Plus`, with torchvision's defaults.
    """

    def __init__(
        self,
        num_classes: int = 2,
        in_channels: int = 1,
        spatial_dims: int = 2,
        layers: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        block: str = "bottleneck",
        output_stride: int = 8,
        aspp_channels: int = 256,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        rates = _rates(output_stride)
        self.num_classes = num_classes
        self.backbone = DilatedResNet(in_channels, spatial_dims, layers, widths, block, output_stride)
        _, coarse = self.backbone.channels
        self.aspp = PyramidPooling(spatial_dims, coarse, aspp_channels, rates, dropout)
        self.decoder = _stage(spatial_dims, aspp_channels, aspp_channels, kernel_size=3)
        self.head = Conv[Conv.CONV, spatial_dims](aspp_channels, num_classes, kernel_size=1)
        self.linear = _linear(spatial_dims)

    def forward(self, image: Tensor) -> Tensor:
        """Classify each pixel of ``image``, (B, in_channels, H, W[, D]), as (B, num_classes, H, W[, D]) logits."""
        _, coarse = self.backbone(image)
        logits = self.head(self.decoder(self.aspp(coarse)))
        return F.interpolate(logits, size=image.shape[2:], mode=self.linear, align_corners=False)


class DilatedResNet(nn.Module):
    """The stages of MONAI's ResNet, the last ones dilated instead of strided (the à trous algorithm).

    The layer that loses its stride keeps the dilation in front of it and those behind it double theirs, so that every
    other pixel of the result is a pixel of the strided network, number by number.

    Args:
        in_channels, spatial_dims, layers, widths, block: as for :class:`DeepLabV3Plus`.
        output_stride: 32 for the strided network, 16 with the last stage dilated, 8 with the last two.
    """

    def __init__(
        self,
        in_channels: int,
        spatial_dims: int,
        layers: Sequence[int],
        widths: Sequence[int],
        block: str,
        output_stride: int,
    ) -> None:
        super().__init__()
        expansion = EXPANSION[block]
        self.channels = (expansion * widths[0], expansion * widths[3])
        network = ResNet(
            block,
            list(layers),
            list(widths),
            spatial_dims=spatial_dims,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        self.conv1, self.bn1, self.act, self.maxpool = network.conv1, network.bn1, network.act, network.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            network.layer1,
            network.layer2,
            network.layer3,
            network.layer4,
        )
        if output_stride == 8:
            _dilate(self.layer3, 1, 2)
        if output_stride in (8, 16):
            _dilate(self.layer4, 16 // output_stride, 32 // output_stride)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The features of the first stage at a quarter of the size of ``image``, and of the last at the output stride.

        Args:
            image: (B, in_channels, H, W[, D]).
        """
        stem = self.maxpool(self.act(self.bn1(self.conv1(image))))
        fine = self.layer1(stem)
        return fine, self.layer4(self.layer3(self.layer2(fine)))


class PyramidPooling(nn.Module):
    """Atrous spatial pyramid pooling: a pixel, three dilated neighbourhoods and the whole image, side by side.

    Args:
        spatial_dims: 2 or 3.
        in_channels, out_channels: of the features before and after; each of the five branches has ``out_channels``.
        rates: dilations of the neighbourhoods.
        dropout: probability at the end.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, out_channels: int, rates: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.pixel = _stage(spatial_dims, in_channels, out_channels, kernel_size=1)
        self.neighbourhoods = nn.ModuleList(
            _stage(spatial_dims, in_channels, out_channels, kernel_size=3, dilation=rate) for rate in rates
        )
        self.image = ImagePooling(spatial_dims, in_channels, out_channels)
        branches = len(rates) + 2
        self.project = _stage(spatial_dims, branches * out_channels, out_channels, kernel_size=1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Gather context: (B, in_channels, H, W[, D]) to (B, out_channels, H, W[, D])."""
        branches = [self.pixel(features)]
        for neighbourhood in self.neighbourhoods:
            branches.append(neighbourhood(features))
        branches.append(self.image(features))
        gathered: Tensor = self.dropout(self.project(torch.cat(branches, dim=1)))
        return gathered


class ImagePooling(nn.Module):
    """The mean over the image, projected and normed, in every pixel.

    A batch of one image has a single value per channel here, which batch norm in training refuses. Such a batch is
    normed by the running statistics, as in inference, and does not change them.

    Args:
        spatial_dims, in_channels, out_channels: as for :class:`PyramidPooling`.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.pool = Pool[Pool.ADAPTIVEAVG, spatial_dims](1)
        self.conv = Conv[Conv.CONV, spatial_dims](in_channels, out_channels, kernel_size=1, bias=False)
        self.norm = Norm[Norm.BATCH, spatial_dims](out_channels)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Pool (B, in_channels, H, W[, D]) to (B, out_channels, H, W[, D]), constant over each image."""
        pooled = self.conv(self.pool(features))
        if self.training and pooled.shape[0] == 1:
            norm = self.norm
            normed = F.batch_norm(pooled, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        else:
            normed = self.norm(pooled)
        return F.interpolate(self.activation(normed), size=features.shape[2:], mode="nearest")


def _stage(spatial_dims: int, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> nn.Module:
    """Convolution without bias, batch norm and ReLU, of the same size."""
    return Convolution(
        spatial_dims,
        in_channels,
        out_channels,
        kernel_size=kernel_size,
        dilation=dilation,
        bias=False,
        adn_ordering="NA",
        norm="BATCH",
        act="RELU",
    )


def _dilate(stage: nn.Sequential, before: int, after: int) -> None:
    """Dilate a stage of a ResNet instead of striding it, from ``before``, the dilation in front of it, to ``after``."""
    convolutions = [module for module in stage.modules() if isinstance(module, nn.modules.conv._ConvNd)]
    dilation = before  # of the first 3 × 3, the one that was strided
    for convolution in convolutions:
        convolution.stride = tuple(1 for _ in convolution.stride)
        if max(convolution.kernel_size) > 1:
            convolution.dilation = convolution.padding = tuple(dilation for _ in convolution.kernel_size)
            dilation = after


def _rates(output_stride: int) -> tuple[int, ...]:
    if output_stride not in RATES:
        raise InputError(
            "output_stride", found=str(output_stride), wanted="16 or 8", remedy="16 is cheaper, 8 is sharper"
        )
    return RATES[output_stride]


def _linear(spatial_dims: int) -> str:
    return {2: "bilinear", 3: "trilinear"}[spatial_dims]
