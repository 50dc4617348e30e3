"""The grid of the published preprocessing: 80 middle slices of 256×256 pixels, whatever the case.

With ``transmodal.transforms.NonzeroPercentiles`` it repeats what the published models were trained on. Published code
never returns to the scanner's grid, and fails on volumes of fewer slices; here both work.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import BorderPad, InvertibleTransform, MapTransform, Resize
from monai.transforms.utils import create_translate, scale_affine
from monai.utils import TraceKeys
from numpy.typing import NDArray
from skimage.transform import resize

__all__ = ["MiddleSlicesd"]


class MiddleSlicesd(MapTransform, InvertibleTransform):
    """Keep the middle slices of a volume and stretch each to one size, smoothing where that shrinks it.

    The size of a pixel is not looked at: a slice of another shape is distorted, as in the published preprocessing. Its
    inverse stretches each slice back and surrounds them with background.

    Args:
        keys: volumes (C, H, W, D): scaled images, whose background is ``background``; or masks of whole numbers, whose
            background is 0, and which stay whole numbers.
        slices: how many are kept, from ``(D - slices) // 2``; a volume of fewer keeps all.
        size: of the slices, along the other two axes in their order.
        axis: spatial axis that numbers the slices.
        background: of scaled images, beyond the edge of a slice and, in the inverse, where no slice was kept. An image
            of two channels is a prediction and its deviation, which is 1 there, half the scale: nothing is known.
    """

    def __init__(
        self,
        keys: KeysCollection,
        slices: int = 80,
        size: Sequence[int] = (256, 256),
        axis: int = 2,
        background: float = -1.0,
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if slices < 1 or len(size) != 2 or min(size) < 1:
            raise ValueError(f"wanted slices > 0 and a size of two positive numbers, got {slices} and {size}")
        self.slices, self.axis, self.background = slices, axis, float(background)
        self.height, self.width = (int(number) for number in size)

    def __call__(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, MetaTensor]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            sample[key] = self._stretched(sample[key])
        return sample

    def _stretched(self, image: MetaTensor) -> MetaTensor:
        depth = image.shape[self.axis + 1]
        count = min(self.slices, depth)
        start = (depth - count) // 2
        kept = image.narrow(self.axis + 1, start, count)
        values = kept.as_tensor().movedim(self.axis + 1, 1)
        whole = not values.is_floating_point()
        background = 0.0 if whole else self.background
        stretched = np.stack([[self._stretch(slice_, background) for slice_ in channel] for channel in _array(values)])
        result = torch.from_numpy(stretched.round() if whole else stretched).movedim(1, self.axis + 1)
        result = MetaTensor(result.to(image), meta=image.meta, applied_operations=image.applied_operations)
        shift = create_translate(3, [start * (axis == self.axis) for axis in range(3)])
        scale = scale_affine(tuple(kept.shape[1:]), tuple(result.shape[1:]))
        information = {"start": start, "count": count, "mode": "trilinear"}
        tracked: MetaTensor = self.push_transform(
            result, affine=shift @ scale, orig_size=tuple(image.shape[1:]), extra_info=information
        )
        return tracked

    def _stretch(self, image: NDArray[np.float64], background: float) -> NDArray[np.float64]:
        """One slice at the published size; the library is the one that the published numbers were made with."""
        shape, values = (self.height, self.width), image - background
        stretched: NDArray[np.float64] = resize(values, shape, order=1, mode="constant", preserve_range=True)
        return stretched + background

    def inverse(self, data: Mapping[Hashable, MetaTensor]) -> dict[Hashable, MetaTensor]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            sample[key] = self._returned(sample[key])
        return sample

    def _returned(self, image: MetaTensor) -> MetaTensor:
        done = self.pop_transform(image)
        size = [int(number) for number in done[TraceKeys.ORIG_SIZE]]
        start, count, mode = (done[TraceKeys.EXTRA_INFO][name] for name in ("start", "count", "mode"))
        border = [0] * 6
        border[2 * self.axis : 2 * self.axis + 2] = start, size[self.axis] - start - count
        size[self.axis] = -1
        whole = not image.is_floating_point()
        shrink = Resize(size, mode="nearest" if whole else mode)
        surround = BorderPad(border, value=0.0 if whole else self.background)
        with shrink.trace_transform(False), surround.trace_transform(False):
            returned: MetaTensor = surround(shrink(image)).to(image.dtype)
        if len(returned) == 2:
            for missing in (slice(0, start), slice(start + count, None)):
                returned[1].movedim(self.axis, 0)[missing] = 1.0
        return returned


def _array(values: torch.Tensor) -> NDArray[np.float64]:
    return values.cpu().numpy().astype(np.float64)
