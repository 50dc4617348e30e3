"""The private folder of a server: a folder for each upload and job, named by chance, gone after its time."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Held", "private_folder", "safe_name", "told_without"]

PREFIX = "transmodal-web-"
LONGEST_NAME = 80


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user may enter; it goes with the server, and those of killed servers go first."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))  # mode 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether it is a folder of ours whose server does not run any more."""
    owner = folder.name.removeprefix(PREFIX).partition("-")[0]
    if os.name != "posix" or folder.is_symlink() or folder.stat().st_uid != os.getuid() or not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)  # asks only
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def safe_name(name: str, fallback: str = "image") -> str:
    """The last part of a name that somebody sent, in letters, digits, ``._-`` alone and never hidden; for files too."""
    last = re.split(r"[\\/]", name)[-1]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", last).strip("._-")
    return plain[-LONGEST_NAME:].lstrip("._-") or fallback


@dataclass
class Held:
    """Something that is kept for a while.

    Args:
        root: folder that holds it.
        retention: seconds that it is kept after its last use.
    """

    root: Path
    retention: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    clock: Callable[[], float] = time.time
    used: float = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.touch()

    @property
    def folder(self) -> Path:
        """Where all of it lies."""
        return self.root / self.id

    @property
    def expires(self) -> str:
        """When it goes, as ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.used + self.retention, UTC).isoformat(timespec="seconds")

    @property
    def expired(self) -> bool:
        return self.clock() > self.used + self.retention

    def touch(self) -> None:
        """Start its time again."""
        self.used = self.clock()

    def remove(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def told_without(text: str, *folders: Path) -> str:
    """A text for the page, on one line, without the places of these folders in it."""
    for folder in folders:
        text = text.replace(f"{folder}{os.sep}", "").replace(str(folder), "the upload")
    return " ".join(text.split())
