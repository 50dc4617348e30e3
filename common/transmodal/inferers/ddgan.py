"""Translate by denoising diffusion with few, large steps: a generator predicts the clean image, the posterior follows.

Source: M. Özbey et al., Unsupervised medical image translation with adversarial diffusion models, IEEE TMI 42 (2023),
sampling; Z. Xiao et al., Tackling the generative learning trilemma with denoising diffusion GANs, ICLR 2022, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from transmodal.inferers.progress import Calls
from transmodal.inferers.sampling import SamplingInferer, check_arguments
from transmodal.schedulers.ddgan import DDGANScheduler
from transmodal.schedulers.noise import NormalNoise

__all__ = ["DDGANInferer"]


class DDGANInferer(SamplingInferer):
    """Sample a translation by the reverse chain x_T, ..., x_0, conditioned on the source.

    The network is called as ``network(image=source, noisy=x, timesteps=t, latent=z, target=target)`` and returns its
    prediction of x_0, (N, ``channels``, H, W). ``target`` is read at each call, as ``seed`` and ``num_samples`` are.

    Args:
        scheduler: number of steps and posterior.
        target: modality to make.
        latent_dim: length of the latent z.
        seed: of all noise, 0 or more and below 2**64.
        num_samples: chains per slice. Of two or more the result holds their mean and, in as many channels after it,
            their standard deviation (divisor ``num_samples - 1``).
        shared_noise: one noise field and one latent for a whole volume, so that neighbouring slices do not flicker;
            otherwise each slice has its own.
        channels: of the image that is made.
    Raises:
        InputError: for arguments that cannot be meant, such as a number or a flag given as a string.
    """

    def __init__(
        self,
        scheduler: DDGANScheduler,
        target: str,
        latent_dim: int = 100,
        seed: int = 0,
        num_samples: int = 1,
        shared_noise: bool = True,
        channels: int = 1,
    ) -> None:
        self.scheduler, self.target, self.latent_dim = scheduler, target, latent_dim
        super().__init__(seed, num_samples, shared_noise, channels)

    def sample(
        self, source: Tensor, network: Callable[..., Tensor], noise: NormalNoise, *args: Any, **kwargs: Any
    ) -> Tensor:
        """One reverse chain; noise is drawn at the last step too, where the posterior has no variance."""
        count, shape = len(source), (self.channels, *source.shape[2:])
        x = noise.normal(*shape).expand(count, *shape)
        for step in reversed(range(self.scheduler.num_timesteps)):
            timesteps = torch.full((count,), step, dtype=torch.int64, device=source.device)
            z = noise.normal(self.latent_dim).expand(count, self.latent_dim)
            x0_pred = network(*args, image=source, noisy=x, timesteps=timesteps, latent=z, target=self.target, **kwargs)
            fresh = noise.normal(*shape).expand(count, *shape)
            x = self.scheduler.posterior_sample(x0_pred, x, timesteps, fresh)  # in float32, under autocast too
        return x

    def calls(self, shape: Sequence[int], network: nn.Module) -> Calls:
        """One for each step of each sample, whatever the shape."""
        return Calls({network: self.num_samples * self.scheduler.num_timesteps})

    def check(self) -> None:
        """Refuse arguments that cannot be meant."""
        super().check()
        check_arguments(self, {"latent_dim": 1})
