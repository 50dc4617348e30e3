"""The scale of latents, by which a diffusion meets them with mean 0 and deviation 1."""

import logging
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from transmodal.errors import InputError

__all__ = ["LatentScale"]

logger = logging.getLogger(__name__)

SMALLEST_VARIATION = 1e-5
"""Deviation relative to the mean, below which a channel of float32 latents shows little but rounding."""
SMALLEST_MEAN = 1e-3
"""Means closer to 0 count as this."""


class LatentScale(nn.Module):
    """Mean, deviation and bounds of latents, one of each for every channel, among the weights of a network.

    As made, it leaves latents as they are and bounds them by [-1, 1].

    Args:
        channels: of the latents, E.
    Attributes:
        mean, std: of the raw latents, (E,).
        low, high: bounds of the normalised latents, (E,).
    """

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.register_buffer("low", -torch.ones(channels))
        self.register_buffer("high", torch.ones(channels))

    def apply_to(self, latents: Tensor) -> Tensor:
        """Normalise raw ``latents``, (E, D, H, W) or (B, E, D, H, W), to the same shape."""
        return (latents - _per_channel(self.mean)) / _per_channel(self.std)

    def restore(self, normalised: Tensor) -> Tensor:
        """Undo :meth:`apply_to`."""
        return normalised * _per_channel(self.std) + _per_channel(self.mean)

    def clipped(self, normalised: Tensor) -> Tensor:
        """Normalised latents, those outside the bounds replaced by the nearer one; the shape stays."""
        return torch.clamp(normalised, _per_channel(self.low), _per_channel(self.high))

    @torch.no_grad()
    def stretch_(self, low: float, high: float) -> None:
        """Take raw latents from [``low``, ``high``], the same for all channels, to [-1, 1], which become the bounds.

        Raises:
            InputError: unless both are finite numbers and ``low`` < ``high``.
        """
        _check_range(low, high)
        self.mean.fill_((high + low) / 2)
        self.std.fill_((high - low) / 2)
        self.low.fill_(-1)
        self.high.fill_(1)

    @torch.no_grad()
    def measure_(self, latents: Iterable[Tensor]) -> None:
        """Take mean, deviation and bounds from all voxels of ``latents``, each (E, D, H, W).

        A channel that does not vary by more than rounding keeps a deviation of 1, with a warning: to divide by less
        would make an image of the rounding.

        Raises:
            InputError: if there are none, or one has other channels or values that are not finite.
        """
        channels = self.mean.shape[0]
        moments = _Moments(channels)
        for latent in latents:
            _check_latent(latent, channels)
            moments.add(latent.detach().to("cpu", torch.float64).flatten(1))
        if moments.voxels == 0:
            raise _no_latents("none of them", channels)
        mean, std = moments.mean, moments.std
        constant = std <= SMALLEST_VARIATION * mean.abs().clamp(min=SMALLEST_MEAN)
        if bool(constant.any()):
            numbers = ", ".join(map(str, constant.nonzero().flatten().tolist()))
            logger.warning(
                "of the %s latent channels, number %s (from 0) is the same everywhere and is not "
                "scaled; see that the training of the autoencoder went well",
                channels,
                numbers,
            )
        std = torch.where(constant, torch.ones_like(std), std)
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.low.copy_((moments.lowest - mean) / std)
        self.high.copy_((moments.highest - mean) / std)


class _Moments:
    """Mean, deviation and bounds of the rows of matrices (E, N) in float64, gathered matrix by matrix.

    Squares are of centred values, joined by T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a pairwise
    algorithm for computing sample variances, 1979: a mean far from 0 costs no digits.
    """

    def __init__(self, rows: int) -> None:
        self.voxels = 0
        self.mean, self.squares = torch.zeros(2, rows, dtype=torch.float64)
        self.lowest, self.highest = torch.full_like(self.mean, torch.inf), torch.full_like(self.mean, -torch.inf)

    mean: Tensor
    squares: Tensor

    @property
    def std(self) -> Tensor:
        return (self.squares / self.voxels).sqrt()

    def add(self, values: Tensor) -> None:
        number = values.shape[1]
        mean = values.mean(dim=1)
        total, shift = self.voxels + number, mean - self.mean
        self.squares = (
            self.squares
            + (values - mean[:, None]).square().sum(dim=1)
            + shift.square() * (self.voxels * number / total)
        )
        self.mean = self.mean + shift * (number / total)
        self.voxels = total
        self.lowest = torch.minimum(self.lowest, values.amin(dim=1))
        self.highest = torch.maximum(self.highest, values.amax(dim=1))


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _check_range(low: float, high: float) -> None:
    numbers = all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in (low, high))
    if not numbers or not -math.inf < low < high < math.inf:
        raise InputError(
            "LatentScale, range of the latents",
            found=f"{low!r} to {high!r}",
            wanted="two finite numbers, the lower one first",
            remedy="give the smallest and the largest latent of the training set, such as -12.911299 and 9.596558",
        )


def _check_latent(latent: Tensor, channels: int) -> None:
    if latent.ndim != 4 or latent.shape[0] != channels or latent.numel() == 0:
        raise _no_latents(f"one of shape {list(latent.shape)}", channels)
    if not bool(torch.isfinite(latent).all()):
        raise _no_latents("one with values that are not finite", channels)


def _no_latents(found: str, channels: int) -> InputError:
    return InputError(
        "LatentScale, latents",
        found=found,
        wanted=f"latents of training volumes, ({channels}, D, H, W)",
        remedy="encode the volumes with the autoencoder of this network, and see that its training went well",
    )
