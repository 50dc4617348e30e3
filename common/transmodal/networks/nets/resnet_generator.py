"""The residual image-to-image generator of CycleGAN (Zhu et al. 2017, appendix 7.2), after Johnson et al. 2016.

SynDiff uses the same network, with six blocks, as its non-diffusive generator.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from monai.networks.layers.factories import Conv
from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn

from transmodal.networks.blocks.padding import check_size

Norm = str | tuple[Any, ...]

INSTANCE_NORM: Norm = ("INSTANCE", {"affine": False})


class ResNetGenerator(nn.Module):
    """Two strided convolutions down, residual blocks at a quarter of the size, two transposed convolutions up, tanh.

    A convolution carries a bias exactly where the norm behind it has no shift of its own, and the head always does.
    That is the published layout for instance norm (all biased) and for batch norm (only the head).

    Args:
        spatial_dims: 2 for slices, 3 for volumes.
        in_channels, out_channels: channels of the source and of the translated image.
        channels: width of the stem; the residual blocks are four times as wide.
        num_blocks: residual blocks, 9 as published for 256 × 256 images and 6 for 128 × 128.
        norm: a MONAI norm, its name or its name and arguments.
        dropout: probability inside each residual block; the published networks with dropout have 0.5.
        padding_mode: of the stem, the residual blocks and the head: any mode of ``torch.nn.Conv2d``.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: int = 64,
        num_blocks: int = 9,
        norm: Norm = INSTANCE_NORM,
        dropout: float = 0.0,
        padding_mode: str = "reflect",
    ) -> None:
        super().__init__()
        self.size_multiple = 4  # halved twice
        self.smallest_size = 8  # at a quarter of it, reflecting one pixel needs two
        conv, transposed = Conv[Conv.CONV, spatial_dims], Conv[Conv.CONVTRANS, spatial_dims]

        def stage(layer: type[nn.Module], from_channels: int, to_channels: int, **kwargs: Any) -> nn.Sequential:
            after = get_norm_layer(norm, spatial_dims=spatial_dims, channels=to_channels)
            convolution = layer(from_channels, to_channels, bias=_is_unshifted(after), **kwargs)
            return nn.Sequential(OrderedDict(conv=convolution, norm=after, activation=nn.ReLU(inplace=True)))

        halve = {"kernel_size": 3, "stride": 2, "padding": 1}
        double = {**halve, "output_padding": 1}
        wide = 4 * channels
        self.stem = stage(conv, in_channels, channels, kernel_size=7, padding=3, padding_mode=padding_mode)
        self.down = nn.ModuleList(
            [stage(conv, channels, 2 * channels, **halve), stage(conv, 2 * channels, wide, **halve)]
        )
        self.blocks = nn.ModuleList(
            ResidualBlock(spatial_dims, wide, norm, dropout, padding_mode) for _ in range(num_blocks)
        )
        self.up = nn.ModuleList(
            [stage(transposed, wide, 2 * channels, **double), stage(transposed, 2 * channels, channels, **double)]
        )
        self.head = conv(channels, out_channels, kernel_size=7, padding=3, padding_mode=padding_mode)

    def forward(self, image: Tensor) -> Tensor:
        """Translate ``image``.

        Args:
            image: (B, in_channels, H, W[, D]) in [-1, 1]; each size a multiple of 4 and at least 8.
        Returns:
            (B, out_channels, H, W[, D]) in [-1, 1].
        Raises:
            ValueError: if a size does not fit; the published network would round it up in silence (65 becomes 68).
        """
        check_size(image, self.size_multiple, self.smallest_size)
        features = self.stem(image)
        for down in self.down:
            features = down(features)
        for block in self.blocks:
            features = block(features)
        for up in self.up:
            features = up(features)
        return torch.tanh(self.head(features))


class ResidualBlock(nn.Module):
    """Two normed 3 × 3 convolutions around an identity: ``x + norm(conv(dropout(relu(norm(conv(x))))))``.

    Args:
        spatial_dims, norm, dropout, padding_mode: as for :class:`ResNetGenerator`.
        channels: of input and output.
    """

    def __init__(self, spatial_dims: int, channels: int, norm: Norm, dropout: float, padding_mode: str) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        self.norm1 = get_norm_layer(norm, spatial_dims=spatial_dims, channels=channels)
        self.norm2 = get_norm_layer(norm, spatial_dims=spatial_dims, channels=channels)
        same = {"kernel_size": 3, "padding": 1, "padding_mode": padding_mode, "bias": _is_unshifted(self.norm1)}
        self.conv1 = conv(channels, channels, **same)
        self.conv2 = conv(channels, channels, **same)
        self.activation = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Refine ``features``, (B, channels, H, W[, D]), to the same shape."""
        hidden = self.dropout(self.activation(self.norm1(self.conv1(features))))
        refined: Tensor = self.norm2(self.conv2(hidden))
        return features + refined


def _is_unshifted(norm: nn.Module) -> bool:
    return getattr(norm, "bias", None) is None
