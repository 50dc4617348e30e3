"""What was found of each image, collected over an evaluator's run and over all processes."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine

from transmodal.handlers.records import samples_of
from transmodal.modality import CLASSES, Verdict

__all__ = ["COLUMNS", "Finding", "findings_of", "write_table"]

COLUMNS = (
    "case",
    "image",
    "file",
    "verdict",
    "by",
    "probability",
    "reason",
    "network",
    "network_probability",
    "slices",
)


@dataclass(frozen=True)
class Finding:
    """One image: what it is called, what was said about it, and the scores (N, K + 1) of its slices.

    ``label`` is the index of its true class, that after the last for neither, None where nobody knows.
    """

    case: str
    name: str
    file: str
    verdict: Verdict
    network: Verdict
    scores: list[list[float]]
    label: int | None = None
    pictured: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Distinguishes images of one data set."""
        return self.case, self.name

    def told(self) -> dict[str, Any]:
        """For JSON: the verdict, its evidence, and how the slices voted."""
        probabilities = torch.tensor(self.scores).reshape(-1, len(CLASSES) + 1)[:, :-1]
        best = probabilities.argmax(dim=1)
        votes = {name: int((best == index).sum()) for index, name in enumerate(CLASSES)}
        return {
            "file": self.file,
            "modality": self.verdict.modality,
            "by": self.verdict.by,
            "probability": _rounded(self.verdict.probability),
            "reason": self.verdict.reason,
            "network": {
                "modality": self.network.modality,
                "probability": _rounded(self.network.probability),
                "reason": self.network.reason,
                "slices": len(self.scores),
                "votes": votes,
                f"probability_of_{CLASSES[0]}": [_rounded(float(value)) for value in probabilities[:, 0]],
            },
        }

    def row(self) -> dict[str, Any]:
        """For CSV, by ``COLUMNS``; no answer is an empty field."""
        return {
            "case": self.case,
            "image": self.name,
            "file": self.file,
            "verdict": self.verdict.modality or "",
            "by": self.verdict.by,
            "probability": _rounded(self.verdict.probability),
            "reason": self.verdict.reason,
            "network": self.network.modality or "",
            "network_probability": _rounded(self.network.probability),
            "slices": len(self.scores),
        }


def findings_of(engine: Engine) -> list[Finding]:
    """The images of the iteration just completed, after ``Verdictd``."""
    return [_finding(sample) for sample in samples_of(engine)]


def _finding(sample: Mapping[str, Any]) -> Finding:
    label = sample.get("label")
    return Finding(
        case=str(sample["case"]),
        name=str(sample["name"]),
        file=Path(str(sample["path"])).name,
        verdict=sample["verdict"],
        network=sample["network_verdict"],
        scores=torch.as_tensor(sample["pred"]).detach().cpu().float().tolist(),
        label=None if label is None else int(label),
        pictured=bool(sample.get("window")),
    )


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV file of rows with equal keys."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
