"""What inferers that sample have in common: a seed for all noise, several samples, noise shared by slices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from transmodal.errors import InputError, require_flag
from transmodal.inferers.slicewise import NumberedInferer
from transmodal.schedulers.noise import NormalNoise, SeededNoise, mixed

__all__ = ["SamplingInferer", "check_arguments", "mean_and_deviation"]


class SamplingInferer(NumberedInferer):
    """Translate slices by random chains.

    All numbers are drawn for the seed, the sample's number and, without ``shared_noise``, the slice's number in its
    volume: the size of a batch changes none of them. ``seed`` and ``num_samples`` are read at each call, because MONAI
    Label sets them for each request.

    Args:
        seed: of all noise, 0 or more and below 2**64.
        num_samples: chains per slice. Of two or more the result holds their mean and, in as many channels after it,
            their standard deviation (divisor ``num_samples - 1``).
        shared_noise: the same noise for all slices of a volume, so that neighbours do not flicker; otherwise each slice
            has its own.
        channels: of the image that is made.
    Raises:
        InputError: for arguments that cannot be meant, such as a number or a flag given as a string.
    """

    def __init__(self, seed: int = 0, num_samples: int = 1, shared_noise: bool = True, channels: int = 1) -> None:
        self.seed, self.num_samples, self.shared_noise, self.channels = seed, num_samples, shared_noise, channels
        self.check()

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
            network: what the chains call; it gets further arguments as they are.
            numbers: of the slices in their volume, N of them; 0 to N - 1 by default.
        Returns:
            (N, ``channels``, H, W) in [-1, 1], float32; with ``num_samples`` > 1 twice the channels, mean first.
        """
        self.check()
        numbers = range(len(inputs)) if numbers is None else numbers

        def draw(sample: int) -> Tensor:
            return self.sample(inputs, network, self.noise(sample, numbers, inputs.device), *args, **kwargs)

        return mean_and_deviation(draw, self.num_samples)

    def noise(self, sample: int, numbers: Sequence[int], device: torch.device) -> NormalNoise:
        """The noise of one chain: of the ``sample``-th of each slice, drawn in the order of :meth:`sample`."""
        if self.shared_noise:
            return SeededNoise([mixed(self.seed, sample)], device)
        return SeededNoise([mixed(self.seed, sample, number) for number in numbers], device)

    @abstractmethod
    def sample(
        self, source: Tensor, network: Callable[..., Tensor], noise: NormalNoise, *args: Any, **kwargs: Any
    ) -> Tensor:
        """One chain for each slice, (N, ``channels``, H, W), float32."""

    def check(self) -> None:
        """Refuse arguments that cannot be meant; called again before each translation, as they may be set later."""
        check_arguments(self, {"seed": 0, "num_samples": 1, "channels": 1}, flags=("shared_noise",))


def mean_and_deviation(draw: Callable[[int], Tensor], num_samples: int) -> Tensor:
    """Draw samples one after another and keep their mean and standard deviation alone.

    Args:
        draw: makes the sample of this number, counted from 0, (N, C, ...).
        num_samples: how many, 1 or more.
    Returns:
        (N, C, ...) with one sample: that sample; else (N, 2 C, ...), the means and then the standard deviations, with
        the divisor ``num_samples - 1``.
    """
    mean = draw(0)
    if num_samples == 1:
        return mean
    squares = torch.zeros_like(mean)
    for sample in range(1, num_samples):  # Welford's update: one pass, two images of memory
        change = draw(sample) - mean
        mean = mean + change / (sample + 1)
        squares += change.square() * (sample / (sample + 1))
    return torch.cat([mean, (squares / (num_samples - 1)).sqrt()], dim=1)


def check_arguments(owner: object, least: Mapping[str, int], flags: Sequence[str] = ()) -> None:
    """Refuse attributes of an inferer that are no whole numbers or no flags.

    Args:
        owner: whose attributes.
        least: smallest value of each whole number; ``seed`` also has to be below 2**64.
        flags: names of those that are true or false.
    Raises:
        InputError: naming the class and the attribute.
    """
    for name, smallest in least.items():
        value = getattr(owner, name)
        below = ", below 2**64" if name == "seed" and isinstance(value, int) and value >= 2**64 else ""
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest or below:
            raise InputError(
                f"{type(owner).__name__}, {name}",
                found=repr(value),
                wanted=f"an integer of {smallest} or more{below}",
                remedy="give a smaller seed" if below else f"give {name} as a number without quotes",
            )
    for name in flags:
        require_flag(
            f"{type(owner).__name__}, {name}",
            getattr(owner, name),
            f"write --{name} True or --{name} False, with a capital letter",
        )
