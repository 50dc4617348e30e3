"""PSNR, SSIM and MSE as MATLAB gives them by default, of whole volumes without a mask, each convention by its own name.

Neither the study's paper nor its code says how it measures; public scripts for the same data call MATLAB's ``psnr``,
``ssim`` and ``immse`` on whole volumes. Numbers of such scripts depend on two things that are rarely told: the range of
the images, and the peak. So there are several of them here, to compare with published numbers and with nothing else.
Our own protocol is :class:`transmodal.handlers.EvaluationReport`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from transmodal.handlers import StudyProtocol
from transmodal.handlers.records import CaseRecord
from transmodal.metrics import Similarity, fault_of, matlab_immse, matlab_psnr, matlab_ssim
from transmodal.transforms.intensity import IntensityScale, restored_bounds, scale_of

__all__ = ["MatlabProtocol", "VolumeScores", "volume_scores"]

NAME = "MATLAB psnr, ssim, immse"
CONVENTIONS = {
    "immse": "mean squared error of values in [-1, 1]",
    "psnr_peak1": "dB, values in [-1, 1], peak 1, as psnr(pred, target) of such arrays: 6.02 dB below peak 2",
    "psnr_peak2": "dB, values in [-1, 1], their true peak 2",
    "ssim_matlab_range1": "values in [-1, 1], dynamic range 1, as ssim(pred, target) of such arrays",
    "ssim_matlab_range2": "values in [-1, 1], their true dynamic range 2",
    "immse_01": "mean squared error of values in [0, 1]",
    "psnr_peak1_01": "dB, values in [0, 1], their true peak 1: the same number as psnr_peak2",
    "ssim_matlab_range1_01": "values in [0, 1], their true dynamic range 1; not the number of ssim_matlab_range2, "
    "because the luminance term depends on where zero is",
}


class VolumeScores(NamedTuple):
    """The numbers of a volume by convention, NaN where undefined, and why they are."""

    values: Mapping[str, float]
    note: str = ""


class CaseRow(NamedTuple):
    """The scores of a case."""

    case: str
    scores: VolumeScores


def volume_scores(pred: Tensor, target: Tensor) -> VolumeScores:
    """Score one volume, or picture, in every convention.

    Args:
        pred, target: images of one shape in [-1, 1], all of whose voxels count.
    """
    whole = torch.ones_like(target)
    if fault := fault_of(pred, target, whole):
        return VolumeScores(dict.fromkeys(CONVENTIONS, math.nan), fault.replace(" inside the body", ""))
    x, y = (image.double() for image in (pred, target))
    x_01, y_01 = ((image + 1) / 2 for image in (x, y))
    values = {
        "immse": matlab_immse(x, y),
        "psnr_peak1": matlab_psnr(x, y, peak=1),
        "psnr_peak2": matlab_psnr(x, y, peak=2),
        "ssim_matlab_range1": matlab_ssim(x, y, dynamic_range=1),
        "ssim_matlab_range2": matlab_ssim(x, y, dynamic_range=2),
        "immse_01": matlab_immse(x_01, y_01),
        "psnr_peak1_01": matlab_psnr(x_01, y_01, peak=1),
        "ssim_matlab_range1_01": matlab_ssim(x_01, y_01, dynamic_range=1),
    }
    return VolumeScores(values, "" if values["immse"] else "equal images")


class MatlabProtocol(StudyProtocol[CaseRow]):
    """Scores an evaluator's predictions by MATLAB's defaults, and writes ``matlab_metrics.csv`` and ``.json``.

    Images are compared on the native grid, over all voxels, air included. Both are brought to [-1, 1], the network's
    range, by fixed bounds: the prediction by those it was written with, the target by what ``similarity`` finds its
    scale to be, never by the extremes of the one or the other; what lies beyond is clipped, as in the published data.

    Args:
        output_dir: where the two files go; each is there whole or not at all.
        similarity: protocol of the target modality, which expresses the target in the units of a prediction.
        target, intensity: modality of the target, and the intensity scale of each modality.
    """

    files = "matlab_metrics"
    columns = ("case", *CONVENTIONS, "note")

    def __init__(
        self, output_dir: str | Path, similarity: Similarity, target: str, intensity: Mapping[str, IntensityScale]
    ) -> None:
        super().__init__(output_dir)
        self.similarity = similarity
        self.low, self.high = restored_bounds(scale_of(target, intensity))

    def rows(self, record: CaseRecord) -> Iterator[CaseRow]:
        """One row."""
        reference = self.similarity.comparable(record.label, record.mask)
        yield CaseRow(record.case, volume_scores(self._scaled(record.pred), self._scaled(reference)))

    def cells(self, row: CaseRow) -> Sequence[Any]:
        """The numbers in the order of the conventions."""
        return row.case, *(row.scores.values[name] for name in CONVENTIONS), row.scores.note

    def summary(self, rows: Sequence[CaseRow]) -> Mapping[str, Any]:
        """Each convention with its meaning and its statistics over the cases with a finite value."""
        return {
            "protocol": NAME,
            "where": "native grid, the whole volume without a mask, per case",
            "range": f"[{self.low:g}, {self.high:g}] to [-1, 1], clipped; target: {self.similarity.name}",
            "sd": "sample standard deviation over cases",
            "cases": [row.case for row in rows],
            "notes": {row.case: row.scores.note for row in rows if row.scores.note},
            "measures": {
                name: {"what": what, **_statistics([row.scores.values[name] for row in rows])}
                for name, what in CONVENTIONS.items()
            },
        }

    def sentences(self, summary: Mapping[str, Any]) -> Iterator[str]:
        """One, with the mean of each convention."""
        means = {name: found["mean"] for name, found in summary["measures"].items()}
        numbers = ", ".join(f"{name} {'undefined' if mean is None else f'{mean:.4g}'}" for name, mean in means.items())
        yield f"{NAME}, whole volumes, {len(summary['cases'])} case(s), not comparable with ours: {numbers}"

    def _scaled(self, image: Tensor) -> Tensor:
        """From the units of a prediction to [-1, 1], clipped."""
        return ((image.double() - self.low) * (2 / (self.high - self.low)) - 1).clamp(-1, 1)


def _statistics(values: Sequence[float]) -> dict[str, Any]:
    finite = [value for value in values if math.isfinite(value)]
    return {
        "mean": statistics.fmean(finite) if finite else None,
        "sd": statistics.stdev(finite) if len(finite) > 1 else None,
        "n": len(finite),
    }
