"""Body masks, found in the image (threshold, largest component, hole filling) or read from a file.

The mask decides which slices are trained on, where MR percentiles are taken and where errors are measured.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from monai.transforms import MapTransform, SpatialResample
from monai.utils import ensure_tuple
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor

from transmodal.errors import InputError
from transmodal.transforms.cleaning import fill_holes, largest_components
from transmodal.transforms.geometry import EnsureVolumed
from transmodal.transforms.loading import CheckedLoadImaged

__all__ = ["BodyMask", "BodyMaskd"]


class BodyMask:
    """Find the body in a volume.

    Args:
        threshold: intensity above which a voxel is tissue, in the image's units (CT: HU). Without it Otsu's threshold
            of the values up to the 99th percentile is taken, times ``otsu_factor`` because fat-suppressed or
            bias-shaded tissue lies far below the mean.
        otsu_factor: fraction of Otsu's threshold, for images without an absolute scale.
        opening: radius in voxels of the in-plane opening that cuts table, coil and blanket off the body.
        minimal: if less than this fraction of the volume is found, the whole volume is taken: an image cropped inside
            the body has no background to find.
    Source:
        N. Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9 (1979).
    """

    def __init__(
        self, threshold: float | None = None, otsu_factor: float = 0.3, opening: int = 1, minimal: float = 0.01
    ) -> None:
        self.threshold, self.otsu_factor, self.opening, self.minimal = threshold, otsu_factor, opening, minimal

    def __call__(self, image: Tensor) -> Tensor:
        """Mask of a volume.

        Args:
            image: (C, H, W, D) or (C, H, W), physical units; each channel has its own threshold.
        Returns:
            (1, H, W, D) or (1, H, W), uint8, 1 where a channel shows the body; the type and metadata of the input are
            kept.
        """
        values = np.asarray(image.detach().cpu(), dtype=np.float32)
        flat = values.ndim == 3
        masks = [self._find(channel[..., None] if flat else channel) for channel in values]
        mask = np.maximum.reduce(masks)
        found = torch.from_numpy(mask[..., 0] if flat else mask)[None].to(image.device)
        return MetaTensor(found, meta=image.meta, applied_operations=[]) if isinstance(image, MetaTensor) else found

    def _find(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        tissue = values > self._level(values)
        if self.opening:
            disc = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), self.opening)[..., None]
            tissue = ndimage.binary_opening(tissue, structure=disc)
        tissue = fill_holes(largest_components(tissue))  # two legs or raised arms are components of their own
        if tissue.mean() < self.minimal:
            tissue = np.ones_like(tissue)
        return tissue.astype(np.uint8)

    def _level(self, values: NDArray[np.float32]) -> float:
        if self.threshold is not None:
            return float(self.threshold)
        sample = values.ravel()[:: max(1, values.size // 200_000)]
        sample = sample[sample <= np.percentile(sample, 99)]
        low = float(sample.min())
        if float(sample.max()) <= low:
            return low
        return low + self.otsu_factor * (float(threshold_otsu(sample)) - low)  # type: ignore[no-untyped-call]


class BodyMaskd(MapTransform):
    """Add the body mask of each key (uint8, same grid), unless the sample already has one.

    Where the sample holds the path of a mask file instead, the file is read and laid onto the image's present grid by
    its position in space, nearest neighbour: whatever was done to the image before, the mask follows. Any value but
    zero is body.

    Args:
        keys: images in physical units, (C, H, W[, D]); one mask for all channels.
        modality: of the images, unless a sample names its own under the key ``modality``.
        body: mask finder of each modality.
        masks: where the masks go, or are; ``"body_" + key`` by default.
    Raises:
        InputError: if ``body`` has no entry for the modality, or a mask file cannot be read, holds no mask, is empty,
            or shows no body where the image is.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality: str,
        body: Mapping[str, BodyMask],
        masks: KeysCollection | None = None,
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.modality, self.body = modality, dict(body)
        names = [f"body_{key}" for key in self.keys] if masks is None else ensure_tuple(masks)
        self.masks = dict(zip(self.keys, names, strict=True))
        self._finder(modality)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        find_body = self._finder(sample.get("modality", self.modality))
        for key in self.key_iterator(sample):
            given = sample.get(self.masks[key])
            if given is None:
                sample[self.masks[key]] = find_body(sample[key])
            elif isinstance(given, str | Path):
                sample[self.masks[key]] = _read_mask(given, sample[key])
        return sample

    def _finder(self, modality: str) -> BodyMask:
        if modality not in self.body:
            raise InputError(
                "configuration id 'body'",
                found=f"no body mask for the modality {modality!r}",
                wanted=f"one of {', '.join(sorted(self.body))}",
                remedy="choose --source and --target among these, or add an entry to 'body'",
            )
        return self.body[modality]


def _read_mask(file: str | Path, image: Tensor) -> MetaTensor:
    """The mask of a file on the grid of an image (C, H, W[, D]): (1, H, W[, D]), uint8."""
    read = EnsureVolumed("mask")(CheckedLoadImaged("mask", modality="mask")({"mask": file}))
    mask, grid = read["mask"], image if isinstance(image, MetaTensor) else MetaTensor(image)
    spatial, affine = (*image.shape[1:], 1)[:3], to_affine_nd(3, grid.affine)
    onto = SpatialResample(mode="nearest", padding_mode="zeros", align_corners=False)
    found = onto((mask > 0).float(), dst_affine=affine, spatial_size=spatial).as_subclass(Tensor) > 0.5
    if not bool(found.any()):
        raise InputError(
            file,
            found=f"no body where the image is ({_where(mask)}; the image: {_where(grid)})",
            wanted="a mask of this image",
            remedy="make the mask from this image, or take it out: the body is then found automatically",
        )
    shaped = found.reshape(1, *image.shape[1:]).to(image.device, torch.uint8)
    return MetaTensor(shaped, meta=grid.meta, applied_operations=[])


def _where(image: MetaTensor) -> str:
    """The corners of a grid that lie farthest apart, in mm."""
    spatial = torch.tensor((*image.shape[1:], 1)[:3], dtype=torch.float64)
    affine = torch.as_tensor(to_affine_nd(3, image.affine), dtype=torch.float64)
    corners = affine[:3, 3], affine[:3, :3] @ (spatial - 1) + affine[:3, 3]
    return " to ".join("(" + ", ".join(f"{value:.0f}" for value in corner) + ")" for corner in corners) + " mm"
