"""Radiographs made from CTs, for cases that have none of their own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from monai.transforms import MapTransform
from monai.utils import ensure_tuple
from torch import Tensor

from transmodal.errors import InputError
from transmodal.projection import Projector, attenuation
from transmodal.transforms.centring import CENTRES, centre_of
from transmodal.transforms.radiograph_loading import coronal_affine

__all__ = ["Radiographd", "isocentric_affine", "radiograph_of"]


def radiograph_of(
    image: MetaTensor,
    projector: Projector,
    centre: str = "image",
    density: Callable[[Tensor], Tensor] = attenuation,
) -> MetaTensor:
    """The digitally reconstructed radiograph of a CT.

    Args:
        image: CT in HU, (1, H, W, D), with its affine.
        projector: geometry and method.
        centre: what lies at the isocentre: ``"lungs"``, ``"body"`` or ``"image"`` (the middle of the grid).
        density: of HU, (B, 1, H, W, D) to the same shape.
    Returns:
        (1, rows, columns), float32, bright where dense; with :func:`~transmodal.projection.attenuation` millimetres of
        water. Rows run from head to feet, columns from the patient's right to his left. The metadata name the CT's case
        and file; the affine is that of the plane of the isocentre, counted from there.
    """
    picture = projector(density(image.as_tensor().float()[None]), isocentric_affine(image, centre))[0]
    edge = projector.geometry.pixel_at_isocentre
    plane = torch.from_numpy(coronal_affine(picture.shape[1:], (edge, edge)))
    named = {key: image.meta[key] for key in ("case", "filename_or_obj") if key in image.meta}
    return MetaTensor(picture, affine=plane, meta=named)


def isocentric_affine(image: MetaTensor, centre: str = "image") -> Tensor:
    """Voxel indices to mm in RAS from the isocentre, (4, 4), float64; see :func:`radiograph_of`."""
    affine = torch.from_numpy(to_affine_nd(3, np.asarray(image.affine.cpu(), dtype=np.float64)))
    affine[:3, 3] -= torch.from_numpy(centre_of(image, centre))
    return affine


class Radiographd(MapTransform):
    """Give each sample without a radiograph that of its CT; one that has a radiograph, or its file, keeps it.

    Args:
        keys: CTs in HU, (1, H, W, D).
        to: key of each radiograph, (1, rows, columns); see :func:`radiograph_of` for units and orientation.
        projector: geometry and method.
        centre: what lies at the isocentre: ``"image"``, the middle of the grid, after ``FieldOfViewd``; ``"lungs"`` or
            ``"body"`` on the scan as read, so that the picture also shows what the field of view cuts off.
        density: of HU; the published rule is :func:`~transmodal.projection.published_density`.
    Raises:
        InputError: if there is no such centre, or neither a radiograph nor a CT.
    """

    def __init__(
        self,
        keys: KeysCollection = "ct",
        to: KeysCollection = "image",
        *,
        projector: Projector,
        centre: str = "image",
        density: Callable[[Tensor], Tensor] = attenuation,
    ) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.to = dict(zip(self.keys, ensure_tuple(to), strict=True))
        self.projector, self.centre, self.density = projector, centre, density
        if centre not in CENTRES:
            raise InputError(
                "Radiographd, centre",
                found=repr(centre),
                wanted=f"one of {', '.join(CENTRES)}",
                remedy='"image" suits CTs on their field of view',
            )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key, to in self.to.items():
            if sample.get(to) is not None:
                continue
            if sample.get(key) is None:
                raise InputError(
                    f"case {sample.get('case', 'without a name')}",
                    found=f"neither {to!r} nor {key!r}",
                    wanted="a radiograph, or a CT to make one from",
                    remedy="add the file xray.png, xray.nii.gz or ct.nii.gz to the case",
                )
            sample[to] = radiograph_of(sample[key], self.projector, self.centre, self.density)
        return sample
