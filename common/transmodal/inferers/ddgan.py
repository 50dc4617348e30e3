"""Translate by denoising diffusion with few, large steps: a generator predicts the clean image, the posterior follows.

Source: M. Özbey et al., Unsupervised medical image translation with adversarial diffusion models, IEEE TMI 42 (2023),
sampling; Z. Xiao et al., Tackling the generative learning trilemma with denoising diffusion GANs, ICLR 2022, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.inferers.slicewise import NumberedInferer
from transmodal.schedulers.ddgan import DDGANScheduler
from transmodal.schedulers.noise import SeededNoise, mixed

__all__ = ["DDGANInferer", "NormalNoise"]


class NormalNoise(Protocol):
    """Where a reverse chain takes its standard normal numbers from, one row per slice or one for all slices."""

    def normal(self, *shape: int) -> Tensor:
        """The next draw, (N, *shape) or (1, *shape), float32, on the device of the slices."""
        ...


class DDGANInferer(NumberedInferer):
    """Sample a translation by the reverse chain x_T, ..., x_0, conditioned on the source.

    The network is called as ``network(image=source, noisy=x, timesteps=t, latent=z, target=target)`` and returns its
    prediction of x_0, (N, ``channels``, H, W). All numbers are drawn for the seed, the sample's number and, without
    ``shared_noise``, the slice's number in its volume: the size of a batch changes none of them. ``target``, ``seed``
    and ``num_samples`` are read at each call, because MONAI Label sets them for each request.

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
        self.scheduler, self.target, self.latent_dim, self.channels = scheduler, target, latent_dim, channels
        self.seed, self.num_samples, self.shared_noise = seed, num_samples, shared_noise
        self._check()

    @torch.no_grad()
    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        *args: Any,
        numbers: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Translate slices to the target modality.

        Args:
            inputs: source slices, (N, C, H, W) in [-1, 1].
            network: predicts x_0, see above; it gets further arguments as they are.
            numbers: of the slices in their volume, N of them; 0 to N - 1 by default.
        Returns:
            (N, ``channels``, H, W) in [-1, 1], float32; with ``num_samples`` > 1 twice the channels, mean first.
        """
        self._check()
        numbers = range(len(inputs)) if numbers is None else numbers
        mean = self._sample(inputs, network, self.noise(0, numbers, inputs.device), *args, **kwargs)
        if self.num_samples == 1:
            return mean
        squares = torch.zeros_like(mean)
        for sample in range(1, self.num_samples):  # Welford's update: one pass, two images of memory
            change = self._sample(inputs, network, self.noise(sample, numbers, inputs.device), *args, **kwargs) - mean
            mean = mean + change / (sample + 1)
            squares += change.square() * (sample / (sample + 1))
        return torch.cat([mean, (squares / (self.num_samples - 1)).sqrt()], dim=1)

    def noise(self, sample: int, numbers: Sequence[int], device: torch.device) -> NormalNoise:
        """The noise of one chain: of the ``sample``-th of each slice, drawn in the order of :meth:`_sample`."""
        if self.shared_noise:
            return SeededNoise([mixed(self.seed, sample)], device)
        return SeededNoise([mixed(self.seed, sample, number) for number in numbers], device)

    def _sample(
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

    def _check(self) -> None:
        least = {"latent_dim": 1, "seed": 0, "num_samples": 1, "channels": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise InputError(
                    f"DDGANInferer, {name}",
                    found=repr(value),
                    wanted=f"an integer of {smallest} or more",
                    remedy=f"give {name} as a number without quotes",
                )
        if self.seed >= 2**64:
            raise InputError(
                "DDGANInferer, seed",
                found=repr(self.seed),
                wanted="an integer of 0 or more, below 2**64",
                remedy="give a smaller seed",
            )
        if not isinstance(self.shared_noise, bool):
            raise InputError(
                "DDGANInferer, shared_noise",
                found=repr(self.shared_noise),
                wanted="true or false in JSON, True or False on the command line",
                remedy="write --shared_noise True or --shared_noise False, with a capital letter",
            )
