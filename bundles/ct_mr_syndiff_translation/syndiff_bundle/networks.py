"""The two diffusive generators of SynDiff (Özbey et al. 2023) as the one network that inference needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transmodal.errors import InputError


class DiffusiveTranslators(nn.Module):
    """Both directions in one module and one state dict; the direction is chosen at each call.

    Args:
        first, second: what makes the first and the second contrast; each a network
            ``(image (B, 2, H, W), timesteps (B,), latent (B, latent_dim)) -> (B, C, H, W)`` that predicts the clean
            image in its channel 0 from [noisy target, source].
        contrasts: modality of the first and of the second contrast, two different names.
        num_timesteps: diffusion steps T that the generators are trained for.
        latent_dim: length of the latent that the generators take.
    Raises:
        InputError: if ``contrasts`` are not two different names.
    """

    def __init__(
        self,
        first: nn.Module,
        second: nn.Module,
        contrasts: Sequence[str] = ("ct", "mr"),
        num_timesteps: int = 4,
        latent_dim: int = 100,
    ) -> None:
        super().__init__()
        names = [] if isinstance(contrasts, str) else [name for name in contrasts if isinstance(name, str) and name]
        if not len(contrasts) == len(names) == len(set(names)) == 2:
            raise InputError(
                "DiffusiveTranslators, contrasts",
                found=repr(contrasts),
                wanted="two different names",
                remedy="name the first and the second modality, such as ['ct', 'mr']",
            )
        self.first, self.second = first, second
        self.first_contrast, self.second_contrast = contrasts
        self.num_timesteps, self.latent_dim = num_timesteps, latent_dim

    def forward(
        self,
        image: Tensor,
        noisy: Tensor | None = None,
        timesteps: Tensor | None = None,
        latent: Tensor | None = None,
        target: str = "ct",
    ) -> Tensor:
        """Predict the clean target from its noisy version and the source: one step of the reverse chain.

        What is left out takes the value at which a chain starts, without its randomness: with ``image`` alone the
        result is the first guess of a translation, which the sampler refines in the remaining steps.

        Args:
            image: the source, (B, 1, H, W) in [-1, 1].
            noisy: x_{t+1} of the target, as ``image``; by default 0, the mean of the noise.
            timesteps: index t of the step t+1 → t, (B,) integers in [0, T); by default T - 1, the first step.
            latent: z, (B, latent_dim); by default 0, its mean.
            target: modality to make, one of the two contrasts.
        Returns:
            The prediction of x_0, (B, 1, H, W) in [-1, 1].
        Raises:
            ValueError: for another ``target``.
        """
        if noisy is None:
            noisy = torch.zeros_like(image)
        if timesteps is None:
            timesteps = torch.full((image.shape[0],), self.num_timesteps - 1, dtype=torch.long, device=image.device)
        if latent is None:
            latent = torch.zeros(image.shape[0], self.latent_dim, dtype=image.dtype, device=image.device)
        pair = torch.cat([noisy, image], dim=1)
        if target == self.first_contrast:
            return self.first(pair, timesteps, latent)[:, :1]
        if target == self.second_contrast:
            return self.second(pair, timesteps, latent)[:, :1]
        raise ValueError(
            f"found target '{target}'; wanted '{self.first_contrast}' or '{self.second_contrast}'. "
            "Set `target` to the modality to be made."
        )
