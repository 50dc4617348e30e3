"""The published preprocessing of CTs, for weights that were trained on it.

It stretches the lungs, or the scan, of every patient to the same number of voxels, so their size in millimetres varies
with the patient; here the affine keeps it. ``FieldOfViewd`` is the way without such stretching, for trainings of one's
own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Orientation
from numpy.typing import NDArray
from scipy import ndimage

from transmodal.errors import InputError

__all__ = ["PublishedGridd"]


class PublishedGridd(MapTransform):
    """Bring CTs in HU to the published grid; the window follows by ``ScaleModalityd``.

    The defaults are those of the CT angiograms, with the window [-200, 500] HU. Those of LIDC have ``spacing``
    [0.703125, 0.703125, 1.25], ``order`` 1, ``size`` [256, 256, 128], ``axcodes`` ``"PLS"`` and the window
    [-1200, 600] HU; the published code took the distance of slices for the spacing of pixels as well, which is not
    repeated here.

    Args:
        keys: CTs in HU, (1, H, W, D); they become (1, *size), float32, whole numbers, with the affine of the new grid.
        size: voxels along each axis.
        spacing: in mm along each axis, of the grid on the way.
        order: of the splines on the way; those to ``size`` are cubic.
        axcodes: toward what each axis runs. ``"SPL"`` numbers axial slices from feet to head.
        lungs: key of a mask of the lungs on the grid of the CT. Where a sample has it, the CT is first cut to the box
            around them, which as published excludes the last voxel along each axis.
    Raises:
        InputError: if the mask is on another grid or holds less than two voxels along an axis, or an argument is not
            as described.
    """

    def __init__(
        self,
        keys: KeysCollection,
        size: Sequence[int] = (128, 256, 256),
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
        order: int = 3,
        axcodes: str = "SPL",
        lungs: str = "lungs",
    ) -> None:
        super().__init__(keys)
        for name, values in (("size", size), ("spacing", spacing)):
            if isinstance(values, str) or len(values) != 3 or not all(value > 0 for value in values):
                raise InputError(
                    f"PublishedGridd, {name}",
                    found=repr(values),
                    wanted="three positive numbers",
                    remedy="leave it out for the published value",
                )
        self.size, self.spacing, self.order = tuple(size), np.asarray(spacing, dtype=float), order
        self.orient, self.lungs = Orientation(axcodes=axcodes, labels=None), lungs

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            image: MetaTensor = sample[key]
            values, affine = self._oriented(image)
            if sample.get(self.lungs) is not None:
                values, affine = self._cut(values, affine, sample[self.lungs])
            values = np.rint(values).astype(np.int16)
            pixdim = np.linalg.norm(affine[:3, :3], axis=0)
            values, affine = _zoomed(values, affine, np.round(values.shape * pixdim / self.spacing), self.order)
            values, affine = _zoomed(values, affine, self.size, order=3, mode="nearest")
            meta = {**image.meta, "affine": torch.from_numpy(affine), "spatial_shape": np.asarray(self.size)}
            sample[key] = MetaTensor(torch.from_numpy(values.astype(np.float32))[None], meta=meta)
        return sample

    def _oriented(self, image: MetaTensor) -> tuple[NDArray[Any], NDArray[np.float64]]:
        oriented: Any = self.orient(image)
        return oriented.as_tensor()[0].cpu().numpy(), oriented.affine.cpu().double().numpy()

    def _cut(
        self, values: NDArray[Any], affine: NDArray[np.float64], lungs: MetaTensor
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        mask, _ = self._oriented(lungs)
        places = np.argwhere(mask > 0)
        low, high = (places.min(axis=0), places.max(axis=0)) if len(places) else (np.zeros(3, int),) * 2
        if mask.shape != values.shape or not (high > low).all():
            raise InputError(
                f"the mask {self.lungs!r} of case {lungs.meta.get('case', 'without a name')}",
                found=f"{len(places)} voxels of lungs on a grid of shape {mask.shape}",
                wanted=f"lungs on the grid of the CT, {values.shape}",
                remedy="make the mask from this CT, or leave it out: the whole scan is then taken",
            )
        moved = affine.copy()
        moved[:3, 3] += affine[:3, :3] @ low
        return values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], moved


def _zoomed(
    values: NDArray[Any], affine: NDArray[np.float64], shape: Sequence[float], order: int, mode: str = "constant"
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Splines through the voxels; the first and last along each axis stay where they are."""
    zoomed: NDArray[Any] = ndimage.zoom(values, np.asarray(shape) / values.shape, order=order, mode=mode)
    ratio = [max(old - 1, 1) / max(new - 1, 1) for old, new in zip(values.shape, zoomed.shape, strict=True)]
    return zoomed, affine @ np.diag([*ratio, 1.0])
