"""Encoders of radiographs that are trained with the denoiser, for work without a pretrained tower.

Convolutions give every part of a :class:`~xray2ctpa_bundle.conditioning.Condition`; the plane is a feature pyramid
(Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017, section 3), tokens bear sine and cosine positions
(Vaswani et al., Attention Is All You Need, 2017, section 3.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import Convolution, ResidualUnit
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.errors import InputError
from xray2ctpa_bundle.conditioning import Condition

__all__ = ["PairedEncoder", "RadiographEncoder", "with_plane"]

FINEST = 1
"""Stage whose size the plane has: a quarter of the radiograph's."""


class RadiographEncoder(nn.Module):
    """Residual stages that each halve the radiograph, and a head for each part of the condition.

    A part whose size is 0 has no head and is empty: parameters without a use would never get a gradient, which a
    training on several GPUs takes for an error.

    Args:
        channels: width of each stage, a multiple of ``norm_groups``.
        embedding_dim: E, of the vector for the whole radiograph. It keeps where things are: the features of the last
            stage are averaged over ``regions`` × ``regions`` parts of the picture, and mapped linearly together.
        token_dim: C, of the tokens, one per place of the last stage (14 × 14 of 224 × 224 pixels); a multiple of 4.
        plane_channels: P, of the plane, a quarter of the radiograph in size; the first is the radiograph itself.
        regions: parts along each axis.
        norm_groups: groups of the group norms.
    Raises:
        InputError: if there are too few stages, a size is negative, or ``token_dim`` is no multiple of 4.
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 128, 256),
        embedding_dim: int = 512,
        token_dim: int = 0,
        plane_channels: int = 0,
        regions: int = 4,
        norm_groups: int = 8,
    ) -> None:
        super().__init__()
        _check(channels, embedding_dim, token_dim, plane_channels)
        self.regions = regions
        self.embedding_dim, self.token_dim, self.plane_channels = embedding_dim, token_dim, plane_channels
        inputs = [1, *channels[:-1]]
        self.stages = nn.ModuleList(
            _stage(before, after, norm_groups) for before, after in zip(inputs, channels, strict=True)
        )
        if embedding_dim:
            self.embed = nn.Linear(channels[-1] * regions**2, embedding_dim)
        if token_dim:
            self.to_tokens = nn.Linear(channels[-1], token_dim)
        if plane_channels > 1:
            self.pyramid = Pyramid(channels[FINEST:], plane_channels - 1)

    def forward(self, image: Tensor) -> Condition:
        """Encode radiographs, (B, 1, S, S) in [-1, 1], bright where dense.

        Raises:
            InputError: for any other shape.
        """
        _check_shape(image)
        stages = [image]
        for stage in self.stages:
            stages.append(stage(stages[-1]))
        features = stages[-1]
        return Condition(self._embedding(features), self._tokens(features), self._plane(image, stages[1 + FINEST :]))

    def _embedding(self, features: Tensor) -> Tensor:
        if not self.embedding_dim:
            return features.new_zeros(features.shape[0], 0)
        regions = F.adaptive_avg_pool2d(features, self.regions)
        embedding: Tensor = self.embed(regions.flatten(1))
        return embedding

    def _tokens(self, features: Tensor) -> Tensor:
        places = features.flatten(2).transpose(1, 2)  # (B, rows · columns, channels)
        if not self.token_dim:
            return places.new_zeros(*places.shape[:2], 0)
        tokens: Tensor = self.to_tokens(places)
        return tokens + positions(*features.shape[2:], self.token_dim, like=tokens)

    def _plane(self, image: Tensor, stages: Sequence[Tensor]) -> Tensor:
        rows, columns = stages[0].shape[2:]
        if not self.plane_channels:
            return image.new_zeros(image.shape[0], 0, rows, columns)
        picture = F.adaptive_avg_pool2d(image, (rows, columns))
        return picture if self.plane_channels == 1 else torch.cat([picture, self.pyramid(stages)], dim=1)


class Pyramid(nn.Module):
    """Features of several stages joined at the size of the first: each coarser sum is doubled and the next added.

    Args:
        channels: of the stages, the finest first.
        out_channels: of the result.
    """

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, out_channels, kernel_size=1) for width in channels)
        self.smooth = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Join ``stages``, (B, channels, h, w) with each half the size of the one before."""
        *finer, joined = (lateral(stage) for lateral, stage in zip(self.lateral, stages, strict=True))
        for lateral in reversed(finer):
            joined = lateral + F.interpolate(joined, size=lateral.shape[2:], mode="bilinear", align_corners=False)
        smoothed: Tensor = self.smooth(joined)
        return smoothed


class PairedEncoder(nn.Module):
    """The embedding and the tokens of one encoder with the plane of another.

    So a pretrained tower that stays as it is tells what there is, and a few convolutions learn to tell where.

    Args:
        semantic: makes ``embedding`` and ``tokens``.
        spatial: makes ``plane``; its embedding and its tokens had better be of size 0.
    """

    def __init__(self, semantic: nn.Module, spatial: nn.Module) -> None:
        super().__init__()
        self.semantic, self.spatial = semantic, spatial
        self.embedding_dim, self.token_dim = semantic.embedding_dim, semantic.token_dim
        self.plane_channels = spatial.plane_channels

    def forward(self, image: Tensor) -> Condition:
        """Encode radiographs, (B, 1, S, S) in [-1, 1], bright where dense."""
        condition: Condition = self.semantic(image)
        return condition._replace(plane=self.spatial(image).plane)


def with_plane(semantic: nn.Module, channels: Sequence[int], plane_channels: int, norm_groups: int = 8) -> nn.Module:
    """An encoder, and for a denoiser that takes a plane a few convolutions beside it that make one.

    Args:
        semantic: makes ``embedding`` and ``tokens``.
        channels, norm_groups: of the convolutions, as for :class:`RadiographEncoder`.
        plane_channels: P, of the plane; 0 for none.
    Returns:
        A :class:`PairedEncoder`, or ``semantic`` itself where there is to be no plane.
    """
    if not plane_channels:
        return semantic
    spatial = RadiographEncoder(channels, 0, 0, plane_channels, norm_groups=norm_groups)
    return PairedEncoder(semantic, spatial)


def positions(rows: int, columns: int, dim: int, like: Tensor) -> Tensor:
    """Sines and cosines of rows and of columns, one vector of ``dim`` numbers per place, row by row.

    Args:
        rows, columns: of the places.
        dim: a multiple of 4; wavelengths go from 2π places to 10000 times that.
        like: gives device and dtype.
    Returns:
        (1, rows · columns, dim).
    """
    frequencies = 10000.0 ** -torch.linspace(0, 1, dim // 4, device=like.device)
    down, across = (torch.arange(size, device=like.device)[:, None] * frequencies for size in (rows, columns))
    down, across = down[:, None].expand(-1, columns, -1), across[None].expand(rows, -1, -1)
    waves = torch.cat([down.sin(), down.cos(), across.sin(), across.cos()], dim=-1)
    return waves.flatten(0, 1)[None].to(like.dtype)


def _stage(in_channels: int, channels: int, norm_groups: int) -> nn.Module:
    norm = ("GROUP", {"num_groups": norm_groups})
    return nn.Sequential(
        Convolution(2, in_channels, channels, strides=2, kernel_size=3, act="SWISH", norm=norm),
        ResidualUnit(2, channels, channels, strides=1, kernel_size=3, subunits=2, act="SWISH", norm=norm),
    )


def _check_shape(image: Tensor) -> None:
    if image.ndim != 4 or image.shape[1] != 1:
        raise InputError(
            "a radiograph on its way into the encoder",
            found=f"the shape {tuple(image.shape)}",
            wanted="(batch, 1, rows, columns)",
            remedy="read it by transmodal.transforms.RadiographLoadImaged and RadiographFitd",
        )


def _check(channels: Sequence[int], embedding: int, tokens: int, plane: int) -> None:
    faults = {
        f"{len(channels)} stages": len(channels) <= FINEST,
        f"sizes {embedding}, {tokens} and {plane} of embedding, tokens and plane": min(embedding, tokens, plane) < 0,
        f"token_dim {tokens}": tokens % 4 != 0,
    }
    if found := [what for what, wrong in faults.items() if wrong]:
        raise InputError(
            "RadiographEncoder",
            found=", ".join(found),
            wanted=f"at least {FINEST + 1} stages, sizes of 0 or more, and a token_dim that 4 divides",
            remedy="take for example 4 stages; give the size 0 to a part that the denoiser does not use",
        )
