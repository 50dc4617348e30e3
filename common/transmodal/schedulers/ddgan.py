"""Diffusion in few, large steps: the schedule, coupled noisy pairs and the posterior of denoising diffusion GANs.

Source: Z. Xiao et al., Tackling the generative learning trilemma with denoising diffusion GANs, ICLR 2022,
arXiv:2112.07804; the schedule is that of the variance preserving SDE of Song et al., ICLR 2021, arXiv:2011.13456.
SynDiff and MU-Diff use both unchanged. With T steps, t = 0, ..., T - 1, and n, n' ~ N(0, I):

1. schedule    log ᾱ(s) = -s² (β_max - β_min) / 2 - s β_min at s_i = ε + (1 - ε) i / T,   β_i = 1 - ᾱ(s_i) / ᾱ(s_{i-1})
2. marginal    x_t = A_t x_0 + S_t n,               A_t = Π_{i≤t} √(1 - β_i),   S_t = √(1 - A_t²);   x_0 itself at t = 0
3. one step    x_{t+1} = √(1 - β_{t+1}) x_t + √β_{t+1} n'
4. posterior   x_t = c1_t x_0 + c2_t x_{t+1} + √v_t n,   c1_t = A_t β_{t+1} / S²_{t+1},   v_t = β_{t+1} S²_t / S²_{t+1},
               c2_t = √(1 - β_{t+1}) S²_t / S²_{t+1};   v_0 = 0: the last step draws nothing
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from transmodal.errors import InputError, require_integer
from transmodal.schedulers.timesteps import TimestepTables

__all__ = ["DDGANScheduler"]

EPSILON = 1e-3
"""Where the schedule begins on [0, 1], ε; as published."""


class DDGANScheduler:
    """Noise images and take one step back, at a timestep of its own for each sample.

    Timestep t stands between x_t and x_{t+1}, so it runs from 0 to ``num_timesteps - 1``. Tables are float64, on the
    CPU; arithmetic and results are float32 whatever the dtype of the images, under autocast too.

    Attributes:
        betas: β_1, ..., β_T, (T,).
        signal, noise: A_0, ..., A_T and S_0, ..., S_T, (T + 1,).
        posterior_x_0, posterior_x_next: c1 and c2, what the posterior mean takes of x_0 and of x_{t+1}, (T,).
        posterior_variance: v, (T,).

    Args:
        num_timesteps: T.
        beta_min, beta_max: rate of the noise at the beginning and at the end of the schedule.
    Raises:
        InputError: if there is no step, or the rates are not 0 < ``beta_min`` <= ``beta_max``.
    """

    def __init__(self, num_timesteps: int = 4, beta_min: float = 0.1, beta_max: float = 20.0) -> None:
        _check_schedule(num_timesteps, beta_min, beta_max)
        self.num_timesteps, self.beta_min, self.beta_max = num_timesteps, beta_min, beta_max
        # 1. the schedule
        s = EPSILON + (1 - EPSILON) * torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
        log_alpha_bar = -0.5 * s.square() * (beta_max - beta_min) - s * beta_min
        self.betas = -torch.expm1(log_alpha_bar.diff())
        # 2. the marginals
        survival = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - self.betas, dim=0)])
        self.signal, self.noise = survival.sqrt(), (1 - survival).sqrt()
        # 4. the posterior
        before, after = 1 - survival[:-1], 1 - survival[1:]
        self.posterior_x_0 = self.signal[:-1] * self.betas / after
        self.posterior_x_next = (1 - self.betas).sqrt() * before / after
        self.posterior_variance = self.betas * before / after
        self._tables = TimestepTables(
            "DDGANScheduler",
            signal=self.signal[:-1],
            noise=self.noise[:-1],
            kept=(1 - self.betas).sqrt(),
            added=self.betas.sqrt(),
            of_x_0=self.posterior_x_0,
            of_x_next=self.posterior_x_next,
            deviation=self.posterior_variance.sqrt(),
        )

    def noise_pair(self, x_0: Tensor, timesteps: Tensor, noise_t: Tensor, noise_next: Tensor) -> tuple[Tensor, Tensor]:
        """Diffuse clean images to two neighbouring times of one chain (equations 2 and 3).

        Args:
            x_0: clean images, (B, ...).
            timesteps: t of each sample, (B,), integer.
            noise_t: standard normal, like ``x_0``; takes x_0 to x_t.
            noise_next: another draw; takes x_t to x_{t+1}.
        Returns:
            x_t and x_{t+1}, like ``x_0``, float32.
        Raises:
            InputError: if shapes differ or a timestep is out of range (on the CPU; elsewhere the device raises).
        """
        self._tables.check(timesteps, x_0=x_0, noise_t=noise_t, noise_next=noise_next)
        x_0, noise_t, noise_next = x_0.float(), noise_t.float(), noise_next.float()
        signal, noise, kept, added = self._tables.at(timesteps, x_0, "signal", "noise", "kept", "added")
        x_t = signal * x_0 + noise * noise_t
        x_next = kept * x_t + added * noise_next
        return x_t, x_next

    def posterior_sample(self, x_0: Tensor, x_next: Tensor, timesteps: Tensor, noise: Tensor) -> Tensor:
        """Draw x_t given x_{t+1} and a clean image (equation 4).

        Args:
            x_0: clean images, predicted as a rule, (B, ...).
            x_next: x_{t+1}, like ``x_0``.
            timesteps: t of each sample, (B,), integer.
            noise: standard normal, like ``x_0``; without effect where t is 0.
        Returns:
            x_t, like ``x_0``, float32; ``x_0`` itself where t is 0.
        Raises:
            InputError: if shapes differ or a timestep is out of range (on the CPU; elsewhere the device raises).
        """
        self._tables.check(timesteps, x_0=x_0, x_next=x_next, noise=noise)
        x_0, x_next, noise = x_0.float(), x_next.float(), noise.float()
        of_x_0, of_x_next, deviation = self._tables.at(timesteps, x_0, "of_x_0", "of_x_next", "deviation")
        mean = of_x_0 * x_0 + of_x_next * x_next
        return mean + deviation * noise


def _check_schedule(num_timesteps: int, beta_min: float, beta_max: float) -> None:
    require_integer(
        "DDGANScheduler, num_timesteps",
        num_timesteps,
        1,
        "give the number of steps that the network was trained with, 4 as published",
    )
    rates = (beta_min, beta_max)
    if any(isinstance(rate, bool) or not isinstance(rate, int | float) for rate in rates) or not (
        0 < beta_min <= beta_max < math.inf
    ):
        raise InputError(
            "DDGANScheduler, beta_min and beta_max",
            found=f"{beta_min!r} and {beta_max!r}",
            wanted="numbers with 0 < beta_min <= beta_max",
            remedy="give those that the network was trained with, 0.1 and 20 as published",
        )
