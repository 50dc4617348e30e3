"""Encoder of radiographs, denoiser and autoencoder of CT volumes as the one network that inference needs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from transmodal.errors import InputError
from transmodal.networks import LatentScale, Task
from xray2ctpa_bundle.conditioning import Condition

__all__ = ["XRayToCT"]

logger = logging.getLogger(__name__)

SIZES = {"condition_dim": "embedding_dim", "token_dim": "token_dim", "plane_channels": "plane_channels"}
"""What a denoiser takes of a condition, where it has such an attribute and it is not 0, to what an encoder makes."""
REMEDY = (
    "give the overlays and ids (window, field_of_view, equalise, latent_factor, grey) that the weights were trained "
    "with, or train anew"
)
LATE = ("latents", "grey")
"""Values of a task of which the first weights tell nothing."""


class XRayToCT(nn.Module):
    """From a radiograph to the latents of a CT by diffusion, and from these to the CT, in one state dict.

    Args:
        autoencoder: makes latents of ``latent_channels`` channels, C, and volumes of them; ``latent_size(size)`` tells
            their size.
        encoder: what the denoiser is told about radiographs (B, 1, S, S) in [-1, 1]: makes a
            :class:`~xray2ctpa_bundle.conditioning.Condition`.
        denoiser: called as ``denoiser(condition, noisy, timesteps, drop)``; predicts what the diffusion of its training
            asks for, noise or velocity, like ``noisy``.
        grid: size of the CT in voxels, (F, H, W).
        num_timesteps: diffusion steps T that the denoiser is trained for.
        latent_bounds: raw latents that become -1 and 1, as the published code has them and its weights do not tell;
            None leaves latents as they are until a training measures them.
        task: what radiographs and CTs are to it, name to value, such as ``{"HU": [-1000, 600], "equalised": True}``.
            Neither window nor field of view show in the weights, nor the factor of the latents nor the shares of
            channels in grey; those that were trained for others are refused (:class:`~transmodal.networks.Task`).
    Attributes:
        scale: by which the diffusion meets latents with mean 0 and deviation 1, of C channels.
        latent_size: size of the latents of a CT, (f, h, w).
        stages: children that a stage of their own trains, before the denoiser.
    Raises:
        InputError: if the denoiser works on another number of channels than the autoencoder, or takes another condition
            than the encoder makes, or the autoencoder cannot do with the grid.
    """

    stages = ("autoencoder",)

    def __init__(
        self,
        autoencoder: nn.Module,
        encoder: nn.Module,
        denoiser: nn.Module,
        grid: Sequence[int] = (64, 256, 256),
        num_timesteps: int = 1000,
        latent_bounds: Sequence[float] | None = None,
        task: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        channels = int(autoencoder.latent_channels)
        if (denoiser.in_channels, denoiser.out_channels) != (channels, channels):
            raise InputError(
                "XRayToCT, denoiser",
                found=f"a network from {denoiser.in_channels} to {denoiser.out_channels} channels",
                wanted=f"{channels} and {channels}, as many as the latents have",
                remedy="set the channels of the denoiser to the latent channels of the autoencoder",
            )
        _check_condition(encoder, denoiser)
        self.autoencoder, self.encoder, self.denoiser = autoencoder, encoder, denoiser
        self.scale = LatentScale(channels)
        if latent_bounds is not None:
            self.scale.stretch_(*latent_bounds)
        self.latent_size = tuple(autoencoder.latent_size(grid))
        self.num_timesteps = num_timesteps
        self.task = RadiographTask(task or {})

    def condition(self, image: Tensor) -> Condition:
        """What the denoiser is told about radiographs, (B, 1, S, S) in [-1, 1]; it holds for all steps of a chain."""
        return Condition(*self.encoder(image))  # of an encoder that runs elsewhere come plain tensors

    def predict(self, condition: Condition, noisy: Tensor, timesteps: Tensor, drop: Tensor | None = None) -> Tensor:
        """Noise or velocity in normalised latents.

        Args:
            condition: of radiographs.
            noisy: x_t, (B, C, f, h, w).
            timesteps: t, (B,) integers in [0, T).
            drop: samples that see the learnt empty condition instead, (B,), true or false; none if None.
        Returns:
            Like ``noisy``.
        """
        prediction: Tensor = self.denoiser(condition, noisy, timesteps, drop)
        return prediction

    def forward(
        self, image: Tensor, noisy: Tensor | None = None, timesteps: Tensor | None = None, drop: Tensor | None = None
    ) -> Tensor:
        """Predict one step of the reverse chain; what is left out takes the value at which a chain starts.

        Args:
            image: radiographs, (B, 1, S, S) in [-1, 1], bright where dense, head up, the patient's right at the left.
            noisy: x_t, (B, C, f, h, w); by default 0, the mean of the noise.
            timesteps: t, (B,) integers in [0, T); by default T - 1, the first step.
            drop: as for :meth:`predict`.
        Returns:
            What the denoiser predicts, like ``noisy``.
        """
        if noisy is None:
            noisy = image.new_zeros(len(image), len(self.scale.mean), *self.latent_size)
        if timesteps is None:
            timesteps = torch.full((len(image),), self.num_timesteps - 1, dtype=torch.long, device=image.device)
        return self.predict(self.condition(image), noisy, timesteps, drop)

    def trained_parameters(self) -> list[Parameter]:
        """What an optimizer is to step: all that is not frozen."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


class RadiographTask(Task):
    """What the weights were trained for; those that tell nothing of ``LATE`` are taken, with a warning.

    Args:
        task: name to value.
    """

    def __init__(self, task: Mapping[str, object]) -> None:
        super().__init__(described(task), REMEDY)
        self.late = {name: value for name, value in task.items() if name in LATE}
        self.early = described({name: value for name, value in task.items() if name not in LATE})

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        key, own = f"{prefix}description", self.get_buffer("description")
        given = state_dict.get(key)
        if self.late and isinstance(given, Tensor) and bytes(given.tolist()).strip() == self.early.encode():
            told = ", ".join(f"{name} {_plain(value)}" for name, value in self.late.items())
            logger.warning("these weights do not tell %s; taken is %s, as configured", " and ".join(self.late), told)
            state_dict[key] = own
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def described(task: Mapping[str, object]) -> str:
    """A task in words, in which 320 and 320.0 are the same: ``"xray to ct, HU -1000 600, equalised True"``."""
    return ", ".join(["xray to ct", *(f"{name} {_plain(value)}" for name, value in task.items())])


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_plain, value))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if number else str(value)


def _check_condition(encoder: nn.Module, denoiser: nn.Module) -> None:
    """See that the encoder makes what the denoiser takes, behind whatever wraps it."""
    bare = getattr(denoiser, "network", denoiser)
    for taken, made in SIZES.items():
        wanted = getattr(bare, taken, 0)
        found = getattr(encoder, made, wanted)
        if wanted and found != wanted:
            raise InputError(
                "XRayToCT, encoder",
                found=f"{made} {found}",
                wanted=f"{wanted}, the {taken} of the denoiser",
                remedy=f"set {made} of the encoder and {taken} of the denoiser to the same number",
            )
