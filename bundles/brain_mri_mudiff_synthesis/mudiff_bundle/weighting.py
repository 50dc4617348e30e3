"""How much, at each pixel, one denoiser of MU-Diff learns from the other: maps A_1 and A_2 from the critic's features.

The mutual term of the objective pulls each denoiser's sample towards the other's, and A_k weighs how strongly sample k
attracts. With f_k the critic's features of sample k:

1. legacy      A_k = σ(w · f_k + b), with w and b random and never trained: what the published code does
2. default     d_k = |f_k - g_k|², summed over channels;   A_1 = d_2 / (d_1 + d_2),   A_2 = d_1 / (d_1 + d_2)

In 2, g_k are the features of what sample k had to be: drawn with the same noise from the true image. So d_k is what the
critic sees of the k-th denoiser's error, and of nothing else. A_k is the precision (1 / d_k) of sample k as a share of
both: the weight that it would have in the best linear combination of two independent estimates. A denoiser therefore
learns from the other where the other is nearer to the truth, and hardly where it is farther; the steps of both lead to
one point, A_1 x_1 + A_2 x_2. The maps add up to 1, so they are of the size of the published ones and stay so while the
errors shrink. They pass on no gradient: a denoiser that could change them would gain by looking wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from transmodal.errors import InputError
from transmodal.networks.initialisation import fan_out_

EPSILON = 1e-12
"""About the rounding of d_k in float32: two samples that are both right share evenly."""


class Weighting(Protocol):
    """What the objective asks for its maps.

    Attributes:
        compares: whether the features of the true image are wanted.
        detached: whether the sample that a denoiser learns from is a fixed target, without gradient.
    """

    compares: bool
    detached: bool

    def __call__(self, made: Sequence[Tensor], true: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """Make the maps.

        Args:
            made: features f_k of each denoiser's sample, (B, C, h, w).
            true: features g_k of what each had to be; none unless ``compares``.
            size: of the images, (H, W).
        Returns:
            A_k of each, (B, 1, H, W) in [0, 1], float32.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """What has to survive a resume."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take it up again."""
        ...


class CriticAgreement(nn.Module):
    """The default: the share of sample k in the precision of both, by the critic's features (equation 2)."""

    compares = True
    detached = True

    @torch.no_grad()
    def forward(self, made: Sequence[Tensor], true: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """Make the maps, as for :class:`Weighting`; they add up to 1."""
        first, second = (
            (f.float() - g.float()).square().sum(dim=1, keepdim=True) for f, g in zip(made, true, strict=True)
        )
        share = (second + EPSILON) / (first + second + 2 * EPSILON)
        share = _resized(share, size)
        return [share, 1 - share]


class FrozenProjection(nn.Module):
    """The published mode: a random projection of the features, never trained (equation 1).

    Gradient flows through the maps and through the samples learnt from, as published. Unlike there the projection is
    part of the training's state and the same in every process.

    Args:
        channels: of the features, 8 times the ``channels`` of the published critic.
        seed: of the projection.
    """

    compares = False
    detached = False

    def __init__(self, channels: int = 512, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.projection = nn.Conv2d(channels, 1, kernel_size=1)
            fan_out_(self.projection.weight)  # b = √3 for any number of channels, so the maps are nearly saturated
        nn.init.zeros_(self.projection.bias)
        self.requires_grad_(False)

    def forward(self, made: Sequence[Tensor], true: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """Make the maps, as for :class:`Weighting`.

        Raises:
            InputError: for features of another number of channels.
        """
        return [self._map(features, size) for features in made]

    def _map(self, features: Tensor, size: Sequence[int]) -> Tensor:
        if features.shape[1] != self.projection.in_channels:
            raise InputError(
                "FrozenProjection, channels",
                found=f"features of {features.shape[1]} channels",
                wanted=f"{self.projection.in_channels}",
                remedy="give channels as those of the critic's third block, 8 times the critic's own `channels`",
            )
        return _resized(self.projection(features).float().sigmoid(), size)


def _resized(weights: Tensor, size: Sequence[int]) -> Tensor:
    return interpolate(weights, size=tuple(size), mode="bilinear", align_corners=False)
