"""The factorised 3D U-Net of X-ray2CTPA (Cahan et al., 2024), after the video diffusion net of Ho et al., 2022.

Convolutions see one frame at a time, and frames meet in attention alone, so the number of frames is free and never
halved. The radiograph enters as one vector beside the time step, in every residual block; with ``plane_channels`` its
features enter in their places too, which the published network does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.errors import InputError
from transmodal.networks.blocks import sinusoid
from xray2ctpa_bundle.attention import AcrossFrames, AcrossPixels, LinearlyAcrossPixels, RelativeBias
from xray2ctpa_bundle.backprojection import BackProjection
from xray2ctpa_bundle.conditioning import Condition


class FactorisedUNet(nn.Module):
    """Predict noise, or velocity, from noisy latents, their time step and the radiograph.

    With ``plane_channels`` 0 the defaults are the published network, of 12,007,236 learnt numbers.

    Args:
        channels: of the latents, C.
        dim: width of the stem, even, at least 4.
        dim_mults: width of each level, the finest first, in multiples of ``dim``; one level or more.
        condition_dim: of the embedding of the radiograph, E.
        heads, head_dim: of every attention.
        norm_groups: of every group normalisation, a divisor of every width.
        plane_channels: of the features of the radiograph that are laid into the volume; 0 for none, as published.
        coverage: extent of the volume from feet to head, as a share of that of the radiograph.
    Raises:
        InputError: if a width is not shared out evenly by the groups, or a number does not fit.
    """

    def __init__(
        self,
        channels: int = 4,
        dim: int = 32,
        dim_mults: Sequence[int] = (1, 2, 4, 8),
        condition_dim: int = 512,
        heads: int = 8,
        head_dim: int = 32,
        norm_groups: int = 8,
        plane_channels: int = 0,
        coverage: float = 320 / 384,
    ) -> None:
        super().__init__()
        widths = [dim * multiple for multiple in dim_mults]
        _check(dim, widths, norm_groups, head_dim, plane_channels)
        self.spatial_dims, self.in_channels, self.out_channels = 3, channels, channels
        self.condition_dim, self.plane_channels = condition_dim, plane_channels
        self.null_embedding = nn.Parameter(torch.randn(1, condition_dim))
        self.back_projection = BackProjection(plane_channels, coverage) if plane_channels > 0 else None
        self.relative_bias = RelativeBias(heads)
        self.time_embedding = TimeEmbedding(dim)
        self.stem = nn.Conv3d(channels + plane_channels, dim, kernel_size=(1, 7, 7), padding=(0, 3, 3))
        self.stem_attention = AcrossFrames(dim, heads, head_dim)
        parts = (4 * dim + condition_dim, heads, head_dim, norm_groups)
        downs, ups = list[Level](), list[tuple[str, nn.Module]]()
        for level, (entering, width) in enumerate(pairwise([dim, *widths])):
            coarsest, finest = level == len(widths) - 1, level == 0
            downs.append(Level(entering, width, *parts, step=None if coarsest else _halving(width)))
            ups.append((str(level), Level(2 * width, entering, *parts, step=None if finest else _doubling(entering))))
        self.down = nn.ModuleList(downs)
        self.middle = Middle(widths[-1], *parts)
        self.up = nn.ModuleDict(dict(reversed(ups)))  # named by level, ordered as they act: the coarsest first
        self.last = ResidualBlock(2 * dim, dim, None, norm_groups)
        self.head = nn.Conv3d(dim, channels, kernel_size=1)

    def forward(
        self,
        condition: Condition,
        noisy: Tensor,
        timesteps: Tensor,
        drop: Tensor | None = None,
        focus: Tensor | None = None,
    ) -> Tensor:
        """Predict what the diffusion asks for.

        Args:
            condition: of the radiographs; its embedding is used, and its plane with ``plane_channels``.
            noisy: x_t, (B, C, F, H, W); any F, while H and W can be halved at each level but one.
            timesteps: t, (B,).
            drop: samples that see the learnt null condition instead of theirs, (B,) bool.
            focus: samples whose frames do not see each other behind the stem, (B,) bool, as the published network can
                be told; it never is.
        Returns:
            The shape of ``noisy``, unbounded; in the type of the weights, under autocast too.
        Raises:
            InputError: if H or W cannot be halved.
        """
        if not torch.jit.is_scripting():
            _check_size(noisy, 2 ** (len(self.down) - 1))
        embedding = condition.embedding
        if drop is not None:
            embedding = torch.where(drop[:, None], self.null_embedding.to(embedding.dtype), embedding)
        time = self.time_embedding(timesteps)
        context = torch.cat([time, embedding.to(time.dtype)], dim=1)
        bias = self.relative_bias(noisy.shape[2])
        if self.back_projection is not None:
            noisy = self.back_projection(noisy, condition.plane, drop)
        stem = self.stem(noisy)
        features = self.stem_attention(stem, bias)
        skips: list[Tensor] = []
        for level in self.down:
            features = level(features, context, bias, focus)
            skips.append(features)
            features = level.step(features)
        features = self.middle(features, context, bias, focus)
        for level in self.up.values():
            features = level.step(level(torch.cat([features, skips.pop()], dim=1), context, bias, focus))
        features = self.last(torch.cat([features, stem], dim=1), None)
        if torch.jit.is_scripting():  # there autocast would have to know the device when it compiles
            return self.head(features)
        with torch.autocast(features.device.type, enabled=False):  # what a step of the chain is computed from
            return self.head(features.to(self.head.weight.dtype))


class TimeEmbedding(nn.Module):
    """Sines and cosines of the time step and two linear layers, GELU between them.

    Args:
        dim: of the sinusoid; the embedding has four times as many numbers.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.linear1 = nn.Linear(dim, 4 * dim)
        self.linear2 = nn.Linear(4 * dim, 4 * dim)

    def forward(self, timesteps: Tensor) -> Tensor:
        """Embed ``timesteps``, (B,), as (B, 4 · dim)."""
        waves = sinusoid(timesteps, self.dim).to(self.linear1.weight.dtype)
        return self.linear2(F.gelu(self.linear1(waves)))


class ResidualBlock(nn.Module):
    """Two convolutions of each frame, normed; the first is scaled and shifted by the context: shortcut(x) + h.

    Args:
        in_channels, out_channels: of the features before and after.
        context_dim: of the context; None for a block without.
        norm_groups: of both norms.
    """

    def __init__(self, in_channels: int, out_channels: int, context_dim: int | None, norm_groups: int) -> None:
        super().__init__()
        self.context_projection = None if context_dim is None else nn.Linear(context_dim, 2 * out_channels)
        self.conv1 = _conv(in_channels, out_channels)
        self.norm1 = nn.GroupNorm(norm_groups, out_channels)
        self.conv2 = _conv(out_channels, out_channels)
        self.norm2 = nn.GroupNorm(norm_groups, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv3d(in_channels, out_channels, kernel_size=1)

    def forward(self, features: Tensor, context: Tensor | None) -> Tensor:
        """Refine ``features``, (B, in_channels, F, H, W), told ``context``, (B, context_dim)."""
        hidden = self.norm1(self.conv1(features))
        if self.context_projection is not None and context is not None:
            steered = self.context_projection(F.silu(context))[:, :, None, None, None]
            scale, shift = steered.chunk(2, dim=1)
            hidden = hidden * (scale + 1) + shift
        hidden = F.silu(self.norm2(self.conv2(F.silu(hidden))))
        return hidden + self.shortcut(features)


class Level(nn.Module):
    """Two residual blocks, attention within frames and along them; ``step`` leads to the next level.

    Args:
        in_channels, out_channels: of the features before and after the blocks.
        context_dim, heads, head_dim, norm_groups: of the blocks and the attention.
        step: to the next level; None at the last.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        context_dim: int,
        heads: int,
        head_dim: int,
        norm_groups: int,
        step: nn.Module | None,
    ) -> None:
        super().__init__()
        self.block1 = ResidualBlock(in_channels, out_channels, context_dim, norm_groups)
        self.block2 = ResidualBlock(out_channels, out_channels, context_dim, norm_groups)
        self.pixels = LinearlyAcrossPixels(out_channels, heads, head_dim)
        self.frames = AcrossFrames(out_channels, heads, head_dim)
        self.step = nn.Identity() if step is None else step

    def forward(self, features: Tensor, context: Tensor, bias: Tensor, focus: Tensor | None) -> Tensor:
        """Refine ``features``, (B, in_channels, F, H, W), told ``context``, (B, context_dim), at the same size."""
        features = self.block2(self.block1(features, context), context)
        return self.frames(self.pixels(features), bias, focus)


class Middle(nn.Module):
    """Two residual blocks at the coarsest level, with full attention within frames and along them between.

    Args:
        width: channels of the level.
        context_dim, heads, head_dim, norm_groups: of the blocks and the attention.
    """

    def __init__(self, width: int, context_dim: int, heads: int, head_dim: int, norm_groups: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(width, width, context_dim, norm_groups)
        self.pixels = AcrossPixels(width, heads, head_dim)
        self.frames = AcrossFrames(width, heads, head_dim)
        self.block2 = ResidualBlock(width, width, context_dim, norm_groups)

    def forward(self, features: Tensor, context: Tensor, bias: Tensor, focus: Tensor | None) -> Tensor:
        """Refine ``features``, (B, width, F, H, W), told ``context``, (B, context_dim)."""
        features = self.pixels(self.block1(features, context))
        return self.block2(self.frames(features, bias, focus), context)


def _conv(in_channels: int, out_channels: int) -> nn.Conv3d:
    return nn.Conv3d(in_channels, out_channels, kernel_size=(1, 3, 3), padding=(0, 1, 1))


def _halving(channels: int) -> nn.Conv3d:
    return nn.Conv3d(channels, channels, kernel_size=(1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1))


def _doubling(channels: int) -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(channels, channels, kernel_size=(1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1))


def _check_size(noisy: Tensor, multiple: int) -> None:
    if noisy.shape[3] % multiple != 0 or noisy.shape[4] % multiple != 0:
        raise InputError(
            "FactorisedUNet, noisy",
            found=f"frames of {noisy.shape[3]} × {noisy.shape[4]}",
            wanted=f"multiples of {multiple}, so that each level but one halves them",
            remedy="choose another grid of the volumes, or fewer levels in `dim_mults`",
        )


def _check(dim: int, widths: Sequence[int], norm_groups: int, head_dim: int, plane_channels: int) -> None:
    if not widths or min(widths) < 1 or dim < 4 or dim % 2 != 0:
        raise InputError(
            "FactorisedUNet, dim and dim_mults",
            found=f"dim {dim} and levels of {list(widths)} channels",
            wanted="an even dim of 4 or more, and one level or more",
            remedy="set them as published, 32 and [1, 2, 4, 8]",
        )
    if norm_groups < 1 or any(width % norm_groups != 0 for width in (dim, *widths)):
        raise InputError(
            "FactorisedUNet, norm_groups",
            found=f"{norm_groups} groups for {sorted({dim, *widths})} channels",
            wanted="a number that shares each of them out evenly",
            remedy="set norm_groups to a divisor of dim",
        )
    if head_dim < 2 or head_dim % 2 != 0 or plane_channels < 0:
        raise InputError(
            "FactorisedUNet",
            found=f"head_dim {head_dim}, plane_channels {plane_channels}",
            wanted="an even head_dim and plane_channels of 0 or more",
            remedy="set them as published, 32 and 0",
        )
