"""Radiographs as pictures: PNG and JPEG of any depth, grey or stored in colour although grey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from transmodal.errors import InputError

__all__ = ["read_picture"]

EQUAL = 2
"""Of 255, by which the colours of a grey may differ: compression rounds them."""


def read_picture(path: Path) -> NDArray[np.float32]:
    """Read a PNG or JPEG file as it is seen, (rows, columns) in its own grey levels; a camera's rotation is undone.

    Raises:
        InputError: if it is no such file, is truncated, or has colour or transparency.
    """
    try:
        with Image.open(path) as opened:
            opened.load()
            image = ImageOps.exif_transpose(opened)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            path,
            found=f"a picture that cannot be read ({str(error).strip() or type(error).__name__})",
            wanted="a complete PNG or JPEG file",
            remedy="export or copy it again; it may be truncated",
        ) from error
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image, dtype=np.float32)
    return _grey(path, np.asarray(image.convert("RGBA"), dtype=np.int16))


def _grey(path: Path, pixels: NDArray[np.int16]) -> NDArray[np.float32]:
    """One of three equal colours of (rows, columns, 4)."""
    colours = pixels[..., :3]
    coloured = np.ptp(colours, axis=-1) > EQUAL
    transparent = pixels[..., 3] < 255
    if coloured.any():
        found = f"colours in {100 * coloured.mean():.2g} % of the pixels"
        remedy = "this is a screen capture, or somebody drew into it: export the original picture without annotations"
    elif transparent.any():
        found = f"transparency in {100 * transparent.mean():.2g} % of the pixels"
        remedy = "export the original picture without transparency"
    else:
        return colours[..., 1].astype(np.float32)
    raise InputError(path, found=found, wanted="a picture in grey", remedy=remedy)
