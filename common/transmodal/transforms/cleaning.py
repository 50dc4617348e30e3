"""Tidy a predicted mask: no islands, no holes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from monai.transforms import MapTransform
from nibabel.orientations import io_orientation
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from transmodal.errors import InputError, require_flag

__all__ = ["CleanMaskd", "fill_holes", "largest_components"]


class CleanMaskd(MapTransform):
    """Keep the large components of masks and fill their holes, slice by slice.

    Args:
        keys: masks (1, H, W[, D]) of 0 and 1; type and metadata are kept.
        share: a component stays if it has at least this share of the largest one's voxels: two legs are two
            components. 1 keeps the largest alone, 0 all.
        holes: fill what a mask encloses within a slice along ``axis``.
        axis: spatial axis that numbers the slices once the mask is oriented to RAS (2 is axial), however it is stored.
        enabled: false leaves everything as it is.
    Raises:
        InputError: if a flag arrives as a string, or the share is not from 0 to 1.
    """

    def __init__(
        self,
        keys: KeysCollection,
        share: float = 0.1,
        holes: bool = True,
        axis: int = 2,
        enabled: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        for name, flag in (("holes", holes), ("enabled", enabled)):
            require_flag(f"CleanMaskd, {name}", flag)
        if isinstance(share, str | bool) or not 0 <= share <= 1:
            raise InputError(
                "CleanMaskd, share",
                found=repr(share),
                wanted="a number from 0 to 1",
                remedy="0.1 keeps two legs and drops a table; 1 keeps the largest component alone",
            )
        self.share, self.holes, self.axis, self.enabled = float(share), holes, axis, enabled

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample) if self.enabled else ():
            sample[key] = self._clean(sample[key])
        return sample

    def _clean(self, mask: Tensor) -> Tensor:
        found = largest_components(np.asarray(mask.detach().cpu())[0] != 0, self.share)
        if self.holes:
            found = fill_holes(found, self._stored_axis(mask))
        cleaned = torch.from_numpy(found)[None].to(mask.device, mask.dtype)
        if not isinstance(mask, MetaTensor):
            return cleaned
        return MetaTensor(cleaned, meta=mask.meta, applied_operations=mask.applied_operations)

    def _stored_axis(self, mask: Tensor) -> int:
        """The axis of the array that runs along ``axis``; without an affine it is the same."""
        if not isinstance(mask, MetaTensor):
            return self.axis
        toward = io_orientation(to_affine_nd(3, mask.affine.cpu().numpy()))[:, 0]  # type: ignore[no-untyped-call]
        return int(np.flatnonzero(toward == self.axis)[0])


def largest_components(mask: NDArray[np.bool_], share: float = 0.1) -> NDArray[np.bool_]:
    """The components of a mask, joined by faces, that have at least ``share`` of the largest one's voxels."""
    components, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    large: NDArray[np.bool_] = np.isin(components, np.flatnonzero((sizes > 0) & (sizes >= share * sizes.max())))
    return large


def fill_holes(mask: NDArray[np.bool_], axis: int = 2) -> NDArray[np.bool_]:
    """The mask (H, W[, D]) with what it encloses, in each slice along ``axis`` for itself; a picture is one slice."""
    if mask.ndim == 2:
        picture: NDArray[np.bool_] = ndimage.binary_fill_holes(mask)
        return picture
    slices = [ndimage.binary_fill_holes(part) for part in np.moveaxis(mask, axis, 0)]
    return np.moveaxis(np.stack(slices), 0, axis)
