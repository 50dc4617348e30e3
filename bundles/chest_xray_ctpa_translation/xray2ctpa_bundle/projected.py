"""The radiograph of a CT on the scale that networks take radiographs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from monai.data import MetaTensor
from torch import Tensor

from transmodal.errors import InputError
from transmodal.projection import Projector, attenuation
from transmodal.transforms import IntensityScale, radiograph_of

__all__ = ["WindowedAttenuation", "projected"]

MARGIN = 50.0
"""HU above the lowest of a window from which attenuation is whole."""


class WindowedAttenuation:
    """Attenuation relative to water of what a model writes in its window of HU, the end of which stands for air.

    A model with a window from -200 HU up writes air and lungs as -200, which would absorb four fifths of what water
    does. Here the lowest value absorbs nothing, and what lies 50 HU or more above it all it should, linearly between.
    Values outside the window count as its ends, so that a true CT absorbs what the best result would. With a window
    from -1000 HU up it is :func:`~transmodal.projection.attenuation`, clipped above.

    Args:
        window: lowest and highest HU that the model writes.
    Raises:
        InputError: if it is not two numbers, the lower first.
    """

    def __init__(self, window: Sequence[float]) -> None:
        if isinstance(window, str) or len(window) != 2 or not window[0] < window[1]:
            raise InputError(
                "WindowedAttenuation, window",
                found=repr(window),
                wanted="lowest and highest HU",
                remedy="write [-1000, 600]",
            )
        self.low, self.high = float(window[0]), float(window[1])

    def __call__(self, hu: Tensor) -> Tensor:
        """Density of CTs in HU, any shape, floating point."""
        written = hu.clamp(self.low, self.high)
        near = (1 - (written - self.low) / MARGIN).clamp(min=0)
        return attenuation(written) - near * max(1 + self.low / 1000, 0.0)


@torch.no_grad()
def projected(
    volume: Tensor,
    affine: Tensor,
    projector: Projector,
    intensity: IntensityScale,
    density: Callable[[Tensor], Tensor] = attenuation,
) -> Tensor:
    """The projection of a CT as if it were a given radiograph.

    Args:
        volume: CT in HU, (1, F, H, W).
        affine: voxel indices to mm in RAS, (4, 4).
        projector: geometry and method.
        intensity: scale of radiographs.
        density: of HU, see :class:`~transmodal.transforms.Radiographd`.
    Returns:
        (1, rows, columns) in [-1, 1]; black, -1, where a CT has no density at all and so no contrast to scale by.
    """
    picture = radiograph_of(MetaTensor(volume, affine=affine), projector, density=density).as_tensor()
    flat = bool(picture.max() == picture.min())
    return torch.full_like(picture, -1.0) if flat else intensity.scale(picture)
