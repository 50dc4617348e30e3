"""Translate by a diffusion model that predicts noise, with any sampler of a Gaussian diffusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.inferers.progress import Calls
from transmodal.inferers.sampling import SamplingInferer
from transmodal.schedulers.noise import NormalNoise
from transmodal.schedulers.sampler import ReverseSampler

__all__ = ["NoisePredictionInferer"]


class NoisePredictionInferer(SamplingInferer):
    """Sample a translation by the chain of a sampler, conditioned on the source.

    The network is called as ``network(image=source, noisy=x, timesteps=t)`` and returns the noise in x,
    (N, ``channels``, *S). A sampler that starts from its condition starts from the source, which then has to have as
    many channels as the image that is made. Slices may as well be volumes: nothing here counts dimensions.

    Args:
        sampler: diffusion and way back.
        seed: of all noise, 0 or more and below 2**64.
        num_samples: chains per slice. Of two or more the result holds their mean and, in as many channels after it,
            their standard deviation (divisor ``num_samples - 1``).
        shared_noise: one noise field in each step for a whole volume, so that neighbouring slices do not flicker;
            otherwise each slice has its own.
        channels: of the image that is made.
    Raises:
        InputError: for arguments that cannot be meant, such as a number or a flag given as a string.
    """

    def __init__(
        self,
        sampler: ReverseSampler,
        seed: int = 0,
        num_samples: int = 1,
        shared_noise: bool = True,
        channels: int = 1,
    ) -> None:
        self.sampler = sampler
        super().__init__(seed, num_samples, shared_noise, channels)

    def sample(
        self, source: Tensor, network: Callable[..., Tensor], noise: NormalNoise, *args: Any, **kwargs: Any
    ) -> Tensor:
        """One chain of the sampler for each slice, in [-1, 1], float32."""
        if self.sampler.starts_from_condition and source.shape[1] != self.channels:
            raise InputError(
                f"{type(self.sampler).__name__}, which starts from the source",
                found=f"a source of {source.shape[1]} channels",
                wanted=f"{self.channels}, as many as are made",
                remedy="start from noise: the DDIMSampler with strength 1",
            )
        shape = (len(source), self.channels, *source.shape[2:])
        start = source if tuple(source.shape) == shape else source.new_zeros(shape)

        def predict_noise(x_t: Tensor, timesteps: Tensor) -> Tensor:
            return network(*args, image=source, noisy=x_t, timesteps=timesteps, **kwargs)

        return self.sampler(predict_noise, start, noise)

    def calls(self, shape: Sequence[int], network: nn.Module) -> Calls:
        """One for each step of each sample, whatever the shape."""
        return Calls({network: self.num_samples * self.sampler.num_calls})
