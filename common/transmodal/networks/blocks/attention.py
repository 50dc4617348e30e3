"""Self-attention over all pixels of a feature map (Song et al. 2021, appendix H; Vaswani et al. 2017)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.networks.blocks.adagn import GroupNorm
from transmodal.networks.initialisation import fan_average_


class SelfAttention(nn.Module):
    """One head in which every pixel attends to every other: (x + projection(softmax(q k / sqrt(C)) v)) / sqrt(2).

    Args:
        channels: of the features, C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels)
        self.query = _linear(channels, scale=0.1)
        self.key = _linear(channels, scale=0.1)
        self.value = _linear(channels, scale=0.1)
        self.projection = _linear(channels, scale=1e-10)

    def forward(self, features: Tensor) -> Tensor:
        """Let the pixels of ``features``, (B, C, H, W), attend to each other; the shape stays."""
        tokens = self.norm(features).flatten(2).transpose(1, 2)[:, None]  # (B, one head, H · W, C)
        attended = F.scaled_dot_product_attention(self.query(tokens), self.key(tokens), self.value(tokens))
        refined: Tensor = self.projection(attended)[:, 0].transpose(1, 2).reshape(features.shape)
        return (features + refined) / math.sqrt(2.0)


def _linear(channels: int, scale: float) -> nn.Linear:
    linear = nn.Linear(channels, channels)
    fan_average_(linear.weight, scale)
    nn.init.zeros_(linear.bias)
    return linear
