"""What happens to images before somebody asks for their modality: windows, inversion, crops, blur, eight bits.

Everything that does not tell CT from MR is drawn alike for both, so that the network cannot go by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

__all__ = ["Augmentation", "noise_image"]

HOUNSFIELD = -200.0
"""A CT slice with a smaller value is in HU; another one is a picture already."""


class Augmentation:
    """Random views of slices.

    Args:
        windows: display windows ``[low, high]`` in HU for CT; they are shifted and widened at random.
        smallest: side in pixels below which nothing is cropped.
    """

    def __init__(self, windows: Mapping[str, Sequence[float]], smallest: int = 40) -> None:
        self.windows, self.smallest = [tuple(map(float, window)) for window in windows.values()], smallest

    def __call__(self, image: Tensor, is_ct: bool, draw: Generator) -> Tensor:
        """A view of ``image``, (H, W) in HU or any units; of another size, about [0, 1]."""
        image = self._cropped(image, draw)
        low, high = self._range(image, is_ct, draw)
        unit = ((image - low) / (high - low)).clamp(0.0, 1.0)
        if float(unit.std()) < 0.02:  # the window shows nothing of this slice
            low, high = torch.aminmax(image)
            unit = (image - low) / (high - low).clamp_min(1e-6)
        unit = unit ** float(np.exp(draw.uniform(-0.5, 0.5))) if draw.random() < 0.35 else unit
        unit = unit * _field(unit.shape, draw) if draw.random() < (0.05 if is_ct else 0.3) else unit
        unit = torch.where(unit < draw.uniform(0.02, 0.12), 0.0, unit) if draw.random() < 0.15 else unit
        unit = _blurred(unit, draw.uniform(0.4, 1.0)) if draw.random() < 0.25 else unit
        unit = _coarse(unit, draw.uniform(1.2, 2.0)) if draw.random() < 0.2 else unit
        if draw.random() < 0.25:
            unit = unit + _noise(unit.shape, draw) * draw.uniform(0.005, 0.04)
        unit = 1.0 - unit if draw.random() < 0.06 else unit
        unit = (unit.clamp(0.0, 1.0) * 255).round() / 255 if draw.random() < 0.5 else unit
        unit = torch.rot90(unit, int(draw.integers(4)))
        return unit.flip(0) if draw.random() < 0.5 else unit

    def _cropped(self, image: Tensor, draw: Generator) -> Tensor:
        if draw.random() < 0.5:
            return image
        sizes = [max(min(n, self.smallest), round(n * draw.uniform(0.6, 1.0))) for n in image.shape]
        row, column = (int(draw.integers(n - size + 1)) for n, size in zip(image.shape, sizes, strict=True))
        crop = image[row : row + sizes[0], column : column + sizes[1]]
        return crop if float(crop.std()) > 0.2 * float(image.std()) else image

    def _range(self, image: Tensor, is_ct: bool, draw: Generator) -> tuple[float, float]:
        """The values that become 0 and 1."""
        lowest, highest = (float(value) for value in torch.aminmax(image))
        if is_ct and lowest < HOUNSFIELD and draw.random() < 0.75:
            low, high = self.windows[int(draw.integers(len(self.windows)))]
            centre, width = (low + high) / 2 + draw.uniform(-0.15, 0.15) * (high - low), high - low
            width *= float(np.exp(draw.uniform(-0.35, 0.35)))
            return centre - width / 2, centre + width / 2
        if is_ct:
            return max(lowest, -1100.0), max(highest * draw.uniform(0.5, 1.0), lowest + 1.0)
        span = highest - lowest
        upper = float(torch.quantile(image.flatten()[::4].float(), draw.uniform(0.9, 1.0)))
        upper = upper if upper > lowest + 0.05 * span else highest
        return lowest, max(upper, lowest + 1e-6)


def noise_image(size: int, draw: Generator) -> Tensor:
    """Noise of random smoothness, (size, size) in [0, 1]: an image of nothing."""
    coarse = int(draw.choice([4, 8, 16, 32, size]))
    noise = torch.from_numpy(draw.standard_normal((1, 1, coarse, coarse)).astype(np.float32))
    image = functional.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False)[0, 0]
    low, high = torch.aminmax(image)
    return (image - low) / (high - low)


def _noise(shape: Sequence[int], draw: Generator) -> Tensor:
    return torch.from_numpy(draw.standard_normal(tuple(shape)).astype(np.float32))


def _field(shape: Sequence[int], draw: Generator) -> Tensor:
    """A smooth field of at most 1, as a receiving coil has it."""
    coarse = torch.from_numpy(draw.uniform(-0.7, 0.7, (1, 1, 3, 3)).astype(np.float32))
    field = functional.interpolate(coarse, size=tuple(shape), mode="bicubic", align_corners=True)[0, 0].exp()
    return field / field.max()


def _blurred(image: Tensor, sigma: float) -> Tensor:
    radius = max(1, round(2.5 * sigma))
    if min(image.shape) <= radius:
        return image
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).to(image.dtype)
    padded = functional.pad(image[None, None], [radius] * 4, mode="reflect")
    columns = functional.conv2d(padded, weights.view(1, 1, 1, -1))
    return functional.conv2d(columns, weights.view(1, 1, -1, 1))[0, 0]


def _coarse(image: Tensor, factor: float) -> Tensor:
    """Sampled more coarsely and brought back to its size, as images on another grid are."""
    smaller = [max(8, round(n / factor)) for n in image.shape]
    down = functional.interpolate(image[None, None], size=smaller, mode="bilinear", antialias=True)
    return functional.interpolate(down, size=tuple(image.shape), mode="bilinear")[0, 0]
