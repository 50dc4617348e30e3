"""Vectors that steer a diffusion network: the time step (Vaswani et al. 2017, section 3.5) and the latent style.

The latent path is StyleGAN's mapping network (Karras et al. 2019) as in denoising diffusion GANs (Xiao et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.networks.initialisation import fan_average_, fan_out_


def sinusoid(timesteps: Tensor, dim: int) -> Tensor:
    """Encode integers by sines and cosines of ``dim / 2`` wavelengths, from 2 pi to 10000 times that.

    Sines come first, and the last wavelength is reached (``half - 1`` steps): MONAI's encoding does neither.

    Args:
        timesteps: (B,), integer or floating point.
        dim: even, at least 4.
    Returns:
        (B, dim), float32, in [-1, 1].
    """
    half = dim // 2
    steps = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    angles = timesteps.to(torch.float32)[:, None] * torch.exp(steps * (-math.log(10000.0) / (half - 1)))[None, :]
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)


class TimeEmbedding(nn.Module):
    """Sinusoid, linear, activation, linear, activation: everything that reads a time step reads it activated.

    Args:
        dim: of the sinusoid, even and at least 4.
        hidden_dim, out_dim: widths of the two linear layers.
        activation: after each linear layer; SiLU by default, as in the generators.
        initialise: draws a weight in place.
    Raises:
        ValueError: if ``dim`` is odd or too small.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        out_dim: int,
        activation: nn.Module | None = None,
        initialise: Callable[[Tensor], Tensor] = fan_average_,
    ) -> None:
        super().__init__()
        if dim < 4 or dim % 2 != 0:
            raise ValueError(
                f"found a time sinusoid of {dim} numbers; wanted an even number, at least 4. Change its dim."
            )
        self.dim = dim
        self.linear1 = _linear(dim, hidden_dim, initialise)
        self.linear2 = _linear(hidden_dim, out_dim, initialise)
        self.activation = nn.SiLU() if activation is None else activation

    def forward(self, timesteps: Tensor) -> Tensor:
        """Embed ``timesteps``, (B,), as (B, out_dim)."""
        hidden = self.activation(self.linear1(sinusoid(timesteps, self.dim)))
        embedded: Tensor = self.activation(self.linear2(hidden))
        return embedded


class LatentMapping(nn.Module):
    """Turn a normal latent into a style: scale it to a mean square of 1, then linear layers with SiLU after each.

    Args:
        latent_dim: of the latent z.
        style_dim: of the style and of every layer.
        num_layers: linear layers beyond the first.
    """

    def __init__(self, latent_dim: int, style_dim: int, num_layers: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _linear(latent_dim if index == 0 else style_dim, style_dim, fan_out_) for index in range(num_layers + 1)
        )

    def forward(self, latent: Tensor) -> Tensor:
        """Map ``latent``, (B, latent_dim), to a style, (B, style_dim)."""
        style = latent * torch.rsqrt(latent.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers:
            style = F.silu(layer(style))
        return style


def _linear(in_dim: int, out_dim: int, initialise: Callable[[Tensor], Tensor]) -> nn.Linear:
    linear = nn.Linear(in_dim, out_dim)
    initialise(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
