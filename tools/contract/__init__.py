"""What every bundle promises, as checks: of its files, its metadata, its configs, and of its parts when they run."""

from __future__ import annotations

from contract import configs, files, imports, metadata, resuming, running
from contract.bundle import Bundle, Check, Finding, Note, Skipped, run_checks

STATIC: tuple[Check, ...] = (
    *files.CHECKS,
    *metadata.CHECKS,
    *imports.CHECKS,
    *configs.CHECKS,
    *resuming.CHECKS,
)
RUNNING: tuple[Check, ...] = running.CHECKS

__all__ = ["RUNNING", "STATIC", "Bundle", "Check", "Finding", "Note", "Skipped", "run_checks"]
