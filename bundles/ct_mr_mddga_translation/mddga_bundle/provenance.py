"""What a result was made with: settings that a training depends on, and a record beside the slice stage's volumes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from transmodal.files import sha256_of, write_atomically

__all__ = ["RECORD", "SlicesRecord", "described", "read_record", "training_settings"]

logger = logging.getLogger(__name__)

RECORD = "slices.json"
"""Name of the record, beside the folders of the cases."""
DIGITS = 16
"""Of a hash, enough to tell files apart in a message."""


def training_settings(frozen: Mapping[str, str | Path] | None = None, **groups: Any) -> dict[str, Any]:
    """The plain values that :class:`transmodal.handlers.Resume` compares, so that no training resumes as another one.

    Args:
        frozen: parts of the network to the files of their weights, which the training reads and does not change; each
            becomes the first digits of the file's hash, or None where there is no file, which loading refuses.
        groups: values by name, or mappings of such, whose own names do not matter.
    Returns:
        All of them at one level, objects told by their class and its plain attributes.
    """
    settings: dict[str, Any] = {}
    for name, value in groups.items():
        settings.update(described(value) if isinstance(value, Mapping) else {name: described(value)})
    return settings | {f"{part} weights": _hash(path) for part, path in (frozen or {}).items()}


def described(value: Any) -> Any:
    """Numbers, texts, lists and mappings as they are; an object as text, such as ``L1Noise()``."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): described(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [described(each) for each in value]
    public = {name: each for name, each in vars(value).items() if not name.startswith("_") and name != "training"}
    plain = (f"{name}={each!r}" for name, each in public.items() if isinstance(each, bool | int | float | str | list))
    return f"{type(value).__name__}({', '.join(plain)})"


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
            logger.warning(f"{self.path.parent} holds volumes of other weights or settings; they are made anew")
            self.path.unlink(missing_ok=True)

    def _write(self, engine: Engine) -> None:
        if idist.get_rank() == 0:
            cases = sorted(self.cases | {str(record["case"]) for record in self.data})
            text = json.dumps({**self.made_with, "cases": cases}, indent=2) + "\n"
            write_atomically(self.path, lambda path: path.write_text(text, encoding="utf-8"))


def read_record(folder: str | Path) -> dict[str, Any] | None:
    """The record of a folder of volumes; None if there is none, or it cannot be read as one."""
    path = Path(folder) / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _hash(path: str | Path) -> str | None:
    return sha256_of(path)[:DIGITS] if Path(path).is_file() else None
