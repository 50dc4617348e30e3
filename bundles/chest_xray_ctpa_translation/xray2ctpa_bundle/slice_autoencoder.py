"""The autoencoder of slices: each axial slice of a CT volume alone, to latents of an eighth of its height and width.

Source: R. Rombach et al., High-resolution image synthesis with latent diffusion models, CVPR 2022, arXiv:2112.10752,
with the layers of Stable Diffusion 1.x, whose published weights it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from monai.networks.nets.autoencoderkl import Decoder, Encoder
from torch import Tensor, nn

from transmodal.errors import InputError
from xray2ctpa_bundle.latent_size import latent_size_of

__all__ = ["PUBLISHED_GREY", "Posterior", "SliceAutoencoder"]

PUBLISHED_GREY = (0.114, 0.587, 0.299)
"""Shares of red, green and blue by which the published code makes a decoded slice grey: red and blue changed places."""
NORM_EPS = 1e-6
LOG_VARIANCE = (-30.0, 20.0)
"""Between these the published networks keep the log-variance."""


class Posterior(NamedTuple):
    """What the encoder says of the latents of slices, and what the decoder makes of a draw from it.

    Args:
        reconstruction: (B, 1, F, H, W), not clipped to [-1, 1].
        mean, log_variance: of normal latents, each (B, C, F, H / factor, W / factor), before they are scaled.
    """

    reconstruction: Tensor
    mean: Tensor
    log_variance: Tensor


class SliceAutoencoder(nn.Module):
    """A convolutional autoencoder whose latents are drawn from normal distributions, for slices.

    A slice is repeated to ``image_channels``; what is decoded becomes grey again by a weighted mean of these. Other
    than published, latents are the mean of their distribution, not a draw from it, so that the same CT has the same
    latents, and what is decoded stays in floating point.

    Args:
        channels: width of each level, the finest first; each but the last halves height and width.
        num_res_blocks: residual blocks of a level of the encoder; the decoder has one more.
        norm_groups: groups of every group norm.
        latent_channels: C.
        image_channels: 3 for weights trained on pictures; 1 suffices for training anew.
        scale: latents are the means times this, so that they vary by about 1; as published for Stable Diffusion 1.x.
        grey: shares of the decoded channels in a grey value, which add up to 1; all the same if None. The published
            ones are ``PUBLISHED_GREY``.
        slices_at_once: slices that :meth:`encode` and :meth:`decode` take together, which bounds memory and changes
            nothing; all if None.
    Raises:
        InputError: for arguments that cannot be meant.
    """

    def __init__(
        self,
        channels: Sequence[int] = (128, 256, 512, 512),
        num_res_blocks: int = 2,
        norm_groups: int = 32,
        latent_channels: int = 4,
        image_channels: int = 3,
        scale: float = 0.18215,
        grey: Sequence[float] | None = None,
        slices_at_once: int | None = 4,
    ) -> None:
        super().__init__()
        shares = [1 / image_channels] * image_channels if grey is None else list(grey)
        _check_arguments(channels, norm_groups, scale, slices_at_once)
        _check_grey(shares, image_channels)
        levels = {
            "spatial_dims": 2,
            "channels": list(channels),
            "norm_num_groups": norm_groups,
            "norm_eps": NORM_EPS,
            "attention_levels": [False] * len(channels),
            "use_flash_attention": True,  # the same attention, without its matrix in memory
        }
        self.encoder = _activated(
            Encoder(
                in_channels=image_channels,
                out_channels=2 * latent_channels,
                num_res_blocks=[num_res_blocks] * len(channels),
                **levels,
            )
        )
        self.decoder = _activated(
            Decoder(
                in_channels=latent_channels,
                out_channels=image_channels,
                num_res_blocks=[num_res_blocks + 1] * len(channels),
                **levels,
            )
        )
        self.quant = nn.Conv2d(2 * latent_channels, 2 * latent_channels, kernel_size=1)
        self.post_quant = nn.Conv2d(latent_channels, latent_channels, kernel_size=1)
        self.latent_channels, self.image_channels = latent_channels, image_channels
        self.scale, self.slices_at_once = float(scale), slices_at_once
        self.factors = (1, *[2 ** (len(channels) - 1)] * 2)
        self.shares = shares
        self.grey: Tensor
        self.register_buffer("grey", torch.tensor(shares), persistent=False)

    def forward(self, image: Tensor, noise: Tensor | None = None) -> Posterior:
        """Reconstruct ``image`` from a draw of its latents, as its training does.

        Args:
            image: (B, 1, F, H, W) in [-1, 1].
            noise: standard normal numbers, (B, C, F, H / factor, W / factor); the latents are their means if None.
        Returns:
            The reconstruction and the distribution of the latents.
        """
        mean, log_variance = self.moments(image)
        latents = mean if noise is None else mean + torch.exp(0.5 * log_variance) * noise
        return Posterior(self._grey(self._colours(latents)), mean, log_variance)

    def encode(self, volume: Tensor) -> Tensor:
        """Latents of volumes: the means of their distributions, times ``scale``.

        Args:
            volume: (B, 1, F, H, W) in [-1, 1], with height and width divisible by ``factors``.
        Returns:
            (B, C, F, H / factor, W / factor).
        Raises:
            InputError: if a size is not divisible.
        """
        self.latent_size(volume.shape[2:])
        return self._in_parts(lambda part: self.scale * self.moments(part)[0], volume)

    def decode(self, z: Tensor) -> Tensor:
        """Volumes of latents.

        Args:
            z: as :meth:`encode` makes them, (B, C, F, h, w).
        Returns:
            (B, 1, F, h * factor, w * factor) in [-1, 1]; each decoded channel is clipped before it becomes grey.
        """
        return self._in_parts(lambda part: self._grey(self._colours(part / self.scale).clamp(-1, 1)), z)

    def decode_unclipped(self, z: Tensor) -> Tensor:
        """As :meth:`decode` without clipping, so that a gradient comes back from values beyond [-1, 1] too."""
        return self._in_parts(lambda part: self._grey(self._colours(part / self.scale)), z)

    def latent_size(self, size: Sequence[int]) -> tuple[int, int, int]:
        """Size (F, h, w) of the latents of a volume of ``size`` (F, H, W).

        Raises:
            InputError: if height or width is not divisible by ``factors``.
        """
        return latent_size_of(size, self.factors)

    def moments(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents, before they are scaled.

        Args:
            image: (B, 1, F, H, W) in [-1, 1].
        Returns:
            Two tensors (B, C, F, H / factor, W / factor), the second within [-30, 20].
        """
        slices = rearrange(image, "b c f h w -> (b f) c h w").expand(-1, self.image_channels, -1, -1)
        mean, log_variance = self.quant(self.encoder(slices)).chunk(2, dim=1)
        mean, log_variance = (
            rearrange(part, "(b f) c h w -> b c f h w", b=len(image)) for part in (mean, log_variance)
        )
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def extra_repr(self) -> str:
        """What the weights do not tell, for the printed network."""
        return f"scale={self.scale}, grey={[round(share, 4) for share in self.shares]}"

    def _colours(self, latents: Tensor) -> Tensor:
        """Decoded slices of all channels, (B, image_channels, F, H, W), of latents that are not scaled."""
        slices = self.decoder(self.post_quant(rearrange(latents, "b c f h w -> (b f) c h w")))
        volumes: Tensor = rearrange(slices, "(b f) c h w -> b c f h w", b=len(latents))
        return volumes

    def _grey(self, colours: Tensor) -> Tensor:
        """(B, 1, F, H, W) of (B, image_channels, F, H, W)."""
        return torch.einsum("bcfhw,c->bfhw", colours, self.grey.to(colours.dtype))[:, None]

    def _in_parts(self, compute: Callable[[Tensor], Tensor], volume: Tensor) -> Tensor:
        """What ``compute`` makes of a few slices at a time of each volume in turn, put together."""
        slices = rearrange(volume, "b c f h w -> (b f) c 1 h w")
        at_once = self.slices_at_once or len(slices)
        parts = torch.cat([compute(part) for part in slices.split(at_once)])
        together: Tensor = rearrange(parts, "(b f) c 1 h w -> b c f h w", b=len(volume))
        return together


def _activated(network: Encoder | Decoder) -> Encoder | Decoder:
    """The same network with an activation behind its last norm, which MONAI leaves out."""
    network.blocks.insert(len(network.blocks) - 1, nn.SiLU())
    return network


def _check_arguments(channels: Sequence[int], norm_groups: int, scale: float, slices_at_once: int | None) -> None:
    groups = norm_groups if isinstance(norm_groups, int) and norm_groups > 0 else 0
    if not channels or not groups or any(width < 1 or width % groups for width in channels):
        raise InputError(
            "SliceAutoencoder, channels",
            found=f"{list(channels)} with norm_groups {norm_groups!r}",
            wanted="the width of at least one level, each a multiple of norm_groups",
            remedy="as published: channels [128, 256, 512, 512], norm_groups 32",
        )
    if isinstance(scale, str | bool) or not scale > 0:
        raise InputError(
            "SliceAutoencoder, scale",
            found=repr(scale),
            wanted="a positive number",
            remedy="0.18215 for weights of Stable Diffusion 1.x, 0.13025 for those of SDXL",
        )
    if slices_at_once is not None and (
        isinstance(slices_at_once, bool) or not isinstance(slices_at_once, int) or slices_at_once < 1
    ):
        raise InputError(
            "SliceAutoencoder, slices_at_once",
            found=repr(slices_at_once),
            wanted="a positive number of slices, or null for all",
            remedy="set it to 4; fewer take less memory",
        )


def _check_grey(shares: Sequence[float], image_channels: int) -> None:
    if len(shares) != image_channels or abs(sum(shares) - 1) > 1e-3:
        raise InputError(
            "SliceAutoencoder, grey",
            found=f"{list(shares)} for {image_channels} image_channels",
            wanted="a share for each channel, 1 in all",
            remedy=f"null for equal shares, or {list(PUBLISHED_GREY)} as published for three channels",
        )
