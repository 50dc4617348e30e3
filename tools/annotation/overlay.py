"""Pictures of masks for a person to look at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from annotation.palette import voc_colours

OPACITY = 0.4
LINE = 14  # pixels of a line of the legend


def overlay(picture: Image.Image, indices: NDArray[np.uint8], names: Mapping[int, str]) -> Image.Image:
    """A picture under the colours of its indices, each area with its outline, and a legend below.

    Args:
        picture: 8-bit RGB.
        indices: (row, column) of the picture; 0 stays uncoloured.
        names: what to call the indices in the legend; others are left out of it.
    """
    colours = voc_colours()[indices].astype(np.float64)
    shown = np.asarray(picture, dtype=np.float64)
    strength = np.where(indices > 0, np.where(_edges(indices), 1.0, OPACITY), 0.0)[..., None]
    mixed = Image.fromarray((shown * (1 - strength) + colours * strength).round().astype(np.uint8))
    listed = [index for index in np.unique(indices).tolist() if index and index in names]
    whole = Image.new("RGB", (mixed.width, mixed.height + LINE * len(listed)))
    whole.paste(mixed)
    draw = ImageDraw.Draw(whole)
    for line, index in enumerate(listed):
        top = mixed.height + line * LINE
        draw.rectangle((2, top + 2, LINE - 2, top + LINE - 3), fill=tuple(voc_colours()[index].tolist()))
        draw.text((LINE + 2, top), names[index], fill=(255, 255, 255))
    return whole


def _edges(indices: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels with another index to the left, right, above or below."""
    padded = np.pad(indices, 1, mode="edge")
    inner = padded[1:-1, 1:-1]
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.asarray(np.any([inner != each for each in around], axis=0))
