"""Is a picture a frontal chest radiograph, bright where dense? And are there letters or markers on it?

A chest is recognised by its plan: two lungs that are darker than what lies between, below and beside them. Plans of
many sizes and places are compared with the picture by weighted normalised correlation, so neither brightness nor
contrast matter. What the plan leaves open (arms, neck, the air around) does not count.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from transmodal.errors import InputError

__all__ = ["ChestFit", "check_radiograph", "chest_fit", "marks"]

Array = NDArray[np.float64]

SIDE = 32
"""Rows and columns of the plan."""
LIKE, BETWEEN = 0.55, 0.75
"""Least correlation with the plan, and least difference of mediastinum and lungs in standard deviations.

Two radiographs of patients, the projection of a patient's CT from the front and those of 200 phantoms have at least
0.76 and 1.3. Projections from the side have a contrast of at most 0.73 if they are like one; of slices and projections
of heads and limbs none has both."""
NEGATIVE = "grey levels that are inverted: air is bright and bone is dark, if this is a chest at all"
LONGEST_SIDE = 2.0
"""Of the longer to the shorter side; films are 35 cm × 43 cm."""
MARK_SIDE, MARK_CONTRAST, MARK_EDGE, MARK_PIXELS, MARK_LENGTH = 512, 0.3, 0.09, 6, 0.15


class ChestFit(NamedTuple):
    """How well the best plan of a chest fits.

    Attributes:
        like: correlation with it, at most 1.
        between: how much brighter the mediastinum is than the lungs, in standard deviations within the plan.
    """

    like: float
    between: float

    @property
    def is_chest(self) -> bool:
        return self.like >= LIKE and self.between >= BETWEEN


def check_radiograph(picture: Tensor, where: str | Path, invert: bool = False) -> Tensor:
    """Refuse what is no frontal chest radiograph, bright where dense.

    Args:
        picture: (1, rows, columns), rows run head to feet; any scale.
        where: the file, for the error.
        invert: turn the greys of an inverted chest over instead of refusing it.
    Returns:
        The picture, bright where dense.
    Raises:
        InputError: for a strip, a chest whose greys are inverted or that stands on its head, and what is not like a
            chest from the front.
    """
    found = _fault(picture)
    if not found:
        return picture
    if found == NEGATIVE and invert:
        return picture.max() + picture.min() - picture
    if found != NEGATIVE:
        raise InputError(
            where,
            found=found,
            wanted=f"a chest from the front (likeness {LIKE}, contrast {BETWEEN}), not a lateral view or another part",
            remedy="give the radiograph of a chest, head up; if this is one, read it unchecked (check_chest false)",
        )
    raise InputError(
        where,
        found=found,
        wanted="a frontal chest radiograph, bright where dense",
        remedy="invert the picture or export it as MONOCHROME2, or let it be inverted (invert true); if it is shown "
        "rightly, it is no chest",
    )


def _fault(picture: Tensor) -> str:
    """Why a picture is no frontal chest radiograph, bright where dense; empty if it is one."""
    rows, columns = picture.shape[-2:]
    if max(rows, columns) > LONGEST_SIDE * min(rows, columns):
        return f"a strip of {rows}×{columns} pixels"
    fit = chest_fit(picture)
    if fit.is_chest:
        return "a chest that stands on its head" if chest_fit(picture.flip(-2)).like > fit.like else ""
    if chest_fit(-picture).is_chest:
        return NEGATIVE
    return (
        "a picture without two dark lungs beside a bright mediastinum and above a bright abdomen "
        f"(likeness {fit.like:.2f}, contrast {fit.between:.1f})"
    )


def chest_fit(picture: Tensor) -> ChestFit:
    """Compare a picture, (1, rows, columns), bright where dense, with the plans of a chest; the best one's fit."""
    values = _small(picture)
    weights, plans, lungs, between = _plans()
    mean = weights @ values
    spread = np.sqrt(np.maximum(weights @ values**2 - mean**2, 1e-6))
    like = (weights * plans) @ values / spread
    best = int(like.argmax())
    contrast = (between[best] @ values - lungs[best] @ values) / spread[best]
    return ChestFit(float(like[best]), float(contrast))


def marks(picture: Tensor) -> int:
    """How many letters, markers and other small bright things with sharp edges are in a picture, (1, rows, columns).

    What touches the border is left out, since collimators leave bright edges there.
    """
    values = _ranged(picture)
    scale = min(1.0, MARK_SIDE / max(values.shape))
    small = ndimage.zoom(values, scale, order=1) if scale < 1 else values
    raised = small - ndimage.grey_opening(small, size=max(3, round(0.03 * max(small.shape))))
    edges = ndimage.gaussian_gradient_magnitude(small, sigma=1)
    components, _ = ndimage.label(raised > MARK_CONTRAST, structure=np.ones((3, 3)))
    count = 0
    for number, box in enumerate(ndimage.find_objects(components), start=1):
        inside = components[box] == number
        within = all(part.start > 0 and part.stop < size for part, size in zip(box, small.shape, strict=True))
        length = max(inside.shape) / max(small.shape)
        sharp = edges[box][inside].max() >= MARK_EDGE
        count += bool(within and sharp and inside.sum() >= MARK_PIXELS and length <= MARK_LENGTH)
    return count


def _ranged(picture: Tensor) -> Array:
    """(rows, columns) in [0, 1] between the first and the last percentile."""
    values = np.asarray(picture.detach().cpu(), dtype=np.float64)[0]
    low, high = np.percentile(values, (1, 99))
    ranged: Array = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return ranged


def _small(picture: Tensor) -> Array:
    """The whole picture in ``SIDE``² means, in one row; sizes and places of the plans allow for its shape."""
    values = torch.from_numpy(_ranged(picture))[None, None]
    rows, columns = (min(SIDE, size) for size in values.shape[2:])
    values = F.interpolate(F.adaptive_avg_pool2d(values, (rows, columns)), size=(SIDE, SIDE), mode="bilinear")
    return values.flatten().numpy()


@cache
def _plans() -> tuple[Array, Array, Array, Array]:
    """Plans, one per row: weights that sum to 1; values of mean 0 and variance 1; means of the lungs and between."""
    heights, widths = (0.22, 0.28, 0.34), (0.24, 0.30, 0.36, 0.42)  # half sizes of the lungs, shares of the picture
    places = product((0.36, 0.42, 0.48, 0.54), (0.44, 0.5, 0.56))
    drawn = [
        _plan(y, x, height, width) for (y, x), height, width in product(places, heights, widths) if y + height < 0.9
    ]
    weights, plans, lungs, between = (np.stack([each[part].ravel() for each in drawn]) for part in range(4))
    mean = (weights * plans).sum(1, keepdims=True)
    deviation = np.sqrt((weights * (plans - mean) ** 2).sum(1, keepdims=True))
    return weights, (plans - mean) / deviation, lungs, between


def _plan(y: float, x: float, height: float, width: float) -> tuple[Array, Array, Array, Array]:
    """Weights, values and the means of lungs and mediastinum for lungs around (y, x) of these half sizes."""
    rows, columns = np.meshgrid(*[(np.arange(SIDE) + 0.5) / SIDE] * 2, indexing="ij")
    down, across = (rows - y) / height, np.abs(columns - x) / width
    flank = np.where(down < 0, np.sqrt(np.clip(1 - (0.95 * down) ** 2, 0, 1)), 1 - 0.1 * down)
    beside = np.abs(down) < 1
    lungs = beside & (across > 0.22 * (1 + 0.4 * np.clip(down, 0, 1))) & (across < flank)
    mediastinum = beside & (across < 0.176)
    abdomen = (down > 1.12) & (down < 1.8) & (across < 0.85)
    walls = (np.abs(down) < 0.9) & (across > 1.06 * flank) & (across < 1.25 * flank)
    weights = 1.0 * (lungs | mediastinum | abdomen) + 0.6 * walls
    values = 1.0 * (mediastinum | abdomen) + 0.6 * walls - lungs
    return weights / weights.sum(), values, lungs / lungs.sum(), mediastinum / mediastinum.sum()
