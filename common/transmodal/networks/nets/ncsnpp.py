"""NCSN++ as the generator of a denoising diffusion GAN.

Architecture: Song et al. 2021, "Score-based generative modeling through SDEs", appendix H; style of the latent: Xiao et
al. 2022, "Tackling the generative learning trilemma with denoising diffusion GANs"; use: Özbey et al. 2023 (SynDiff).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.networks.blocks.adagn import GroupNorm
from transmodal.networks.blocks.attention import SelfAttention
from transmodal.networks.blocks.embedding import LatentMapping, TimeEmbedding
from transmodal.networks.blocks.fir import FIRDownsample, FIRUpsample, PyramidDownsample
from transmodal.networks.blocks.ncsn import ResidualBlock, convolution
from transmodal.networks.blocks.padding import cropped_to, reflected_to_multiple

Block = Callable[..., ResidualBlock]


class NCSNpp(nn.Module):
    """Predict the clean image from its noisy version and the source, stacked as channels, with a latent for the rest.

    The defaults are the published generator for 256 × 256 slices, of 39,725,250 parameters.

    Args:
        in_channels, out_channels: of the stacked images and of the prediction.
        channels: width of the finest level; even.
        channel_mult: width of each level, the finest first, in multiples of ``channels``.
        num_res_blocks: residual blocks of a level on the way down; there is one more on the way up.
        attention: whether each level attends to itself; the middle always does.
        latent_dim: length of the latent z.
        style_dim: length of the style made from it.
        mapping_layers: layers of that mapping beyond the first.
        dropout: probability inside each residual block.
        tanh: bound the prediction to [-1, 1].
    Raises:
        ValueError: if the levels are not one width and one flag each, or a width cannot be normalised in groups.
    """

    def __init__(
        self,
        in_channels: int = 2,
        out_channels: int = 2,
        channels: int = 64,
        channel_mult: Sequence[int] = (1, 1, 2, 2, 4, 4),
        num_res_blocks: int = 2,
        attention: Sequence[bool] = (False, False, False, False, True, False),
        latent_dim: int = 100,
        style_dim: int = 256,
        mapping_layers: int = 3,
        dropout: float = 0.0,
        tanh: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(tanh, bool):
            raise ValueError(f"found tanh={tanh!r}; wanted True or False. On the command line write True or False.")
        self.tanh = tanh
        time_dim = 4 * channels
        self.time_embedding = TimeEmbedding(channels, time_dim, time_dim)
        self.latent_mapping = LatentMapping(latent_dim, style_dim, mapping_layers)
        self.stem = convolution(in_channels, channels)
        self.trunk = NCSNppTrunk(
            stem_channels=channels,
            pyramid_channels=in_channels,
            out_channels=out_channels,
            channels=channels,
            channel_mult=channel_mult,
            num_res_blocks=num_res_blocks,
            attention=attention,
            time_dim=time_dim,
            style_dim=style_dim,
            dropout=dropout,
        )

    def forward(self, image: Tensor, timesteps: Tensor, latent: Tensor) -> Tensor:
        """Predict the clean image.

        Args:
            image: the noisy target and the source, (B, in_channels, H, W); mirrored up to the size that the levels
                need, and the prediction cropped, where H or W is no multiple of 2 ** (levels - 1).
            timesteps: index t of the step t+1 → t, (B,) integers.
            latent: z, (B, latent_dim), standard normal.
        Returns:
            (B, out_channels, H, W), in [-1, 1] with ``tanh``; the last layers run in float32 under autocast too, so
            that it is not rounded to the 128 numbers that bfloat16 has between 0.5 and 1.
        Raises:
            ValueError: if the image is too small to be mirrored.
        """
        height, width = image.shape[2], image.shape[3]
        padded = reflected_to_multiple(image, self.trunk.size_multiple)
        return cropped_to(self.predict(padded, timesteps, latent), height, width)

    def predict(self, image: Tensor, timesteps: Tensor, latent: Tensor) -> Tensor:
        """As :meth:`forward`, of an image whose H and W are multiples: the network without its padding, for exports."""
        time, style = self.time_embedding(timesteps), self.latent_mapping(latent)
        predicted: Tensor = self.trunk(self.stem(image), image, time, style)
        return torch.tanh(predicted) if self.tanh else predicted


class NCSNppTrunk(nn.Module):
    """A U-Net behind any stem, with a pyramid of the input image that is added at every coarser level.

    Args:
        stem_channels: of the stem's features.
        pyramid_channels: of the image that the pyramid starts from.
        out_channels: of the result.
        channels, channel_mult, num_res_blocks, attention, dropout: as for :class:`NCSNpp`.
        time_dim, style_dim: of the embedded time step and of the style.
    Raises:
        ValueError: as for :class:`NCSNpp`.
    """

    def __init__(
        self,
        stem_channels: int,
        pyramid_channels: int,
        out_channels: int,
        channels: int,
        channel_mult: Sequence[int],
        num_res_blocks: int,
        attention: Sequence[bool],
        time_dim: int,
        style_dim: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_levels(channel_mult, attention)
        self.size_multiple = 2 ** (len(channel_mult) - 1)
        block = partial(ResidualBlock, time_dim=time_dim, style_dim=style_dim, dropout=dropout)
        widths = [channels * multiple for multiple in channel_mult]
        coarsest = len(widths) - 1
        self.down, ups = nn.ModuleList(), list[tuple[str, nn.Module]]()
        for level, (width, attends) in enumerate(zip(widths, attention, strict=True)):
            entering = widths[level - 1] if level > 0 else stem_channels
            image = widths[level - 1] if level > 0 else pyramid_channels
            below = widths[min(level + 1, coarsest)]
            self.down.append(DownLevel(block, entering, width, image, num_res_blocks, attends, level == coarsest))
            up = UpLevel(block, below, width, entering, num_res_blocks, attends, level == 0)
            ups.append((str(level), up))
        self.middle = Middle(block, widths[-1])
        self.up = nn.ModuleDict(dict(reversed(ups)))  # named by level, ordered as they act: the coarsest first
        self.norm = GroupNorm(widths[0])
        self.head = convolution(widths[0], out_channels, scale=1e-10)

    def forward(self, features: Tensor, pyramid: Tensor, time: Tensor, style: Tensor) -> Tensor:
        """Go down the levels, through the middle and up again.

        Args:
            features: of the stem, (B, stem_channels, H, W), H and W multiples of ``size_multiple``.
            pyramid: the image that the pyramid starts from, (B, pyramid_channels, H, W).
            time: activated embedding of the time step, (B, time_dim).
            style: (B, style_dim).
        Returns:
            (B, out_channels, H, W), unbounded; in the type of the weights, under autocast too.
        """
        skips = [features]
        for down in self.down:
            features, pyramid = down(features, pyramid, time, style, skips)
        features = self.middle(features, time, style)
        for up in self.up.values():
            features = up(features, time, style, skips)
        # TorchScript wants to know the device type when it compiles
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return self._finish(features)
        with torch.autocast(features.device.type, enabled=False):
            return self._finish(features.to(self.head.weight.dtype))

    def _finish(self, features: Tensor) -> Tensor:
        result: Tensor = self.head(F.silu(self.norm(features)))
        return result


class DownLevel(nn.Module):
    """Residual blocks, each with attention behind it where the level attends, then the step to the next level.

    Args:
        block: makes a residual block, given its channels and what resamples it.
        entering: channels of the features that arrive.
        width: channels of the level.
        image: channels of the pyramid that arrives.
        num_res_blocks: blocks before the step.
        attends: whether the level attends to itself.
        coarsest: whether there is no step.
    """

    def __init__(
        self, block: Block, entering: int, width: int, image: int, num_res_blocks: int, attends: bool, coarsest: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block(width if index else entering, width) for index in range(num_res_blocks))
        self.attention = nn.ModuleList(_attention(width, attends) for _ in range(num_res_blocks))
        self.downsample = None if coarsest else block(width, width, resample=FIRDownsample())
        self.pyramid = None if coarsest else PyramidDownsample(image, width)

    def forward(
        self, features: Tensor, pyramid: Tensor, time: Tensor, style: Tensor, skips: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Refine and halve ``features`` and ``pyramid``; what the way up needs is appended to ``skips``."""
        for block, attention in zip(self.blocks, self.attention, strict=True):
            features = attention(block(features, time, style))
            skips.append(features)
        if self.downsample is not None and self.pyramid is not None:
            pyramid = (self.pyramid(pyramid) + self.downsample(features, time, style)) / math.sqrt(2.0)
            features = pyramid
            skips.append(features)
        return features, pyramid


class Middle(nn.Module):
    """Two residual blocks around self-attention, at the coarsest level.

    Args:
        block: makes a residual block, given its channels.
        width: channels of the level.
    """

    def __init__(self, block: Block, width: int) -> None:
        super().__init__()
        self.block1 = block(width, width)
        self.attention = SelfAttention(width)
        self.block2 = block(width, width)

    def forward(self, features: Tensor, time: Tensor, style: Tensor) -> Tensor:
        """Refine ``features``, (B, width, H, W), to the same shape."""
        refined: Tensor = self.block2(self.attention(self.block1(features, time, style)), time, style)
        return refined


class UpLevel(nn.Module):
    """Residual blocks, each fed what the way down left, then attention where the level attends, then the step up.

    Args:
        block: makes a residual block, given its channels and what resamples it.
        below: channels of the features that arrive from the coarser level.
        width: channels of the level.
        entering: channels with which the way down entered the level.
        num_res_blocks: blocks of the way down; here there is one more.
        attends: whether the level attends to itself.
        finest: whether there is no step.
    """

    def __init__(
        self, block: Block, below: int, width: int, entering: int, num_res_blocks: int, attends: bool, finest: bool
    ) -> None:
        super().__init__()
        arriving, skipped = [below] + [width] * num_res_blocks, [width] * num_res_blocks + [entering]
        self.blocks = nn.ModuleList(
            block(features + skip, width) for features, skip in zip(arriving, skipped, strict=True)
        )
        self.attention = _attention(width, attends)
        self.upsample = None if finest else block(width, width, resample=FIRUpsample())

    def forward(self, features: Tensor, time: Tensor, style: Tensor, skips: list[Tensor]) -> Tensor:
        """Refine and double ``features``; each block takes the last of ``skips`` away."""
        for block in self.blocks:
            features = block(torch.cat([features, skips.pop()], dim=1), time, style)
        features = self.attention(features)
        return features if self.upsample is None else self.upsample(features, time, style)


def _attention(channels: int, attends: bool) -> nn.Module:
    return SelfAttention(channels) if attends else nn.Identity()


def _check_levels(channel_mult: Sequence[int], attention: Sequence[bool]) -> None:
    if isinstance(attention, str) or not all(isinstance(flag, bool) for flag in attention):
        raise ValueError(f"found attention={attention!r}; wanted True or False for each level. Give a list of them.")
    if len(channel_mult) == 0 or len(attention) != len(channel_mult):
        raise ValueError(
            f"found {len(channel_mult)} levels in channel_mult={list(channel_mult)} and {len(attention)} in "
            f"attention={list(attention)}; wanted as many in both, at least one. Give each level a width and a flag."
        )
