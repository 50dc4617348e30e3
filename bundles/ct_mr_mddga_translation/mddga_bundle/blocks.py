"""Building blocks of SUNet, for slices and for volumes (Ni, Ma and Chen, "ct2mri2025", version 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn
from torch.nn import functional as F

NUM_HEADS = 4
"""Heads of every attention."""


@dataclass(frozen=True)
class Parts:
    """Makes the parts of one network, which differ in their channels alone.

    Args:
        spatial_dims: 2 or 3.
        time_dim: of the time embedding.
        norm_groups: of every group normalisation.
        dropout: probability inside each residual block.
    """

    spatial_dims: int
    time_dim: int
    norm_groups: int
    dropout: float

    def conv(self, in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
        """Make a convolution over 3 voxels an axis."""
        return Conv[Conv.CONV, self.spatial_dims](in_channels, out_channels, kernel_size=3, stride=stride, padding=1)

    def projection(self, in_channels: int, out_channels: int, bias: bool = True) -> nn.Module:
        """Make a convolution of each voxel by itself."""
        return Conv[Conv.CONV, self.spatial_dims](in_channels, out_channels, kernel_size=1, bias=bias)

    def norm(self, channels: int) -> GroupNorm:
        """Make a group normalisation."""
        return GroupNorm(self.norm_groups, channels)

    def attention(self, channels: int, attends: bool) -> nn.Module:
        """Make a self-attention, or what does nothing."""
        return SelfAttention(self, channels) if attends else nn.Identity()


class ResidualBlock(nn.Module):
    """Two normed convolutions, told the time between them: x + h.

    Args:
        parts: makes the layers.
        in_channels, out_channels: of the features before and after.
    """

    def __init__(self, parts: Parts, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = parts.norm(in_channels)
        self.conv1 = parts.conv(in_channels, out_channels)
        self.time_projection = nn.Linear(parts.time_dim, out_channels)
        self.norm2 = parts.norm(out_channels)
        self.dropout = nn.Dropout(parts.dropout)
        self.conv2 = parts.conv(out_channels, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else parts.projection(in_channels, out_channels)

    def forward(self, features: Tensor, time: Tensor) -> Tensor:
        """Refine ``features``, (B, in_channels, *S), at the activated embedding of ``time``, (B, time_dim)."""
        hidden = self.conv1(F.silu(self.norm1(features)))
        steered = self.time_projection(time)
        hidden = hidden + steered.reshape(list(steered.shape) + [1] * (features.ndim - 2))
        hidden = self.conv2(self.dropout(F.silu(self.norm2(hidden))))
        return hidden + self.shortcut(features)


class SelfAttention(nn.Module):
    """Every voxel attends to every other, in four heads; the softmax is scaled by the channels of all heads.

    Args:
        parts: makes the layers.
        channels: of the features, C.
    """

    def __init__(self, parts: Parts, channels: int) -> None:
        super().__init__()
        self.norm = parts.norm(channels)
        self.query_key_value = parts.projection(channels, 3 * channels, bias=False)
        self.projection = parts.projection(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Let the voxels of ``features``, (B, C, *S), attend to each other; the shape stays."""
        query, key, value = _heads(self.query_key_value(self.norm(features))).chunk(3, dim=-1)
        return features + self.projection(_attended(query, key, value, like=features))


class CrossAttention(nn.Module):
    """Every voxel attends to every voxel of the condition, as in :class:`SelfAttention`; one norm serves both.

    Args:
        parts: makes the layers.
        channels: of the features and of the condition, C.
    """

    def __init__(self, parts: Parts, channels: int) -> None:
        super().__init__()
        self.norm = parts.norm(channels)
        self.query = parts.projection(channels, channels, bias=False)
        self.key_value = parts.projection(channels, 2 * channels, bias=False)
        self.projection = parts.projection(channels, channels)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Let the voxels of ``features`` attend to those of ``condition``, both (B, C, *S); the shape stays."""
        query = _heads(self.query(self.norm(features)))
        key, value = _heads(self.key_value(self.norm(condition))).chunk(2, dim=-1)
        return features + self.projection(_attended(query, key, value, like=features))


class Border(nn.Module):
    """Blend the border of scalable padding with what it surrounds: x + projection(norm(x)).

    Args:
        parts: makes the layers.
        channels: of the features.
    """

    def __init__(self, parts: Parts, channels: int) -> None:
        super().__init__()
        self.norm = parts.norm(channels)
        self.projection = parts.projection(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Refine ``features``, (B, channels, *S), to the same shape."""
        return features + self.projection(F.silu(self.norm(features)))


class Upsample(nn.Module):
    """Double every axis, slices by repetition and volumes linearly as published, and convolve.

    Args:
        parts: makes the layers.
        channels: of the features.
    """

    def __init__(self, parts: Parts, channels: int) -> None:
        super().__init__()
        self.mode = "nearest" if parts.spatial_dims == 2 else "trilinear"
        self.conv = parts.conv(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Double ``features``, (B, channels, *S)."""
        return self.conv(F.interpolate(features, scale_factor=2.0, mode=self.mode))


class GroupNorm(nn.GroupNorm):
    """Group normalisation in float32, whatever the type of the features.

    A group of a single value, at the bottom of a very small image, becomes the shift; PyTorch's refuses it.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalise ``features``, (B, C, *S), to the same shape and type."""
        weight, bias = self.weight.float(), self.bias.float()
        if features.device.type == "cpu":  # there PyTorch normalises bfloat16 in float32 itself, without copies
            return torch.group_norm(features, self.num_groups, weight, bias, self.eps)
        return torch.group_norm(features.float(), self.num_groups, weight, bias, self.eps).to(features.dtype)


class TimeEmbedding(nn.Module):
    """Sines, then cosines, of ``dim / 2`` wavelengths from 2 pi to almost 10000 times that; two linear layers.

    Args:
        dim: of the embedding, even.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.linear1 = nn.Linear(dim, 4 * dim)
        self.linear2 = nn.Linear(4 * dim, dim)

    def forward(self, timesteps: Tensor) -> Tensor:
        """Embed ``timesteps``, (B,), as (B, dim), activated: everything that reads a time step reads it so."""
        half = self.dim // 2
        steps = torch.arange(half, dtype=torch.float32, device=timesteps.device)
        angles = timesteps.to(torch.float32)[:, None] * torch.exp(steps * (-math.log(10000.0) / half))[None, :]
        waves = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1).to(self.linear1.weight.dtype)
        return F.silu(self.linear2(F.silu(self.linear1(waves))))


def _heads(features: Tensor, num_heads: int = NUM_HEADS) -> Tensor:
    """(B, C', *S) as tokens (B, heads, voxels, C' / heads); query, key and value of a head lie side by side."""
    return features.flatten(2).unflatten(1, [num_heads, -1]).transpose(2, 3)


def _attended(query: Tensor, key: Tensor, value: Tensor, like: Tensor) -> Tensor:
    scale = 1 / math.sqrt(like.shape[1])
    attended = F.scaled_dot_product_attention(query, key, value, scale=scale)
    return attended.transpose(2, 3).reshape(like.shape)
