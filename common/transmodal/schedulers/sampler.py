"""What every walk back through a diffusion has in common: how it is called, and how it asks the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.schedulers.gaussian import Diffusion
from transmodal.schedulers.noise import NormalNoise

__all__ = ["Bounds", "PredictNoise", "ReverseSampler", "clipped", "spread_timesteps"]

PredictNoise = Callable[[Tensor, Tensor], Tensor]
"""From noisy samples x_t (N, C, *S), float32, and their timesteps (N,), int64, to their noise (N, C, *S)."""

Bounds = tuple[Tensor | float, Tensor | float]
"""Lowest and highest value; numbers, or tensors that broadcast with (N, C, *S), such as (1, C, 1, 1, 1)."""


class ReverseSampler(ABC):
    """Sample clean images of any number of spatial dimensions by a network that predicts noise.

    All arithmetic is float32; the network alone may run in another precision. All noise is drawn from the ``noise``
    that a call gets, one row per sample or one for all, so that the batch changes nothing.

    Attributes:
        starts_from_condition: whether values of the condition begin the chain; else only its shape and device matter.

    Args:
        diffusion: schedule that the network was trained with.
    """

    starts_from_condition: bool = False

    def __init__(self, diffusion: Diffusion) -> None:
        self.diffusion = diffusion

    @abstractmethod
    def __call__(
        self, predict_noise: PredictNoise, condition: Tensor, noise: NormalNoise, clip: Bounds = (-1.0, 1.0)
    ) -> Tensor:
        """Walk one chain back to clean images.

        Args:
            predict_noise: what the network says; it holds whatever the network is conditioned on.
            condition: what the chain may start from, in the shape of what is sampled, (N, C, *S).
            noise: source of all random numbers.
            clip: bounds of clean values.
        Returns:
            x_0, like ``condition``, float32.
        """

    @property
    @abstractmethod
    def num_calls(self) -> int:
        """How often one chain asks ``predict_noise``."""

    @staticmethod
    def predicted(predict_noise: PredictNoise, x_t: Tensor, t: int) -> Tensor:
        """The noise in ``x_t``, all at timestep ``t``, in float32.

        Raises:
            InputError: if it has another shape than ``x_t``, which would else be broadcast in silence.
        """
        timesteps = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
        noise_pred = predict_noise(x_t, timesteps).float()
        if noise_pred.shape != x_t.shape:
            raise InputError(
                "the noise that the network predicts",
                found=f"the shape {tuple(noise_pred.shape)}",
                wanted=f"that of the noisy samples, {tuple(x_t.shape)}",
                remedy="give the network as many output channels as are sampled",
            )
        return noise_pred

    @staticmethod
    def drawn(noise: NormalNoise, like: Tensor) -> Tensor:
        """The next standard normal numbers for ``like`` (N, C, *S); one row serves all samples."""
        return noise.normal(*like.shape[1:]).expand_as(like)


def clipped(x: Tensor, bounds: Bounds) -> Tensor:
    """Values of ``x`` outside the bounds replaced by the nearer one."""
    low, high = (torch.as_tensor(bound, dtype=x.dtype, device=x.device) for bound in bounds)
    return torch.clamp(x, low, high)


def spread_timesteps(owner: str, num_steps: int, length: int) -> list[int]:
    """Falling timesteps, evenly spaced over the first ``length`` and holding the last of them ("trailing" spacing).

    Args:
        owner: whose steps these are; named in errors.
        num_steps: how many, 1 to ``length``: with 25 of 1000 they are 999, 959, ..., 39.
        length: timesteps walked back.
    Raises:
        InputError: if ``num_steps`` is no such number.
    """
    if isinstance(num_steps, bool) or not isinstance(num_steps, int) or not 1 <= num_steps <= length:
        raise InputError(
            f"{owner}, num_steps",
            found=repr(num_steps),
            wanted=f"an integer from 1 to {length}, the timesteps walked back",
            remedy="give fewer steps as a number without quotes, 25 as a rule",
        )
    return [-(-length * left // num_steps) - 1 for left in range(num_steps, 0, -1)]
