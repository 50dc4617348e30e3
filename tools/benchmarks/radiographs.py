"""The denoiser of X-ray2CTPA as it is measured: told what an encoder says of a radiograph, without the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

PATCHES, PLANE = 196, 14
"""Of a radiograph: tokens, and rows and columns of a feature map, as the published vision transformer has them."""


class Condition(NamedTuple):
    """What a denoiser reads of a radiograph; a bundle's class of that name cannot be imported here."""

    embedding: Tensor
    tokens: Tensor
    plane: Tensor


class RadiographDenoiser(nn.Module):
    """A denoiser that takes the parts of its condition one by one.

    Args:
        denoiser: called as ``denoiser(condition, noisy, timesteps)``.
    """

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, embedding: Tensor, tokens: Tensor, plane: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """What the denoiser makes of noisy latents, (B, C, f, h, w)."""
        prediction: Tensor = self.denoiser(Condition(embedding, tokens, plane), noisy, timesteps)
        return prediction


def condition_and_noise(network: nn.Module, resolution: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
    """Draw a condition of the sizes that a denoiser asks for, noisy latents and a time step."""
    inner = getattr(network, "network", network)  # within a wrapper for predictions of velocity
    embedded, told, laid = (getattr(inner, name, 0) or 1 for name in ("condition_dim", "token_dim", "plane_channels"))
    return {
        "embedding": torch.randn(1, embedded, generator=generator),
        "tokens": torch.randn(1, PATCHES, told, generator=generator),
        "plane": torch.randn(1, laid, PLANE, PLANE, generator=generator),
        "noisy": torch.randn(1, network.in_channels, *resolution, generator=generator),
        "timesteps": torch.randint(500, (1,), generator=generator),  # early, where predictions of velocity count
    }
