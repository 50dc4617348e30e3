"""SUNet of MD-DGA with its operators as they were published, to measure ours against: equal weights, equal outputs.

Each operator is its equation, spelled out and no more: Swish as a product with a sigmoid; attention as two sums over
all pairs of voxels of each head, with the whole map between them; scalable padding as a buffer of the lowest value of
the whole batch into which the features are copied (Ni, Ma and Chen, "ct2mri2025", version 1). All tensors are
contiguous (B, C, *S).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

NUM_HEADS = 4


def as_published(network: nn.Module) -> nn.Module:
    """Copy a SUNet with the published operators in the place of ours; the copy holds the very same parameters."""
    same = {id(parameter): parameter for parameter in network.parameters()}
    return _transcribed(copy.deepcopy(network, memo=dict(same)))


def swish(features: Tensor) -> Tensor:
    """x σ(x)."""
    return features * torch.sigmoid(features)


def padded(features: Tensor) -> Tensor:
    """Append an element to each odd spatial axis of (B, C, *S), as low as the lowest value of the batch."""
    size = [length + length % 2 for length in features.shape[2:]]
    if size == list(features.shape[2:]):
        return features
    buffer = torch.ones(*features.shape[:2], *size, device=features.device) * features.min()
    buffer[(..., *(slice(length) for length in features.shape[2:]))] = features
    return buffer


class PublishedResidualBlock(nn.Module):
    """Norm, Swish and convolution, twice, told the time between them, beside a shortcut."""

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        self.norm1, self.conv1, self.norm2, self.conv2 = ours.norm1, ours.conv1, ours.norm2, ours.conv2
        self.time_projection, self.shortcut = ours.time_projection, ours.shortcut

    def forward(self, features: Tensor, time: Tensor) -> Tensor:
        """(B, C, *S) to (B, C', *S); ``time`` is (B, dim), activated."""
        hidden = self.conv1(swish(_normed(self.norm1, features)))
        steered = self.time_projection(time)
        hidden = hidden + steered.view(*steered.shape, *(1 for _ in features.shape[2:]))
        hidden = self.conv2(swish(_normed(self.norm2, hidden)))
        return hidden + self.shortcut(features)


class PublishedSelfAttention(nn.Module):
    """Softmax over all voxels of q · k / sqrt(C) in each head; query, key and value lie side by side in a head."""

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        self.norm, self.query_key_value, self.projection = ours.norm, ours.query_key_value, ours.projection

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *S) to the same shape."""
        query, key, value = _heads(self.query_key_value(_normed(self.norm, features))).chunk(3, dim=2)
        return features + self.projection(_attended(query, key, value, features))


class PublishedCrossAttention(nn.Module):
    """The same, with keys and values of the condition."""

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        self.norm, self.query, self.key_value, self.projection = ours.norm, ours.query, ours.key_value, ours.projection

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(B, C, *S), twice, to the same shape."""
        query = _heads(self.query(_normed(self.norm, features)))
        key, value = _heads(self.key_value(_normed(self.norm, condition))).chunk(2, dim=2)
        return features + self.projection(_attended(query, key, value, features))


class PublishedBorder(nn.Module):
    """Norm, Swish and a convolution of each voxel, added to the features."""

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        self.norm, self.projection = ours.norm, ours.projection

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *S) to the same shape."""
        return features + self.projection(swish(_normed(self.norm, features)))


class PublishedDownLevel(nn.Module):
    """Residual blocks with attention behind them, then padding to an even size, and a convolution that halves it."""

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        self.blocks, self.attention = _transcribed(ours.blocks), _transcribed(ours.attention)
        self.border, self.downsample = ours.border, ours.downsample
        if self.border is not None:
            self.border = _transcribed(self.border)

    def forward(self, features: Tensor, time: Tensor, outputs: list[Tensor]) -> Tensor:
        """(B, C, *S) to (B, C', *S / 2), rounded up; what the way up needs is appended to ``outputs``."""
        for block, attention in zip(self.blocks, self.attention, strict=True):
            features = attention(block(features, time))
            outputs.append(features)
        if self.border is not None:
            features = self.downsample(self.border(padded(features)))
            outputs.append(features)
        return features


def _normed(norm: nn.GroupNorm, features: Tensor) -> Tensor:
    return torch.group_norm(features, norm.num_groups, norm.weight, norm.bias, norm.eps)


def _heads(features: Tensor) -> Tensor:
    """(B, C, *S) as (B, heads, C / heads, voxels)."""
    return features.reshape(len(features), NUM_HEADS, features.shape[1] // NUM_HEADS, -1)


def _attended(query: Tensor, key: Tensor, value: Tensor, like: Tensor) -> Tensor:
    weights = (torch.einsum("bhcn,bhcm->bhnm", query, key) / math.sqrt(like.shape[1])).softmax(dim=-1)
    return torch.einsum("bhnm,bhcm->bhcn", weights, value).reshape(like.shape)


PUBLISHED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "ResidualBlock": PublishedResidualBlock,
    "SelfAttention": PublishedSelfAttention,
    "CrossAttention": PublishedCrossAttention,
    "Border": PublishedBorder,
    "DownLevel": PublishedDownLevel,
}
"""Our operators by name, for a bundle's classes cannot be imported here, and what transcribes each of them."""


def _transcribed(module: nn.Module) -> nn.Module:
    if type(module).__name__ in PUBLISHED:
        return PUBLISHED[type(module).__name__](module)
    for name, child in module.named_children():
        setattr(module, name, _transcribed(child))
    return module
