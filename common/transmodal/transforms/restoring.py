"""From the networks' range back to what a reader of the written file expects."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ensure_tuple
from torch import Tensor

from transmodal.data.saving import DEVIATION_SUFFIX
from transmodal.errors import InputError
from transmodal.transforms.intensity import BOUNDS, IntensityScale, restored_bounds, scale_of

__all__ = ["OnScaleOfd", "RestoreModalityd", "SplitDeviationd"]


class SplitDeviationd(MapTransform):
    """Move the standard deviation of several samples out of a prediction, in physical units.

    It stands after the inverse of the preprocessing and before :class:`RestoreModalityd`. A prediction with an even
    number of channels, two or more, is a mean followed by as many channels of deviation; one with a single channel, or
    any other odd number, holds no deviation and stays as it is.

    Args:
        keys: predictions (C, H, W[, D]) in [-1, 1].
        to: key of each deviation, float32: a width, so it is scaled but not shifted, and is never below 0. Its
            metadata ask for a file of its own, by ``suffix``.
        modality: modality of the predictions.
        intensity: intensity scale of each modality.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        to: KeysCollection = "pred_std",
        *,
        modality: str,
        intensity: Mapping[str, IntensityScale],
    ) -> None:
        super().__init__(keys)
        self.to = dict(zip(self.keys, ensure_tuple(to), strict=True))
        low, high = restored_bounds(scale_of(modality, intensity))
        self.half_width = (high - low) / 2

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            image = sample[key]
            if len(image) % 2 == 0:
                mean, deviation = image[: len(image) // 2], image[len(image) // 2 :]
                sample[key] = mean
                deviation = (deviation.float() * self.half_width).clamp(min=0)
                if isinstance(deviation, MetaTensor):
                    deviation.meta["suffix"] = DEVIATION_SUFFIX
                sample[self.to[key]] = deviation
        return sample


class RestoreModalityd(MapTransform):
    """Bring predictions from [-1, 1] to the physical units of their modality, in the dtype that is written to files.

    Args:
        keys: predictions in [-1, 1], (C, H, W[, D]).
        modality: modality of the predictions.
        intensity: intensity scale of each modality.
    Raises:
        InputError: if a prediction is not finite.
    """

    def __init__(self, keys: KeysCollection, modality: str, intensity: Mapping[str, IntensityScale]) -> None:
        super().__init__(keys)
        self.scale = scale_of(modality, intensity)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            broken = int((~torch.isfinite(sample[key])).sum())
            if broken:  # whole HU cannot hold a NaN, and would hide it
                raise InputError(
                    f"the {key} of case {sample.get('case', 'without a name')}",
                    found=f"{broken} values that are not finite",
                    wanted="a finite image",
                    remedy="switch amp off, and check that the weights are those of a training that converged",
                )
            sample[key] = self.scale.restore(sample[key])
        return sample


class OnScaleOfd(MapTransform):
    """Bring a restored image from its modality's documented scale to the intensities of one contrast it was made from.

    MR has no absolute scale, so a viewer shows a synthetic contrast like the real ones of its case only if it lies in
    the range of one of them. It stands after :class:`RestoreModalityd`. The map is a factor, so that the background,
    which is 0 on the documented scale of MR, is 0 again, as in images that were cut out.

    Args:
        keys: restored images (C, H, W[, D]) on [0, ``scale``]; they become float32, ``scale`` being the value that
            was 1 in the contrast's file.
        contrast: whose intensities; ``None`` leaves everything on the documented scale.
        contrasts: names of the channels of ``image``, in their order.
        modality: modality of the restored images.
        intensity: intensity scale of each modality.
        image: key of the scaled image, whose metadata hold the bounds of each channel (see :class:`ScaleModalityd`).
        deviations: keys of standard deviations, where present.
    Raises:
        InputError: if there is no such contrast, or the image was not scaled channel by channel.
    """

    def __init__(
        self,
        keys: KeysCollection,
        contrast: str | None,
        contrasts: Sequence[str],
        modality: str,
        intensity: Mapping[str, IntensityScale],
        image: str = "image",
        deviations: KeysCollection = (),
    ) -> None:
        super().__init__(keys)
        self.contrasts: tuple[str, ...] = ensure_tuple(contrasts)
        if contrast is not None and contrast not in self.contrasts:
            raise InputError(
                "OnScaleOfd, contrast",
                found=repr(contrast),
                wanted=f"null, or one of the contrasts that are read: {', '.join(self.contrasts)}",
                remedy="a synthetic image takes over the scale of a contrast it was made from; choose one of these",
            )
        self.contrast, self.image, self.deviations = contrast, image, ensure_tuple(deviations)
        self.full = float(scale_of(modality, intensity).restore(torch.ones(1)))

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        sample = dict(data)
        if self.contrast is None:
            return sample
        gain = self._upper(sample) / self.full
        for key in [*self.key_iterator(sample), *(key for key in self.deviations if key in sample)]:
            sample[key] = sample[key].float() * gain
        return sample

    def _upper(self, sample: Mapping[Hashable, Tensor]) -> float:
        bounds = np.asarray(getattr(sample.get(self.image), "meta", {}).get(BOUNDS, ()), dtype=float)
        if bounds.shape != (len(self.contrasts), 2):
            raise InputError(
                f"the {self.image} of case {sample.get('case', 'without a name')}",
                found=f"intensity bounds {bounds.tolist()}",
                wanted=f"bounds of {', '.join(self.contrasts)}",
                remedy="scale it by ScaleModalityd with the list of its contrasts as modality",
            )
        return float(bounds[self.contrasts.index(str(self.contrast)), 1])
