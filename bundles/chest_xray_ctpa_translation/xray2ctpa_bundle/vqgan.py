"""The autoencoder of volumes: strided 3D convolutions, and a codebook that its latents are replaced from.

Source: S. Ge et al., Long video generation with time-agnostic VQGAN and time-sensitive transformer, ECCV 2022,
arXiv:2204.03638 (section 3.1), with the layers that X-ray2CTPA takes it with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.networks.blocks.straight_through import straight_through
from xray2ctpa_bundle.codebook import Codebook
from xray2ctpa_bundle.latent_size import latent_size_of
from xray2ctpa_bundle.same_size import SameConv, SameTransposed, Stride

__all__ = ["VQGAN", "Quantised"]

NORM_EPS = 1e-6


class Quantised(NamedTuple):
    """A reconstruction and what it was made of.

    Args:
        reconstruction: (B, 1, F, H, W), not clipped to [-1, 1].
        latents: before quantisation, (B, E, f, h, w).
        codes: nearest to them, of the same shape, without a gradient.
        numbers: of the codes, (B, f, h, w), int64.
    """

    reconstruction: Tensor
    latents: Tensor
    codes: Tensor
    numbers: Tensor


class VQGAN(nn.Module):
    """Encoder, codebook and decoder of CT volumes.

    Latents are those before quantisation; :meth:`decode` replaces them by their nearest codes.

    Args:
        channels: of the first convolution, n; each level of the encoder has twice as many.
        embedding_dim: channels of the latents, E.
        num_codes: codes of the codebook.
        downsample: voxels that one latent stands for along each axis, powers of 2 that may differ.
        norm_groups: groups of every group norm.
        decay, restart: of the codebook, as for :class:`~xray2ctpa_bundle.codebook.Codebook`.
        slab: slices that a layer works on together in :meth:`encode` and :meth:`decode`, which bounds memory and
            changes nothing; all if None. Training takes them all.
    Raises:
        InputError: for arguments that cannot be meant.
    """

    def __init__(
        self,
        channels: int = 16,
        embedding_dim: int = 8,
        num_codes: int = 16384,
        downsample: Sequence[int] = (4, 4, 4),
        norm_groups: int = 32,
        decay: float = 0.99,
        restart: float = 1.0,
        slab: int | None = 8,
    ) -> None:
        super().__init__()
        _check_arguments(channels, downsample, norm_groups, slab)
        self.encoder = Encoder(channels, embedding_dim, downsample, norm_groups)
        self.codebook = Codebook(num_codes, embedding_dim, decay, restart)
        self.decoder = Decoder(channels, embedding_dim, downsample, norm_groups)
        self.latent_channels, self.factors, self.slab = embedding_dim, tuple(downsample), slab

    def forward(self, image: Tensor) -> Quantised:
        """Reconstruct ``image``, (B, 1, F, H, W) in [-1, 1]; in training mode the codebook learns from it."""
        z = self.encoder(image)
        codes, numbers = self.codebook(z)
        return Quantised(self.decoder(straight_through(z, codes)), z, codes, numbers)

    def encode(self, volume: Tensor) -> Tensor:
        """Latents before quantisation of volumes.

        Args:
            volume: (B, 1, F, H, W) in [-1, 1], with sizes divisible by ``factors``.
        Returns:
            (B, E, f, h, w).
        Raises:
            InputError: if a size is not divisible.
        """
        self.latent_size(volume.shape[2:])
        z: Tensor = self.encoder(volume, self.slab)
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Volumes, (B, 1, F, H, W) in [-1, 1], of the codes nearest to the latents ``z``, (B, E, f, h, w)."""
        return self.decode_unclipped(z).clamp(-1, 1)

    def decode_unclipped(self, z: Tensor) -> Tensor:
        """As :meth:`decode` without clipping; a gradient goes straight through the codes to ``z``."""
        codes = self.codebook.look_up(self.codebook.nearest(z))
        image: Tensor = self.decoder(straight_through(z, codes), self.slab)
        return image

    def latent_size(self, size: Sequence[int]) -> tuple[int, int, int]:
        """Size (f, h, w) of the latents of a volume of ``size`` (F, H, W).

        Raises:
            InputError: if a size is not divisible by its factor.
        """
        return latent_size_of(size, self.factors)


class Encoder(nn.Module):
    """From volumes to latents; arguments as for :class:`VQGAN`."""

    def __init__(self, channels: int, embedding_dim: int, downsample: Sequence[int], norm_groups: int) -> None:
        super().__init__()
        self.stem = SameConv(1, channels, kernel_size=3)
        widths = [channels * 2**level for level in range(len(_strides(downsample)) + 1)]
        self.levels = nn.ModuleList(
            Down(width, wider, stride, norm_groups)
            for width, wider, stride in zip(widths[:-1], widths[1:], _strides(downsample), strict=True)
        )
        self.norm = _norm(widths[-1], norm_groups)
        self.head = SameConv(widths[-1], embedding_dim, kernel_size=1)

    def forward(self, image: Tensor, slab: int | None = None) -> Tensor:
        """Latents of ``image``, (B, 1, *S), made ``slab`` slices at a time."""
        features = self.stem(image, slab=slab)
        for level in self.levels:
            features = level(features, slab)
        z: Tensor = self.head(features, self.norm, slab)
        return z


class Decoder(nn.Module):
    """From codes to volumes; arguments as for :class:`VQGAN`.

    As published, where the factors differ the axes that are doubled less often are doubled at the coarsest levels,
    though they were halved at the finest.
    """

    def __init__(self, channels: int, embedding_dim: int, downsample: Sequence[int], norm_groups: int) -> None:
        super().__init__()
        strides = _strides(downsample)
        deepest = channels * 2 ** len(strides)
        self.stem = SameConv(embedding_dim, deepest, kernel_size=1)
        self.norm = _norm(deepest, norm_groups)
        widths = [deepest, *(deepest // 2**level for level in range(len(strides)))]
        self.levels = nn.ModuleList(
            Up(width, narrower, stride, norm_groups)
            for width, narrower, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )
        self.head = SameConv(widths[-1], 1, kernel_size=3)

    def forward(self, codes: Tensor, slab: int | None = None) -> Tensor:
        """Image, (B, 1, *S), of ``codes``, (B, E, …), made ``slab`` slices at a time."""
        features, norm = self.stem(codes, slab=slab), self.norm
        for level in self.levels:
            features, norm = level(features, norm, slab), None
        image: Tensor = self.head(features, slab=slab)
        return image


class Down(nn.Module):
    """A strided convolution and a residual block."""

    def __init__(self, channels: int, wider: int, stride: Stride, norm_groups: int) -> None:
        super().__init__()
        self.down = SameConv(channels, wider, kernel_size=4, stride=stride)
        self.block = ResidualBlock(wider, norm_groups)

    def forward(self, features: Tensor, slab: int | None = None) -> Tensor:
        """Halve where the stride is 2, and refine."""
        refined: Tensor = self.block(self.down(features, slab=slab), slab)
        return refined


class Up(nn.Module):
    """A transposed convolution and two residual blocks."""

    def __init__(self, channels: int, narrower: int, stride: Stride, norm_groups: int) -> None:
        super().__init__()
        self.up = SameTransposed(channels, narrower, kernel_size=4, stride=stride)
        self.block1 = ResidualBlock(narrower, norm_groups)
        self.block2 = ResidualBlock(narrower, norm_groups)

    def forward(self, features: Tensor, norm: nn.GroupNorm | None = None, slab: int | None = None) -> Tensor:
        """Double where the stride is 2, and refine; ``features`` pass ``norm`` and an activation first."""
        refined: Tensor = self.block2(self.block1(self.up(features, norm, slab), slab), slab)
        return refined


class ResidualBlock(nn.Module):
    """x plus two convolutions of width 3, each behind a norm and an activation."""

    def __init__(self, channels: int, norm_groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(channels, norm_groups), _norm(channels, norm_groups)
        self.conv1, self.conv2 = (SameConv(channels, channels, kernel_size=3) for _ in range(2))

    def forward(self, features: Tensor, slab: int | None = None) -> Tensor:
        """Refine ``features``; the shape stays."""
        refined: Tensor = self.conv2(self.conv1(features, self.norm1, slab), self.norm2, slab)
        return features + refined if torch.is_grad_enabled() else refined.add_(features)


def _norm(channels: int, norm_groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(norm_groups, channels, eps=NORM_EPS)


def _strides(downsample: Sequence[int]) -> list[Stride]:
    """The stride of each level: 2 along an axis as long as its factor is not reached."""
    halvings = [factor.bit_length() - 1 for factor in downsample]
    return [tuple(2 if level < times else 1 for times in halvings) for level in range(max(halvings))]


def _check_arguments(channels: int, downsample: Sequence[int], norm_groups: int, slab: int | None) -> None:
    powers = len(downsample) == 3 and all(isinstance(f, int) and f > 0 and f & (f - 1) == 0 for f in downsample)
    if not powers or max(downsample) == 1:
        raise InputError(
            "VQGAN, downsample",
            found=repr(list(downsample)),
            wanted="a power of 2 for each of three axes, at least one above 1",
            remedy="as published, [4, 4, 4]; [1, 4, 4] keeps every slice",
        )
    if channels < 1 or norm_groups < 1 or 2 * channels % norm_groups:
        raise InputError(
            "VQGAN, channels",
            found=f"channels {channels} with norm_groups {norm_groups}",
            wanted="twice the channels a multiple of norm_groups",
            remedy="as published: channels 16, norm_groups 32",
        )
    if slab is not None and (isinstance(slab, bool) or not isinstance(slab, int) or slab < 1):
        raise InputError(
            "VQGAN, slab",
            found=repr(slab),
            wanted="a positive number of slices, or null for all",
            remedy="set it to 8; fewer take less memory",
        )
