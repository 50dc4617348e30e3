"""The evaluation report: every image, the model beside trivial masks, one table, one figure, and what to be wary of."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from segmentation_bundle.figure import draw_outlines
from segmentation_bundle.labels import AUTOMATIC
from segmentation_bundle.scoring import SegmentedCase, segmented_cases
from transmodal.errors import InputError
from transmodal.files import write_atomically, write_json
from transmodal.handlers import SliceView, mid_body_view
from transmodal.handlers.findings import MODEL, provenance, write_csv
from transmodal.handlers.records import gathered
from transmodal.metrics import CaseScores, Overlap, format_table, summarise, unbeaten_baselines
from transmodal.transforms import BodyMask

logger = logging.getLogger(__name__)

LABELS = {
    AUTOMATIC: "found automatically in the same image: the numbers tell agreement with that method, not with a body "
    "that anybody has looked at",
    "mask": "the mask files of the cases",
}


class Baseline(Protocol):
    """A mask without a network."""

    name: str

    def predict(self, image: Tensor, modality: str) -> Tensor:
        """The mask of an image (1, H, W, D) in physical units, same shape."""
        ...


class AutomaticMask:
    """The automatic mask of the modality, which needs no training.

    Args:
        body: mask finder of each modality.
    """

    name = "automatic mask"

    def __init__(self, body: Mapping[str, BodyMask]) -> None:
        self.body = dict(body)

    def predict(self, image: Tensor, modality: str) -> Tensor:
        """The body as it is found by threshold, components and holes."""
        return self.body[modality](image)


class Everything:
    """The whole image: what an image cropped inside the body leaves for a model to win."""

    name = "everything is body"

    def predict(self, image: Tensor, modality: str) -> Tensor:
        """Ones."""
        return torch.ones_like(image)


class SegmentationReport:
    """Scores an evaluator's masks and writes ``metrics.csv``, ``summary.json`` and ``figure.png``.

    After each iteration the engine's output, or batch, holds a dictionary per image with ``case``, ``pred`` and
    ``label`` (masks on the native grid) and ``raw`` (the image as it was read). Processes exchange their cases, rank 0
    writes. The model's means are also left in ``engine.state.metrics``.

    Args:
        output_dir: where the three files go; each is there whole or not at all.
        source: modality of the images.
        label_from: where the labels come from, ``"automatic"`` or ``"mask"``; told in the summary. Automatic labels
            leave the automatic baseline out, which would be compared with itself.
        overlap: the measures.
        baselines: scored beside the model.
        title: first line of the table and the figure.
        cases_in_figure: the first so many cases by name.
        footer: last line of the figure.
        weights: file of the model's weights, identified in the summary by name and SHA-256.
        data: where the cases come from (folder, list, section), kept in the summary.
    Raises:
        InputError: if a file of weights is named that is not there, or an image was not kept.
    """

    def __init__(
        self,
        output_dir: str | Path,
        source: str,
        label_from: str = AUTOMATIC,
        overlap: Overlap | None = None,
        baselines: Sequence[Baseline] = (),
        title: str = "",
        cases_in_figure: int = 4,
        footer: str = "research use only",
        weights: str | Path | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.output_dir, self.source, self.label_from, self.title = Path(output_dir), source, label_from, title
        self.overlap = overlap or Overlap()
        trivial = {each.name for each in baselines if label_from == AUTOMATIC and isinstance(each, AutomaticMask)}
        self.baselines = [each for each in baselines if each.name not in trivial]
        self.left_out = dict.fromkeys(sorted(trivial), "the labels are these very masks")
        self.cases_in_figure, self.footer = cases_in_figure, footer
        self.weights = None if weights is None else Path(weights)
        self.data = {name: None if value is None else str(value) for name, value in (data or {}).items()}
        self._rows: list[CaseScores] = []
        self._views: list[SliceView] = []
        self._empty: dict[str, str] = {}

    def attach(self, engine: Engine) -> None:
        """Score after each iteration, write when the run is complete."""
        if self.weights is not None and not self.weights.is_file():
            raise InputError(
                self.weights,
                found="no such file",
                wanted="the weights that are evaluated",
                remedy="train first, or correct the report's 'weights'",
            )
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self, engine: Engine) -> None:
        self._rows, self._views, self._empty = [], [], {}

    def _collect(self, engine: Engine) -> None:
        for segmented in segmented_cases(engine):
            self._score(segmented)

    def _score(self, segmented: SegmentedCase) -> None:
        case, pred, label, raw = segmented.case, segmented.pred, segmented.label, segmented.raw
        if raw is None:
            raise InputError(
                f"evaluation of case {case}",
                found="no image as it was read",
                wanted="the image under the key 'raw', for baselines and the figure",
                remedy="give BodyLabeld the argument raw='raw'",
            )
        scores = self.overlap(pred, label, segmented.spacing)
        self._rows.append(CaseScores(case, MODEL, scores))
        for baseline in self.baselines:
            trivial = self.overlap(baseline.predict(raw, self.source), label, segmented.spacing)
            self._rows.append(CaseScores(case, baseline.name, trivial))
        absent = [name for name, mask in (("prediction", pred), ("label", label)) if not bool((mask != 0).any())]
        if absent:
            self._empty[case] = " and ".join(absent)
        note = f"Dice {scores['dice']:.3f}"
        view = mid_body_view(case, raw, pred, label, None, segmented.affine, note, (label, pred))
        self._views = sorted([*self._views, view], key=lambda each: each.case)[: self.cases_in_figure]

    def _finish(self, engine: Engine) -> None:
        shares = gathered((self._rows, self._views, self._empty))
        rows = {(row.case, row.method): row for share, _, _ in shares for row in share}
        self._rows = sorted(rows.values(), key=lambda row: row.case)  # a case that a sampler repeats counts once
        views = {view.case: view for _, share, _ in shares for view in share}
        self._views = [views[case] for case in sorted(views)][: self.cases_in_figure]
        self._empty = {case: masks for _, _, share in shares for case, masks in sorted(share.items())}
        if not self._rows:
            raise InputError(
                "evaluation",
                found="no case",
                wanted="at least one image with a label",
                remedy="check 'dataset_dir' and the split that is evaluated",
            )
        summary = self.summary()
        engine.state.metrics.update({name: stats["mean"] for name, stats in summary["methods"][MODEL].items()})
        if idist.get_rank() == 0:
            self._write(summary)
            self._log(summary)

    def summary(self) -> dict[str, Any]:
        """Protocol, statistics per method and warnings, ready for JSON."""
        measures = self.overlap.measures
        return {
            "title": self.title,
            "protocol": {
                "name": self.overlap.name,
                "where": "native grid, whole image, per case",
                "labels": LABELS.get(self.label_from, self.label_from),
                "sd": "sample standard deviation over cases",
                "measures": {name: measure._asdict() for name, measure in measures.items()},
            },
            "cases": [row.case for row in self._rows if row.method == MODEL],
            "methods": summarise(self._rows, measures),
            "not_scored": {},
            "left_out": self.left_out,
            "data": self.data,
            "provenance": provenance(self.weights),
            "warnings": [
                *([f"labels are {LABELS[AUTOMATIC]}"] if self.label_from == AUTOMATIC else []),
                *(f"{case}: the {masks} is empty" for case, masks in self._empty.items()),
                *unbeaten_baselines(self._rows, measures, MODEL),
            ],
        }

    def _write(self, summary: Mapping[str, Any]) -> None:
        columns = list(self.overlap.measures)
        write_atomically(self.output_dir / "metrics.csv", lambda path: write_csv(path, self._rows, columns))
        write_json(self.output_dir / "summary.json", summary)
        if self._views:
            figure = self.output_dir / "figure.png"
            write_atomically(
                figure, lambda path: draw_outlines(self._views, path, title=self.title, footer=self.footer)
            )

    def _log(self, summary: Mapping[str, Any]) -> None:
        table = format_table(summary["methods"], self.overlap.measures)
        head = f"{self.title}: {len(summary['cases'])} case(s), whole image, mean ± SD"
        logger.info("\n".join([head, table, f"written to {self.output_dir}"]))
        for name, reason in self.left_out.items():
            logger.info("baseline %r is left out: %s", name, reason)
        for warning in summary["warnings"]:
            logger.warning(warning)
