"""The residual block of NCSN++ (Song et al. 2021, appendix H, after BigGAN), with the style of SynDiff."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.networks.blocks.adagn import AdaptiveGroupNorm
from transmodal.networks.initialisation import fan_average_


class ResidualBlock(nn.Module):
    """Two normed 3 × 3 convolutions, told the time between them and the style in both norms: (x + h) / sqrt(2).

    Args:
        in_channels, out_channels: of the features before and after.
        time_dim: of the time embedding.
        style_dim: of the style.
        resample: changes the size of both branches, such as ``FIRDownsample``; none keeps it.
        dropout: probability before the second convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        time_dim: int,
        style_dim: int,
        resample: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = AdaptiveGroupNorm(in_channels, style_dim)
        self.conv1 = convolution(in_channels, out_channels)
        self.time_projection = nn.Linear(time_dim, out_channels)
        self.norm2 = AdaptiveGroupNorm(out_channels, style_dim)
        self.conv2 = convolution(out_channels, out_channels, scale=1e-10)
        self.resample = nn.Identity() if resample is None else resample
        changes = in_channels != out_channels or resample is not None
        self.shortcut = convolution(in_channels, out_channels, kernel_size=1) if changes else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        fan_average_(self.time_projection.weight)
        nn.init.zeros_(self.time_projection.bias)

    def forward(self, features: Tensor, time: Tensor, style: Tensor) -> Tensor:
        """Refine ``features``.

        Args:
            features: (B, in_channels, H, W).
            time: activated embedding of the time step, (B, time_dim).
            style: (B, style_dim).
        Returns:
            (B, out_channels, H, W), or as ``resample`` leaves H and W.
        """
        hidden = self.resample(F.silu(self.norm1(features, style)))
        hidden = self.conv1(hidden) + self.time_projection(time)[:, :, None, None]
        hidden = self.conv2(self.dropout(F.silu(self.norm2(hidden, style))))
        refined: Tensor = (self.shortcut(self.resample(features)) + hidden) / math.sqrt(2.0)
        return refined


def convolution(in_channels: int, out_channels: int, kernel_size: int = 3, scale: float = 1.0) -> nn.Conv2d:
    """Make a convolution that keeps the size, with the published random weights.

    Args:
        in_channels, out_channels, kernel_size: as for ``torch.nn.Conv2d``.
        scale: of the variance of the weights; 1e-10 for a branch that starts silent.
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    fan_average_(conv.weight, scale)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
