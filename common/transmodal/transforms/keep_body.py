"""What lies outside the body is no part of a translation: table, coil, blanket, noise of the air."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import ensure_tuple

from transmodal.errors import InputError

__all__ = ["KeepBodyd"]


class KeepBodyd(MapTransform):
    """Set all voxels outside the body to one value.

    Args:
        keys: images (C, H, W[, D]), usually scaled to [-1, 1] by ``ScaleModalityd``.
        value: outside the body, in the units the image has at this point; -1 is air after scaling.
        masks: body mask of each key, (1, H, W[, D]), body where it is greater than zero; ``"body_" + key`` by default.
    Raises:
        InputError: if a mask is missing, is still a path, or has another shape than its image.
    """

    def __init__(
        self,
        keys: KeysCollection,
        value: float = -1.0,
        masks: KeysCollection | None = None,
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.value = float(value)
        self.masks = [f"body_{key}" for key in self.keys] if masks is None else list(ensure_tuple(masks))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key, name in self.key_iterator(sample, self.masks):
            image, mask = sample[key], sample.get(name)
            if not isinstance(mask, torch.Tensor) or mask.shape[1:] != image.shape[1:]:
                raise InputError(
                    f"the {key} of case {sample.get('case', 'without a name')}",
                    found=_found(mask, str(name)),
                    wanted=f"the body mask {name!r} of shape (1, {', '.join(map(str, image.shape[1:]))})",
                    remedy="place KeepBodyd after BodyMaskd, and treat image and mask alike in between",
                )
            outside = (mask <= 0).as_subclass(torch.Tensor).to(image.device)
            sample[key] = image.masked_fill(outside, self.value)
        return sample


def _found(mask: Any, name: str) -> str:
    if isinstance(mask, torch.Tensor):
        return f"a mask {name!r} of shape ({', '.join(map(str, mask.shape))})"
    return f"no mask {name!r}" if mask is None else f"{mask!r} in place of the mask {name!r}"
