"""Images from clients, judged by their headers before anything reads their voxels: size, and whether all is there."""

from __future__ import annotations

import os
from pathlib import Path

MOST_VOXELS = 512 * 512 * 2048
"""Of a volume; a float32 copy of them takes 2 GB."""
MOST_PIXELS = 16384 * 16384
"""Of a picture."""


def screen(image: object) -> None:
    """Refuse an image file whose voxels are in another file, are no real numbers, or are more than are taken.

    Args:
        image: its path; a folder of DICOM files is judged where it is read.
    Raises:
        InputError: naming the file without its folder.
    """
    from transmodal.data.headers import check_size, read_header  # comes with the bundles
    from transmodal.data.layout import PICTURES, extension
    from transmodal.errors import InputError

    path = Path(str(image))
    if not path.is_file() or not extension(path):
        return
    try:
        check_size(path, read_header(path).sizes, MOST_PIXELS if extension(path) in PICTURES else MOST_VOXELS)
    except InputError as error:
        told = {"found": error.found, "wanted": error.wanted, "remedy": error.remedy}
        raise InputError(path.name, **{name: without_place(text, path) for name, text in told.items()}) from error


def without_place(text: str, image: object) -> str:
    """A text without the folder of an image, which is the server's own business."""
    path = Path(str(image))
    return text.replace(f"{path.parent}{os.sep}", "") if path.is_absolute() else text
