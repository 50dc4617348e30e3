"""A field of view in millimetres: every CT on the same grid around the same organ, its place in space kept."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from types import UnionType
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from transmodal.errors import InputError
from transmodal.transforms.centring import CENTRES, centre_of
from transmodal.transforms.resampling import Affine, resampled

__all__ = ["FieldOfViewd", "grid_affine"]


class FieldOfViewd(MapTransform):
    """Cut a field of view out of CTs and bring it to a grid, resampled once, antialiased where the grid is coarser.

    Args:
        keys: CTs in HU, (1, H, W, D), on any grid; they become (1, *grid), float32, with the affine of that grid.
        field_of_view: extent along each axis of the grid in mm, edge to edge.
        grid: voxels along each axis.
        axcodes: toward what each axis of the grid runs. ``"SPL"`` numbers axial slices from feet to head, their rows
            from front to back, their columns from the patient's right to his left.
        centre: what lies in the middle, found in the first key that is there: ``"lungs"``, ``"body"`` or ``"image"``
            (the middle of its grid).
        fill: HU outside the scan; lower values, with which scanners pad, become this too.
    Raises:
        InputError: if an argument is not as described, or there are no lungs to centre on.
    """

    def __init__(
        self,
        keys: KeysCollection,
        field_of_view: Sequence[float],
        grid: Sequence[int],
        axcodes: str = "SPL",
        centre: str = "lungs",
        fill: float = -1024.0,
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.onto = grid_affine(field_of_view, grid, axcodes)
        self.grid, self.centre, self.fill = (grid[0], grid[1], grid[2]), centre, float(fill)
        if centre not in CENTRES:
            raise _refused("centre", centre, f"one of {', '.join(CENTRES)}")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        onto = self.onto.copy()
        for number, key in enumerate(list(self.key_iterator(sample))):
            image: MetaTensor = sample[key].clamp(min=self.fill)
            if number == 0:
                onto[:3, 3] += centre_of(image, self.centre)
            sample[key] = resampled(image, onto, self.grid, self.fill)
        return sample


def grid_affine(
    field_of_view: Sequence[float],
    grid: Sequence[int],
    axcodes: str = "SPL",
    centre: Sequence[float] = (0.0, 0.0, 0.0),
) -> Affine:
    """Voxel indices of a grid to mm in RAS, (4, 4).

    Args:
        field_of_view: extent along each axis in mm, edge to edge.
        grid: voxels along each axis.
        axcodes: toward what each axis runs, three of ``RLAPSI``.
        centre: the middle of the grid, RAS mm.
    Raises:
        InputError: if an argument is not as described.
    """
    _check_three("field_of_view", field_of_view, int | float, "three positive numbers of mm")
    _check_three("grid", grid, int, "three positive whole numbers")
    places = ["RLAPSI".find(letter) for letter in axcodes] if isinstance(axcodes, str) else []
    if sorted(place // 2 for place in places) != [0, 1, 2]:
        raise _refused("axcodes", axcodes, "three letters, one of R and L, one of A and P, one of S and I")
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, place in enumerate(places):
        affine[place // 2, axis] = (-1) ** place * field_of_view[axis] / grid[axis]
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((np.asarray(grid) - 1) / 2)
    return affine


def _check_three(name: str, values: Sequence[float], kind: type | UnionType, wanted: str) -> None:
    good = isinstance(values, list | tuple) and len(values) == 3
    if not good or not all(isinstance(value, kind) and 0 < value < math.inf for value in values):
        raise _refused(name, values, wanted)


def _refused(name: str, value: object, wanted: str) -> InputError:
    return InputError(
        f"field of view, {name}",
        found=repr(value),
        wanted=wanted,
        remedy="for example field_of_view [320, 384, 384] mm on the grid [64, 256, 256] in SPL, centred on the lungs",
    )
