"""Scalable padding of MD-DGA: what lets a network halve features of any size and give back that very size.

Before a level is halved, each odd axis grows by one element at its end; after it is doubled, the element goes again.
The new elements are as low as the lowest feature there is, so that they look like the background and not like zeros.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def padded_to_even(features: Tensor, legacy: bool = False) -> Tensor:
    """Append one element to each odd spatial axis, filled with the minimum of the features.

    Gradients flow into that minimum, as published.

    Args:
        features: (B, C, *S), of any spatial size.
        legacy: take the minimum over the whole batch, as published, whereby a result depends on what else is in the
            batch; otherwise each sample, over all its channels and voxels, has its own. At B = 1 both are equal.
    Returns:
        (B, C, *S') with S' even; ``features`` itself where S is.
    """
    odd = [size % 2 for size in features.shape[2:]]
    if sum(odd) == 0:
        return features
    lowest = features.amin(dim=list(range(0 if legacy else 1, features.ndim)), keepdim=True)
    margins: list[int] = []
    for extra in odd[::-1]:  # F.pad starts with the last axis
        margins += [0, extra]
    padded = F.pad(features, margins)
    for axis, extra in enumerate(odd):
        if extra == 1:
            padded.narrow(2 + axis, features.shape[2 + axis], 1).copy_(lowest)
    return padded


def cropped_to(features: Tensor, size: list[int]) -> Tensor:
    """Keep the first ``size`` elements of the spatial axes of ``features``, (B, C, *S); undoes the padding."""
    for axis, length in enumerate(size):
        features = features.narrow(2 + axis, 0, length)
    return features
