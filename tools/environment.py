"""The set-up that every command does for itself: a virtual environment with the pinned requirements and the core.

Standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST, NEWEST = (3, 11), (3, 13)


def enter() -> None:
    """Return inside the project's environment; make it first where it is missing or out of date.

    The process is replaced by one of the environment's interpreter, so callers simply go on after this line.
    """
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Python {found} found; wanted 3.11 to 3.13. Start this command with another python3.")
    if Path(sys.prefix).resolve() != FOLDER.resolve() or not _is_current():
        install()
        arguments = [str(PYTHON), *sys.argv]
        if os.name == "nt":
            sys.exit(subprocess.call(arguments))
        os.execv(str(PYTHON), arguments)


def install() -> None:
    """Make or update ``.venv``; does nothing where it is current."""
    if _is_current():
        return
    start = time.monotonic()
    print(
        f"Setting up {FOLDER.name} with the pinned requirements (once; about 2 GB with CUDA, less without) ...",
        flush=True,
    )
    if not PYTHON.exists():
        venv.create(FOLDER, with_pip=True, clear=FOLDER.exists())
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for arguments in (["-r", str(ROOT / "requirements.txt")], ["--no-deps", "--editable", str(ROOT)]):
        status = subprocess.call([*pip, *arguments])
        if status:
            sys.exit(
                f"pip could not install {arguments[-1]} (exit status {status}); see its message above, then try again."
            )
    _stamp().write_text(_fingerprint())
    print(f"Set up in {time.monotonic() - start:.0f} s.", flush=True)


def _stamp() -> Path:
    return FOLDER / "transmodal-requirements.sha256"


def _fingerprint() -> str:
    texts = [(ROOT / name).read_bytes() for name in ("requirements.txt", "setup.cfg", "pyproject.toml")]
    return hashlib.sha256(b"\0".join([*texts, str(ROOT).encode()])).hexdigest()


def _is_current() -> bool:
    return PYTHON.exists() and _stamp().exists() and _stamp().read_text() == _fingerprint()
