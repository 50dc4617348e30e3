"""Images on their way into a network and out again: plain tensors inside, MONAI's metadata outside."""

from __future__ import annotations

import torch
from monai.utils import convert_to_dst_type
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.tensors import without_metadata

__all__ = ["plain_input", "with_metadata_of"]

_WANTED = {2: "pictures of one channel, (B, 1, H, W)", 3: "volumes of one channel, (B, 1, D, H, W)"}


def plain_input(inputs: Tensor, network: nn.Module, where: str, spatial_dims: int, remedy: str) -> Tensor:
    """The values of images of one channel, float32, on the device of a network.

    Args:
        inputs: (B, 1, H, W) or (B, 1, D, H, W).
        network: with parameters.
        where, remedy: of the error.
        spatial_dims: 2 for pictures, 3 for volumes.
    Raises:
        InputError: if there are more channels, or other dimensions.
    """
    if inputs.ndim != spatial_dims + 2 or inputs.shape[1] != 1:
        raise InputError(
            where,
            found=f"an image of shape {tuple(inputs.shape)}",
            wanted=_WANTED[spatial_dims],
            remedy=remedy,
        )
    plain = without_metadata(inputs)
    return plain.to(next(network.parameters()).device, torch.float32)


def with_metadata_of(inputs: Tensor, translated: Tensor) -> Tensor:
    """The translation, float32, with the metadata of its source, which inverse transforms and writers need."""
    result: Tensor = convert_to_dst_type(translated, dst=inputs, dtype=torch.float32)[0]
    return result
