"""Tracebacks of cases that failed by an error of a program: one file each, beside the folders of the results."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from translating.inputs import Scan

__all__ = ["forget", "keep"]

FIRST = "Traceback of a program error, kept by tools/translate.py"
"""First line of each file, by which it is known; files of others are never touched."""


def keep(output: Path, scan: Scan, error: Exception) -> str:
    """Write the traceback of an error, with those of all that it came of.

    Args:
        output: folder of the results.
        scan: with which it failed.
        error: that is no :class:`~transmodal.errors.InputError`, which says all there is to say.
    Returns:
        The file, ``<output>/<case>.error.txt``; empty if it cannot be written, for the other cases go on.
    """
    path = _place(output, scan)
    try:
        if os.path.lexists(path) and not _is_ours(path):
            return ""
        told = "".join(traceback.format_exception(error))
        path.write_text(f"{FIRST}\ncase {scan.case}, {scan.path}\n\n{told}", encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return str(path)


def forget(output: Path, scan: Scan) -> None:
    """Remove what an earlier try at a case has left, if there is any."""
    path = _place(output, scan)
    try:
        if _is_ours(path):
            path.unlink()
    except OSError:  # it does not matter
        return


def _place(output: Path, scan: Scan) -> Path:
    return output / f"{scan.case}.error.txt"


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(FIRST)) == FIRST.encode()
