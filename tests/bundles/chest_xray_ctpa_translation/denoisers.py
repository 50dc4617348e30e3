"""Tiny denoisers and what they are told, for tests of what is done with them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.modern import CrossAttentionUNet
from xray2ctpa_bundle.unet3d import FactorisedUNet

FACTORISED: dict[str, Any] = {"dim": 8, "dim_mults": (1, 2), "condition_dim": 6, "norm_groups": 4, "head_dim": 4}
MODERN: dict[str, Any] = {
    "num_channels": (8, 16),
    "attention": (False, True),
    "num_res_blocks": 1,
    "num_head_channels": 4,
    "token_dim": 5,
    "norm_groups": 4,
}


class Around(nn.Module):
    """A network with an encoder beside its denoiser."""

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.encoder, self.denoiser = nn.Linear(6, 6), denoiser

    def forward(self, condition: Condition, noisy: Tensor) -> Tensor:
        """Predict at time steps 3 and 700."""
        encoded = condition._replace(embedding=self.encoder(condition.embedding))
        return self.denoiser(encoded, noisy, torch.tensor([3, 700]))


def around(denoiser: nn.Module | None = None) -> Around:
    """A network with a denoiser, by default the factorised one, none of whose weights is zero."""
    network = Around(FactorisedUNet(**FACTORISED) if denoiser is None else denoiser)
    for parameter in network.parameters():
        if parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.2)
    return network.eval()


def modern() -> CrossAttentionUNet:
    return CrossAttentionUNet(**MODERN)


def inputs() -> tuple[Condition, Tensor]:
    """A condition and noisy latents of two samples."""
    return Condition(torch.randn(2, 6), torch.randn(2, 9, 5), torch.randn(2, 3, 8, 8)), torch.randn(2, 4, 4, 4, 6)
