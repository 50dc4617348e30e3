"""What an inference and an evaluation write: a table of predictions, a summary and a figure."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embolism_bundle.figure import draw
from embolism_bundle.predictions import Collector, Prediction, write_predictions
from embolism_bundle.scores import in_words, summarised
from transmodal.files import write_atomically, write_json
from transmodal.handlers.findings import provenance

__all__ = ["ClassificationReport", "PredictionWriter"]

logger = logging.getLogger(__name__)

TABLE, SUMMARY, FIGURE = "predictions.csv", "summary.json", "figure.png"


class PredictionWriter(Collector):
    """Writes ``predictions.csv`` in ``output_dir``."""

    def write(self, predictions: Sequence[Prediction]) -> None:
        """Write the table, and log each probability."""
        write_atomically(self.output_dir / TABLE, lambda path: write_predictions(path, predictions))
        for each in predictions:
            logger.info("%s: %.3f, %s", each.case, each.probability, "yes" if each.answer else "no")


class ClassificationReport(Collector):
    """Compares predictions with the truth and writes ``predictions.csv``, ``summary.json`` and ``figure.png``.

    Args:
        output_dir: where the three files go.
        sections: section of each case, by case.
        title: first line of the figure.
        weights: file of the network's weights, identified in the summary by name and SHA-256.
        data: where the cases come from, kept in the summary.
    """

    def __init__(
        self,
        output_dir: str | Path,
        sections: Mapping[str, str] | None = None,
        title: str = "Embolism",
        weights: str | Path | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(output_dir, sections)
        self.title, self.weights = title, None if weights is None else Path(weights)
        self.data = {name: None if value is None else str(value) for name, value in (data or {}).items()}

    def write(self, predictions: Sequence[Prediction]) -> None:
        """Write the three files.

        Raises:
            InputError: if there is no case, or one of which nobody knows.
        """
        scores = summarised(predictions)
        summary = {"title": self.title, **scores, "data": self.data, "provenance": provenance(self.weights)}
        write_atomically(self.output_dir / TABLE, lambda path: write_predictions(path, predictions))
        write_json(self.output_dir / SUMMARY, summary)
        write_atomically(self.output_dir / FIGURE, lambda path: draw(predictions, path, self.title))
        for warning in scores["warnings"]:
            logger.warning(warning)
        logger.info("%s; written to %s", in_words(scores), self.output_dir)
