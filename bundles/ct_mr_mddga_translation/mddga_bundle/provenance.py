"""What the slice stage's volumes were made with: a record beside them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from transmodal.files import sha256_of, write_json
from transmodal.handlers.settings import described

__all__ = ["RECORD", "SlicesRecord", "read_record"]

logger = logging.getLogger(__name__)

RECORD = "slices.json"
"""Name of the record, beside the folders of the cases."""


class SlicesRecord:
    """Leaves ``slices.json`` beside the volumes of the slice stage: what made them, and which cases.

    A record of other settings is removed when the run starts, and the new one is written when all is made: what an
    interrupted run leaves has none. Runs with the same settings, such as for training and validation cases, add their
    cases to one record. Attach it on every rank; rank 0 writes.

    Args:
        folder: that of the volumes.
        weights: file of the slice net's weights.
        data: records with ``case``, all that the run translates.
        settings: what else decides the volumes; objects are described.
    """

    def __init__(
        self, folder: str | Path, weights: str | Path, data: Iterable[Mapping[str, Any]], **settings: Any
    ) -> None:
        self.path, self.weights, self.data = Path(folder) / RECORD, weights, data
        self.settings = {name: described(value) for name, value in settings.items()}

    def attach(self, engine: Engine) -> None:
        """Join the evaluator that makes the volumes."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _start(self, engine: Engine) -> None:
        self.cases: set[str] = set()
        self.made_with = {"weights": sha256_of(self.weights), **self.settings}
        if idist.get_rank() != 0 or (before := read_record(self.path.parent)) is None:
            return
        if {**before, "cases": None} == {**self.made_with, "cases": None}:
            self.cases = set(before.get("cases", []))
        else:
            logger.warning("%s holds volumes of other weights or settings; they are made anew", self.path.parent)
            self.path.unlink(missing_ok=True)

    def _write(self, engine: Engine) -> None:
        if idist.get_rank() == 0:
            cases = sorted(self.cases | {str(record["case"]) for record in self.data})
            write_json(self.path, {**self.made_with, "cases": cases})


def read_record(folder: str | Path) -> dict[str, Any] | None:
    """The record of a folder of volumes; None if there is none, or it cannot be read as one."""
    path = Path(folder) / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
