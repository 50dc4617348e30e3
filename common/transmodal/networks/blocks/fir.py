"""Resampling by two with the smooth filter [1, 3, 3, 1] (Zhang 2019, "Making convolutional networks shift-invariant").

StyleGAN2's ``upfirdn2d`` with this filter equals one depthwise convolution, plain or transposed; that is what is here.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.networks.initialisation import fan_average_


def fir_kernel() -> Tensor:
    """Give the filter's outer product with itself, (1, 1, 4, 4), summing to 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return (torch.outer(taps, taps) / 64).reshape(1, 1, 4, 4)


class FIRDownsample(nn.Module):
    """Halve height and width, each channel by itself; zeros lie outside the image."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Filter and halve ``features``, (B, C, H, W), to (B, C, H // 2, W // 2)."""
        channels = features.shape[1]
        kernel = self.kernel.to(features.dtype).expand(channels, 1, 4, 4)
        return F.conv2d(features, kernel, stride=2, padding=1, groups=channels)


class FIRUpsample(nn.Module):
    """Double height and width, each channel by itself; zeros lie outside the image."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Four times the filter: it spreads each pixel over four, and constants have to stay what they are.
        self.register_buffer("kernel", 4 * fir_kernel(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Double and filter ``features``, (B, C, H, W), to (B, C, 2 H, 2 W)."""
        channels = features.shape[1]
        kernel = self.kernel.to(features.dtype).expand(channels, 1, 4, 4)
        return F.conv_transpose2d(features, kernel, stride=2, padding=1, groups=channels)


class PyramidDownsample(nn.Module):
    """Halve height and width and learn new channels: the filter at full size, then a 3 × 3 convolution of stride 2.

    Args:
        in_channels, out_channels: of the image pyramid's finer and coarser level.
    """

    kernel: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(), persistent=False)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=2)
        fan_average_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, pyramid: Tensor) -> Tensor:
        """Take ``pyramid``, (B, in_channels, H, W) with H and W even, to (B, out_channels, H / 2, W / 2)."""
        channels = pyramid.shape[1]
        kernel = self.kernel.to(pyramid.dtype).expand(channels, 1, 4, 4)
        # Two zeros a side make H + 1 filtered rows, which the convolution's stride of 2 takes to H / 2.
        halved: Tensor = self.conv(F.conv2d(pyramid, kernel, padding=2, groups=channels))
        return halved
