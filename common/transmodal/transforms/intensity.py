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

from transmodal.errors import InputError
from transmodal.tensors import without_metadata

__all__ = [
    "HounsfieldWindow",
    "IntensityScale",
    "IntensityWindow",
    "NonzeroPercentiles",
    "RobustPercentiles",
    "ScaleModalityd",
    "restored_bounds",
    "scale_of",
]

BOUNDS = "intensity_bounds"
"""Where the metadata of a scaled image hold the physical values that became -1 and 1."""


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
        InputError: if not ``low < high``, or ``dtype`` is not a data type of torch.
    """

    def __init__(
        self, low: float = 0.0, high: float = 1.0, units: str = "a.u.", dtype: torch.dtype = torch.float32
    ) -> None:
        if not low < high:
            raise InputError(
                f"{type(self).__name__}, low and high",
                found=f"low {low} and high {high} {units}",
                wanted="low < high",
                remedy="give the values that are to become -1 and 1, the lower one first",
            )
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
        InputError: if the percentiles are not ``0 <= lower < upper <= 100`` or the scale is not positive.
    """

    units = "a.u."
    dtype = torch.float32

    def __init__(self, lower: float = 0.5, upper: float = 99.5, scale: float = 1000.0) -> None:
        if not 0 <= lower < upper <= 100 or scale <= 0:
            raise InputError(
                f"{type(self).__name__}, lower, upper and scale",
                found=f"{lower}, {upper} and {scale}",
                wanted="0 <= lower < upper <= 100 and scale > 0",
                remedy="give two percentiles, 0.5 and 99.5 as a rule, and the value that the upper one is written as",
            )
        self.lower, self.upper, self.written_scale = float(lower), float(upper), float(scale)

    def bounds(self, image: Tensor, mask: Tensor | None = None) -> tuple[float, float]:
        """The two percentiles of ``image`` where ``mask`` is non-zero; of the whole image without a mask."""
        values = image if mask is None or not bool((mask > 0).any()) else image[mask > 0]
        values = without_metadata(values).flatten().float().sort().values
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


class NonzeroPercentiles(RobustPercentiles):
    """Percentiles over the voxels above 0 of a whole volume, as published for MU-Diff; for skull-stripped images.

    A body mask is ignored. Everything is clipped, so the background becomes -1, and so does the darkest tissue.

    Args:
        lower, upper: percentiles in [0, 100] that become -1 and 1.
        scale: a synthetic image is written on [0, ``scale``], the upper percentile of a real one at ``scale``.
    Raises:
        InputError: if the percentiles are not ``0 <= lower < upper <= 100`` or the scale is not positive.
    """

    def __init__(self, lower: float = 1.0, upper: float = 99.0, scale: float = 1000.0) -> None:
        super().__init__(lower, upper, scale)

    def bounds(self, image: Tensor, mask: Tensor | None = None) -> tuple[float, float]:
        """The two percentiles of the positive values of ``image``.

        Raises:
            InputError: if it has none.
        """
        values = without_metadata(image)
        if not bool((values > 0).any()):
            raise InputError(
                "an image that NonzeroPercentiles scales",
                found="no voxel above 0",
                wanted="tissue above 0 on a background of 0, as skull stripping leaves it",
                remedy="shift the image so that its background is 0, or scale by RobustPercentiles in 'intensity'",
            )
        low, high = super().bounds(values[values > 0])
        return (low, high) if low < high else (0.0, high)  # a binary image


class ScaleModalityd(MapTransform):
    """Scale each key to [-1, 1] by the intensity scale of its modality; the bounds travel in ``meta``.

    Deliberately not an ``InvertibleTransform``: a translation is restored with the *target's* scale
    (:class:`RestoreModalityd`), never with the source's.

    Args:
        keys: images (C, H, W[, D]) in physical units.
        modality: of the images, unless a sample names its own under the key ``modality``; a list names one per
            channel, each of which is scaled for itself. ``meta["intensity_bounds"]`` holds the two values that became
            -1 and 1, for a list two of each channel.
        intensity: intensity scale of each modality.
        body_prefix: the body mask of key ``k`` is taken from ``body_prefix + k`` where present.
    Raises:
        InputError: if ``intensity`` has no scale for a modality, or an image has another number of channels than names.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality: str | Sequence[str],
        intensity: Mapping[str, IntensityScale],
        body_prefix: str = "body_",
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.modality, self.intensity, self.body_prefix = modality, dict(intensity), body_prefix
        for name in ensure_tuple(modality):
            scale_of(name, intensity)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        modality = sample.get("modality", self.modality)
        for key in self.key_iterator(sample):
            image, mask = sample[key], sample.get(f"{self.body_prefix}{key}")
            where = f"the {key} of case {sample.get('case', 'without a name')}"
            if isinstance(modality, str):
                bounds: Any = self._bounds(image, mask, modality, where)
                sample[key] = self._scaled(image, mask, modality, bounds)
            else:
                _check_channels(image, modality, where)
                bounds = [self._bounds(image[c : c + 1], mask, name, where) for c, name in enumerate(modality)]
                sample[key] = torch.cat([_to_unit(image[c : c + 1], *pair) for c, pair in enumerate(bounds)])
            if isinstance(sample[key], MetaTensor):
                sample[key].meta[BOUNDS] = bounds
        return sample

    def _scaled(self, image: Tensor, mask: Tensor | None, modality: str, bounds: Sequence[float]) -> Tensor:
        """Linear between the bounds, unless the scale says that it is not (equalised radiographs)."""
        scale = scale_of(modality, self.intensity)
        return _to_unit(image, *bounds) if getattr(scale, "linear", True) else scale.scale(image, mask)

    def _bounds(self, image: Tensor, mask: Tensor | None, modality: str, where: str) -> list[float]:
        try:
            return list(scale_of(modality, self.intensity).bounds(image, mask))
        except InputError as error:  # a scale sees values only
            told = {"found": error.found, "wanted": error.wanted, "remedy": error.remedy}
            raise InputError(f"{where} ({modality})", **told) from error


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


def restored_bounds(scale: IntensityScale) -> tuple[float, float]:
    """The values that stand for -1 and 1 on the network's scale, in the scale's units."""
    low, high = scale.restore(torch.tensor([-1.0, 1.0])).tolist()
    return float(low), float(high)


def _check_channels(image: Tensor, modalities: Sequence[str], where: str) -> None:
    if len(image) != len(modalities):
        raise InputError(
            where,
            found=f"{len(image)} channels",
            wanted=f"{len(modalities)}: {', '.join(modalities)}, in this order",
            remedy="read the files of all contrasts, by transmodal.transforms.ContrastLoadImaged",
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))


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
