"""A study's own protocol beside ours: the same cases scored under its name, in files of their own."""

from __future__ import annotations

import csv
import logging
import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import ignite.distributed as idist
from ignite.engine import Engine

from transmodal.files import write_atomically, write_json
from transmodal.handlers.collecting import Collecting, by_case
from transmodal.handlers.records import CaseRecord, case_records

__all__ = ["StudyProtocol"]

logger = logging.getLogger(__name__)

Row = TypeVar("Row")


class StudyProtocol(Collecting[dict[str, list[Row]]]):
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
        super().__init__()

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

    def _nothing(self) -> dict[str, list[Row]]:
        return {}

    def _collect(self, engine: Engine) -> None:
        for record in case_records(engine, self.regions):
            self._findings[record.case] = list(self.rows(record))

    def _finish(self, engine: Engine, shares: Sequence[dict[str, list[Row]]]) -> None:
        if idist.get_rank() == 0:
            self._write([row for rows in by_case(shares).values() for row in rows])

    def _write(self, rows: Sequence[Row]) -> None:
        summary = self.summary(rows)
        place = self.output_dir / f"{self.files}.json"
        write_json(place, summary)
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
