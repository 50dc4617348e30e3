"""Rectified flow: straight paths from noise to images, and the sampler that walks them by Euler's method.

Source: X. Liu, C. Gong, Q. Liu, Flow straight and fast, ICLR 2023, arXiv:2209.03003. With the share of noise
τ_t = (t + 1) / T at the timesteps t = 0, ..., T - 1, and ε ~ N(0, I):

1. path        x_t = (1 - τ_t) x_0 + τ_t ε
2. velocity    v = dx/dτ = ε - x_0, which networks predict
3. inverse     x_0 = x_t - τ_t v
4. step        x_s = x_t - (τ_t - τ_s) v, for the next smaller timestep s, and τ = 0 after the last

MONAI's ``RFlowScheduler`` has the same path at its timestep t + 1, and the opposite sign of the velocity. Counted as
here, timesteps are those of every other diffusion, and the last of them is pure noise, which is where a chain starts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from transmodal.schedulers.gaussian import check_num_timesteps
from transmodal.schedulers.noise import NormalNoise
from transmodal.schedulers.sampler import Bounds, PredictNoise, ReverseSampler, clipped, spread_timesteps
from transmodal.schedulers.timesteps import TimestepTables

__all__ = ["RectifiedFlow", "RectifiedFlowSampler"]


class RectifiedFlow:
    """Mix images with noise at a timestep of its own for each sample, and undo it; networks predict the velocity.

    Images are of any number of dimensions, (B, ...), on any device; arithmetic and results are float32.

    Attributes:
        num_timesteps: T.
        times: τ, the share of noise, (T,), float64.

    Args:
        num_timesteps: T.
    Raises:
        InputError: if there is no step.
    """

    def __init__(self, num_timesteps: int = 1000) -> None:
        check_num_timesteps("RectifiedFlow", num_timesteps)
        self.num_timesteps = num_timesteps
        self.times = torch.arange(1, num_timesteps + 1, dtype=torch.float64, device="cpu") / num_timesteps
        self._tables = TimestepTables("RectifiedFlow", signal=1 - self.times, noise=self.times)

    def add_noise(self, x_0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Mix clean images with noise (equation 1).

        Args:
            x_0: clean images, (B, ...).
            noise: standard normal, like ``x_0``.
            timesteps: t of each sample, (B,), integer.
        Returns:
            x_t, like ``x_0``, float32; the noise itself at the last timestep.
        Raises:
            InputError: if shapes differ or a timestep is out of range (on the CPU; elsewhere the device raises).
        """
        return self._tables.noised(x_0, noise, timesteps)

    def target(self, x_0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What a network is to predict: the velocity (equation 2), like ``x_0``, float32."""
        return noise.float() - x_0.float()

    def x0_from(self, x_t: Tensor, velocity: Tensor, timesteps: Tensor) -> Tensor:
        """The clean images that mixtures and their velocity stand for (equation 3), not clipped.

        Args:
            x_t: mixtures, (B, ...).
            velocity: v, predicted as a rule, like ``x_t``.
            timesteps: t of each sample, (B,), integer.
        Returns:
            x_0, like ``x_t``, float32.
        Raises:
            InputError: if shapes differ or a timestep is out of range (on the CPU; elsewhere the device raises).
        """
        self._tables.check(timesteps, x_t=x_t, velocity=velocity)
        (time,) = self._tables.at(timesteps, x_t, "noise")
        return x_t.float() - time * velocity.float()


class RectifiedFlowSampler(ReverseSampler):
    """Walk from noise to images along the predicted velocity, in evenly spaced steps with the clean estimate clipped.

    The steps are a part of those of training and always hold the first, noisiest one. All noise is that of the start.
    Where no estimate leaves the bounds, this is Euler's method; one that does is replaced by its nearest neighbour
    within them, and the step goes towards that.

    Args:
        flow: that the network was trained with.
        num_steps: calls of the network, 1 to T.
    Raises:
        InputError: if ``num_steps`` is no such number.
    """

    diffusion: RectifiedFlow

    def __init__(self, flow: RectifiedFlow, num_steps: int = 30) -> None:
        super().__init__(flow)
        self.num_steps = num_steps
        self.timesteps = spread_timesteps("RectifiedFlowSampler", num_steps, flow.num_timesteps)

    def __call__(
        self, predict_velocity: PredictNoise, condition: Tensor, noise: NormalNoise, clip: Bounds = (-1.0, 1.0)
    ) -> Tensor:
        """Walk one chain back; noise is drawn for the start alone.

        Arguments and result are those of :class:`~transmodal.schedulers.ReverseSampler`, but that the network predicts
        velocity; ``clip`` bounds x_0 in each step.
        """
        x = self.drawn(noise, condition)
        for t, t_next in zip(self.timesteps, [*self.timesteps[1:], None], strict=True):
            x = self.step(x, self.predicted(predict_velocity, x, t), t, t_next, clip)
        return x

    @property
    def num_calls(self) -> int:
        """One for each step."""
        return len(self.timesteps)

    def step(self, x_t: Tensor, velocity: Tensor, t: int, t_next: int | None, clip: Bounds = (-1.0, 1.0)) -> Tensor:
        """From timestep ``t`` to ``t_next``, or to the clean image where that is None (equation 4).

        Args:
            x_t, velocity: mixtures and their velocity, (N, C, *S), float32.
            t, t_next: timesteps, ``t`` > ``t_next``.
            clip: bounds of x_0.
        """
        time = float(self.diffusion.times[t])
        x_0 = clipped(x_t - time * velocity, clip)
        if t_next is None:
            return x_0
        left = float(self.diffusion.times[t_next]) / time
        return left * x_t + (1 - left) * x_0  # x_t - (τ_t - τ_s) (x_t - x_0) / τ_t
