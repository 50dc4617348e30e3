"""The evaluation report: every case, the model beside the baselines, one table, one figure, and what to be wary of."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine
from torch import Tensor

from transmodal.errors import InputError
from transmodal.files import write_atomically, write_json
from transmodal.handlers.baselines import SourceChannels, copied_channels, fit_baselines
from transmodal.handlers.collecting import Collecting
from transmodal.handlers.figures import draw_translations
from transmodal.handlers.findings import MODEL, TO_INPUT, Findings, as_text, provenance, write_csv
from transmodal.handlers.records import CaseRecord, case_records
from transmodal.handlers.regions import RegionFindings, column
from transmodal.handlers.slice_consistency import SLICE_DIFFERENCE, SLICE_DIFFERENCE_TARGET, SliceConsistency
from transmodal.handlers.slice_view import SliceView, mid_body_view
from transmodal.handlers.translation_check import ModalityWitness
from transmodal.metrics import (
    NEARLY_IDENTICAL,
    Baseline,
    CaseScores,
    Measure,
    Similarity,
    fault_of,
    similarity_to_input,
)
from transmodal.modality import Verdict
from transmodal.transforms.intensity import IntensityScale, restored_bounds, scale_of

__all__ = ["EvaluationReport"]

logger = logging.getLogger(__name__)


class EvaluationReport(Collecting[Findings]):
    """Scores an evaluator's predictions and writes ``metrics.csv``, ``summary.json`` and ``figure.png``.

    After each iteration the engine's output, or batch, holds a dictionary per case with ``case``, ``pred`` (physical
    units, native grid), ``label`` (untouched target), ``mask`` (body) and ``source`` (raw source), images
    (1, H, W[, D]), and perhaps masks of regions. A source may have several channels: baselines get all of them, the
    figure shows the first, none may be copied. The model's means are also left in ``engine.state.metrics``. Processes
    exchange their cases, rank 0 writes.

    Args:
        output_dir: where the three files go; each is there whole or not at all.
        similarity: protocol of the target modality; its first measure is the key measure.
        source: modality of the source, or a list of one for each of its channels; indices into ``intensity`` and
            ``windows``, and names in the figure.
        target: modality of the target, likewise.
        intensity: intensity scale of each modality.
        baselines: scored beside the model.
        fitting_data: paired training cases for the baselines that are fitted, dictionaries with ``source``, ``label``
            and ``mask`` as above; those with one modality only are passed over. Without pairs such baselines are left
            out, and the summary says why.
        title: first line of the table and the figure.
        windows: display range of each modality; by default the source's percentiles and the target's whole scale.
        error_range: the figure shows errors from minus to plus this; by default a fifth of the target's display range.
        cases_in_figure: the first so many cases by name.
        footer: last line of the figure.
        weights: file of the model's weights, identified in the summary by name and SHA-256.
        nearly_identical: SSIM of output to input from which a case is suspected not to be translated.
        data: where the cases come from (folder, list, section), kept in the summary.
        slice_axis, axcodes: axis along which the model cuts its slices, and the orientation in which that axis counts.
            Differences between neighbouring slices along it tell flicker; see :class:`SliceConsistency`.
        regions: key of the mask of each region that is scored on its own, by the region's name, such as a lesion. It
            counts wherever it is not zero, on the native grid; the target's scale still comes from its body. A case
            without it is left out of the region's means, and the summary says why.
        deviation: key of the predicted standard deviation in the units of ``pred``, (1, H, W[, D]), which the figure
            then shows as well, from zero to the range of the errors.
        classifier: weights of the bundle ``ct_mr_modality_classification``, or anything that gives the verdict on an
            image; it is asked which modality each output is, see :class:`ModalityWitness`.
    Raises:
        InputError: if two methods have the same name, a file of weights is named that is not there, a source has other
            channels than ``source`` names, a case lacks the deviation named, or a classifier is asked for a target that
            is neither CT nor MR.
        ValueError: if ``slice_axis`` or ``axcodes`` is out of range.
    """

    def __init__(
        self,
        output_dir: str | Path,
        similarity: Similarity,
        source: str | Sequence[str],
        target: str,
        intensity: Mapping[str, IntensityScale],
        baselines: Sequence[Baseline] = (),
        fitting_data: Iterable[Mapping[str, Any]] | None = None,
        title: str = "",
        windows: Mapping[str, Sequence[float] | None] | None = None,
        error_range: float | None = None,
        cases_in_figure: int = 3,
        footer: str = "synthetic image, research use only",
        weights: str | Path | None = None,
        nearly_identical: float = NEARLY_IDENTICAL,
        data: Mapping[str, Any] | None = None,
        slice_axis: int = 2,
        axcodes: str = "RAS",
        regions: Mapping[str, str] | None = None,
        deviation: str | None = None,
        classifier: str | Path | Callable[[Tensor], Verdict] | None = None,
    ) -> None:
        self.output_dir, self.similarity, self.target = Path(output_dir), similarity, target
        self.channels, self.regions = SourceChannels.of(source, intensity), dict(regions or {})
        self.target_scale, self.deviation = scale_of(target, intensity), deviation
        self.baselines, self.fitting_data, self.left_out = list(baselines), fitting_data, dict[str, str]()
        self.title = title or f"{', '.join(self.channels.names)} to {target}"
        self.windows, self.error_range, self.footer = dict(windows or {}), error_range, footer
        self.cases_in_figure, self.nearly_identical = cases_in_figure, nearly_identical
        self.data = {name: None if value is None else str(value) for name, value in (data or {}).items()}
        self.weights = None if weights is None else Path(weights)
        self.consistency = SliceConsistency(slice_axis, axcodes)
        self.witness = None if classifier is None else ModalityWitness(classifier, target)
        self._fitted, self._provenance = False, dict[str, str]()
        super().__init__()
        self._check_names()

    def attach(self, engine: Engine) -> None:
        """Score after each iteration, write when the run is complete."""
        if self.weights is not None and not self.weights.is_file():
            raise InputError(
                self.weights,
                found="no such file",
                wanted="the weights that are evaluated",
                remedy="train first, or correct the report's 'weights'",
            )
        self._provenance = provenance(self.weights)  # now: a training that goes on may write others meanwhile
        super().attach(engine)

    def _check_names(self) -> None:
        names = [MODEL, *(baseline.name for baseline in self.baselines)]
        if len(set(names)) < len(names):
            raise InputError(
                "EvaluationReport, baselines",
                found=f"the methods {', '.join(names)}",
                wanted="a different name for each",
                remedy="give Uniform baselines a 'name', and list each of the others once",
            )

    def _nothing(self) -> Findings:
        return Findings(regions={name: RegionFindings() for name in self.regions})

    def _start(self, engine: Engine) -> None:
        super()._start(engine)
        if not self._fitted:
            self._fit()
            self._fitted = True

    def _fit(self) -> None:
        """Fit what is to be fitted; baselines without a pair to fit are taken off the list, with the reason."""
        self.left_out = fit_baselines(self.baselines, self.fitting_data, self.channels, self.similarity)
        self.baselines = [baseline for baseline in self.baselines if baseline.name not in self.left_out]

    def _collect(self, engine: Engine) -> None:
        for record in case_records(engine, self.regions, self.deviation):
            if record.source is None:
                raise InputError(
                    f"evaluation of case {record.case}",
                    found="no key 'source'",
                    wanted="the raw source on the native grid",
                    remedy="copy 'image' to 'source' in the preprocessing, before it is resampled and scaled",
                )
            if self.deviation and record.deviation is None:
                raise InputError(
                    f"evaluation of case {record.case}",
                    found=f"no key {self.deviation!r}",
                    wanted="the predicted standard deviation of each voxel",
                    remedy="evaluate a model that predicts one and split it off the prediction (SplitDeviationd), or "
                    "set the report's 'deviation' to null",
                )
            self._score(record, record.source)

    def _score(self, record: CaseRecord, source: Tensor) -> None:
        case, mask, findings = record.case, record.mask, self._findings
        scaled = self.channels.scaled(source, mask)
        reference = self.similarity.comparable(record.label, mask)
        if fault := fault_of(record.pred, reference, mask):
            findings.faults[case] = fault
        elif self.witness is not None:
            findings.verdicts[case] = self.witness.ask(record.pred.float())
        regions = {name: record.regions.get(name) for name in self.regions}
        regions = {name: image for name, image in regions.items() if findings.regions[name].take(case, image, fault)}
        copies = [similarity_to_input(channel[None], self._rescaled(record.pred), mask) for channel in scaled]
        slices = self.consistency(record.pred, reference, mask, record.affine)
        scores = self._scores(record, record.pred, regions)
        findings.rows.append(CaseScores(case, MODEL, {**scores, TO_INPUT: max(copies), **slices}))
        for baseline in self.baselines:
            trivial = self._scores(record, baseline.predict(scaled, mask), regions)
            findings.rows.append(CaseScores(case, baseline.name, trivial))
        views = {view.case: view for view in findings.views}
        shown = sorted({*views, case})[: self.cases_in_figure]
        if case in shown:
            note, outlined = _note(scores, self.similarity.measures), list(record.regions.values())
            images = (source, record.pred, reference, mask, record.affine)
            views[case] = mid_body_view(case, *images, note, outlined, record.deviation)
        findings.views = [views[name] for name in shown]

    def _scores(self, record: CaseRecord, pred: Tensor, regions: Mapping[str, Tensor | None]) -> dict[str, float]:
        """What a method scores in the body and, under the names of their columns, in regions."""
        scores = self.similarity(pred, record.label, record.mask)
        for name, region in regions.items():
            inside = self.similarity(pred, record.label, record.mask, region)
            scores |= {column(name, measure): value for measure, value in inside.items()}
        return scores

    def _rescaled(self, pred: Tensor) -> Tensor:
        """A prediction back on the network's scale, by the inverse of how it was restored."""
        low, high = restored_bounds(self.target_scale)
        return (pred.double() - low) * (2.0 / (high - low)) - 1.0

    def _finish(self, engine: Engine, shares: Sequence[Findings]) -> None:
        findings = Findings.merged(shares)
        if not findings.rows:
            raise InputError(
                "evaluation",
                found="no case",
                wanted="at least one case with source and target",
                remedy="check 'dataset_dir' and the split that is evaluated",
            )
        summary = {
            "title": self.title,
            **findings.summary(self.similarity, self.nearly_identical, self.witness),
            "slice_consistency": self.consistency.summary(
                [row for row in findings.rows if row.method == MODEL], self.target_scale.units
            ),
            "left_out": self.left_out,
            "baselines": copied_channels(self.baselines),
            "data": self.data,
            "provenance": self._provenance,
        }
        model = summary["methods"][MODEL]
        engine.state.metrics.update({name: stats["mean"] for name, stats in model.items() if stats["n"]})
        if idist.get_rank() == 0:
            self._write(findings, summary)
            self._log(summary)

    def _write(self, findings: Findings, summary: Mapping[str, Any]) -> None:
        columns = [*self.similarity.measures, TO_INPUT, SLICE_DIFFERENCE, SLICE_DIFFERENCE_TARGET]
        columns += [column(name, measure) for name in self.regions for measure in self.similarity.measures]
        write_atomically(self.output_dir / "metrics.csv", lambda path: write_csv(path, findings.rows, columns))
        write_json(self.output_dir / "summary.json", summary)
        views = findings.views[: self.cases_in_figure]
        if views:
            write_atomically(self.output_dir / "figure.png", lambda path: self._draw(views, path))

    def _draw(self, views: Sequence[SliceView], path: Path) -> None:
        draw_translations(
            views,
            path,
            title=self.title,
            source=self.channels.names[0].upper(),
            target=self.target.upper(),
            units=self.target_scale.units,
            source_units=self.channels.scales[0].units,
            source_window=_window(self.windows.get(self.channels.names[0])),
            target_window=_window(self.windows.get(self.target)) or restored_bounds(self.target_scale),
            error_range=self.error_range,
            footer=self.footer,
        )

    def _log(self, summary: Mapping[str, Any]) -> None:
        logger.info("%s\nwritten to %s", as_text(summary, self.similarity), self.output_dir)
        for name, reason in self.left_out.items():
            logger.info("baseline %r is left out: %s", name, reason)
        for warning in summary["warnings"]:
            logger.warning(warning)


def _note(scores: Mapping[str, float], measures: Mapping[str, Measure]) -> str:
    name, measure = next(iter(measures.items()))
    return f"{name.upper()} {scores[name]:.3g} {measure.unit}".rstrip() if math.isfinite(scores[name]) else "not scored"


def _window(bounds: Sequence[float] | None) -> tuple[float, float] | None:
    return None if bounds is None else (float(bounds[0]), float(bounds[1]))
