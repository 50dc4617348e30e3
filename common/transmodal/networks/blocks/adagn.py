"""Group normalisation of the diffusion networks, plain and steered by a style (Özbey et al. 2023, section III-B).

Both take their statistics in float32, whatever the type of the features: bfloat16 keeps too few digits of a mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.networks.initialisation import fan_out_

EPSILON = 1e-6


def group_count(channels: int) -> int:
    """Groups of at least four channels, at most 32 of them, as published.

    Raises:
        ValueError: if the channels cannot be shared out evenly.
    """
    groups = min(channels // 4, 32)
    if groups == 0 or channels % groups != 0:
        raise ValueError(
            f"found {channels} channels to normalise in groups; wanted a multiple of 4 up to 128, of 32 above. "
            "Choose `channels` and `channel_mult` accordingly."
        )
    return groups


class GroupNorm(nn.GroupNorm):
    """Group normalisation with a learnt scale and shift.

    Args:
        channels: of the features.
    Raises:
        ValueError: if they cannot be shared out evenly.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(group_count(channels), channels, eps=EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise ``features``, (B, channels, H, W), to the same shape and type."""
        weight, bias = self.weight.float(), self.bias.float()
        return F.group_norm(features.float(), self.num_groups, weight, bias, self.eps).to(features.dtype)


class AdaptiveGroupNorm(nn.Module):
    """Group normalisation whose scale and shift are linear in a style: gamma · norm(x) + beta.

    The bias starts at gamma = 1 and beta = 0, which stands in for the "1 + gamma" of other networks.

    Args:
        channels: of the features.
        style_dim: of the style.
    Raises:
        ValueError: if the channels cannot be shared out evenly.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.num_groups, self.eps = group_count(channels), EPSILON
        self.style = nn.Linear(style_dim, 2 * channels)
        fan_out_(self.style.weight)
        with torch.no_grad():
            self.style.bias[:channels] = 1
            self.style.bias[channels:] = 0

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Normalise ``features``, (B, channels, H, W), by ``style``, (B, style_dim), to the same shape and type."""
        gamma, beta = self.style(style).float().chunk(2, dim=1)
        batch, joined = features.shape[0], features.float()
        in_a_row = features.is_contiguous()
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            in_a_row = in_a_row and not torch.compiler.is_exporting()  # which would make the batch a constant
        if batch > 1 and not in_a_row:
            normed = F.group_norm(joined, self.num_groups, eps=self.eps)
            return torch.addcmul(beta[:, :, None, None], gamma[:, :, None, None], normed).to(features.dtype)
        # With all samples' channels in a row, the kernel itself scales and shifts: one pass over the memory less.
        if batch > 1:
            joined = joined.flatten(0, 1)[None]
        normed = F.group_norm(joined, batch * self.num_groups, gamma.flatten(), beta.flatten(), self.eps)
        return (normed.reshape(features.shape) if batch > 1 else normed).to(features.dtype)
