"""The private folder of a server: a folder for each upload and job, named by chance, gone after its time."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

try:
    import fcntl
except ImportError:  # elsewhere nobody tells whose server runs
    fcntl = None  # type: ignore[assignment]

__all__ = ["Held", "private_folder", "safe_name", "told_without"]

PREFIX = "transmodal-web-"
LOCK = "server.lock"
WATCH = """
import shutil, sys, time
from pathlib import Path

sys.stdin.buffer.read()
for _ in range(40):
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    if not Path(sys.argv[1]).exists():
        break
    time.sleep(0.25)
"""
"""What removes the folder of a killed server; processes that end with it may still write for a moment."""
LONGEST_NAME = 80


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user may enter; it goes with the server, and those of killed servers go first.

    As long as the server runs it holds a lock on a file in it: that, and no number of a process, tells whether it does.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_abandoned(left)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 0700
    try:
        with _locked(folder), _watched(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / f"{LOCK}.new").open("xb") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(OSError):  # a system on which an open file keeps its name
            Path(file.name).rename(folder / LOCK)  # who finds it finds it locked
        yield


@contextmanager
def _watched(folder: Path) -> Iterator[None]:
    """A small process that removes the folder if this one is killed; it waits for the end of a pipe from here."""
    command = [sys.executable, "-I", "-S", "-c", WATCH, str(folder)]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, cwd=folder.parent, start_new_session=True
    ) as watcher:
        yield
        shutil.rmtree(folder, ignore_errors=True)
        assert watcher.stdin is not None
        watcher.stdin.close()


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder of ours whose server does not run any more."""
    if fcntl is None or folder.is_symlink():
        return
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # another's, or none of ours
        return
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # it runs
    finally:
        os.close(lock)


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
