"""The published samplers of MD-DGA: they start at the condition itself and clamp the noisy state after each step.

Source: the published code of MD-DGA (Ni, Ma, Chen); two samplers, there called "ddim" and "ddpm". They are kept for
published weights. Trained networks never saw such a start, clean where pure noise is expected, and the clamp cuts off
a third of a standard normal state: :class:`~transmodal.schedulers.DDIMSampler` does neither.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor

from transmodal.errors import InputError
from transmodal.schedulers.gaussian import BetaDiffusion
from transmodal.schedulers.noise import NormalNoise
from transmodal.schedulers.sampler import Bounds, PredictNoise, ReverseSampler, clipped

__all__ = ["ConditionStartDDPMSampler", "ConditionStartSampler"]

PUBLISHED_TIMESTEPS = (999, 799, 599, 399, *range(200, -1, -10))
"""The 25 timesteps of the published fast sampler, made for 1000 timesteps of training."""


class _ConditionStart(ReverseSampler):
    """From the condition through ``steps`` of (timestep, next timestep, whether noise is drawn), each clamped."""

    diffusion: BetaDiffusion
    starts_from_condition = True
    steps: Sequence[tuple[int, int, bool]]

    def __call__(
        self, predict_noise: PredictNoise, condition: Tensor, noise: NormalNoise, clip: Bounds = (-1.0, 1.0)
    ) -> Tensor:
        """Walk one chain back; noise is drawn after the network was called, and only where it is added.

        Arguments and result are those of :class:`~transmodal.schedulers.ReverseSampler`; ``clip`` bounds the noisy
        state after each step.
        """
        x = condition.float()
        for t, t_next, draws in self.steps:
            noise_pred = self.predicted(predict_noise, x, t)
            x = clipped(self.step(x, noise_pred, t, t_next, self.drawn(noise, x) if draws else None), clip)
        return x

    @property
    def num_calls(self) -> int:
        """One for each step."""
        return len(self.steps)

    @abstractmethod
    def step(self, x_t: Tensor, noise_pred: Tensor, t: int, t_next: int, fresh: Tensor | None) -> Tensor:
        """From timestep ``t`` to ``t_next``, before the clamp; all tensors (N, C, *S), float32."""


class ConditionStartSampler(_ConditionStart):
    """Estimate the clean image and noise it anew, to the next timestep, with fresh noise.

    x ← √(ᾱ_s / ᾱ_t) (x - √(1 - ᾱ_t) ε) + √(1 - ᾱ_s) z, where s is the timestep that follows t. Nothing is added where s
    is 0, and the last step goes to 0. It is the member of the DDIM family whose noise is all fresh, equal to none of η
    in [0, 1].

    Args:
        diffusion: schedule that the network was trained with.
        timesteps: falling, in [0, T); by default the 25 published ones.
    Raises:
        InputError: if ``timesteps`` do not fall or are out of range.
    """

    def __init__(self, diffusion: BetaDiffusion, timesteps: Sequence[int] = PUBLISHED_TIMESTEPS) -> None:
        super().__init__(diffusion)
        self.timesteps = list(timesteps)
        whole = all(isinstance(t, int) and not isinstance(t, bool) for t in self.timesteps)
        if (
            not self.timesteps
            or not whole
            or sorted(set(self.timesteps), reverse=True) != self.timesteps
            or not (0 <= self.timesteps[-1] <= self.timesteps[0] < diffusion.num_timesteps)
        ):
            raise InputError(
                "ConditionStartSampler, timesteps",
                found=f"{self.timesteps}",
                wanted=f"falling integers from {diffusion.num_timesteps - 1} to 0",
                remedy="give timesteps of the schedule that the network was trained with; the published ones need 1000",
            )
        following = [*self.timesteps[1:], 0]
        self.steps = [(t, t_next, t_next != 0) for t, t_next in zip(self.timesteps, following, strict=True)]

    def step(self, x_t: Tensor, noise_pred: Tensor, t: int, t_next: int, fresh: Tensor | None) -> Tensor:
        """From timestep ``t`` to ``t_next``, before the clamp; see the class."""
        bar_t, bar_s = (float(self.diffusion.alphas_cumprod[index]) for index in (t, t_next))
        x = math.sqrt(bar_s / bar_t) * (x_t - math.sqrt(1 - bar_t) * noise_pred)
        return x if fresh is None else x + math.sqrt(1 - bar_s) * fresh


class ConditionStartDDPMSampler(_ConditionStart):
    """Ancestral sampling over all timesteps, from the condition.

    x ← (x - β_t ε / √(1 - ᾱ_t)) / √α_t + √β̃_t z, without noise at t = 0.

    Args:
        diffusion: schedule that the network was trained with.
    """

    def __init__(self, diffusion: BetaDiffusion) -> None:
        super().__init__(diffusion)
        self.steps = [(t, max(t - 1, 0), t > 0) for t in reversed(range(diffusion.num_timesteps))]

    def step(self, x_t: Tensor, noise_pred: Tensor, t: int, t_next: int, fresh: Tensor | None) -> Tensor:
        """From timestep ``t`` to the one before, before the clamp; see the class."""
        tables = (self.diffusion.betas, self.diffusion.alphas, self.diffusion.alphas_cumprod)
        beta, alpha, alpha_bar = (float(table[t]) for table in tables)
        x = (x_t - beta / math.sqrt(1 - alpha_bar) * noise_pred) / math.sqrt(alpha)
        return x if fresh is None else x + math.sqrt(float(self.diffusion.posterior_variance[t])) * fresh
