"""Attention of the factorised 3D U-Net (Cahan et al., X-ray2CTPA, 2024): over frames, over pixels, linear over pixels.

Volumes are (B, C, F, H, W) with F frames, the axial slices from feet to head. Every attention runs within a frame or
along the frames at one pixel, never over both at once. Rotary positions are those of Su et al., RoFormer, 2021; the
relative bias is that of Raffel et al., T5, 2020; linear attention is that of Shen et al., Efficient Attention, 2021.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def rotary_frequencies(head_dim: int) -> Tensor:
    """Angles per position by which pairs of numbers of a head turn, (head_dim / 2,), float32: 1 and slower."""
    return torch.pow(10000.0, -torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)


def rotated(tokens: Tensor) -> Tensor:
    """Turn each pair of neighbouring numbers by an angle that grows with the position of the token.

    Args:
        tokens: queries or keys, (..., N, D), D even; positions run from 0 to N - 1.
    Returns:
        The same shape and type; the product of a query and a key then depends on the distance of their positions.
    """
    positions = torch.arange(tokens.shape[-2], dtype=torch.float32, device=tokens.device)
    angles = positions[:, None] * rotary_frequencies(tokens.shape[-1]).to(tokens.device)[None, :]
    cosine, sine = torch.cos(angles), torch.sin(angles)
    first, second = tokens.float().unflatten(-1, [-1, 2]).unbind(-1)
    turned = torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
    return turned.flatten(-2).to(tokens.dtype)


class RelativeBias(nn.Module):
    """A learnt number for each head and each bucket of distances, added to the scores of frames.

    Half of the buckets are for each sign. Of those, half stand for one distance each, and the others widen up to
    ``farthest``, beyond which there is one.

    Args:
        heads: of the attention.
        buckets: of distances, even.
        farthest: distance from which all are alike.
    """

    def __init__(self, heads: int, buckets: int = 32, farthest: int = 32) -> None:
        super().__init__()
        self.buckets, self.farthest = buckets, farthest
        self.weight = nn.Parameter(torch.randn(buckets, heads))

    def forward(self, frames: int) -> Tensor:
        """Give the bias between ``frames`` queries and as many keys, (heads, frames, frames)."""
        return self.weight[self.bucket(frames)].permute(2, 0, 1)

    def bucket(self, frames: int) -> Tensor:
        """Number the distances query - key, (frames, frames), int64; negative ones come second."""
        positions = torch.arange(frames, device=self.weight.device)
        distance = positions[:, None] - positions[None, :]
        one_sign = self.buckets // 2
        exact = one_sign // 2
        far = distance.abs().clamp(min=exact).float()
        widening = torch.log(far / exact) / math.log(self.farthest / exact) * (one_sign - exact)
        beyond = (exact + widening.long()).clamp(max=one_sign - 1)
        bucket = torch.where(distance.abs() < exact, distance.abs(), beyond)
        return bucket + one_sign * (distance < 0).long()


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each voxel, with a learnt scale and no shift, in float32.

    Args:
        channels: of the features, C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.epsilon = 1e-5
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise ``features``, (B, C, F, H, W), to the same shape and type."""
        values = features.float()
        variance, mean = torch.var_mean(values, dim=1, correction=0, keepdim=True)
        return ((values - mean) * torch.rsqrt(variance + self.epsilon) * self.weight.float()).to(features.dtype)


class Attention(nn.Module):
    """Softmax attention among the tokens of a sequence.

    Args:
        channels: of the tokens, C.
        heads, head_dim: of the attention; ``head_dim`` even if ``rotary``.
        rotary: whether queries and keys carry their positions.
    """

    def __init__(self, channels: int, heads: int, head_dim: int, rotary: bool) -> None:
        super().__init__()
        self.heads, self.rotary = heads, rotary
        self.query_key_value = nn.Linear(channels, 3 * heads * head_dim, bias=False)
        self.projection = nn.Linear(heads * head_dim, channels, bias=False)

    def forward(self, tokens: Tensor, bias: Tensor | None = None, focus: Tensor | None = None) -> Tensor:
        """Let tokens attend to those of their own sequence.

        Args:
            tokens: (B, G, N, C), G sequences of N tokens in each sample.
            bias: added to the scores, (heads, N, N).
            focus: samples whose tokens attend to themselves alone, (B,) bool.
        Returns:
            The shape of ``tokens``.
        """
        batch, groups = tokens.shape[0], tokens.shape[1]
        split = self.query_key_value(tokens).flatten(0, 1).unflatten(-1, [3, self.heads, -1])
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # each (B · G, heads, N, D)
        if self.rotary:
            query, key = rotated(query), rotated(key)
        if bias is not None:
            bias = bias.to(query.dtype)[None]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        if focus is not None:
            attended = torch.where(focus.repeat_interleave(groups)[:, None, None, None], value, attended)
        return self.projection(attended.transpose(1, 2).flatten(2)).unflatten(0, [batch, groups])


class LinearAttention(nn.Module):
    """Attention among the pixels of a frame at a cost linear in their number: (softmax(q) · (softmax(k)ᵀ · v)).

    Args:
        channels: of the features, C.
        heads, head_dim: of the attention.
    """

    def __init__(self, channels: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Conv2d(channels, 3 * heads * head_dim, kernel_size=1, bias=False)
        self.projection = nn.Conv2d(heads * head_dim, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Let the pixels of each frame of ``features``, (B, C, F, H, W), attend to each other; the shape stays."""
        batch, height, width = features.shape[0], features.shape[3], features.shape[4]
        frames = features.transpose(1, 2).flatten(0, 1)
        split = self.query_key_value(frames).flatten(2).unflatten(1, [3, self.heads, -1])
        query, key, value = split.unbind(1)  # each (B · F, heads, D, H · W)
        query = torch.softmax(query, dim=2) * query.shape[2] ** -0.5
        context = torch.softmax(key, dim=3) @ value.transpose(2, 3)  # (B · F, heads, D of keys, D of values)
        attended = (context.to(query.dtype).transpose(2, 3) @ query).flatten(1, 2).unflatten(2, [height, width])
        return self.projection(attended).unflatten(0, [batch, -1]).transpose(1, 2)


class AcrossFrames(nn.Module):
    """Each pixel attends along the frames: x + attention(norm(x)).

    Args:
        channels, heads, head_dim: as for :class:`Attention`.
    """

    def __init__(self, channels: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.attention = Attention(channels, heads, head_dim, rotary=True)

    def forward(self, features: Tensor, bias: Tensor, focus: Tensor | None = None) -> Tensor:
        """Refine ``features``, (B, C, F, H, W), to the same shape.

        Args:
            bias: between frames, (heads, F, F).
            focus: samples whose frames attend to themselves alone, (B,) bool.
        """
        height, width = features.shape[3], features.shape[4]
        tokens = self.norm(features).permute(0, 3, 4, 2, 1).flatten(1, 2)
        attended = self.attention(tokens, bias, focus)
        return features + attended.unflatten(1, [height, width]).permute(0, 4, 3, 1, 2)


class AcrossPixels(nn.Module):
    """The pixels of each frame attend to each other: x + attention(norm(x)).

    Args:
        channels, heads, head_dim: as for :class:`Attention`.
    """

    def __init__(self, channels: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.attention = Attention(channels, heads, head_dim, rotary=False)

    def forward(self, features: Tensor) -> Tensor:
        """Refine ``features``, (B, C, F, H, W), to the same shape."""
        height, width = features.shape[3], features.shape[4]
        attended = self.attention(self.norm(features).permute(0, 2, 3, 4, 1).flatten(2, 3))
        return features + attended.unflatten(2, [height, width]).permute(0, 4, 1, 2, 3)


class LinearlyAcrossPixels(nn.Module):
    """The pixels of each frame attend to each other at linear cost: x + attention(norm(x)).

    Args:
        channels, heads, head_dim: as for :class:`LinearAttention`.
    """

    def __init__(self, channels: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.attention = LinearAttention(channels, heads, head_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Refine ``features``, (B, C, F, H, W), to the same shape."""
        return features + self.attention(self.norm(features))
