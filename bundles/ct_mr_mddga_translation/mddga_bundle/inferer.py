"""From a CT to an MR volume: slices first, then the latents of their stack, and the stages one after another.

Source: the published code of MD-DGA; its order of work is kept, the samplers and the scale of the latents are chosen in
the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data.utils import dense_patch_slices
from monai.inferers import Inferer, sliding_window_inference
from torch import Tensor

from mddga_bundle.networks import MDDGA
from mddga_bundle.slabs import decode_in_slabs, encode_in_slabs
from mddga_bundle.vqvae import VQVAE
from transmodal.errors import InputError
from transmodal.inferers import (
    Calls,
    NormalNoise,
    calls_of,
    check_arguments,
    mean_and_deviation,
    plain_input,
    with_metadata_of,
)
from transmodal.schedulers import ReverseSampler, SeededNoise, mixed

VOLUME_NOISE = 3
"""Joined to a seed, so that latents and slices of one seed draw unrelated numbers."""


class VolumeStage(Inferer):
    """Sample the latents of a volume, given those of the volume that the slice stage made, and decode them.

    A network that takes one latent channel at a time samples each channel in a chain of its own. All numbers are drawn
    for the seed, the sample's number and the channel: neither the batch nor ``channel_batch`` changes them. ``seed``
    and ``num_samples`` are read at each call, because MONAI Label sets them for each request.

    Args:
        sampler: diffusion and way back; estimates of normalised latents are clipped to the bounds of the scale.
        seed: of all noise, 0 or more and below 2**64.
        num_samples: chains per volume. Of two or more the result holds the mean of the decoded volumes and, in a second
            channel, their standard deviation (divisor ``num_samples - 1``).
        slab: slices of the latents that the large layers of the autoencoder take at a time, which bounds memory and
            changes nothing; all at once if None.
        latent_window: sizes in latent voxels of windows that the network predicts noise in, overlapping by half and
            blended by Gaussian weights; bounds memory for very large volumes. The whole at once if None.
        amp: run the networks under bfloat16 autocast; the chain, and the choice of codes, stay in float32.
        channel_batch: channels sampled together by a network that takes one at a time. Published padding mixes samples
            of a batch, so with it only 1 gives the published result.
    Raises:
        InputError: for arguments that cannot be meant, such as a number or a flag given as a string.
    """

    def __init__(
        self,
        sampler: ReverseSampler,
        seed: int = 0,
        num_samples: int = 1,
        slab: int | None = None,
        latent_window: Sequence[int] | None = None,
        amp: bool = False,
        channel_batch: int = 1,
    ) -> None:
        self.sampler, self.seed, self.num_samples, self.slab = sampler, seed, num_samples, slab
        self.latent_window, self.amp, self.channel_batch = latent_window, amp, channel_batch
        self._check()

    @torch.no_grad()
    def __call__(self, inputs: Tensor, network: MDDGA, *args: Any, **kwargs: Any) -> Tensor:
        """Refine volumes.

        Args:
            inputs: what the slice stage made, (B, 1, D, H, W) in [-1, 1]; of any size.
            network: on the device where all is computed.
            args, kwargs: not used; MONAI Deploy hands over every tensor beside the image.
        Returns:
            (B, 1, D, H, W) in [-1, 1], float32, with the metadata of ``inputs``; with ``num_samples`` > 1 of two
            channels, mean first.
        Raises:
            InputError: if ``inputs`` are no volumes of one channel.
        """
        self._check()
        image = _volume(inputs, network)
        size = list(image.shape[2:])
        condition = network.scale.apply_to(self._run(encode_in_slabs, network.autoencoder, image, self.slab))

        def draw(sample: int) -> Tensor:
            latents = network.scale.restore(self._sampled(sample, condition, network))
            codes, _ = network.autoencoder.quantise(latents)
            return self._run(decode_in_slabs, network.autoencoder, codes, size, self.slab)

        return with_metadata_of(inputs, mean_and_deviation(draw, self.num_samples))

    def noise(self, sample: int, channels: Sequence[int], device: torch.device) -> NormalNoise:
        """The noise of one chain of these latent channels, a row for each; of [0] if all are sampled jointly."""
        return SeededNoise([mixed(self.seed, sample, channel, VOLUME_NOISE) for channel in channels], device)

    def calls(self, shape: Sequence[int], network: MDDGA) -> Calls:
        """One for each step of each chain, or where windows are asked for one for each of these in each volume."""
        channels = 1 if network.joint else network.autoencoder.embedding_dim
        sizes = [-(-size // network.autoencoder.downsampling) for size in shape[2:]]
        window = [*sizes] if self.latent_window is None else [*map(min, self.latent_window, sizes)]
        if window == sizes:
            calls = -(-channels // self.channel_batch)
        else:
            steps = [side if side == size else max(1, side // 2) for side, size in zip(window, sizes, strict=True)]
            calls = shape[0] * channels * len(dense_patch_slices(sizes, window, steps))
        return Calls({network: self.num_samples * self.sampler.num_calls * calls})

    def _sampled(self, sample: int, condition: Tensor, network: MDDGA) -> Tensor:
        """Normalised latents, (B, E, *S) as ``condition``."""
        low, high = network.scale.low, network.scale.high
        if network.joint:
            noise = self.noise(sample, [0], condition.device)
            bounds = (low[:, None, None, None], high[:, None, None, None])
            return self.sampler(self._predict_noise(network, condition), condition, noise, bounds)
        sampled = []
        for channels in torch.arange(condition.shape[1], device=condition.device).split(self.channel_batch):
            single = condition[:, channels].flatten(0, 1)[:, None]  # a volume's channels together, each a sample
            repeated = channels.repeat(len(condition))
            noise = self.noise(sample, repeated.tolist(), condition.device)
            bounds = (low[repeated, None, None, None, None], high[repeated, None, None, None, None])
            latents = self.sampler(self._predict_noise(network, single), single, noise, bounds)
            sampled.append(latents.view(len(condition), len(channels), *condition.shape[2:]))
        return torch.cat(sampled, dim=1)

    def _predict_noise(self, network: MDDGA, condition: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """The volume net, for latents of this condition, on windows if these are asked for."""

        def predict(image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
            return self._run(network, image=image, noisy=noisy, timesteps=timesteps, stage="volume")

        sizes = condition.shape[2:]
        window = [*sizes] if self.latent_window is None else [*map(min, self.latent_window, sizes)]
        if window == [*sizes]:
            return lambda x_t, timesteps: predict(condition, x_t, timesteps)

        def predict_in_windows(x_t: Tensor, timesteps: Tensor) -> Tensor:
            def on_window(part: Tensor) -> Tensor:
                image, noisy = part.chunk(2, dim=1)
                return predict(image, noisy, timesteps[:1].expand(len(part)))  # all are of one timestep

            pair = torch.cat([condition, x_t], dim=1)
            noise_pred: Tensor = sliding_window_inference(pair, window, 1, on_window, overlap=0.5, mode="gaussian")
            return noise_pred

        return predict_in_windows

    def _run(self, compute: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """The float32 result of networks that run under autocast, if that is asked for."""
        device = next(value.device for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.amp):
            return compute(*args, **kwargs).float()

    def _check(self) -> None:
        check_arguments(self, {"seed": 0, "num_samples": 1, "channel_batch": 1}, flags=("amp",))
        if self.slab is not None:
            check_arguments(self, {"slab": 1})
        window = self.latent_window
        if window is not None and (
            isinstance(window, str) or len(window) != 3 or not all(type(size) is int and size > 0 for size in window)
        ):
            raise InputError(
                "VolumeStage, latent_window",
                found=repr(window),
                wanted="three sizes of 1 or more, or null",
                remedy="give the window in latent voxels, such as [40, 56, 42]",
            )


class Reconstruction(Inferer):
    """Send volumes through the autoencoder alone: what the volume stage could reach at best.

    Args:
        slab: slices of the latents that its large layers take at a time, which bounds memory; all at once if None.
    Raises:
        InputError: if ``slab`` is no number of 1 or more.
    """

    def __init__(self, slab: int | None = None) -> None:
        self.slab = slab
        if slab is not None:
            check_arguments(self, {"slab": 1})

    @torch.no_grad()
    def __call__(self, inputs: Tensor, network: VQVAE | MDDGA, *args: Any, **kwargs: Any) -> Tensor:
        """Reconstruct volumes (B, 1, D, H, W) in [-1, 1] by an autoencoder or that of a whole network; same size."""
        autoencoder = network.autoencoder if isinstance(network, MDDGA) else network
        image = _volume(inputs, network)
        codes, _ = autoencoder.quantise(encode_in_slabs(autoencoder, image, self.slab))
        return with_metadata_of(inputs, decode_in_slabs(autoencoder, codes, list(image.shape[2:]), self.slab))


class Chain(Inferer):
    """Stages one after another: each gets what the one before made, and the same network.

    Between stages only the image is handed on: of a stage that drew several samples their mean, not their deviation.
    The deviation of a chain is that of its last stage. A picture (B, C, H, W) goes through the first stage alone, the
    one that works on slices.

    Args:
        stages: one or more inferers, that of slices first.
    Raises:
        InputError: if there is no stage.
    """

    def __init__(self, stages: Sequence[Inferer]) -> None:
        self.stages = list(stages)
        if not self.stages:
            raise InputError(
                "Chain, stages",
                found="an empty list",
                wanted="the inferers of one stage or more",
                remedy="list the slice stage, then the volume stage",
            )

    def __call__(self, inputs: Tensor, network: MDDGA, *args: Any, **kwargs: Any) -> Tensor:
        """Translate volumes (B, 1, D, H, W), or pictures (B, 1, H, W), in [-1, 1]."""
        image: Tensor = self.stages[0](inputs, network, *args, **kwargs)
        if inputs.ndim == 4:
            return image
        for stage in self.stages[1:]:
            image = stage(image[:, :1], network, *args, **kwargs)
        return image

    def calls(self, shape: Sequence[int], network: MDDGA) -> Calls:
        """Those of all stages; of a picture those of the first."""
        total = Calls()
        for stage in self.stages[:1] if len(shape) == 4 else self.stages:
            total += calls_of(stage, shape, network)
        return total


def _volume(inputs: Tensor, network: torch.nn.Module) -> Tensor:
    return plain_input(inputs, network, "the volume stage", 3, "translate pictures with the slice stage alone")
