"""The factorised U-Net of X-ray2CTPA with its attention as published, to measure ours against: equal outputs.

Queries are scaled before their positions turn them, and the scores of all pairs of tokens of all heads stand in memory
before the softmax (Cahan et al., "X-ray2CTPA", 2024). All else is no different from ours.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def as_published(network: nn.Module) -> nn.Module:
    """Copy a network with the published attention in the place of ours; the copy holds the very same parameters."""
    same = {id(parameter): parameter for parameter in network.parameters()}
    return _transcribed(copy.deepcopy(network, memo=dict(same)))


class PublishedAttention(nn.Module):
    """Softmax over all tokens of q · k / sqrt(D) plus a bias, in each head and sequence."""

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        self.heads, self.rotary = ours.heads, ours.rotary
        self.query_key_value, self.projection = ours.query_key_value, ours.projection

    def forward(self, tokens: Tensor, bias: Tensor | None = None, focus: Tensor | None = None) -> Tensor:
        """(B, G, N, C) to the same shape; ``bias`` is (heads, N, N). ``focus`` is never given."""
        query, key, value = (self._heads(part) for part in self.query_key_value(tokens).chunk(3, dim=-1))
        query = query * query.shape[-1] ** -0.5
        if self.rotary:
            query, key = rotary(query), rotary(key)
        scores = torch.einsum("bghic,bghjc->bghij", query, key)
        if bias is not None:
            scores = scores + bias
        scores = scores - scores.amax(dim=-1, keepdim=True)
        attended = torch.einsum("bghij,bghjc->bghic", scores.softmax(dim=-1), value)
        return self.projection(attended.transpose(2, 3).flatten(3))

    def _heads(self, tokens: Tensor) -> Tensor:
        """(B, G, N, heads · D) as (B, G, heads, N, D)."""
        return tokens.unflatten(-1, [self.heads, -1]).transpose(2, 3)


def rotary(tokens: Tensor) -> Tensor:
    """x cos + (-x2, x1) sin for neighbouring numbers x1, x2 of (..., N, D), by angles n / 10000^(2 i / D)."""
    count, dim = tokens.shape[-2:]
    frequencies = 1.0 / 10000 ** (torch.arange(0, dim, 2, device=tokens.device).float() / dim)
    angles = torch.arange(count, device=tokens.device).float()[:, None] * frequencies
    angles = angles.repeat_interleave(2, dim=-1)
    turned = torch.stack([-tokens[..., 1::2], tokens[..., 0::2]], dim=-1).flatten(-2)
    return tokens * angles.cos() + turned * angles.sin()


def _transcribed(module: nn.Module) -> nn.Module:
    if type(module).__name__ == "Attention":
        return PublishedAttention(module)
    for name, child in module.named_children():
        setattr(module, name, _transcribed(child))
    return module
