"""Trivial translators that a model has to beat, scored beside it in the same table.

One knows nothing of the images, one copies its input, and two are fitted on paired training cases. Fitting takes one
case at a time and keeps sums or counts, never volumes.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = ["Baseline", "BodyMean", "FittedBaseline", "Identity", "LookUpTable", "Uniform"]


@runtime_checkable
class Baseline(Protocol):
    """Makes a target from a source without a network."""

    name: str

    def predict(self, source: Tensor, mask: Tensor) -> Tensor:
        """Translate a source to the target's physical units, (1, H, W[, D]).

        Args:
            source: (C, H, W[, D]) in [-1, 1]. A baseline that works on one image takes the first channel.
            mask: body, (1, H, W[, D]).
        """
        ...


@runtime_checkable
class FittedBaseline(Baseline, Protocol):
    """A baseline that learns from paired training cases first."""

    @property
    def fitted(self) -> bool:
        """Whether a training case has been taken in."""
        ...

    def fit(self, source: Tensor, target: Tensor, mask: Tensor) -> None:
        """Take in one training case.

        Args:
            source: (C, H, W[, D]) in [-1, 1], the channels in the order of :meth:`predict`.
            target: (1, H, W[, D]) in the units of a prediction.
            mask: body, (1, H, W[, D]).
        """
        ...


class Restorable(Protocol):
    """The part of an intensity scale that leads back to physical units."""

    def restore(self, scaled: Tensor) -> Tensor:
        """[-1, 1] to physical units."""
        ...


class Uniform:
    """One value inside the body and one outside, such as water in air for a CT target.

    Args:
        inside, outside: values in the target's physical units.
        name: name in the table.
    """

    def __init__(self, inside: float = 0.0, outside: float = -1000.0, name: str = "all-water") -> None:
        self.inside, self.outside, self.name = float(inside), float(outside), name

    def predict(self, source: Tensor, mask: Tensor) -> Tensor:
        """The two values on the grid of the mask, float32."""
        return _in_body(torch.full(mask.shape, self.inside), mask, self.outside)


class Identity:
    """The first channel of the source itself, on the target's scale: what a model scores that translates nothing.

    Args:
        intensity: intensity scale of the target.
    """

    name = "identity"

    def __init__(self, intensity: Restorable) -> None:
        self.intensity = intensity

    def predict(self, source: Tensor, mask: Tensor) -> Tensor:
        """The source's first channel, restored as if it were the target."""
        return self.intensity.restore(source[:1])


class BodyMean:
    """The mean target value inside the body of the training cases, every voxel counting alike.

    Args:
        outside: value outside the body, in the target's physical units.
    """

    name = "body mean"

    def __init__(self, outside: float = -1000.0) -> None:
        self.outside, self.total, self.count = float(outside), 0.0, 0

    @property
    def fitted(self) -> bool:
        """Whether a training case has been taken in."""
        return self.count > 0

    def fit(self, source: Tensor, target: Tensor, mask: Tensor) -> None:
        """Take in one training case; values that are not finite are left out."""
        _, values = finite_pairs(source[:1], target, mask)
        self.total += float(values.sum())
        self.count += values.numel()

    def predict(self, source: Tensor, mask: Tensor) -> Tensor:
        """The mean inside the mask, float32."""
        require_fitted(self)
        return _in_body(torch.full(mask.shape, self.total / self.count), mask, self.outside)


class LookUpTable:
    """The best guess from a voxel's intensity in the source's first channel: for each interval the median target value.

    The median and not the mean, because it is what minimises the mean absolute error, the key measure: a table of
    medians is the strongest opponent of its kind. It is exact to ``resolution``, being read off a joint histogram that
    grows by one training case at a time. Intervals without training voxels are filled linearly from their neighbours.

    Args:
        low, high: range of target values in physical units; values beyond count as its ends.
        bins: equal intervals of the source's [-1, 1].
        resolution: step of the target values; 1 HU is how CT is stored.
        outside: value outside the body, in the target's physical units.
    Raises:
        ValueError: if the range is empty, or there is not at least one interval and step.
    """

    name = "look-up table"

    def __init__(
        self,
        low: float = -1024.0,
        high: float = 3071.0,
        bins: int = 128,
        resolution: float = 1.0,
        outside: float = -1000.0,
    ) -> None:
        if low >= high or bins < 1 or resolution <= 0:
            raise ValueError(f"wanted low < high, bins >= 1, resolution > 0; got {low}, {high}, {bins}, {resolution}")
        self.low, self.high, self.resolution, self.outside = float(low), float(high), float(resolution), float(outside)
        self.counts = torch.zeros(bins, round((high - low) / resolution) + 1, dtype=torch.int64)

    @property
    def fitted(self) -> bool:
        """Whether a training case has been taken in."""
        return bool(self.counts.any())

    def fit(self, source: Tensor, target: Tensor, mask: Tensor) -> None:
        """Add one training case to the joint histogram; values that are not finite are left out."""
        intensities, values = finite_pairs(source[:1], target, mask)
        bins, steps = self.counts.shape
        step = ((values.clamp(self.low, self.high) - self.low) / self.resolution).round().long()
        pairs = torch.bincount(self._bin(intensities) * steps + step, minlength=bins * steps)
        self.counts += pairs.view(bins, steps)

    def table(self) -> Tensor:
        """Median target value of each interval of the source, float32, (bins,)."""
        require_fitted(self)
        cumulated = self.counts.cumsum(dim=1)
        totals = cumulated[:, -1]
        medians = self.low + self.resolution * (2 * cumulated >= totals[:, None]).int().argmax(dim=1)
        known = totals.nonzero().flatten()
        return _interpolated(torch.arange(len(totals)), known, medians[known].float())

    def predict(self, source: Tensor, mask: Tensor) -> Tensor:
        """The table's value for each voxel inside the mask, float32."""
        return _in_body(self.table()[self._bin(source[:1].as_subclass(Tensor))], mask, self.outside)

    def _bin(self, intensities: Tensor) -> Tensor:
        bins = len(self.counts)
        return ((intensities.nan_to_num().double() + 1) / 2 * bins).long().clamp(0, bins - 1)


def _interpolated(positions: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear through (known, values), constant beyond both ends; ``known`` ascending."""
    right = torch.searchsorted(known, positions).clamp(max=len(known) - 1)
    left = (right - (known[right] > positions).long()).clamp(min=0)
    span = (known[right] - known[left]).clamp(min=1)
    weight = ((positions - known[left]) / span).clamp(0, 1)
    return torch.lerp(values[left], values[right], weight.to(values.dtype))


def _in_body(values: Tensor, mask: Tensor, outside: float) -> Tensor:
    body = mask.as_subclass(Tensor) > 0
    return torch.where(body, values.to(body.device), torch.tensor(outside, dtype=values.dtype))


def finite_pairs(source: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Source and target values at the body voxels where both are finite, float64."""
    body = mask.as_subclass(Tensor) > 0
    x, y = (image.as_subclass(Tensor)[body].double() for image in (source, target))
    finite = torch.isfinite(x) & torch.isfinite(y)
    return x[finite], y[finite]


def require_fitted(baseline: FittedBaseline) -> None:
    """Refuse to predict before fitting."""
    if not baseline.fitted:
        raise RuntimeError(f"the baseline {baseline.name!r} predicts only after fit() has seen a paired training case")
