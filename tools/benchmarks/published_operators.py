"""NCSN++ with its operators as they were published, to measure ours against: equal weights, equal outputs.

Each operator is its equation, spelled out and no more: resampling by inserting zeros, padding and one dense 4 × 4
convolution per channel, with the channels laid into the batch (StyleGAN2's ``upfirdn2d``, Karras et al. 2020);
attention as two sums over all pairs of pixels (Song et al. 2021, appendix H); a norm steered by a style as a norm, a
product and a sum (Özbey et al. 2023, section III-B). All tensors are contiguous (B, C, H, W).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.networks.blocks import (
    AdaptiveGroupNorm,
    FIRDownsample,
    FIRUpsample,
    PyramidDownsample,
    SelfAttention,
)


def as_published(network: nn.Module) -> nn.Module:
    """Copy a network with the published operators in the place of ours; the copy holds the very same parameters."""
    same = {id(parameter): parameter for parameter in network.parameters()}
    return _transcribed(copy.deepcopy(network, memo=dict(same)))


def filtered(image: Tensor, kernel: Tensor, pad: Sequence[int], up: int = 1, down: int = 1) -> Tensor:
    """Insert ``up - 1`` zeros after each pixel, pad with zeros, filter each channel, keep every ``down``-th pixel.

    Args:
        image: (B, C, H, W).
        kernel: (4, 4) and symmetric, so that correlation and convolution are one.
        pad: zeros before and after, along rows and columns alike.
        up, down: factors along rows and columns alike.
    Returns:
        (B, C, H', W') with H' = (up H + sum(pad) - 4) // down + 1, likewise W'.
    """
    batch, channels, height, width = image.shape
    each = image.reshape(batch * channels, 1, height, width)
    if up > 1:
        spread = each.new_zeros(batch * channels, 1, height * up, width * up)
        spread[:, :, ::up, ::up] = each
        each = spread
    each = F.conv2d(F.pad(each, (*pad, *pad)), kernel[None, None], stride=down)
    return each.reshape(batch, channels, *each.shape[2:])


class _Resampling(nn.Module):
    """Holds the filter [1, 3, 3, 1] both ways; its sum is ``gain``."""

    kernel: Tensor

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", torch.outer(taps, taps) * (gain / 64), persistent=False)


class PublishedUpsample(_Resampling):
    """Twice the height and width: zeros inserted, padded by (2, 1), filtered with a gain of 4 for the zeros."""

    def __init__(self, ours: FIRUpsample) -> None:
        super().__init__(gain=4.0)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2 H, 2 W)."""
        return filtered(features, self.kernel, pad=(2, 1), up=2)


class PublishedDownsample(_Resampling):
    """Half the height and width: padded by (1, 1), filtered with a stride of 2."""

    def __init__(self, ours: FIRDownsample) -> None:
        super().__init__()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H // 2, W // 2)."""
        return filtered(features, self.kernel, pad=(1, 1), down=2)


class PublishedPyramid(_Resampling):
    """A step of the input pyramid: padded by (2, 2), filtered at full size, then a 3 × 3 convolution of stride 2."""

    def __init__(self, ours: PyramidDownsample) -> None:
        super().__init__()
        self.conv = ours.conv

    def forward(self, pyramid: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / 2, W / 2)."""
        halved: Tensor = self.conv(filtered(pyramid, self.kernel, pad=(2, 2)))
        return halved


class PublishedAttention(nn.Module):
    """Every pixel attends to every other: softmax over H · W of q · k / sqrt(C), residual sum divided by sqrt(2)."""

    def __init__(self, ours: SelfAttention) -> None:
        super().__init__()
        self.norm, self.projection = ours.norm, ours.projection
        self.query, self.key, self.value = ours.query, ours.key, ours.value

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        batch, channels, height, width = features.shape
        normed = self.norm(features)
        query, key, value = (_per_pixel(normed, linear) for linear in (self.query, self.key, self.value))
        scores = torch.einsum("nchw,ncyx->nhwyx", query, key) / math.sqrt(channels)
        weights = scores.reshape(batch, height, width, height * width).softmax(dim=-1)
        attended = torch.einsum("nhwyx,ncyx->nchw", weights.reshape_as(scores), value)
        return (features + _per_pixel(attended, self.projection)) / math.sqrt(2)


class PublishedAdaptiveGroupNorm(nn.Module):
    """Normalise groups of channels, multiply by the gamma that the style gives, add its beta."""

    def __init__(self, ours: AdaptiveGroupNorm) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(ours.num_groups, ours.style.out_features // 2, eps=ours.eps, affine=False)
        self.style = ours.style

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; ``style`` is (B, style_dim)."""
        gamma, beta = self.style(style)[:, :, None, None].chunk(2, dim=1)
        scaled = gamma * self.norm(features)
        return scaled + beta


def _per_pixel(features: Tensor, linear: nn.Linear) -> Tensor:
    """x W + b over the channels of each pixel; the published W (C, C') is the transpose of a linear layer's weight."""
    pixels = torch.tensordot(features.permute(0, 2, 3, 1), linear.weight.T, dims=1) + linear.bias
    return pixels.permute(0, 3, 1, 2).contiguous()


PUBLISHED: dict[type[nn.Module], Callable[..., nn.Module]] = {
    AdaptiveGroupNorm: PublishedAdaptiveGroupNorm,
    FIRUpsample: PublishedUpsample,
    FIRDownsample: PublishedDownsample,
    PyramidDownsample: PublishedPyramid,
    SelfAttention: PublishedAttention,
}
"""Our operators, and what transcribes each of them."""


def _transcribed(module: nn.Module) -> nn.Module:
    if type(module) in PUBLISHED:
        return PUBLISHED[type(module)](module)
    for name, child in module.named_children():
        setattr(module, name, _transcribed(child))
    return module
