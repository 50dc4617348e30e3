"""Where a CT made from a radiograph lies in space: on the working grid, which the radiograph itself does not know."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from transmodal.errors import InputError
from transmodal.tensors import without_metadata
from transmodal.transforms import grid_affine

__all__ = ["PlaceOnGridd"]

KEPT = ("case", "filename_or_obj", "suffix")
"""Of the metadata of a radiograph, what tells which case it is; the rest is about its pixels."""


class PlaceOnGridd(MapTransform):  # type: ignore[misc]
    """Give volumes the affine of the grid they are made on.

    Without ``like`` the middle of the volume lies at 0, 0, 0 mm. All channels of a volume have one affine, so this may
    stand before or after the one that splits off a standard deviation.

    Args:
        keys: of the volumes, (C, F, H, W), with the metadata of their radiographs.
        field_of_view: extent of the volume along each axis in mm, edge to edge.
        axcodes: toward what each axis runs, as for :class:`~transmodal.transforms.FieldOfViewd`.
        like: key of an image on the same grid, such as the true CT, whose place is taken instead; its voxels have to be
            as many.
    Raises:
        InputError: if the field of view or the axis codes are none; when called, if ``like`` is missing or of another
            size.
    """

    def __init__(
        self,
        keys: KeysCollection,
        field_of_view: Sequence[float] = (320.0, 384.0, 384.0),
        axcodes: str = "SPL",
        like: str | None = None,
    ) -> None:
        super().__init__(keys)
        self.field_of_view, self.axcodes, self.like = field_of_view, axcodes, like
        grid_affine(field_of_view, (1, 1, 1), axcodes)  # refuses what cannot be meant

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The same volumes as MONAI's ``MetaTensor``, each in its place."""
        sample = dict(data)
        for key in self.key_iterator(sample):
            volume = sample[key]
            affine = self._affine(sample, tuple(volume.shape[1:]))
            meta = volume.meta if isinstance(volume, MetaTensor) else {}
            known = {name: meta[name] for name in KEPT if name in meta}
            plain = without_metadata(volume)
            sample[key] = MetaTensor(plain, affine=affine, meta=known)
        return sample

    def _affine(self, sample: Mapping[Hashable, Any], size: tuple[int, ...]) -> Tensor:
        if self.like is None:
            return torch.from_numpy(grid_affine(self.field_of_view, size, self.axcodes))
        image = sample.get(self.like)
        if not isinstance(image, MetaTensor) or tuple(image.shape[1:]) != size:
            raise InputError(
                f"PlaceOnGridd, like '{self.like}'",
                found=f"an image of {_told(image.shape[1:])} voxels" if isinstance(image, Tensor) else "no image",
                wanted=f"one on the grid of the volume, {_told(size)} voxels, that knows its place",
                remedy="bring the true CT to the working grid by FieldOfViewd, or set `like` to null",
            )
        place: Tensor = image.affine
        return place


def _told(size: Sequence[int]) -> str:
    return "×".join(map(str, size))
