"""How far a job is, told by its process through a small file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

__all__ = ["ProgressFile", "read_progress"]

EVERY = 0.2
"""Seconds between two writings at least."""


class ProgressFile:
    """A listener that writes what it hears.

    Args:
        path: the file; whole at any moment.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._stage, self._written = path, "starting", 0.0
        self._begun, self._made, self._total = 0.0, 0, 0

    def stage(self, name: str) -> None:
        """Something else is being done now."""
        self._stage = name
        self._write()

    def steps(self, made: int, total: int) -> None:
        """So many calls of the network were made, of so many."""
        now = time.time()
        if made == 0:
            self._begun = now
        self._made, self._total = made, total
        if made in (0, total) or now - self._written >= EVERY:
            self._write()

    def _write(self) -> None:
        self._written = time.time()
        told = {
            "stage": self._stage,
            "step": self._made,
            "steps": self._total,
            "per_step": (self._written - self._begun) / self._made if self._made else None,
            "written": self._written,
        }
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(told), encoding="utf-8")
        partial.replace(self.path)


def read_progress(path: Path) -> dict[str, Any]:
    """Stage, step, steps and, by the rate measured so far, the seconds that all steps will still take."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"stage": "starting", "step": 0, "steps": 0, "eta_seconds": None}
    eta = None
    if told["per_step"] is not None and told["steps"]:
        eta = max(0.0, told["per_step"] * (told["steps"] - told["step"]) - (time.time() - told["written"]))
    return {"stage": told["stage"], "step": told["step"], "steps": told["steps"], "eta_seconds": eta}
