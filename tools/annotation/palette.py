"""The colours of PASCAL VOC, and pictures whose pixels are indices of classes.

Indices are read as they are stored. Turned into colours and on into greys they are lost: of the classes 1 to 255, whose
greys are then taken for masks, 156 vanish.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transmodal.errors import InputError

REMEDY = "export the masks again as palette PNG (labelme's own export, or this tool with --to voc) or as .npy"


def voc_colours() -> NDArray[np.uint8]:
    """The colours of VOC's development kit, (256, 3).

    Bits 0, 1, 2 of an index are the highest bits of red, green and blue, bits 3, 4, 5 the next, and so on.
    """
    index = np.arange(256)[:, None]
    channel = np.arange(3)
    colours = np.zeros((256, 3), np.int64)
    for triple in range(3):
        colours |= (index >> (3 * triple + channel) & 1) << (7 - triple)
    return colours.astype(np.uint8)


def write_indices(indices: NDArray[np.uint8], path: Path) -> None:
    """Write indices (row, column) as a palette PNG in the colours of VOC."""
    picture = Image.fromarray(np.ascontiguousarray(indices))
    picture.putpalette(voc_colours().tobytes())
    picture.save(path)


def read_indices(path: Path) -> tuple[NDArray[np.uint8], str]:
    """The indices of a picture (row, column), as they are stored.

    A picture in colours is read where each of its colours is one of VOC's. Greys are refused: they may be indices, or
    what a conversion of colours left of them.

    Returns:
        The indices, and what the user should know about the file, or nothing.
    Raises:
        InputError: if the file is no picture, is grey, or has colours that are not VOC's.
    """
    try:
        with Image.open(path) as image:
            mode, palette = image.mode, image.getpalette()
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            path, found=f"no picture that can be read ({error})", wanted="a palette PNG", remedy=REMEDY
        ) from error
    if mode == "P":
        return pixels, _told_of_palette(pixels, np.array(palette, np.uint8).reshape(-1, 3), path)
    if mode == "RGB":
        return _of_colours(pixels, path), f"{path.name} has colours instead of indices; read by the palette of VOC"
    raise InputError(
        path,
        found=f"a picture of mode {mode}, whose values need not be the numbers of classes"
        + (
            ": greys may be what a conversion of the palette's colours left of them" if mode in ("L", "LA", "1") else ""
        ),
        wanted="a palette PNG, whose indices are the classes",
        remedy=REMEDY,
    )


def _of_colours(pixels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    codes = _coded(pixels)
    known = {int(code): index for index, code in enumerate(_coded(voc_colours()))}
    used, places = np.unique(codes, return_inverse=True)
    strange = [int(code) for code in used if int(code) not in known]
    if strange:
        shown = ", ".join(f"({code >> 16}, {code >> 8 & 255}, {code & 255})" for code in strange[:5])
        raise InputError(
            path,
            found=f"{len(strange)} colours that are not VOC's, such as {shown}",
            wanted="a palette PNG, or the exact colours of VOC",
            remedy=f"{REMEDY}; scaling and JPEG mix colours",
        )
    return np.array([known[int(code)] for code in used], np.uint8)[places].reshape(codes.shape)


def _told_of_palette(pixels: NDArray[np.uint8], palette: NDArray[np.uint8], path: Path) -> str:
    """Refuse VOC's colours under other indices, which a reduction to few colours makes; tell of any other palette."""
    used = np.unique(pixels)
    if used.max(initial=0) >= len(palette):
        return f"{path.name} has indices without a colour; its indices are taken for the classes"
    colours = palette[used]
    if np.array_equal(colours, voc_colours()[used]):
        return ""
    if len(used) > 1 and np.isin(_coded(colours), _coded(voc_colours())).all():
        raise InputError(
            path,
            found="the colours of VOC under other indices, as after a picture in colours was reduced to a palette",
            wanted="indices that are the classes",
            remedy=f"save it with these colours as RGB, which is read by the palette of VOC; or {REMEDY}",
        )
    return f"{path.name} has a palette that is not VOC's; its indices are taken for the classes"


def _coded(colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    return np.asarray(red << 16 | green << 8 | blue)
