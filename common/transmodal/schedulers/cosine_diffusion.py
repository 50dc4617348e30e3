"""Diffusion with the cosine schedule.

Source: A. Nichol, P. Dhariwal, Improved denoising diffusion probabilistic models, ICML 2021, arXiv:2102.09672, equation
17. With f(u) = cos²((u + s) / (1 + s) · π / 2):

1. schedule    ᾱ_t = f((t + 1) / T) / f(0),   β_t = min(1 - f((t + 1) / T) / f(t / T), ``max_beta``)

So ᾱ falls evenly in the middle and slowly at both ends, and the last step leaves next to nothing of the image: √ᾱ is
1.6e-5 there, with 1000 steps and betas up to 0.9999.
"""

from __future__ import annotations

import math

import torch

from transmodal.errors import InputError
from transmodal.schedulers.gaussian import BetaDiffusion, check_num_timesteps

__all__ = ["CosineDiffusion"]


class CosineDiffusion(BetaDiffusion):
    """The cosine schedule; tables are float64, so that nothing is lost where 1 - ᾱ or ᾱ is close to 0.

    What multiplies images is rounded to float32, as are the tables of the published codes.

    Args:
        num_timesteps: T.
        s: offset, which keeps the first steps from being too small.
        max_beta: largest beta; Nichol and Dhariwal stop at 0.999, X-ray2CTPA at 0.9999.
    Raises:
        InputError: if there is no step, ``s`` is no number of 0 or more, or ``max_beta`` is not between 0 and 1.
    """

    def __init__(self, num_timesteps: int = 1000, s: float = 0.008, max_beta: float = 0.9999) -> None:
        check_num_timesteps("CosineDiffusion", num_timesteps)
        _check_shape(s, max_beta)
        self.s, self.max_beta = s, max_beta
        u = torch.linspace(0, num_timesteps, num_timesteps + 1, dtype=torch.float64, device="cpu") / num_timesteps
        survival = torch.cos((u + s) / (1 + s) * math.pi / 2).square()
        super().__init__((1 - survival[1:] / survival[:-1]).clamp(max=max_beta))


def _check_shape(s: float, max_beta: float) -> None:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (s, max_beta))
    if not numbers or not 0 <= s < math.inf or not 0 < max_beta < 1:
        raise InputError(
            "CosineDiffusion, s and max_beta",
            found=f"{s!r} and {max_beta!r}",
            wanted="s of 0 or more, and max_beta above 0 and below 1",
            remedy="give those that the network was trained with, 0.008 and 0.9999 as published",
        )
