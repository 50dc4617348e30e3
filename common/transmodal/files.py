"""What a folder holds, and files that are, at any moment, either the old one whole or the new one whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transmodal.errors import InputError

__all__ = ["json_text", "sha256_of", "visible", "write_atomically", "write_json"]


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a neighbour of ``path`` with the same suffixes, then rename it; missing folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # whole even if the machine stops
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def json_text(content: Mapping[str, Any]) -> str:
    """Indented JSON with its last line ended, as all our files have it.

    Raises:
        ValueError: if a number in it is not finite, for which JSON has no word.
    """
    return json.dumps(content, indent=4, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file as :func:`json_text` has it; it appears whole or not at all."""
    text = json_text(content)
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def visible(folder: Path) -> list[Path]:
    """What a folder holds, sorted by name, without hidden entries.

    Raises:
        InputError: if there is no such folder, or it may not be read.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(
            folder,
            found=f"no folder that can be read ({error.strerror})",
            wanted="an existing folder",
            remedy="check the spelling of the path and who may read it",
        ) from error


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
