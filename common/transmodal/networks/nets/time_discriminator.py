"""The time-conditional critic of denoising diffusion GANs: is x_t a plausible step back from x_{t+1} at timestep t?

Source: Z. Xiao et al., Tackling the generative learning trilemma with denoising diffusion GANs, ICLR 2022,
arXiv:2112.07804; the minibatch standard deviation is that of Karras et al., ICLR 2018, arXiv:1710.10196, section 3.
SynDiff has one for each contrast, and MU-Diff reads its features at an eighth of the size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from transmodal.networks.blocks import FIRDownsample, TimeEmbedding
from transmodal.networks.initialisation import fan_out_

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

activation = partial(leaky_relu, negative_slope=0.2)


class TimeDiscriminator(nn.Module):
    """A pointwise stem, blocks that halve the image, the minibatch standard deviation, one logit.

    Args:
        in_channels: of x_t and x_{t+1} together.
        channels: unit of width; the stem is twice as wide.
        multipliers: width of each block in ``channels``.
        time_dim: width of the time sinusoid and of its embedding, even.
        std_group: samples at most whose standard deviation is taken together. The logits of a batch depend on its
            composition through it; 1 makes them independent.
    Raises:
        ValueError: if ``std_group`` is below 1.
    """

    def __init__(
        self,
        in_channels: int = 2,
        channels: int = 64,
        multipliers: Sequence[int] = (4, 8, 8, 8, 8, 8),
        time_dim: int = 256,
        std_group: int = 4,
    ) -> None:
        super().__init__()
        if std_group < 1:
            raise ValueError(f"found std_group {std_group}; wanted 1 or more. Give 1 to judge each sample by itself.")
        self.std_group = std_group
        self.smallest_size = 2 ** len(multipliers)
        widths = [2 * channels, *(multiplier * channels for multiplier in multipliers)]
        self.time_embedding = TimeEmbedding(
            time_dim, time_dim, time_dim, activation=nn.LeakyReLU(0.2), initialise=fan_out_
        )
        self.stem = _initialised(nn.Conv2d(in_channels, widths[0], kernel_size=1))
        self.blocks = nn.ModuleList(DownBlock(finer, coarser, time_dim) for finer, coarser in pairwise(widths))
        self.final_conv = _initialised(nn.Conv2d(widths[-1] + 1, widths[-1], kernel_size=3, padding=1))
        self.head = _initialised(nn.Linear(widths[-1], 1))

    def forward(
        self, x_t: Tensor, timesteps: Tensor, x_next: Tensor, return_features: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Judge x_t.

        Args:
            x_t: (B, C, H, W), real or made; each side at least ``2 ** len(multipliers)``, 64 by default.
            timesteps: t of each sample, (B,).
            x_next: x_{t+1}, (B, C', H, W), with C + C' = ``in_channels``.
            return_features: return also what :meth:`features` gives, from the same computation.
        Returns:
            Logits, (B,): positive for real; with ``return_features`` a pair of them and the features.
        Raises:
            ValueError: if a side is too small.
        """
        features = self.features(x_t, timesteps, x_next)
        logits = self.judge(features[-1])
        return (logits, features) if return_features else logits

    def features(self, x_t: Tensor, timesteps: Tensor, x_next: Tensor) -> list[Tensor]:
        """Give what each block makes, halved once, twice, and so on; arguments and errors as for :meth:`forward`."""
        size = list(x_t.shape[2:])
        if min(size) < self.smallest_size:
            raise ValueError(
                f"found images of size {size}; wanted at least {self.smallest_size} on each side, because the critic "
                f"halves them {len(self.blocks)} times. Train on larger images or crops, or with fewer multipliers. "
                "In a bundle, choose `patch` accordingly."
            )
        time = self.time_embedding(timesteps)
        features = [self.stem(torch.cat([x_t, x_next], dim=1))]
        for block in self.blocks:
            features.append(block(features[-1], time))
        return features[1:]

    def judge(self, features: Tensor) -> Tensor:
        """Turn the last of :meth:`features` into logits, (B,)."""
        deviation = minibatch_deviation(features, self.std_group)
        hidden = activation(self.final_conv(torch.cat([features, deviation], dim=1)))
        logits: Tensor = self.head(hidden.sum(dim=(2, 3)))
        return logits.squeeze(1)


class DownBlock(nn.Module):
    """A residual block that knows the time and halves the image: (F(x, t) + shortcut(x)) / √2.

    The second convolution starts at about zero, so that training begins with the shortcut alone.

    Args:
        in_channels, out_channels: of its input and output.
        time_dim: of the time embedding.
    """

    def __init__(self, in_channels: int, out_channels: int, time_dim: int) -> None:
        super().__init__()
        self.conv1 = _initialised(nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1))
        self.time_projection = _initialised(nn.Linear(time_dim, out_channels))
        self.downsample = FIRDownsample()
        self.conv2 = _initialised(nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1), scale=1e-10)
        self.shortcut = _initialised(nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False))

    def forward(self, features: Tensor, time: Tensor) -> Tensor:
        """Take ``features``, (B, in_channels, H, W), and ``time``, (B, time_dim), to half the size."""
        hidden = self.conv1(activation(features)) + self.time_projection(time)[:, :, None, None]
        hidden = self.conv2(self.downsample(activation(hidden)))
        halved: Tensor = (hidden + self.shortcut(self.downsample(features))) / math.sqrt(2)
        return halved


def minibatch_deviation(features: Tensor, largest_group: int = 4) -> Tensor:
    """Measure how much the samples of a batch differ, by which a critic notices a generator that repeats itself.

    All groups have one size, the largest up to ``largest_group`` that divides the batch; the published code takes
    ``largest_group`` itself and fails at 5, 6 or 7 samples. Sample i belongs to group i modulo the number of groups.

    Args:
        features: (B, C, H, W).
        largest_group: samples in a group at most.
    Returns:
        The standard deviation over the group, averaged over channels and pixels, as one channel (B, 1, H, W) of the
        dtype of ``features``; 1e-4, the root of what keeps it differentiable, for groups of one.
    """
    batch, *_, height, width = features.shape
    group = max(size for size in range(1, min(batch, largest_group) + 1) if batch % size == 0)
    grouped = features.float().reshape(group, batch // group, *features.shape[1:])
    deviation: Tensor = (grouped.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.to(features.dtype).repeat(group).reshape(batch, 1, 1, 1).expand(-1, 1, height, width)


def _initialised(layer: Layer, scale: float = 1.0) -> Layer:
    """Published initial values: uniform weights scaled by the number of outputs, biases of 0."""
    fan_out_(layer.weight, scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
