"""Whether a predicted standard deviation tells the size of the error, in numbers, from sums of a fixed size.

A deviation that is calibrated equals, among all voxels to which it is given, the root mean squared error. Levi et al.
sort voxels by deviation into bins of equal count and compare the two in each bin; the mean of their relative difference
is the expected normalised calibration error (ENCE), 0 at best.

Source: D. Levi et al., Evaluating and calibrating uncertainty prediction in regression tasks, Sensors 22 (2022) 5540.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CalibrationSums", "ReliabilityBin", "calibration_error", "reliability"]

LOWEST, OCTAVES = -17, 32
"""Cells of a logarithmic axis reach from 2**-17 to 2**15; what is smaller, zero too, or larger is in the outermost."""
FINE, COARSE = 64, 8
"""Cells per octave: 1.1 % wide for the sums along the deviation, 9 % for the joint counts of deviation and error."""


class ReliabilityBin(NamedTuple):
    """Voxels of similar predicted deviation: how many, their root mean squared deviation and error."""

    voxels: int
    deviation: float
    error: float


@dataclass(frozen=True)
class CalibrationSums:
    """What is kept of any number of voxels: 0.6 MB, whatever their number. Sums of disjoint voxels may be added.

    Counts and sums are exact; a voxel's deviation is known to 1.1 % where bins are cut, and its deviation and error to
    9 % where they are ranked.

    Attributes:
        joint: voxels by cells of deviation and absolute error, (256, 256), int64.
        voxels: voxels by finer cells of deviation, (2048,), int64.
        squared_deviation, squared_error: sums over these voxels, (2048,), float64.
        within: voxels whose error is at most one deviation, and at most two, (2,), int64.
    """

    joint: Tensor
    voxels: Tensor
    squared_deviation: Tensor
    squared_error: Tensor
    within: Tensor

    @classmethod
    def of(cls, error: Tensor, deviation: Tensor) -> CalibrationSums:
        """Take in voxels.

        Args:
            error: prediction minus target, any shape, finite; its sign does not matter.
            deviation: predicted standard deviation in the same unit and shape, finite, 0 or more.
        """
        error, deviation = (values.as_subclass(Tensor).double().flatten() for values in (error.abs(), deviation))
        fine, coarse = FINE * OCTAVES, COARSE * OCTAVES
        cell = _cell(deviation, FINE)
        pair = _cell(deviation, COARSE) * coarse + _cell(error, COARSE)
        return cls(
            joint=torch.bincount(pair, minlength=coarse**2).view(coarse, coarse),
            voxels=torch.bincount(cell, minlength=fine),
            squared_deviation=torch.bincount(cell, deviation.square(), minlength=fine).double(),
            squared_error=torch.bincount(cell, error.square(), minlength=fine).double(),
            within=torch.stack([(error <= factor * deviation).sum() for factor in (1, 2)]),
        )

    def __add__(self, other: CalibrationSums) -> CalibrationSums:
        """The sums of both together."""
        return CalibrationSums(
            *(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True))
        )

    @property
    def count(self) -> int:
        """Number of voxels."""
        return int(self.voxels.sum())

    def measures(self) -> dict[str, float]:
        """Numbers by name, NaN where undefined.

        Returns:
            ``rms_error`` and ``rms_deviation``, root mean squares; ``scale``, their ratio, the one factor by which all
            deviations have to be multiplied to agree with the error as a whole; ``within_1`` and ``within_2``, shares
            of voxels whose error is at most one and two deviations (0.683 and 0.954 of normal errors); ``spearman``,
            rank correlation of deviation and absolute error.
        """
        count = self.count or math.nan
        error, deviation = (float(total.sum() / count) ** 0.5 for total in (self.squared_error, self.squared_deviation))
        within_1, within_2 = (self.within.double() / count).tolist()
        return {
            "rms_error": error,
            "rms_deviation": deviation,
            "scale": error / deviation if deviation else math.nan,
            "within_1": within_1,
            "within_2": within_2,
            "spearman": self._rank_correlation(),
        }

    def distribution(self) -> tuple[Tensor, Tensor]:
        """Share of voxels in each of 256 cells of the deviation, (256,), and the edges of the cells, (257,)."""
        edges = 2.0 ** (LOWEST + torch.arange(COARSE * OCTAVES + 1, dtype=torch.float64) / COARSE)
        return self.joint.sum(dim=1).double() / max(self.count, 1), edges

    def _rank_correlation(self) -> float:
        """Pearson correlation of the mean ranks of the cells."""
        joint = self.joint.double()
        deviations, errors = joint.sum(dim=1), joint.sum(dim=0)
        x, y = (_centred_ranks(counts) for counts in (deviations, errors))
        spread = float(((deviations @ x.square()) * (errors @ y.square())).sqrt())
        return float(x @ joint @ y) / spread if spread else math.nan


def reliability(sums: CalibrationSums, bins: int = 20) -> list[ReliabilityBin]:
    """Bins of equal count by predicted deviation, lowest first, as equal as cells 1.1 % wide allow.

    Where many voxels have the same deviation there are fewer bins.
    """
    middle = sums.voxels.cumsum(0) - sums.voxels.double() / 2
    chosen = (middle * bins / max(sums.count, 1)).long().clamp(max=bins - 1)
    voxels = torch.zeros(bins, dtype=torch.int64).index_add_(0, chosen, sums.voxels)
    squares = [
        torch.zeros(bins, dtype=torch.float64).index_add_(0, chosen, total)
        for total in (sums.squared_deviation, sums.squared_error)
    ]
    deviation, error = ((total / voxels).sqrt().tolist() for total in squares)
    filled = zip(voxels.tolist(), deviation, error, strict=True)
    return [ReliabilityBin(*values) for values in filled if values[0]]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """ENCE of Levi et al.: the mean over bins of abs(deviation - error) / deviation.

    Bins of deviation zero, where it is undefined, are left out; NaN if no other is there.
    """
    relative = [abs(each.deviation - each.error) / each.deviation for each in bins if each.deviation > 0]
    return sum(relative) / len(relative) if relative else math.nan


def _cell(values: Tensor, per_octave: int) -> Tensor:
    """Cell of each value on a logarithmic axis."""
    return ((values.log2() - LOWEST) * per_octave).floor().clamp(0, per_octave * OCTAVES - 1).long()


def _centred_ranks(counts: Tensor) -> Tensor:
    """Mean rank of the voxels in each cell, minus the mean of all ranks."""
    return counts.cumsum(0) - counts / 2 - counts.sum() / 2
