"""From radiographs to CT volumes: sample latents by a reverse chain, with guidance, and decode them.

Source: J. Ho, T. Salimans, Classifier-free diffusion guidance, arXiv:2207.12598; the weight is that of X-ray2CTPA, with
which 1 is the conditional prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

from transmodal.errors import InputError
from transmodal.inferers import Calls, NormalNoise, check_arguments, mean_and_deviation, plain_input, with_metadata_of
from transmodal.schedulers import ReverseSampler, SeededNoise, mixed
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.networks import XRayToCT

__all__ = ["RadiographSampling"]

LATENT_NOISE = 4
"""Joined to a seed, so that nothing else of that seed draws the same numbers."""


class RadiographSampling(Inferer):
    """Sample the CT behind a radiograph.

    What the radiograph tells the denoiser is computed once. All numbers are drawn for the seed and the sample's number,
    the same for every radiograph: what a radiograph gives does not depend on its batch, and two of them differ in what
    they show alone. ``seed``, ``num_samples`` and ``guidance`` are read at each call, because MONAI Label sets options
    for each request.

    Args:
        sampler: diffusion and way back; estimates of normalised latents are clipped to the bounds of the scale.
        grid: size of the CT in voxels, (F, H, W); that of the network if None.
        seed: of all noise, 0 or more and below 2**64.
        num_samples: chains per radiograph. Of two or more the result holds the mean of the decoded volumes and, in a
            second channel, their standard deviation (divisor ``num_samples - 1``).
        guidance: weight s of the condition, 0 or more: null + s (conditional - null). At 1 the network is called once
            for each step, at 0 it never sees the radiograph, and above 1 it is drawn away from what it would make
            without one. That takes a network trained with condition dropout.
        amp: run encoder and denoiser under bfloat16 autocast; chain and decoder stay in float32.
    Raises:
        InputError: for arguments that cannot be meant, such as a number or a flag given as a string.
    """

    def __init__(
        self,
        sampler: ReverseSampler,
        grid: Sequence[int] | None = None,
        seed: int = 0,
        num_samples: int = 1,
        guidance: float = 1.0,
        amp: bool = False,
    ) -> None:
        self.sampler, self.grid, self.seed = sampler, grid, seed
        self.num_samples, self.guidance, self.amp = num_samples, guidance, amp
        self._check()

    @torch.no_grad()
    def __call__(self, inputs: Tensor, network: XRayToCT, *args: Any, **kwargs: Any) -> Tensor:
        """Make CT volumes.

        Args:
            inputs: radiographs, (B, 1, S, S) in [-1, 1], bright where dense, head up, the patient's right at the left.
            network: on the device where all is computed.
            args, kwargs: not used; MONAI Deploy hands over every tensor beside the image.
        Returns:
            (B, 1, F, H, W) in [-1, 1], float32, slices feet to head, rows front to back, columns from the patient's
            right to the left, with the metadata of ``inputs``; with ``num_samples`` > 1 of two channels, mean first.
            Where the volume lies is told by :class:`~xray2ctpa_bundle.placing.PlaceOnGridd`.
        Raises:
            InputError: if ``inputs`` are no pictures of one channel.
        """
        self._check()
        remedy = "give a radiograph, not a volume, read by transmodal.transforms.RadiographLoadImaged"
        image = plain_input(inputs, network, "RadiographSampling", 2, remedy)
        condition = Condition(*(part.float() for part in self._run(network.condition, image)))
        size = network.latent_size if self.grid is None else network.autoencoder.latent_size(self.grid)
        start = image.new_zeros(len(image), len(network.scale.mean), *size)
        low, high = (bound[:, None, None, None] for bound in (network.scale.low, network.scale.high))
        predict = self.guided(network, condition)

        def draw(sample: int) -> Tensor:
            latents = self.sampler(predict, start, self.noise(sample, image.device), (low, high))
            volume: Tensor = network.autoencoder.decode(network.scale.restore(latents))
            return volume.float().clamp(-1, 1)

        return with_metadata_of(inputs, mean_and_deviation(draw, self.num_samples))

    def calls(self, shape: Sequence[int], network: XRayToCT) -> Calls:
        """Of the denoiser, one for each step of each sample; two under guidance."""
        asked = 1 if self.guidance in (0, 1) else 2
        return Calls({network.denoiser: asked * self.num_samples * self.sampler.num_calls})

    def noise(self, sample: int, device: torch.device) -> NormalNoise:
        """The noise of the chains of this number, one row for all radiographs."""
        return SeededNoise([mixed(self.seed, sample, LATENT_NOISE)], device)

    def guided(self, network: XRayToCT, condition: Condition) -> Callable[[Tensor, Tensor], Tensor]:
        """What a sampler asks: from noisy latents and their timesteps to the prediction, guided by the condition."""

        def predict(x_t: Tensor, timesteps: Tensor) -> Tensor:
            if self.guidance == 1:
                return self._run(network.predict, condition, x_t, timesteps).float()
            withheld = torch.ones(len(x_t), dtype=torch.bool, device=x_t.device)
            null = self._run(network.predict, condition, x_t, timesteps, withheld).float()
            if self.guidance == 0:
                return null
            conditional = self._run(network.predict, condition, x_t, timesteps).float()
            return null + self.guidance * (conditional - null)

        return predict

    def _run(self, compute: Callable[..., Any], image: Any, *args: Tensor) -> Any:
        """Call a network, under autocast if that is asked for."""
        device = image.device if isinstance(image, Tensor) else args[0].device
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.amp):
            return compute(image, *args)

    def _check(self) -> None:
        check_arguments(self, {"seed": 0, "num_samples": 1}, flags=("amp",))
        number = isinstance(self.guidance, int | float) and not isinstance(self.guidance, bool)
        if not number or not 0 <= self.guidance < math.inf:
            raise InputError(
                "RadiographSampling, guidance",
                found=repr(self.guidance),
                wanted="a number of 0 or more",
                remedy="1 for none, 2 for a strong one",
            )
