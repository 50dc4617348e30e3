"""Images as plain tensors: MONAI's metadata stays behind."""

from __future__ import annotations

from monai.data.meta_tensor import MetaTensor
from torch import Tensor

__all__ = ["plain_on_cpu", "without_metadata"]


def without_metadata(image: Tensor) -> Tensor:
    """The very values of an image, any shape, where they are; the gradient passes through."""
    return image.as_tensor() if isinstance(image, MetaTensor) else image


def plain_on_cpu(image: Tensor) -> Tensor:
    """The values of an image, any shape, on the CPU, without gradient."""
    return without_metadata(image).detach().cpu()
