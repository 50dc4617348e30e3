"""What each stage of MD-DGA minimises: the autoencoder's reconstruction, and the noise of slices and of latents.

Sources: A. van den Oord et al., Neural discrete representation learning, NeurIPS 2017, arXiv:1711.00937 (equation 3);
J. Ho et al., Denoising diffusion probabilistic models, NeurIPS 2020, arXiv:2006.11239 (algorithm 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from transmodal.engines import Draws, seeded_draws
from transmodal.engines.codebooks import CodebookDiagnostics, use_of_codes
from transmodal.engines.phases import Batch, Terms, require_weight
from transmodal.errors import require_flag

__all__ = ["AutoencoderObjective", "LatentObjective", "NoiseObjective"]

NOISE, CHANNEL = 0, 1
"""Turns of one iteration, each with random numbers of its own."""


class Diffusion(Protocol):
    """Noise for clean images, at a timestep of its own for each sample."""

    num_timesteps: int

    def add_noise(self, x_0: Tensor, noise: Tensor, timesteps: Tensor, /) -> Tensor: ...


class NoiseObjective:
    """Algorithm 1 of Ho et al. with a condition: draw t and ε, predict ε from x_t, t and the source.

    Args:
        network: called as ``network(image=source, noisy=x_t, timesteps=t)``; predicts the noise.
        diffusion: has ``num_timesteps`` and ``add_noise``, such as ``transmodal.schedulers.GaussianDiffusion``.
        loss: called as ``loss(predicted, noise)`` for named, weighted terms, such as ``mddga_bundle.losses.L1Noise``.
        weight: of the errors at each timestep, called with t (B,), such as ``transmodal.schedulers.VelocityWeight``; 1
            if null, as published.
        draws: called with a batch and the turn for its random numbers; by default each sample's own seed decides.
    """

    def __init__(
        self,
        network: nn.Module,
        diffusion: Diffusion,
        loss: Callable[[Tensor, Tensor], Terms],
        weight: Callable[[Tensor], Tensor] | None = None,
        draws: Callable[[Batch, int], Draws] = seeded_draws,
    ) -> None:
        self.network, self.diffusion, self.loss, self.weight, self.draws = network, diffusion, loss, weight, draws

    def terms(self, batch: Batch) -> Terms:
        """The loss of a batch with ``image``, the condition, ``label``, the clean target, (B, C, ...), and ``seed``."""
        x_0, draws = batch["label"], self.draws(batch, NOISE)
        timesteps = draws.integers(self.diffusion.num_timesteps)
        noise = draws.normal(*x_0.shape[1:])
        x_t = self.diffusion.add_noise(x_0, noise, timesteps)
        noise_pred = self.network(image=batch["image"], noisy=x_t, timesteps=timesteps)
        if self.weight is None:
            return self.loss(noise_pred, noise)
        weight = self.weight(timesteps).reshape(-1, *[1] * (noise.ndim - 1))
        return self.loss(weight * noise_pred, weight * noise)


class LatentObjective(NoiseObjective):
    """The same on latents: all channels together, or one of them as an image with a single channel.

    The published code draws one channel for a whole batch; here each sample draws its own, so that no sample depends on
    its batch.

    Args:
        network, diffusion, loss, weight, draws: as for :class:`NoiseObjective`.
        joint: whether the network predicts the noise of all channels at once.
    Raises:
        InputError: if ``joint`` is no truth value.
    """

    def __init__(
        self,
        network: nn.Module,
        diffusion: Diffusion,
        loss: Callable[[Tensor, Tensor], Terms],
        joint: bool = True,
        weight: Callable[[Tensor], Tensor] | None = None,
        draws: Callable[[Batch, int], Draws] = seeded_draws,
    ) -> None:
        require_flag(
            "LatentObjective, joint",
            joint,
            "write true for a network that takes all latent channels at once, false for one at a time",
        )
        super().__init__(network, diffusion, loss, weight, draws)
        self.joint = joint

    def terms(self, batch: Batch) -> Terms:
        """The loss of a batch whose ``image`` and ``label`` are latents, (B, E, ...)."""
        if self.joint:
            return super().terms(batch)
        channels = self.draws(batch, CHANNEL).integers(batch["label"].shape[1])
        return super().terms({**batch, **{key: _channel(batch[key], channels) for key in ("image", "label")}})


class AutoencoderObjective(CodebookDiagnostics):
    """Equation 3 of van den Oord et al.: reconstruct, draw codes to the latents, and latents to their codes.

    The codebook is trained by gradient, not by a moving average.

    Args:
        network: called with images (B, 1, ...) in [-1, 1]; returns the reconstruction, the latents z before
            quantisation and their codes without the straight-through gradient, both (B, E, ...).
        commitment: weight of the term that draws latents to their codes.
    Raises:
        InputError: if the weight is no number of 0 or more.

    ``diagnostics`` tells of the latest batch how many codes it uses, and their perplexity: exp of the entropy of their
    shares, which is that number if all are used equally often.
    """

    def __init__(self, network: nn.Module, commitment: float = 0.25) -> None:
        require_weight("AutoencoderObjective, commitment", commitment)
        self.network, self.commitment = network, commitment
        self.diagnostics: dict[str, Tensor] = {}

    def terms(self, batch: Batch) -> Terms:
        """The three terms of a batch with ``image``, (B, 1, ...) in [-1, 1]."""
        image = batch["image"]
        reconstruction, z, codes = (output.float() for output in self.network(image))
        self.diagnostics = _use(codes.detach())
        return {
            "reconstruction": mse_loss(reconstruction, image),
            "codebook": mse_loss(codes, z.detach()),
            "commitment": self.commitment * mse_loss(z, codes.detach()),
        }


def _channel(latents: Tensor, channels: Tensor) -> Tensor:
    """One channel of each sample, (B, 1, ...), of (B, E, ...) and its numbers (B,)."""
    return latents[torch.arange(len(latents), device=latents.device), channels][:, None]


@torch.no_grad()
def _use(codes: Tensor) -> dict[str, Tensor]:
    """How many different vectors there are among (B, E, ...), and the perplexity of their shares."""
    vectors = codes.movedim(1, -1).flatten(end_dim=-2)
    _, counts = torch.unique(vectors, dim=0, return_counts=True)
    return use_of_codes(counts)
