"""CT as people pass it on without its units: an 8-bit picture of a display window."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

__all__ = ["AsPictured", "pictured"]


def pictured(image: Tensor, low: float, high: float) -> Tensor:
    """The grey values 0 to 255 of ``image`` (any shape, HU) within a window."""
    return ((image.float() - low) * (255.0 / (high - low))).clamp(0.0, 255.0).round()


class AsPictured(MapTransform):
    """Make the picture of a sample's ``window``, ``[low, high]`` in HU; a sample without one stays as it is.

    Args:
        keys: images in HU.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        if sample.get("window"):
            for key in self.key_iterator(sample):
                sample[key] = pictured(sample[key], *sample["window"])
        return sample
