"""Whether translations flicker from slice to slice: differences of neighbouring slices beside those of the targets."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation
from torch import Tensor

from transmodal.metrics import CaseScores, fault_of, inter_slice_difference

__all__ = ["SLICE_DIFFERENCE", "SLICE_DIFFERENCE_TARGET", "SliceConsistency", "in_words"]

SLICE_DIFFERENCE = "slice_difference"
SLICE_DIFFERENCE_TARGET = "slice_difference_target"


@dataclass(frozen=True)
class SliceConsistency:
    """Differences of neighbouring slices of translations and targets, on the native grid.

    A model sees slices of a volume that was first brought to the orientation ``axcodes``. On the native grid they lie
    along the voxel axis that this orientation makes its axis ``slice_axis``: the one nearest to that anatomical
    direction by the affine, as for the axial slices of the figure.

    Args:
        slice_axis: axis of the oriented volume that numbers the slices, 0, 1 or 2, as ``SliceWiseInferer`` has it.
        axcodes: orientation in which the slices are cut, such as RAS.
    Raises:
        ValueError: if ``slice_axis`` is out of range or ``axcodes`` is no orientation.
    """

    slice_axis: int = 2
    axcodes: str = "RAS"

    def __post_init__(self) -> None:
        if self.slice_axis not in (0, 1, 2) or sorted(map(_direction, self.axcodes)) != [0, 1, 2]:
            raise ValueError(
                f"wanted slice_axis 0, 1 or 2 and axcodes such as RAS, "
                f"got slice_axis={self.slice_axis} and axcodes={self.axcodes!r}"
            )

    def native_axis(self, affine: Tensor | None) -> int:
        """The spatial axis of a native volume along which it was cut; ``affine`` 4 × 4 to mm in RAS, else identity."""
        matrix = np.eye(4) if affine is None else np.asarray(affine, dtype=np.float64)
        directions: list[float] = io_orientation(matrix)[:, 0].tolist()  # type: ignore[no-untyped-call]
        return directions.index(_direction(self.axcodes[self.slice_axis]))

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, affine: Tensor | None) -> dict[str, float]:
        """Both differences of a case by the name of their column, in the units of the prediction.

        Args:
            pred, target: (1, H, W[, D]) in the same units, native grid.
            mask: body, same shape.
            affine: of the native grid, 4 × 4, voxel indices to mm in RAS; identity without it.
        Returns:
            Both NaN for a case that cannot be scored or has no neighbouring slices: both means are over the same cases.
        """
        images = {SLICE_DIFFERENCE: pred, SLICE_DIFFERENCE_TARGET: target}
        if fault_of(pred, target, mask):
            return dict.fromkeys(images, math.nan)
        axis = self.native_axis(affine)
        return {name: inter_slice_difference(image, mask, axis) for name, image in images.items()}

    def summary(self, rows: Sequence[CaseScores], units: str) -> dict[str, Any]:
        """Mean and sample standard deviation over the cases of a method, ready for JSON; None where undefined.

        ``ratio`` is the mean of the translations by that of the targets.
        """
        stats = {name: _mean_and_sd(rows, name) for name in (SLICE_DIFFERENCE, SLICE_DIFFERENCE_TARGET)}
        mean, target = (stats[name]["mean"] for name in stats)
        return {
            "unit": units,
            "along": self.axcodes[self.slice_axis],
            **stats,
            "ratio": mean / target if target else None,
        }


def in_words(summary: Mapping[str, Any]) -> str | None:
    """The line of a report for :meth:`SliceConsistency.summary`; None where no case has neighbouring slices."""
    mean, target = summary[SLICE_DIFFERENCE]["mean"], summary[SLICE_DIFFERENCE_TARGET]["mean"]
    if mean is None:
        return None
    ratio = "" if summary["ratio"] is None else f" (ratio {summary['ratio']:.2f})"
    return (
        f"neighbouring slices differ by {_number(mean)} {summary['unit']} in the translations, "
        f"{_number(target)} {summary['unit']} in the targets{ratio}"
    )


def _direction(letter: str) -> int:
    """0 for R and L, 1 for A and P, 2 for S and I, -1 for anything else."""
    return "RLAPSI".find(letter) // 2


def _mean_and_sd(rows: Sequence[CaseScores], name: str) -> dict[str, Any]:
    values = [row.values[name] for row in rows if math.isfinite(row.values.get(name, math.nan))]
    return {
        "mean": statistics.fmean(values) if values else None,
        "sd": statistics.stdev(values) if len(values) > 1 else None,
        "n": len(values),
    }


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
