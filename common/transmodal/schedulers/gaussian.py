"""Diffusion in many small steps: betas, noising, and the clean image that a predicted noise stands for.

Source: J. Ho et al., Denoising diffusion probabilistic models, NeurIPS 2020, arXiv:2006.11239. With t = 0, ..., T - 1
and ε ~ N(0, I):

1. schedule    β_t linear from ``beta_start`` to ``beta_end``, both ends included;   α_t = 1 - β_t,   ᾱ_t = Π_{i≤t} α_i
2. marginal    x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε
3. inverse     x_0 = (x_t - √(1 - ᾱ_t) ε) / √ᾱ_t
4. posterior   x_{t-1} | x_t, x_0 has the variance β̃_t = β_t (1 - ᾱ_{t-1}) / (1 - ᾱ_t), with ᾱ_{-1} = 1

How a chain is walked back is the matter of the samplers beside this file.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from transmodal.errors import InputError, require_integer
from transmodal.schedulers.timesteps import TimestepTables

__all__ = ["BetaDiffusion", "Diffusion", "GaussianDiffusion"]


class Diffusion(Protocol):
    """From clean images to noise, whatever the path and whatever a network predicts of it.

    Attributes:
        num_timesteps: T; timesteps are 0, ..., T - 1, and the last is all but noise.
    """

    num_timesteps: int

    def add_noise(self, x_0: Tensor, noise: Tensor, timesteps: Tensor, /) -> Tensor:
        """x_t, like ``x_0`` (B, ...), float32."""
        ...

    def target(self, x_0: Tensor, noise: Tensor, timesteps: Tensor, /) -> Tensor:
        """What a network is to predict of x_t, like ``x_0``."""
        ...

    def x0_from(self, x_t: Tensor, prediction: Tensor, timesteps: Tensor, /) -> Tensor:
        """The clean images that x_t and such a prediction stand for, like ``x_t``, float32, not clipped."""
        ...


class BetaDiffusion:
    """Noise images at a timestep of its own for each sample, and undo it; networks predict the noise.

    Images are of any number of dimensions, (B, ...), on any device. Tables are computed and kept in the type of the
    betas; arithmetic and results are float32 whatever the dtype of the images, under autocast too.

    Attributes:
        num_timesteps: T.
        betas, alphas: β and α, (T,).
        alphas_cumprod, alphas_cumprod_prev: ᾱ_t and ᾱ_{t-1}, (T,).
        posterior_variance: β̃, (T,); 0 at t = 0.

    Args:
        betas: the schedule, (T,), each above 0 and below 1, on the CPU.
    """

    def __init__(self, betas: Tensor) -> None:
        self.num_timesteps = len(betas)
        # 1. the schedule
        self.betas = betas
        self.alphas = 1 - betas
        self.alphas_cumprod = torch.cumprod(self.alphas, dim=0)
        self.alphas_cumprod_prev = torch.cat([betas.new_ones(1), self.alphas_cumprod[:-1]])
        # 4. the posterior
        self.posterior_variance = self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)
        signal, noise = self.alphas_cumprod.sqrt(), (1 - self.alphas_cumprod).sqrt()
        self._tables = TimestepTables(type(self).__name__, signal=signal, noise=noise)

    def add_noise(self, x_0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Diffuse clean images (equation 2).

        Args:
            x_0: clean images, (B, ...).
            noise: standard normal, like ``x_0``.
            timesteps: t of each sample, (B,), integer.
        Returns:
            x_t, like ``x_0``, float32.
        Raises:
            InputError: if shapes differ or a timestep is out of range (on the CPU; elsewhere the device raises).
        """
        return self._tables.noised(x_0, noise, timesteps)

    def target(self, x_0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What a network is to predict: the noise itself, like ``x_0``, float32."""
        return noise.float()

    def x0_from(self, x_t: Tensor, noise_pred: Tensor, timesteps: Tensor) -> Tensor:
        """The clean images that noisy ones and their noise stand for (equation 3), not clipped.

        Args:
            x_t: noisy images, (B, ...).
            noise_pred: ε, predicted as a rule, like ``x_t``.
            timesteps: t of each sample, (B,), integer.
        Returns:
            x_0, like ``x_t``, float32. Its error is that of ``noise_pred`` times √(1/ᾱ_t - 1), 157 at the last of 1000
            timesteps with linear betas.
        Raises:
            InputError: if shapes differ or a timestep is out of range (on the CPU; elsewhere the device raises).
        """
        self._tables.check(timesteps, x_t=x_t, noise_pred=noise_pred)
        signal, deviation = self._tables.at(timesteps, x_t, "signal", "noise")
        return (x_t.float() - deviation * noise_pred.float()) / signal


class GaussianDiffusion(BetaDiffusion):
    """Diffusion with linear betas; tables are float32, computed in float32 as the published codes do.

    Args:
        num_timesteps: T.
        beta_start, beta_end: β_0 and β_{T-1}.
    Raises:
        InputError: if there is no step, or the betas are not 0 < ``beta_start`` <= ``beta_end`` < 1.
    """

    def __init__(self, num_timesteps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> None:
        _check_schedule(num_timesteps, beta_start, beta_end)
        self.beta_start, self.beta_end = beta_start, beta_end
        super().__init__(torch.linspace(beta_start, beta_end, num_timesteps, dtype=torch.float32, device="cpu"))


def _check_schedule(num_timesteps: int, beta_start: float, beta_end: float) -> None:
    check_num_timesteps("GaussianDiffusion", num_timesteps)
    ends = (beta_start, beta_end)
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends) or not (
        0 < beta_start <= beta_end < 1 and math.isfinite(beta_end)
    ):
        raise InputError(
            "GaussianDiffusion, beta_start and beta_end",
            found=f"{beta_start!r} and {beta_end!r}",
            wanted="numbers with 0 < beta_start <= beta_end < 1",
            remedy="give those that the network was trained with, 0.0001 and 0.02 as published",
        )


def check_num_timesteps(owner: str, num_timesteps: int) -> None:
    """Refuse what cannot be the length of a diffusion.

    Raises:
        InputError: naming the ``owner``, unless it is an integer of 1 or more.
    """
    require_integer(
        f"{owner}, num_timesteps",
        num_timesteps,
        1,
        "give the number of steps that the network was trained with, 1000 as published",
    )
