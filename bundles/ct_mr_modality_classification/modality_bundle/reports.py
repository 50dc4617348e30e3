"""What an inference and an evaluation write: a verdict per case, tables, a summary and a figure."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine

from modality_bundle.figure import draw
from modality_bundle.findings import Finding, findings_of, write_table
from transmodal.errors import InputError
from transmodal.files import write_atomically, write_json
from transmodal.handlers import Collecting, by_case
from transmodal.handlers.findings import provenance
from transmodal.metrics import area_under_curve, bootstrap_interval, classification_scores
from transmodal.modality import CLASSES

__all__ = ["ClassificationReport", "VerdictWriter"]

logger = logging.getLogger(__name__)

Findings = dict[tuple[str, str], Finding]


class _Collector(Collecting[Findings]):
    """Collects the findings of a run; when it is complete, rank 0 has those of all processes, in order."""

    def __init__(self, output_dir: str | Path) -> None:
        self.output_dir = Path(output_dir)
        super().__init__()

    def _nothing(self) -> Findings:
        return {}

    def _collect(self, engine: Engine) -> None:
        self._findings |= {finding.key: finding for finding in findings_of(engine)}

    def _finish(self, engine: Engine, shares: Sequence[Findings]) -> None:
        if idist.get_rank() == 0:
            self._write(list(by_case(shares).values()))

    @abstractmethod
    def _write(self, findings: Sequence[Finding]) -> None:
        """Write what a run has found, in the order of cases."""


class VerdictWriter(_Collector):
    """Writes ``<case>/modality.json`` for each case and ``modality.csv`` for all of them.

    Args:
        output_dir: where they go; each is there whole or not at all.
    """

    def _write(self, findings: Sequence[Finding]) -> None:
        for case, images in groupby(findings, key=lambda finding: finding.case):
            content = {"case": case, "images": {finding.name: finding.told() for finding in images}}
            write_json(self.output_dir / case / "modality.json", content)
        rows = [finding.row() for finding in findings]
        write_atomically(self.output_dir / "modality.csv", lambda path: write_table(path, rows))
        for finding in findings:
            logger.info("%s, %s: %s", finding.case, finding.name, finding.verdict)


class ClassificationReport(_Collector):
    """Compares verdicts with the truth and writes ``metrics.csv``, ``summary.json`` and ``figure.png``.

    Everything is told twice, of the network alone and of all evidence, and separately for files and for the pictures
    that display windows make of CT.

    Args:
        output_dir: where the three files go.
        title: first line of the figure.
        weights: file of the network's weights, identified in the summary by name and SHA-256.
        data: where the cases come from, kept in the summary.
    """

    def __init__(
        self,
        output_dir: str | Path,
        title: str = "CT or MR",
        weights: str | Path | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(output_dir)
        self.title, self.weights = title, None if weights is None else Path(weights)
        self.data = {name: None if value is None else str(value) for name, value in (data or {}).items()}

    def _write(self, findings: Sequence[Finding]) -> None:
        if not findings:
            raise InputError(
                "evaluation", found="no image", wanted="at least one", remedy="check 'dataset_dir' and the section"
            )
        rows = [{**finding.row(), "truth": truth_of(finding)} for finding in findings]
        summary = {
            "title": self.title,
            **summarised(findings),
            "data": self.data,
            "provenance": provenance(self.weights),
        }
        write_atomically(self.output_dir / "metrics.csv", lambda path: write_table(path, rows))
        write_json(self.output_dir / "summary.json", summary)
        write_atomically(self.output_dir / "figure.png", lambda path: draw(findings, path, self.title))
        for name in ("files", "pictures"):
            for who, scores in summary[name].items():
                logger.info("%s, %s: %s", name, who, in_words(scores))
        logger.info("written to %s", self.output_dir)


def truth_of(finding: Finding) -> str:
    """The true class in words; ``neither`` for the label after the last class."""
    return CLASSES[finding.label] if finding.label is not None and finding.label < len(CLASSES) else "neither"


def summarised(findings: Sequence[Finding]) -> dict[str, Any]:
    """Scores of the network alone and of all evidence, of files and of pictures; and of single slices of files."""
    parts = {
        "files": [finding for finding in findings if not finding.pictured],
        "pictures": [finding for finding in findings if finding.pictured],
    }
    summary: dict[str, Any] = {name: _both(part) for name, part in parts.items() if part}
    wrong = [finding for finding in findings if finding.verdict.modality not in (None, truth_of(finding))]
    return {
        "cases": sorted({finding.case for finding in findings}),
        "files": {},
        "pictures": {},
        **summary,
        "slices": _of_slices(parts["files"]),
        "wrong": [f"{finding.case}, {finding.name}: {finding.verdict}" for finding in wrong],
        "abstained": [f"{f.case}, {f.name}: {f.verdict.reason}" for f in findings if f.verdict.modality is None],
    }


def _both(findings: Sequence[Finding]) -> dict[str, Any]:
    labels = [int(finding.label or 0) for finding in findings]
    network, all_evidence = ([_answer(verdict.modality) for verdict in each] for each in _verdicts(findings))
    return {
        "network": {**classification_scores(network, labels, CLASSES), "auc_mr": _area(findings)},
        "all evidence": classification_scores(all_evidence, labels, CLASSES),
    }


def _verdicts(findings: Sequence[Finding]) -> tuple[list[Any], list[Any]]:
    return [finding.network for finding in findings], [finding.verdict for finding in findings]


def _answer(modality: str | None) -> int:
    return -1 if modality is None else CLASSES.index(modality)


def _area(findings: Sequence[Finding]) -> dict[str, Any]:
    """Area under the ROC curve of the mean probability of MR, over images of a class that show something."""
    known = [f for f in findings if f.scores and f.label is not None and f.label < len(CLASSES)]
    scores = torch.tensor([torch.tensor(finding.scores)[:, 1].mean() for finding in known])
    positive = torch.tensor([finding.label == 1 for finding in known], dtype=torch.bool)
    area = area_under_curve(scores, positive)
    interval = bootstrap_interval(scores, positive)
    return {"value": area, "interval_95": None if interval is None else list(interval), "n": len(known)}


def _of_slices(findings: Sequence[Finding]) -> dict[str, Any]:
    """Scores of every slice as if it were alone."""
    answers, labels = [], []
    for finding in findings:
        for scores in finding.scores:
            best = max(range(len(scores)), key=scores.__getitem__)
            answers.append(best if best < len(CLASSES) else -1)
            labels.append(int(finding.label or 0))
    return classification_scores(answers, labels, CLASSES)


def in_words(scores: Mapping[str, Any]) -> str:
    """Accuracy and abstentions in a line."""
    answered, rate = scores["answered_accuracy"], scores["abstention_rate"]
    right = "nothing was answered" if answered is None else f"right {answered:.1%} of what was answered"
    return f"{scores['n']} images, {right}, no answer to {rate:.1%}"
