"""What an evaluation found, gathered from all processes, summarised and written."""

from __future__ import annotations

import csv
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch

import transmodal
from transmodal.files import sha256_of
from transmodal.handlers.regions import RegionFindings, inside
from transmodal.handlers.slice_consistency import in_words
from transmodal.handlers.slice_view import SliceView
from transmodal.handlers.translation_check import ModalityWitness, copied
from transmodal.metrics import CaseScores, Measure, Similarity, format_table, summarise, unbeaten_baselines
from transmodal.modality import Verdict

__all__ = ["MODEL", "TO_INPUT", "Findings", "as_text", "provenance", "write_csv"]

MODEL = "model"
TO_INPUT = "ssim_to_input"


@dataclass
class Findings:
    """Scores of all methods, why cases could not be scored, slices for the figure, regions by name, and verdicts.

    Verdicts are a classifier's on the modality of each case's output.
    """

    rows: list[CaseScores] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    views: list[SliceView] = field(default_factory=list)
    regions: dict[str, RegionFindings] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    @classmethod
    def merged(cls, shares: Sequence[Findings]) -> Findings:
        """All processes' findings, ordered by case; a case that a distributed sampler repeats counts once."""
        rows = {(row.case, row.method): row for share in shares for row in share.rows}
        views = {view.case: view for share in shares for view in share.views}
        faults = {case: fault for share in shares for case, fault in share.faults.items()}
        names = dict.fromkeys(name for share in shares for name in share.regions)
        return cls(
            rows=sorted(rows.values(), key=lambda row: row.case),
            faults=dict(sorted(faults.items())),
            views=[views[case] for case in sorted(views)],
            regions={
                name: RegionFindings.merged([share.regions[name] for share in shares if name in share.regions])
                for name in names
            },
            verdicts=dict(sorted((case, told) for share in shares for case, told in share.verdicts.items())),
        )

    def summary(
        self, similarity: Similarity, nearly_identical: float, witness: ModalityWitness | None = None
    ) -> dict[str, Any]:
        """Protocol, statistics per method, translation check and warnings, ready for JSON."""
        ours = [row for row in self.rows if row.method == MODEL]
        suspects = [row.case for row in ours if row.values[TO_INPUT] >= nearly_identical]
        return {
            "protocol": {
                "name": similarity.name,
                "where": "native grid, inside the body mask, physical units, per case",
                "sd": "sample standard deviation over cases",
                "measures": {name: measure._asdict() for name, measure in similarity.measures.items()},
            },
            "cases": [row.case for row in ours],
            "methods": summarise(self.rows, similarity.measures),
            "regions": {
                name: region.summary(name, self.rows, similarity.measures) for name, region in self.regions.items()
            },
            "not_scored": self.faults,
            "translation_check": {
                "suspected_from": nearly_identical,
                "nearly_identical_to_input": suspects,
                **summarise(ours, {TO_INPUT: Measure("", higher_is_better=False)})[MODEL],
                "modality": None if witness is None else witness.summary(self.verdicts),
            },
            "warnings": [
                *(f"{case} is not scored and in no mean: {fault}" for case, fault in self.faults.items()),
                *self._undefined(similarity.measures),
                *copied(suspects, nearly_identical),
                *([] if witness is None else witness.warnings(self.verdicts)),
                *unbeaten_baselines(self.rows, similarity.measures, MODEL),
                *(
                    f"inside the {name}, {sentence}"
                    for name in self.regions
                    for sentence in unbeaten_baselines(inside(name, self.rows), similarity.measures, MODEL)
                ),
            ],
        }

    def _undefined(self, measures: Mapping[str, Measure]) -> list[str]:
        warnings = []
        for row in self.rows:
            names = [name for name in measures if not math.isfinite(row.values[name])]
            if names and row.method == MODEL and row.case not in self.faults:
                warnings.append(f"{row.case} is not in the mean of {', '.join(names)}, undefined for so small a body")
        return warnings


def provenance(weights: Path | None) -> dict[str, str]:
    """Versions of what computed the scores; name and SHA-256 of the weights."""
    versions = {
        "transmodal": transmodal.__version__,
        "monai": str(monai.__version__),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    if weights is None:
        return versions
    return {**versions, "weights": weights.name, "weights_sha256": sha256_of(weights)}


def as_text(summary: Mapping[str, Any], similarity: Similarity) -> str:
    """The tables of a complete summary, for a terminal."""
    cases = f"{len(summary['cases'])} case(s)"
    head = f"{summary['title']}: {cases}, inside the body, mean ± SD, {similarity.name}"
    lines = [head, format_table(summary["methods"], similarity.measures)]
    for name, found in summary["regions"].items():
        inside_it = format_table(found["methods"], similarity.measures)
        lines += [f"inside the {name}, {found['cases']} case(s)", inside_it]
    return "\n".join(filter(None, [*lines, in_words(summary["slice_consistency"])]))


def write_csv(path: Path, rows: Sequence[CaseScores], columns: Sequence[str]) -> None:
    """A row per case and method; undefined values are empty cells."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "method", *columns])
        for row in rows:
            values = [row.values.get(column, math.nan) for column in columns]
            writer.writerow([row.case, row.method, *(value if math.isfinite(value) else "" for value in values)])
