"""The set-up that every command does for itself: a virtual environment with the pinned requirements and the core.

Programs of others whose requirements contradict ours get an environment of their own beside it, by :func:`extra`.
Standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv"
OLDEST, NEWEST = (3, 11), (3, 13)
STAMP = "transmodal-requirements.sha256"
UNFINISHED = "unfinished"
"""What the file of an environment's lock holds while it is made, and after that was cut off."""


def enter() -> None:
    """Return inside the project's environment; make it first where it is missing or out of date.

    The process is replaced by one of the environment's interpreter, so callers simply go on after this line.
    """
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Python {found} found; wanted 3.11 to 3.13. Start this command with another python3.")
    if Path(sys.prefix).resolve() != FOLDER.resolve() or not _is_current(FOLDER, _fingerprint()):
        install()
        arguments = [str(_python(FOLDER)), *sys.argv]
        if os.name == "nt":
            sys.exit(subprocess.call(arguments))
        os.execv(arguments[0], arguments)


def install() -> None:
    """Make or update ``.venv``; does nothing where it is current."""
    lists = [["-r", str(ROOT / "requirements.txt")], ["--no-deps", "--editable", str(ROOT)]]
    _make(FOLDER, lists, _fingerprint(), "the pinned requirements (once; about 2 GB with CUDA, less without)")


def extra(folder: str, requirements: Path, no_deps: Path | None = None) -> Path:
    """Make or update an environment beside ``.venv``; does nothing where it is current.

    Args:
        folder: its name beside ``.venv``, ``.venv-label`` say.
        requirements: the pinned requirements that are installed with all they ask for.
        no_deps: pinned requirements that are installed after them without what they ask for.
    Returns:
        The environment's interpreter.
    Raises:
        SystemExit: with the reason, if something cannot be installed.
    """
    lists = [["-r", str(requirements)]] + ([] if no_deps is None else [["--no-deps", "-r", str(no_deps)]])
    files = [requirements] if no_deps is None else [requirements, no_deps]
    _make(ROOT / folder, lists, _hash(files), f"the requirements of {requirements.parent.name} (once)")
    return _python(ROOT / folder)


def _make(folder: Path, lists: Sequence[Sequence[str]], fingerprint: str, contents: str) -> None:
    """Install lists of pip's arguments one after another; processes that want the same environment take turns.

    One whose making was cut off, in whatever state that left it, is made from the start.
    """
    if _is_current(folder, fingerprint):
        return
    with _alone(folder) as note:
        if _is_current(folder, fingerprint):
            return
        start = time.monotonic()
        print(f"Setting up {folder.name} with {contents} ...", flush=True)
        cut_off = _read(note) == UNFINISHED
        _write(note, UNFINISHED)
        python = _python(folder)
        if cut_off or not python.exists():
            venv.create(folder, with_pip=True, clear=folder.exists())
        for arguments in lists:
            command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
            if status := subprocess.call(command):
                if status > 0:  # it ended by itself, and in order
                    _write(note, "")
                said = f"pip could not install {arguments[-1]} (exit status {status})"
                sys.exit(f"{said}; see its message above, then try again.")
        (folder / STAMP).write_text(fingerprint)
        _write(note, "")
        print(f"Set up in {time.monotonic() - start:.0f} s.", flush=True)


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _fingerprint() -> str:
    return _hash([ROOT / name for name in ("requirements.txt", "setup.cfg", "pyproject.toml")])


def _hash(files: Sequence[Path]) -> str:
    """Changes with the files' contents and with the place of the checkout, which environments have written in them."""
    return hashlib.sha256(b"\0".join([*(file.read_bytes() for file in files), str(ROOT).encode()])).hexdigest()


def _is_current(folder: Path, fingerprint: str) -> bool:
    stamp = folder / STAMP
    return _python(folder).exists() and stamp.exists() and stamp.read_text() == fingerprint


@contextmanager
def _alone(folder: Path) -> Iterator[TextIO]:
    """Wait until no other process is here, for the file of the lock; the system frees the place of one that died."""
    place = folder.with_name(f"{folder.name}.lock")
    place.touch()
    with open(place, "r+", encoding="utf-8") as file:
        _lock(file)
        yield file


def _read(note: TextIO) -> str:
    note.seek(0)
    return note.read()


def _write(note: TextIO, text: str) -> None:
    """Have a file hold this and no more, whatever becomes of this process."""
    note.seek(0)
    note.truncate()
    note.write(text)
    note.flush()


def _lock(file: TextIO) -> None:
    """Take the lock of an open file, which closing it gives back."""
    if os.name != "nt":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        return
    import msvcrt

    while True:
        try:
            return msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            time.sleep(1)
