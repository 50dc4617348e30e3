"""Does the predicted uncertainty tell the error? The answer per case and for all, in numbers and one figure."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine
from torch import Tensor

from transmodal.errors import InputError, require_integer
from transmodal.files import write_atomically, write_json
from transmodal.handlers.calibration_figure import draw_calibration
from transmodal.handlers.collecting import Collecting, by_case
from transmodal.handlers.records import CaseRecord, case_records
from transmodal.handlers.regions import RegionFindings
from transmodal.metrics import CalibrationSums, Similarity, calibration_error, fault_of, reliability
from transmodal.transforms.intensity import IntensityScale, scale_of

__all__ = ["UncertaintyCalibration"]

logger = logging.getLogger(__name__)

BODY = "body"


@dataclass
class _Findings:
    """Of each area, the body or a region, the sums of each case in it; and why cases are left out."""

    sums: dict[str, dict[str, CalibrationSums]]
    regions: dict[str, RegionFindings]
    faults: dict[str, str] = field(default_factory=dict)


class UncertaintyCalibration(Collecting[_Findings]):
    """Compares the error of an evaluator's predictions with the deviation it predicts for them.

    After each iteration the engine's output, or batch, holds ``case``, ``pred``, ``label`` and ``mask`` as for
    :class:`~transmodal.handlers.EvaluationReport`, and the predicted standard deviation of each voxel in the units of
    ``pred``. When the run is complete rank 0 writes ``calibration.json``, the numbers of
    :meth:`~transmodal.metrics.CalibrationSums.measures`, ENCE and the bins, and ``calibration.png``, for the body and
    for regions, per case and pooled over all voxels of all cases. The pooled numbers are also left in
    ``engine.state.metrics``, as ``uncertainty_ence`` and so on. Of each case and area 0.6 MB are kept, whatever its
    size: voxels are counted in logarithmic cells of deviation and error, none is left out.

    Args:
        output_dir: where the two files go; each is there whole or not at all.
        similarity: protocol of the target modality, which expresses the target in the units of a prediction; without
            it the target is in these units.
        target, intensity: modality of the target, and the intensity scale of each modality: it names the unit.
        deviation: key of the predicted standard deviation, (1, H, W[, D]).
        regions: key of the mask of each region, by the region's name, as in the report.
        bins: bins of equal count by predicted deviation.
        title: first line of the figure.
        footer: last line of the figure.
    Raises:
        InputError: if there is not at least one bin, a region is called body, or a case holds no deviation.
    """

    def __init__(
        self,
        output_dir: str | Path,
        similarity: Similarity | None = None,
        target: str = "",
        intensity: Mapping[str, IntensityScale] | None = None,
        deviation: str = "pred_std",
        regions: Mapping[str, str] | None = None,
        bins: int = 20,
        title: str = "",
        footer: str = "synthetic image, research use only",
    ) -> None:
        require_integer("UncertaintyCalibration, bins", bins, 1, "give the number of bins, 20 as a rule")
        if BODY in (regions or {}):
            raise InputError(
                "UncertaintyCalibration, regions",
                found=f"a region called {BODY!r}",
                wanted="another name",
                remedy="the body is always evaluated; name the region by what it shows",
            )
        self.output_dir, self.similarity, self.bins = Path(output_dir), similarity, bins
        self.units = "" if intensity is None else scale_of(target, intensity).units
        self.deviation, self.regions = deviation, dict(regions or {})
        self.title, self.footer = title, footer
        super().__init__()

    def _nothing(self) -> _Findings:
        return _Findings(
            {area: {} for area in (BODY, *self.regions)}, {name: RegionFindings() for name in self.regions}
        )

    def _collect(self, engine: Engine) -> None:
        for record in case_records(engine, self.regions, self.deviation):
            if record.deviation is None:
                raise InputError(
                    f"evaluation of case {record.case}",
                    found=f"no key {self.deviation!r}",
                    wanted="the predicted standard deviation of each voxel",
                    remedy="evaluate a model that predicts one and split it off the prediction (SplitDeviationd), or "
                    "take UncertaintyCalibration off the evaluator's handlers",
                )
            self._compare(record, record.deviation)

    def _compare(self, record: CaseRecord, deviation: Tensor) -> None:
        case, findings = record.case, self._findings
        label = self.similarity.comparable(record.label, record.mask) if self.similarity else record.label
        if fault := fault_of(record.pred, label, record.mask) or _fault_of_deviation(deviation, record.mask):
            findings.faults[case] = fault
        areas = {BODY: None if fault else record.mask}
        for name, region in findings.regions.items():
            area = record.regions.get(name)
            areas[name] = area if region.take(case, area, fault) else None
        error = record.pred.double() - label.double()
        for name, area in areas.items():
            if area is not None:
                inside = (area > 0) & torch.isfinite(error) & torch.isfinite(deviation)
                findings.sums[name][case] = CalibrationSums.of(error[inside], deviation[inside].clamp(min=0))

    def _finish(self, engine: Engine, shares: Sequence[_Findings]) -> None:
        sums = {area: by_case([share.sums[area] for share in shares]) for area in self._findings.sums}
        left_out = {name: RegionFindings.merged([share.regions[name] for share in shares]) for name in self.regions}
        reasons = {name: found.not_scored for name, found in left_out.items()}
        reasons[BODY] = by_case([share.faults for share in shares])
        pooled = {area: reduce(add, cases.values()) for area, cases in sums.items() if cases}
        results: dict[str, dict[str, Any]] = {
            area: {
                "pooled": self._result(pooled[area]) if cases else None,
                "cases": {case: self._result(kept) for case, kept in cases.items()},
                "not_scored": reasons[area],
            }
            for area, cases in sums.items()
        }
        numbers = (results[BODY]["pooled"] or {}).items()
        engine.state.metrics.update(
            {f"uncertainty_{name}": value for name, value in numbers if isinstance(value, float)}
        )
        if idist.get_rank() == 0:
            self._write(results, pooled, sums)
            self._log(results)

    def _result(self, sums: CalibrationSums) -> dict[str, Any]:
        """The numbers of some voxels, ready for JSON."""
        bins = reliability(sums, self.bins)
        numbers = {"ence": calibration_error(bins), **sums.measures()}
        return {
            "voxels": sums.count,
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            "bins": [each._asdict() for each in bins],
        }

    def _write(
        self,
        results: Mapping[str, Mapping[str, Any]],
        pooled: Mapping[str, CalibrationSums],
        sums: Mapping[str, Mapping[str, CalibrationSums]],
    ) -> None:
        body, regions = results[BODY], {name: results[name] for name in self.regions}
        summary = {
            "title": self.title,
            "unit": self.units,
            "protocol": _protocol(self.bins),
            **body,
            "regions": regions,
        }
        write_json(self.output_dir / "calibration.json", summary)
        if pooled:
            cases = [reliability(kept, self.bins) for kept in sums[BODY].values()]
            areas = {name: (reliability(kept, self.bins), kept.distribution()) for name, kept in pooled.items()}
            write_atomically(
                self.output_dir / "calibration.png",
                partial(draw_calibration, areas, cases, units=self.units, title=self.title, footer=self.footer),
            )

    def _log(self, results: Mapping[str, Mapping[str, Any]]) -> None:
        for area, result in results.items():
            for case, reason in result["not_scored"].items():
                logger.info("uncertainty inside the %s: %s is left out: %s", area, case, reason)
            if result["pooled"]:
                logger.info(
                    "uncertainty inside the %s, %s case(s): %s", area, len(result["cases"]), _words(result["pooled"])
                )


def _protocol(bins: int) -> dict[str, Any]:
    return {
        "where": "native grid, inside the body mask, physical units; a region is its mask",
        "bins": f"{bins} of equal count by predicted deviation; root mean square deviation and error of each",
        "ence": "mean over bins of |deviation - error| / deviation (Levi et al. 2022); 0 is calibrated",
        "scale": "RMS error / RMS deviation: the factor that calibrates all deviations together; 1 is calibrated",
        "within_1": "share of voxels with an error of at most one deviation; 0.683 of normal errors",
        "within_2": "share of voxels with an error of at most two deviations; 0.954 of normal errors",
        "spearman": "rank correlation of deviation and absolute error over voxels",
    }


def _fault_of_deviation(deviation: Tensor, mask: Tensor) -> str | None:
    inside = deviation[mask > 0]
    count = int((~torch.isfinite(inside) | (inside < 0)).sum())
    return f"the predicted deviation is negative or not finite at {count} voxels inside the body" if count else None


def _words(result: Mapping[str, Any]) -> str:
    def number(name: str, form: str = ".2f") -> str:
        return "undefined" if result[name] is None else format(result[name], form)

    return (
        f"ENCE {number('ence')}, rank correlation with the error {number('spearman')}, "
        f"{number('within_1', '.0%')} and {number('within_2', '.0%')} of the voxels within 1 and 2 deviations "
        f"(68% and 95% of normal errors), calibrated by the factor {number('scale')}"
    )
