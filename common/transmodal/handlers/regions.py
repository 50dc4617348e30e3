"""Scores inside regions such as lesions, beside those of the whole body.

A region is the mask itself on the native grid, wherever it is not zero, also outside the body. A case that lacks it is
no error: it is left out of the region's means, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from transmodal.metrics import CaseScores, Measure, summarise

__all__ = ["RegionFindings", "column", "inside"]


@dataclass
class RegionFindings:
    """How many voxels a region has in each case that is scored, and why others are not."""

    voxels: dict[str, int] = field(default_factory=dict)
    not_scored: dict[str, str] = field(default_factory=dict)

    def take(self, case: str, region: Tensor | None, fault: str | None) -> bool:
        """Note a case, and tell whether its region is to be scored.

        Args:
            case: its name.
            region: mask of 0 and 1; None where the case has none.
            fault: why the case as a whole cannot be scored, if so.
        """
        voxels = 0 if region is None else int(region.sum())
        if region is None:
            self.not_scored[case] = "the case has no mask of it"
        elif not voxels:
            self.not_scored[case] = "its mask is empty"
        elif fault:
            self.not_scored[case] = fault
        else:
            self.voxels[case] = voxels
        return case in self.voxels

    @classmethod
    def merged(cls, shares: Sequence[RegionFindings]) -> RegionFindings:
        """All processes' findings, ordered by case."""
        voxels = {case: count for share in shares for case, count in share.voxels.items()}
        reasons = {case: reason for share in shares for case, reason in share.not_scored.items()}
        return cls(dict(sorted(voxels.items())), dict(sorted(reasons.items())))

    def summary(self, name: str, rows: Sequence[CaseScores], measures: Mapping[str, Measure]) -> dict[str, Any]:
        """Statistics per method inside the region, ready for JSON."""
        return {
            "cases": len(self.voxels),
            "voxels": self.voxels,
            "methods": summarise(inside(name, rows), measures),
            "not_scored": self.not_scored,
        }


def column(region: str, measure: str) -> str:
    """Name of a region's measure in the table of cases."""
    return f"{region}_{measure}"


def inside(region: str, rows: Sequence[CaseScores]) -> list[CaseScores]:
    """The rows with the region's values alone, by the plain names of their measures."""
    prefix = column(region, "")
    return [
        row._replace(
            values={name.removeprefix(prefix): row.values[name] for name in row.values if name.startswith(prefix)}
        )
        for row in rows
    ]
