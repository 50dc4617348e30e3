"""Images of patients stay in a folder of the server's own, which goes with it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import psutil


def keep_to_ourselves() -> None:
    """Put temporary files, uploads and results among them, where no other user may look; removed when this ends.

    A process that this one starts has its own within it, so that nothing stays of one that is killed.
    """
    folder = tempfile.mkdtemp(prefix=f"label-{os.getpid()}-")  # readable by its owner alone
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tempfile.tempdir = os.environ["TMPDIR"] = folder


def remove_of_the_dead() -> None:
    """Remove what processes that this one started, and that were killed, left behind."""
    for folder in Path(tempfile.gettempdir()).glob("label-*-*"):
        number = folder.name.split("-")[1]
        if number.isdigit() and not _runs(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def forget() -> None:
    """Remove the folder now, for an end that runs no exit handlers."""
    folder = Path(tempfile.gettempdir())
    if folder.name.startswith(f"label-{os.getpid()}-"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_upload(image: object) -> None:
    """Remove an uploaded image whose request failed, for MONAI Label 0.8.5 does so only after a success."""
    path = Path(str(image))
    if path.is_file() and path.parent == Path(tempfile.gettempdir()):
        path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
