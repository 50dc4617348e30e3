"""Images of patients stay in a folder of the server's own, which goes with it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def keep_to_ourselves() -> None:
    """Put temporary files, uploads and results among them, where no other user may look; removed when this ends."""
    folder = tempfile.mkdtemp(prefix="label-")  # readable by its owner alone
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tempfile.tempdir = folder


def remove_upload(image: object) -> None:
    """Remove an uploaded image whose request failed, for MONAI Label 0.8.5 does so only after a success."""
    path = Path(str(image))
    if path.is_file() and path.parent == Path(tempfile.gettempdir()):
        path.unlink(missing_ok=True)
