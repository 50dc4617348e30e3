"""A study's own protocol beside ours: the same cases scored under its name, in files of their own."""

from __future__ import annotations

import csv
import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import ignite.distributed as idist
from ignite.engine import Engine, Events

from transmodal.files import write_atomically
from transmodal.handlers.records import CaseRecord, case_records, gathered

__all__ = ["StudyProtocol"]

logger = logging.getLogger(__name__)

Row = TypeVar("Row")


class StudyProtocol(ABC, Generic[Row]):
    """Scores an evaluator's predictions as a study does, and writes ``<files>.csv`` and ``<files>.json``.

    It reads what :class:`~transmodal.handlers.EvaluationReport` reads, and leaves the engine's metrics alone. Processes
    exchange their cases, and a case that a distributed sampler repeats counts once; rank 0 writes, and logs a few
    sentences. A study says what its rows are and what is told of all of them.

    Args:
        output_dir: where the two files go; each is there whole or not at all.
        regions: key of the mask of each region, by the region's name, for a study that scores some.
    """

    files: ClassVar[str]
    """Name of both files, without the suffix."""
    columns: ClassVar[Sequence[str]]
    """Heads of the columns of the table."""

    def __init__(self, output_dir: str | Path, regions: Mapping[str, str] | None = None) -> None:
        self.output_dir, self.regions = Path(output_dir), dict(regions or {})
        self._found: dict[str, list[Row]] = {}

    @abstractmethod
    def rows(self, record: CaseRecord) -> Iterable[Row]:
        """The rows of a case."""

    @abstractmethod
    def cells(self, row: Row) -> Sequence[Any]:
        """A row by columns; numbers that are not finite become empty cells."""

    @abstractmethod
    def summary(self, rows: Sequence[Row]) -> Mapping[str, Any]:
        """What is told of all rows, ready for JSON."""

    @abstractmethod
    def sentences(self, summary: Mapping[str, Any]) -> Iterable[str]:
        """The summary in words, for the log."""

    def attach(self, engine: Engine) -> None:
        """Score after each iteration, write when the run is complete."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self, engine: Engine) -> None:
        self._found = {}

    def _collect(self, engine: Engine) -> None:
        for record in case_records(engine, self.regions):
            self._found[record.case] = list(self.rows(record))

    def _finish(self, engine: Engine) -> None:
        cases = {case: rows for share in gathered(self._found) for case, rows in share.items()}
        if idist.get_rank() == 0:
            self._write([row for case in sorted(cases) for row in cases[case]])

    def _write(self, rows: Sequence[Row]) -> None:
        summary = self.summary(rows)
        text = json.dumps(summary, indent=4, ensure_ascii=False, allow_nan=False) + "\n"
        place = self.output_dir / f"{self.files}.json"
        write_atomically(place, lambda path: path.write_text(text, encoding="utf-8"))
        write_atomically(place.with_suffix(".csv"), lambda path: self._write_csv(path, rows))
        for sentence in self.sentences(summary):
            logger.info(sentence)

    def _write_csv(self, path: Path, rows: Sequence[Row]) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            for row in rows:
                writer.writerow(["" if _is_undefined(value) else value for value in self.cells(row)])


def _is_undefined(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
