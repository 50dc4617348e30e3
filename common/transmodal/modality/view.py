"""What the network sees: slices of any image on a scale that does not depend on its units, in a square of fixed size.

Robust percentiles of each slice become -1 and 1, so that an 8-bit picture and the scan it was made from look alike.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from transmodal.tensors import without_metadata

__all__ = ["as_seen", "evenly_spaced", "seen_slices"]

LOWER, UPPER = 0.005, 0.995
INFORMATIVE = 0.25
"""A slice shows something if its percentiles lie this far apart, as a share of those of the slice with the widest."""


def as_seen(image: Tensor, size: int) -> tuple[Tensor, float]:
    """One slice as the network sees it.

    Args:
        image: (H, W) in any units.
        size: S.
    Returns:
        (1, S, S) in [-1, 1], the longer side resized to S and the shorter one padded with -1; and the distance between
        the two percentiles in the units of the image, which is 0 for a slice that shows nothing.
    """
    height, width = image.shape
    scale = size / max(height, width)
    fitted = [max(1, round(height * scale)), max(1, round(width * scale))]
    resized = functional.interpolate(
        image[None, None].float(), size=fitted, mode="bilinear", align_corners=False, antialias=True
    )[0]
    ordered = resized.flatten().sort().values
    last = len(ordered) - 1
    low, high = ordered[round(LOWER * last)].item(), ordered[round(UPPER * last)].item()
    if high <= low:  # a nearly constant slice
        low, high = ordered[0].item(), ordered[-1].item()
    if high <= low:
        return torch.full((1, size, size), -1.0, device=image.device), 0.0
    unit = ((resized - low) * (2.0 / (high - low)) - 1.0).clamp(-1.0, 1.0)
    rows, columns = size - fitted[0], size - fitted[1]
    padding = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
    return functional.pad(unit, padding, value=-1.0), high - low


def seen_slices(image: Tensor, size: int, max_slices: int = 32, axis: int = 2) -> Tensor:
    """The informative ones among evenly spaced slices of a volume, or a lone slice.

    Args:
        image: (1, H, W) or (1, H, W, D) in any units.
        size: S of :func:`as_seen`.
        max_slices: look at this many at most.
        axis: spatial axis that numbers the slices.
    Returns:
        (N, 1, S, S) in [-1, 1]; N is 0 where no slice shows anything.
    """
    values = without_metadata(image)
    volume = values[0][..., None] if values.ndim == 3 else values[0].movedim(axis, -1)
    seen = [as_seen(volume[..., position], size) for position in evenly_spaced(volume.shape[-1], max_slices)]
    widest = max(contrast for _, contrast in seen)
    kept = [slice_ for slice_, contrast in seen if contrast > 0 and contrast >= INFORMATIVE * widest]
    return torch.stack(kept) if kept else torch.zeros((0, 1, size, size), device=values.device)


def evenly_spaced(length: int, count: int) -> list[int]:
    """At most ``count`` positions among ``length``, each in the middle of its share."""
    number = min(length, count)
    return [int((step + 0.5) * length / number) for step in range(number)]
