"""Sampling in few steps by denoising diffusion implicit models, and in all steps by DDPM as their special case.

Source: J. Song et al., Denoising diffusion implicit models, ICLR 2021, arXiv:2010.02502, equations 12 and 16. With the
next smaller timestep s < t of the chain, ᾱ_s = 1 after its last step, and z ~ N(0, I):

1. clean       x_0 = clip((x_t - √(1 - ᾱ_t) ε) / √ᾱ_t),   the noise that fits it  ε' = (x_t - √ᾱ_t x_0) / √(1 - ᾱ_t)
2. variance    σ² = η² (1 - ᾱ_s) / (1 - ᾱ_t) · (1 - ᾱ_t / ᾱ_s)
3. step        x_s = √ᾱ_s x_0 + √(1 - ᾱ_s - σ²) ε' + σ z
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.schedulers.gaussian import BetaDiffusion
from transmodal.schedulers.noise import NormalNoise
from transmodal.schedulers.sampler import Bounds, PredictNoise, ReverseSampler, clipped, spread_timesteps

__all__ = ["DDIMSampler"]


class DDIMSampler(ReverseSampler):
    """Walk back from noise, or from the noised condition, in evenly spaced steps with the clean estimate clipped.

    The steps are a part of those of training and always hold the first, noisiest one ("trailing" spacing): with 25 of
    1000 they are 999, 959, ..., 39. The network is called once in each.

    With ``eta`` 0 all noise is that of the start. With ``eta`` 1 each step draws anew; over all timesteps of training
    that is ancestral sampling, DDPM, with a clipped estimate and the smaller variance β̃.

    Args:
        diffusion: schedule that the network was trained with.
        num_steps: calls of the network, 1 to T · ``strength``.
        eta: share of fresh noise, η, 0 to 1.
        strength: part of the diffusion that is walked back, above 0 and at most 1. At 1 the chain starts from noise
            alone; below, from the condition noised to timestep ``strength`` · T - 1, which keeps its coarse content.
        within: brings clean estimates into their bounds, called with both, such as
            :class:`~transmodal.schedulers.DynamicThreshold`; values beyond are replaced by the nearer bound by default.
    Raises:
        InputError: for values out of range, or numbers given as strings.
    """

    diffusion: BetaDiffusion

    def __init__(
        self,
        diffusion: BetaDiffusion,
        num_steps: int = 25,
        eta: float = 0.0,
        strength: float = 1.0,
        within: Callable[[Tensor, Bounds], Tensor] = clipped,
    ) -> None:
        super().__init__(diffusion)
        self.num_steps, self.eta, self.strength, self.within = num_steps, eta, strength, within
        for name, value in (("eta", eta), ("strength", strength)):
            number = not isinstance(value, bool) and isinstance(value, int | float)
            if not number or not 0 <= value <= 1 or (name == "strength" and value == 0):
                raise InputError(
                    f"DDIMSampler, {name}",
                    found=repr(value),
                    wanted="a number from 0 to 1" if name == "eta" else "a number above 0, at most 1",
                    remedy="0 draws noise at the start alone, 1 in every step"
                    if name == "eta"
                    else "1 starts from noise, smaller values from the noised condition",
                )
        length = max(1, round(strength * diffusion.num_timesteps))
        self.timesteps = spread_timesteps("DDIMSampler", num_steps, length)
        self.starts_from_condition = strength < 1

    def __call__(
        self, predict_noise: PredictNoise, condition: Tensor, noise: NormalNoise, clip: Bounds = (-1.0, 1.0)
    ) -> Tensor:
        """Walk one chain back; noise is drawn for the start and, with ``eta`` above 0, in each step but the last.

        Arguments and result are those of :class:`~transmodal.schedulers.ReverseSampler`; ``clip`` bounds x_0 in each
        step.
        """
        x = self.drawn(noise, condition)
        if self.starts_from_condition:
            start = torch.full((len(x),), self.timesteps[0], dtype=torch.int64, device=x.device)
            x = self.diffusion.add_noise(condition, x, start)
        for t, t_next in zip(self.timesteps, [*self.timesteps[1:], None], strict=True):
            noise_pred = self.predicted(predict_noise, x, t)
            fresh = self.drawn(noise, x) if self.eta > 0 and t_next is not None else None
            x = self.step(x, noise_pred, t, t_next, fresh, clip)
        return x

    @property
    def num_calls(self) -> int:
        """One for each step."""
        return len(self.timesteps)

    def step(
        self,
        x_t: Tensor,
        noise_pred: Tensor,
        t: int,
        t_next: int | None,
        fresh: Tensor | None = None,
        clip: Bounds = (-1.0, 1.0),
    ) -> Tensor:
        """From timestep ``t`` to ``t_next``, or to the clean image where that is None.

        Args:
            x_t, noise_pred: noisy samples and their noise, (N, C, *S), float32.
            t, t_next: timesteps, ``t`` > ``t_next``.
            fresh: z, like ``x_t``; wanted only where ``eta`` is above 0 and ``t_next`` is given.
            clip: bounds of x_0.
        """
        bar_t = float(self.diffusion.alphas_cumprod[t])
        # 1. the clean image
        x_0 = self.within((x_t - math.sqrt(1 - bar_t) * noise_pred) / math.sqrt(bar_t), clip)
        if t_next is None:
            return x_0
        bar_s = float(self.diffusion.alphas_cumprod[t_next])
        noise = (x_t - math.sqrt(bar_t) * x_0) / math.sqrt(1 - bar_t)
        # 2. the variance of the step
        variance = self.eta**2 * (1 - bar_s) / (1 - bar_t) * (1 - bar_t / bar_s)
        # 3. the step
        mean = math.sqrt(bar_s) * x_0 + math.sqrt(max(0.0, 1 - bar_s - variance)) * noise
        return mean if fresh is None else mean + math.sqrt(variance) * fresh
