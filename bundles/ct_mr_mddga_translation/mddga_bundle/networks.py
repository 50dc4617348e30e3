"""The three networks of MD-DGA as the one network that inference needs, and the scale of its latents."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

logger = logging.getLogger(__name__)

SMALLEST_VARIATION = 1e-5
"""Deviation relative to the mean, below which a channel of float32 latents shows little but rounding."""
SMALLEST_MEAN = 1e-3
"""Means closer to 0 count as this."""
STAGES = ("autoencoder", "slices")
"""Parts of :class:`MDDGA` that a stage of their own trains, before the volume net."""


class LatentScale(nn.Module):
    """Mean, deviation and bounds of latents, by which a diffusion meets them with mean 0 and deviation 1.

    As made, it leaves latents as they are and bounds them by [-1, 1], as published.

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
                f"of the {channels} latent channels, number {numbers} (from 0) is the same everywhere and is not "
                "scaled; see that the training of the autoencoder went well"
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


class MDDGA(nn.Module):
    """The autoencoder, the slice net, the volume net and the scale of the latents, in one state dict.

    Args:
        autoencoder: makes latents of ``autoencoder.embedding_dim`` channels, E, and images of them.
        slices: predicts the noise of a slice, ``(image, noisy, timesteps) -> noise``, such as ``SUNet``.
        volume: predicts the noise of latents in the same way; one of the E channels at a time if its
            ``out_channels`` are 1, or all of them at once if they are E.
        num_timesteps: diffusion steps T that both are trained for.
    Attributes:
        scale: a :class:`LatentScale` of E channels.
        joint: whether the volume net takes all channels at once.
    Raises:
        InputError: if ``volume`` predicts any other number of channels.
    """

    def __init__(self, autoencoder: nn.Module, slices: nn.Module, volume: nn.Module, num_timesteps: int = 1000) -> None:
        super().__init__()
        latent_channels, volume_channels = int(autoencoder.embedding_dim), int(volume.out_channels)
        if volume_channels not in (1, latent_channels):
            raise InputError(
                "MDDGA, volume",
                found=f"a network that predicts {volume_channels} channels",
                wanted=f"1 or all {latent_channels} channels of the latents",
                remedy="set `out_channels`, `in_channels` and `condition_channels` of the volume net to 1 or to the "
                "`embedding_dim` of the autoencoder",
            )
        self.autoencoder, self.slices, self.volume = autoencoder, slices, volume
        self.scale = LatentScale(latent_channels)
        self.joint = volume_channels == latent_channels
        self.num_timesteps = num_timesteps

    def forward(
        self,
        image: Tensor,
        noisy: Tensor | None = None,
        timesteps: Tensor | None = None,
        stage: str = "slices",
    ) -> Tensor:
        """Predict the noise of one step of the reverse chain.

        What is left out takes the value at which a chain starts, without its randomness.

        Args:
            image: the condition: slices (B, 1, H, W) in [-1, 1], or for the volume net normalised latents
                (B, C, D, H, W), where C is E if ``joint`` and 1 otherwise.
            noisy: x_t, as ``image``; by default 0, the mean of the noise.
            timesteps: t, (B,) integers in [0, T); by default T - 1, the first step.
            stage: which net predicts, ``slices`` or ``volume``.
        Returns:
            The noise, as ``image``.
        Raises:
            ValueError: for another ``stage``.
        """
        if noisy is None:
            noisy = torch.zeros_like(image)
        if timesteps is None:
            timesteps = torch.full((image.shape[0],), self.num_timesteps - 1, dtype=torch.long, device=image.device)
        if stage == "slices":
            return self.slices(image, noisy, timesteps)
        if stage == "volume":
            return self.volume(image, noisy, timesteps)
        raise ValueError(f"found stage '{stage}'; wanted 'slices' or 'volume'. Set `stage` to the net that predicts.")


def with_parts(network: MDDGA, parts: Mapping[str, str | Path], device: str | torch.device | None = None) -> MDDGA:
    """Give a network what earlier stages trained, and freeze it.

    Args:
        network: receives the weights in place.
        parts: ``autoencoder`` or ``slices``, or both, to files of their weights.
        device: where the whole network goes; where it is, if None.
    Returns:
        ``network``.
    Raises:
        InputError: if a part has another name, or its file is missing, unreadable or not wholly of this part.
    """
    for name, path in parts.items():
        if name not in STAGES:
            raise InputError(
                "with_parts, parts",
                found=f"a part '{name}'",
                wanted=" or ".join(STAGES),
                remedy="name the parts that earlier stages train",
            )
        load_weights(network.get_submodule(name), path, command=_command(name)).requires_grad_(False)
    return network if device is None else network.to(device)


def _command(stage: str) -> str:
    configs = f"\"['configs/train.json','configs/train_{stage}.json']\""
    return f"train that stage first, with `python -m monai.bundle run --config_file {configs}`"


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None, None]


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
