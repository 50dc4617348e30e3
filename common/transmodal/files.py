"""What a folder holds, and files that are, at any moment, either the old one whole or the new one whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from transmodal.errors import InputError

__all__ = ["sha256_of", "visible", "write_atomically"]


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
