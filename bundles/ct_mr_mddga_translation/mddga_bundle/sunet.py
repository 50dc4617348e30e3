"""SUNet, the noise predictor of MD-DGA (Ni, Ma and Chen, "ct2mri2025", version 1), for slices and for volumes.

A U-Net that meets its condition in three places:

1. the noisy image and the condition enter side by side, as channels;
2. an encoder of the condition's own goes down the same levels;
3. at the bottom the features attend to those of the condition.

Any spatial size goes, since each level is padded to an even size before it is halved (``padding.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mddga_bundle.blocks import (
    NUM_HEADS,
    Border,
    CrossAttention,
    Parts,
    ResidualBlock,
    SelfAttention,
    TimeEmbedding,
    Upsample,
)
from mddga_bundle.padding import cropped_to, padded_to_even
from transmodal.errors import InputError


class SUNet(nn.Module):
    """Predict the noise in a noisy image from that image, its time step and the condition.

    The defaults are the published network for slices, of 23,028,833 parameters. With ``spatial_dims`` 3 and
    ``channels`` 64 they are the published one for latents, of 245,897,921.

    Args:
        spatial_dims: 2 or 3.
        in_channels, condition_channels, out_channels: of the noisy image, of the condition and of the noise.
        channels: width of the stem and of the time embedding; even, and a multiple of ``norm_groups``.
        channel_mult: width of each level, the finest first, in multiples of ``channels``; one level or more.
        attention: whether each level attends to itself; the middle always does.
        num_res_blocks: residual blocks of a level on the way down; there is one more on the way up.
        norm_groups: of every group normalisation.
        dropout: probability inside each residual block.
        legacy_padding: pad with the minimum of the whole batch, as published, instead of each sample's own.
    Attributes:
        size_multiple: of each size for which no level pads; exports take no others.
    Raises:
        InputError: if the levels are not one width and one flag each, a width does not fit groups or heads, or a flag
            is not True or False.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        condition_channels: int = 1,
        out_channels: int = 1,
        channels: int = 32,
        channel_mult: Sequence[int] = (1, 2, 4, 8, 8),
        attention: Sequence[bool] = (False, False, False, True, True),
        num_res_blocks: int = 1,
        norm_groups: int = 32,
        dropout: float = 0.0,
        legacy_padding: bool = False,
    ) -> None:
        super().__init__()
        _check_flags(attention=attention, legacy_padding=[legacy_padding])
        widths = [channels * multiple for multiple in channel_mult]
        _check_levels(spatial_dims, widths, attention, num_res_blocks)
        _check_widths(channels, widths, attention, norm_groups)
        self.spatial_dims, self.in_channels, self.out_channels = spatial_dims, in_channels, out_channels
        self.size_multiple = 2 ** (len(widths) - 1)
        parts = Parts(spatial_dims, channels, norm_groups, dropout)
        self.time_embedding = TimeEmbedding(channels)
        levels = (channels, widths, attention, num_res_blocks, legacy_padding)
        self.encoder = Encoder(parts, in_channels + condition_channels, *levels)
        self.condition_encoder = Encoder(parts, condition_channels, *levels)
        self.middle = Middle(parts, widths[-1])
        ups = list[tuple[str, nn.Module]]()
        for level, (width, attends) in enumerate(zip(widths, attention, strict=True)):
            entering, below = [channels, *widths][level], [*widths, widths[-1]][level + 1]
            ups.append((str(level), UpLevel(parts, below, width, entering, attends, num_res_blocks, level == 0)))
        self.up = nn.ModuleDict(dict(reversed(ups)))  # named by level, ordered as they act: the coarsest first
        self.norm = parts.norm(widths[0])
        self.head = parts.conv(widths[0], out_channels)

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Predict the noise.

        Args:
            image: the condition, (B, condition_channels, *S), of any spatial size.
            noisy: x_t, (B, in_channels, *S).
            timesteps: t, (B,) integers.
        Returns:
            (B, out_channels, *S), unbounded; in the type of the weights, under autocast too.
        """
        time = self.time_embedding(timesteps)
        condition = self.condition_encoder(image, time)[-1]
        skips = self.encoder(torch.cat([noisy, image], dim=1), time)
        features = self.middle(skips[-1], condition, time)
        for up in self.up.values():
            features = up(features, time, skips)
        # TorchScript wants to know the device type when it compiles
        if torch.jit.is_scripting():
            return self._finish(features)
        with torch.autocast(features.device.type, enabled=False):
            return self._finish(features.to(self.head.weight.dtype))

    def _finish(self, features: Tensor) -> Tensor:
        return self.head(F.silu(self.norm(features)))


class Encoder(nn.Module):
    """The way down: a stem, then the levels.

    Args:
        parts: makes the layers.
        in_channels: of the images.
        channels: width of the stem.
        widths: channels of each level, the finest first.
        attention, num_res_blocks, legacy_padding: as for :class:`SUNet`.
    """

    def __init__(
        self,
        parts: Parts,
        in_channels: int,
        channels: int,
        widths: Sequence[int],
        attention: Sequence[bool],
        num_res_blocks: int,
        legacy_padding: bool,
    ) -> None:
        super().__init__()
        self.stem = parts.conv(in_channels, channels)
        entering, coarsest = [channels, *widths], len(widths) - 1
        self.levels = nn.ModuleList(
            DownLevel(parts, entering[level], width, attends, num_res_blocks, level == coarsest, legacy_padding)
            for level, (width, attends) in enumerate(zip(widths, attention, strict=True))
        )

    def forward(self, images: Tensor, time: Tensor) -> list[Tensor]:
        """Give the features of the stem, of each block and of each halving of ``images``, (B, in_channels, *S)."""
        features = self.stem(images)
        outputs = [features]
        for level in self.levels:
            features = level(features, time, outputs)
        return outputs


class DownLevel(nn.Module):
    """Residual blocks, each with attention behind it where the level attends, then the step to the next level.

    Args:
        parts: makes the layers.
        entering: channels of the features that arrive.
        width: channels of the level.
        attends: whether the level attends to itself.
        num_res_blocks: blocks before the step.
        coarsest: whether there is no step.
        legacy_padding: as for :class:`SUNet`.
    """

    def __init__(
        self,
        parts: Parts,
        entering: int,
        width: int,
        attends: bool,
        num_res_blocks: int,
        coarsest: bool,
        legacy_padding: bool,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualBlock(parts, width if index else entering, width) for index in range(num_res_blocks)
        )
        self.attention = nn.ModuleList(parts.attention(width, attends) for _ in range(num_res_blocks))
        self.border = None if coarsest else Border(parts, width)
        self.downsample = None if coarsest else parts.conv(width, width, stride=2)
        self.legacy_padding = legacy_padding

    def forward(self, features: Tensor, time: Tensor, outputs: list[Tensor]) -> Tensor:
        """Refine and halve ``features``, (B, entering, *S); what the way up needs is appended to ``outputs``."""
        for block, attention in zip(self.blocks, self.attention, strict=True):
            features = attention(block(features, time))
            outputs.append(features)
        if self.border is not None and self.downsample is not None:
            features = self.downsample(self.border(padded_to_even(features, self.legacy_padding)))
            outputs.append(features)
        return features


class Middle(nn.Module):
    """Residual blocks at the coarsest level: one before each attention, to the condition and to itself, one after.

    Args:
        parts: makes the layers.
        width: channels of the level.
    """

    def __init__(self, parts: Parts, width: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(parts, width, width)
        self.cross_attention = CrossAttention(parts, width)
        self.block2 = ResidualBlock(parts, width, width)
        self.attention = SelfAttention(parts, width)
        self.block3 = ResidualBlock(parts, width, width)

    def forward(self, features: Tensor, condition: Tensor, time: Tensor) -> Tensor:
        """Refine ``features`` with those of the ``condition``, both (B, width, *S)."""
        features = self.cross_attention(self.block1(features, time), condition)
        features = self.attention(self.block2(features, time))
        return self.block3(features, time)


class UpLevel(nn.Module):
    """Residual blocks, each fed what the way down left, with attention where the level attends, then the step up.

    Args:
        parts: makes the layers.
        below: channels of the features that arrive from the coarser level.
        width: channels of the level.
        entering: channels with which the way down entered the level.
        attends: whether the level attends to itself.
        num_res_blocks: blocks of the way down; here there is one more.
        finest: whether there is no step.
    """

    def __init__(
        self, parts: Parts, below: int, width: int, entering: int, attends: bool, num_res_blocks: int, finest: bool
    ) -> None:
        super().__init__()
        arriving, skipped = [below] + [width] * num_res_blocks, [width] * num_res_blocks + [entering]
        self.blocks = nn.ModuleList(
            ResidualBlock(parts, features + skip, width) for features, skip in zip(arriving, skipped, strict=True)
        )
        self.attention = nn.ModuleList(parts.attention(width, attends) for _ in self.blocks)
        self.upsample = None if finest else Upsample(parts, width)
        self.border = None if finest else Border(parts, width)

    def forward(self, features: Tensor, time: Tensor, skips: list[Tensor]) -> Tensor:
        """Refine and double ``features``, to the size of the next skip; each block takes the last of ``skips``."""
        for block, attention in zip(self.blocks, self.attention, strict=True):
            features = attention(block(torch.cat([features, skips.pop()], dim=1), time))
        if self.upsample is not None and self.border is not None:
            features = self.border(cropped_to(self.upsample(features), skips[-1].shape[2:]))
        return features


def _check_flags(**flags: Sequence[bool]) -> None:
    for name, values in flags.items():
        if isinstance(values, str) or not all(isinstance(value, bool) for value in values):
            raise InputError(
                f"SUNet, {name}",
                found=repr(values),
                wanted="nothing but True and False",
                remedy="write true or false in JSON, True or False on the command line",
            )


def _check_levels(spatial_dims: int, widths: Sequence[int], attention: Sequence[bool], num_res_blocks: int) -> None:
    if len(widths) == 0 or len(attention) != len(widths):
        raise InputError(
            "SUNet, channel_mult and attention",
            found=f"{len(widths)} levels of {list(widths)} channels and {len(attention)} flags {list(attention)}",
            wanted="as many flags as levels, at least one",
            remedy="give each level a width and a flag",
        )
    if spatial_dims not in (2, 3) or min(num_res_blocks, *widths) < 1:
        raise InputError(
            "SUNet",
            found=f"spatial_dims {spatial_dims}, num_res_blocks {num_res_blocks}, levels of {list(widths)} channels",
            wanted="spatial_dims 2 or 3, and positive numbers",
            remedy="set num_res_blocks and channel_mult as published, 1 and [1, 2, 4, 8, 8]",
        )


def _check_widths(channels: int, widths: Sequence[int], attention: Sequence[bool], norm_groups: int) -> None:
    if norm_groups < 1 or channels % 2 != 0 or channels % norm_groups != 0:
        raise InputError(
            "SUNet, channels and norm_groups",
            found=f"{channels} channels in {norm_groups} groups",
            wanted="an even number of channels that the groups share out evenly",
            remedy="set norm_groups to a divisor of channels",
        )
    attending = [*(width for width, attends in zip(widths, attention, strict=True) if attends), widths[-1]]
    if any(width % NUM_HEADS != 0 for width in attending):
        raise InputError(
            "SUNet, attention",
            found=f"levels of {attending} channels that attend, the coarsest among them",
            wanted=f"multiples of the {NUM_HEADS} heads",
            remedy="change channels or channel_mult",
        )
