"""The visual tower of BiomedCLIP, a ViT-B/16 with a linear head, as a frozen encoder of radiographs.

Zhang et al., A multimodal biomedical foundation model trained from fifteen million image-text pairs, NEJM AI 2025
(arXiv:2303.00915); Dosovitskiy et al., An image is worth 16×16 words, ICLR 2021 (arXiv:2010.11929), equations 1 to 4.
"""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.blocks.mlp import MLPBlock
from monai.networks.blocks.selfattention import SABlock
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.errors import InputError, require_flag
from xray2ctpa_bundle.conditioning import Condition

__all__ = ["MEAN", "STANDARD_DEVIATION", "BiomedCLIP", "VisionTransformer", "tower_input"]

MEAN, STANDARD_DEVIATION = 0.633, 0.181
"""Of radiographs on [0, 1], by which the published method normalises what the tower sees (not CLIP's own)."""
EPSILON = 1e-6
"""Of the tower's layer norms."""


class BiomedCLIP(nn.Module):
    """Radiographs to BiomedCLIP's embedding and patch tokens.

    A frozen tower computes without gradients, stays in evaluation mode whatever its parents do, and refuses to work
    before weights are loaded: features of random weights would pass for features. The defaults are the published tower.

    Args:
        image_size: rows and columns that the tower takes; radiographs of another size are resampled bilinearly.
        patch_size: of one token's square.
        width: C, of the tokens.
        depth: blocks.
        heads: attention heads of each block.
        embedding_dim: E, of the embedding, which has length 1.
        frozen: keep the weights as they were loaded; false trains them, from random ones if none are loaded.
    Raises:
        InputError: if the patches do not divide the image, or ``frozen`` arrives as a string.
    """

    def __init__(
        self,
        image_size: int = 224,
        patch_size: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        embedding_dim: int = 512,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        _check(image_size, patch_size, frozen)
        self.image_size, self.frozen, self.loaded = image_size, frozen, False
        self.embedding_dim, self.token_dim, self.plane_channels = embedding_dim, width, width
        self.trunk = VisionTransformer(image_size, patch_size, width, depth, heads)
        self.head = nn.Linear(width, embedding_dim, bias=False)
        self.requires_grad_(not frozen)
        self.train(not frozen)

    def train(self, mode: bool = True) -> BiomedCLIP:
        """Evaluation mode for good where the tower is frozen."""
        super().train(mode and not self.frozen)
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        # the one place that every way of loading weights passes through
        self.loaded = self.loaded or f"{prefix}trunk.class_token" in state_dict
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, image: Tensor) -> Condition:
        """Encode radiographs, (B, 1, S, S) in [-1, 1], bright where dense; the plane is the tokens in their places.

        Raises:
            InputError: if the tower is frozen and has no weights.
        """
        if self.frozen and not self.loaded:
            raise InputError(
                "BiomedCLIP, the encoder of radiographs",
                found="a frozen tower whose weights were never loaded",
                wanted="the published weights, or those of a trained network",
                remedy="load them by xray2ctpa_bundle.published_tower.with_tower(network, FILE); with frozen false the "
                "tower is trained from random weights",
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            class_token, tokens = self.trunk(tower_input(image, self.image_size))
            embedding = F.normalize(self.head(class_token), dim=-1)
        side = self.trunk.side
        return Condition(embedding, tokens, tokens.transpose(1, 2).unflatten(2, (side, side)))


def tower_input(image: Tensor, size: int = 224) -> Tensor:
    """What the published method gives the tower: [0, 1] less ``MEAN``, by the deviation, resampled, in three colours.

    Args:
        image: radiographs, (B, 1, rows, columns) in [-1, 1].
        size: rows and columns of the result, (B, 3, size, size).
    """
    normalised = ((image + 1) / 2 - MEAN) / STANDARD_DEVIATION
    if image.shape[2:] != (size, size):
        normalised = F.interpolate(normalised, size=(size, size), mode="bilinear", align_corners=False)
    return normalised.expand(-1, 3, -1, -1)


class VisionTransformer(nn.Module):
    """Patches with a class token and learned positions, through blocks of attention, to a norm.

    Args:
        image_size: rows and columns.
        patch_size: of one token's square.
        width: C, of the tokens.
        depth: blocks.
        heads: attention heads of each block.
    """

    def __init__(self, image_size: int, patch_size: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.side = image_size // patch_size
        self.patches = nn.Conv2d(3, width, kernel_size=patch_size, stride=patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + self.side**2, width))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The class token (B, C) and the patch tokens (B, N, C), row by row, of ``image``, (B, 3, S, S)."""
        patches = self.patches(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(image.shape[0], -1, -1), patches], dim=1) + self.positions
        normed: Tensor = self.norm(self.blocks(tokens))
        return normed[:, 0], normed[:, 1:]


class Block(nn.Module):
    """Attention between all tokens, then two layers for each; a norm before and a shortcut around both."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attention = SABlock(width, heads, qkv_bias=True, use_flash_attention=True)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = MLPBlock(width, 4 * width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, C) to tokens."""
        tokens = tokens + self.attention(self.norm1(tokens))
        refined: Tensor = tokens + self.mlp(self.norm2(tokens))
        return refined


def _check(image_size: int, patch_size: int, frozen: bool) -> None:
    if image_size % patch_size:
        raise InputError(
            "BiomedCLIP",
            found=f"an image of {image_size} pixels in patches of {patch_size}",
            wanted="an image_size that patch_size divides",
            remedy="the published tower takes 224 and 16",
        )
    require_flag("BiomedCLIP, frozen", frozen)
