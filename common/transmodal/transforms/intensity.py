"""Intensity scales of the modalities, to [-1, 1] for the networks and back to physical units for the reader.

CT has an absolute scale (Hounsfield units), so a fixed window is invertible. MR has none: each volume is scaled by
robust percentiles inside its own body, and a synthetic MR, which has none, is written on a documented scale.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ensure_tuple
from torch import Tensor

from transmodal.data.saving import DEVIATION_SUFFIX
from transmodal.errors import InputError

__all__ = [
    "HounsfieldWindow",
    "IntensityScale",
    "IntensityWindow",
    "RestoreModalityd",
    "RobustPercentiles",
    "ScaleModalityd",
    "SplitDeviationd",
    "scale_of",
]

BOUNDS = "intensity_bounds"


class IntensityScale(Protocol):
    """A linear map between physical units and [-1, 1], fixed by the two values that become -1 and 1."""

    units: str
    dtype: torch.dtype

    def bounds(self, image: Tensor, mask: Tensor | None = None) -> tuple[float, float]:
        """The physical values that become -1 and 1 for this image."""
        ...

    def scale(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Physical units to [-1, 1], clipping outside."""
        ...

    def restore(self, scaled: Tensor, bounds: tuple[float, float] | None = None) -> Tensor:
        """[-1, 1] to physical units, in the dtype that is written to files."""
        ...


class IntensityWindow:
    """A fixed window, for images on a known scale: normalised to [0, 1], or 8-bit pictures (0 to 255).

    Args:
        low, high: the values that become -1 and 1.
        units: of these values, as figures and reports name them.
        dtype: of restored images; whole numbers are rounded to.
    Raises:
        ValueError: if ``low >= high``.
        InputError: if ``dtype`` is not a data type of torch.
    """

    def __init__(
        self, low: float = 0.0, high: float = 1.0, units: str = "a.u.", dtype: torch.dtype = torch.float32
    ) -> None:
        if low >= high:
            raise ValueError(f"a window in {units} needs low < high, got low={low} and high={high}")
        if not isinstance(dtype, torch.dtype):
            raise InputError(
                f"{type(self).__name__}, dtype",
                found=repr(dtype),
                wanted="a data type of torch",
                remedy='write "$torch.float32" or "$torch.uint8"',
            )
        self.low, self.high, self.units, self.dtype = float(low), float(high), units, dtype

    def bounds(self, image: Tensor, mask: Tensor | None = None) -> tuple[float, float]:
        """The window, whatever the image."""
        return self.low, self.high

    def scale(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Physical units to [-1, 1], clipping outside the window; any shape, floating point."""
        return _to_unit(image, self.low, self.high)

    def restore(self, scaled: Tensor, bounds: tuple[float, float] | None = None) -> Tensor:
        """[-1, 1] to physical units, in ``dtype``."""
        restored = _from_unit(scaled, *(bounds or (self.low, self.high)))
        return (restored if self.dtype.is_floating_point else restored.round()).to(self.dtype)


class HounsfieldWindow(IntensityWindow):
    """A fixed window in Hounsfield units, restored to whole HU (int16).

    Args:
        low, high: the window's bounds in HU.
    Raises:
        ValueError: if ``low >= high``.
    """

    def __init__(self, low: float = -1000.0, high: float = 2000.0) -> None:
        super().__init__(low, high, units="HU", dtype=torch.int16)


class RobustPercentiles:
    """Per-volume percentiles inside the body, for modalities without an absolute scale.

    Args:
        lower, upper: percentiles in [0, 100] that become -1 and 1.
        scale: a synthetic image is written on [0, ``scale``], the upper percentile of a real one at ``scale``.
    Raises:
        ValueError: if the percentiles are not ``0 <= lower < upper <= 100`` or the scale is not positive.
    """

    units = "a.u."
    dtype = torch.float32

    def __init__(self, lower: float = 0.5, upper: float = 99.5, scale: float = 1000.0) -> None:
        if not 0 <= lower < upper <= 100 or scale <= 0:
            raise ValueError(f"wanted 0 <= lower < upper <= 100 and scale > 0, got {lower}, {upper} and {scale}")
        self.lower, self.upper, self.written_scale = float(lower), float(upper), float(scale)

    def bounds(self, image: Tensor, mask: Tensor | None = None) -> tuple[float, float]:
        """The two percentiles of ``image`` where ``mask`` is non-zero; of the whole image without a mask."""
        values = image if mask is None or not bool((mask > 0).any()) else image[mask > 0]
        values = _plain(values).flatten().float().sort().values
        low, high = (_quantile(values, q / 100) for q in (self.lower, self.upper))
        if high <= low:  # a nearly binary image: fall back to its full range
            low, high = float(values[0]), float(values[-1])
        return low, high

    def scale(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Arbitrary units to [-1, 1] by the percentiles inside ``mask``; (C, H, W[, D]), floating point."""
        return _to_unit(image, *self.bounds(image, mask))

    def restore(self, scaled: Tensor, bounds: tuple[float, float] | None = None) -> Tensor:
        """[-1, 1] to [0, ``scale``], or to the given bounds of a real volume (float32)."""
        low, high = bounds or (0.0, self.written_scale)
        return _from_unit(scaled, low, high).to(self.dtype)


class ScaleModalityd(MapTransform):
    """Scale each key to [-1, 1] by the intensity scale of its modality; the bounds travel in ``meta``.

    Deliberately not an ``InvertibleTransform``: a translation is restored with the *target's* scale
    (:class:`RestoreModalityd`), never with the source's.

    Args:
        keys: images (C, H, W[, D]) in physical units.
        modality: of the images, unless a sample names its own under the key ``modality``.
        intensity: intensity scale of each modality.
        body_prefix: the body mask of key ``k`` is taken from ``body_prefix + k`` where present.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality: str,
        intensity: Mapping[str, IntensityScale],
        body_prefix: str = "body_",
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.modality, self.intensity, self.body_prefix = modality, dict(intensity), body_prefix
        scale_of(modality, intensity)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        scale = scale_of(sample.get("modality", self.modality), self.intensity)
        for key in self.key_iterator(sample):
            image = sample[key]
            bounds = scale.bounds(image, sample.get(f"{self.body_prefix}{key}"))
            sample[key] = _to_unit(image, *bounds)
            if isinstance(sample[key], MetaTensor):
                sample[key].meta[BOUNDS] = list(bounds)
        return sample


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
        low, high = scale_of(modality, intensity).restore(torch.tensor([-1.0, 1.0])).tolist()
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
            broken = int((~torch.isfinite(_plain(sample[key]))).sum())
            if broken:  # whole HU cannot hold a NaN, and would hide it
                raise InputError(
                    f"the {key} of case {sample.get('case', 'without a name')}",
                    found=f"{broken} values that are not finite",
                    wanted="a finite image",
                    remedy="switch amp off, and check that the weights are those of a training that converged",
                )
            sample[key] = self.scale.restore(sample[key])
        return sample


def scale_of(modality: str, intensity: Mapping[str, IntensityScale]) -> IntensityScale:
    """The intensity scale of a modality.

    Raises:
        InputError: if the configuration has none for it.
    """
    if modality not in intensity:
        raise InputError(
            "configuration id 'intensity'",
            found=f"no scale for the modality {modality!r}",
            wanted=f"one of {_listed(list(intensity))}",
            remedy="choose --source and --target among these, or add a scale to 'intensity'",
        )
    return intensity[modality]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))


def _plain(image: Tensor) -> Tensor:
    return image.as_tensor() if isinstance(image, MetaTensor) else image


def _quantile(ordered: Tensor, q: float) -> float:
    """Linear-interpolation quantile of sorted values (``torch.quantile`` refuses more than 16 million of them)."""
    position = q * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return float(torch.lerp(ordered[below], ordered[above], position - below))


def _to_unit(image: Tensor, low: float, high: float) -> Tensor:
    return ((image.float() - low) * (2.0 / (high - low)) - 1.0).clamp(-1.0, 1.0)


def _from_unit(scaled: Tensor, low: float, high: float) -> Tensor:
    return (scaled.float().clamp(-1.0, 1.0) + 1.0) * ((high - low) / 2.0) + low
