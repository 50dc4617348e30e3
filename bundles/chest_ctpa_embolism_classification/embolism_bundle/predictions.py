"""What was said of each case, as rows of ``predictions.csv``, collected over an evaluator's run and all processes."""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine

from transmodal.errors import InputError
from transmodal.handlers import Collecting, by_case

__all__ = ["COLUMNS", "Collector", "Prediction", "read_predictions", "write_predictions", "write_rows"]

COLUMNS = ("case", "patient", "section", "label", "probability", "threshold", "answer")


@dataclass(frozen=True)
class Prediction:
    """One case: the probability of the finding, and the threshold from which that is a yes.

    ``label`` is 1 with the finding, 0 without, None where nobody knows; ``section`` is that of the data list, if any.
    """

    case: str
    patient: str
    probability: float
    threshold: float
    label: int | None = None
    section: str = ""

    @property
    def answer(self) -> int:
        """1 for yes, 0 for no."""
        return int(self.probability >= self.threshold)

    def row(self) -> dict[str, Any]:
        """For CSV, by ``COLUMNS``; numbers in full, because rounding would make ties."""
        label = "" if self.label is None else self.label
        return {**vars(self), "label": label, "answer": self.answer}


class Collector(Collecting[dict[str, Prediction]]):
    """Collects the predictions of a run; when it is complete, rank 0 has those of all processes, in order of cases.

    Args:
        output_dir: where a subclass writes.
        sections: section of each case, by case.
    """

    def __init__(self, output_dir: str | Path, sections: Mapping[str, str] | None = None) -> None:
        self.output_dir, self.sections = Path(output_dir), dict(sections or {})
        super().__init__()

    def _nothing(self) -> dict[str, Prediction]:
        return {}

    def _collect(self, engine: Engine) -> None:
        for batch, output in zip(engine.state.batch, engine.state.output, strict=True):
            prediction = self._prediction({**output, **batch}, output["pred"])
            self._findings[prediction.case] = prediction

    def _prediction(self, sample: Mapping[str, Any], scores: Any) -> Prediction:
        case, label = str(sample["case"]), sample.get("label")
        probability, threshold = torch.as_tensor(scores).detach().cpu().double().tolist()
        return Prediction(
            case=case,
            patient=str(sample.get("patient", case)),
            probability=probability,
            threshold=threshold,
            label=None if label is None else int(label),
            section=self.sections.get(case, ""),
        )

    def _finish(self, engine: Engine, shares: Sequence[dict[str, Prediction]]) -> None:
        if idist.get_rank() == 0:
            self.write(list(by_case(shares).values()))

    @abstractmethod
    def write(self, predictions: Sequence[Prediction]) -> None:
        """Write what a run has found."""


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """A CSV file with a row for each case."""
    write_rows(path, [prediction.row() for prediction in predictions], COLUMNS)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """A CSV file of rows; without ``columns``, those of the first row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0] if columns is None else columns))
        writer.writeheader()
        writer.writerows(rows)


def read_predictions(path: str | Path) -> list[Prediction]:
    """Read a file of :func:`write_predictions`.

    Raises:
        InputError: if it is missing or no such file.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                Prediction(
                    case=row["case"],
                    patient=row["patient"],
                    probability=float(row["probability"]),
                    threshold=float(row["threshold"]),
                    label=int(row["label"]) if row["label"] else None,
                    section=row["section"],
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            path,
            found=f"no table of predictions ({type(error).__name__}: {error})",
            wanted=f"a CSV file with the columns {', '.join(COLUMNS)}",
            remedy="give a predictions.csv that inference or evaluation of this bundle wrote",
        ) from error
