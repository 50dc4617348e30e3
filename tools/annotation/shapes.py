"""Shapes to pixels, by the rules with which labelme draws them.

A point lies in the pixel that contains it: coordinates are rounded down. Outlines belong to their shapes. What lies
outside the picture is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from annotation.labels import BACKGROUND, IGNORE, Labels
from annotation.schema import Point, Shape, decoded_mask

LINE_WIDTH = 10  # pixels
POINT_RADIUS = 5  # pixels

Pixels = NDArray[np.bool_]
"""(row, column)."""


@dataclass(frozen=True)
class Raster:
    """What the shapes of a picture mark.

    Attributes:
        classes: number of the class of each pixel, (row, column), int32; -1 is ignored, 0 background.
        objects: number of the object of each pixel from 1 on, (row, column), int32; 0 where there is none.
        empty: the indices of shapes that mark no pixel.
    """

    classes: NDArray[np.int32]
    objects: NDArray[np.int32]
    empty: tuple[int, ...]


def rasterise(shapes: Sequence[Shape], labels: Labels, size: tuple[int, int]) -> Raster:
    """Draw shapes, later ones over earlier ones; shapes of one label and one group are one object.

    Args:
        shapes: of known labels.
        labels: their numbers.
        size: rows and columns of the picture.
    """
    classes, objects = np.zeros(size, np.int32), np.zeros(size, np.int32)
    numbers: dict[tuple[str, int | None, int], int] = {}
    empty = []
    for index, shape in enumerate(shapes):
        marked = pixels_of(shape, size)
        if not marked.any():
            empty.append(index)
        classes[marked] = labels.number(shape.label)
        if shape.label in (IGNORE, BACKGROUND):
            objects[marked] = 0
        else:  # a shape without a group is an object of its own
            which = (shape.label, shape.group, index if shape.group is None else -1)
            objects[marked] = numbers.setdefault(which, len(numbers) + 1)
    return Raster(classes, objects, tuple(empty))


def pixels_of(shape: Shape, size: tuple[int, int]) -> Pixels:
    """The pixels of one shape in a picture of ``size`` rows and columns."""
    if shape.mask is not None:
        return _pasted(decoded_mask(shape.mask), shape.points, size)
    canvas = Image.new("1", (size[1], size[0]))
    DRAWN[shape.kind](ImageDraw.Draw(canvas), shape.points)
    return np.array(canvas, dtype=bool)


def _polygon(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    draw.polygon(_whole(points), fill=1, outline=1)


def _rectangle(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    """Between two opposite corners in any order, both included."""
    (x1, y1), (x2, y2) = points
    draw.rectangle(_whole([(min(x1, x2), min(y1, y2)), (max(x1, x2), max(y1, y2))]), fill=1)


def _circle(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    """Around the first point, through the second."""
    centre, rim = points
    _disc(draw, centre, math.dist(centre, rim))


def _line(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    draw.line(_whole(points), fill=1, width=LINE_WIDTH)


def _point(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    _disc(draw, points[0], POINT_RADIUS)


def _disc(draw: ImageDraw.ImageDraw, centre: Point, radius: float) -> None:
    x, y = centre
    draw.ellipse(_whole([(x - radius, y - radius), (x + radius, y + radius)]), fill=1)


DRAWN: dict[str, Callable[[ImageDraw.ImageDraw, Sequence[Point]], None]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "oriented_rectangle": _polygon,
    "circle": _circle,
    "line": _line,
    "linestrip": _line,
    "point": _point,
}
"""How each type of shape is drawn, but for masks, which are pasted."""


def _pasted(crop: Pixels, points: Sequence[Point], size: tuple[int, int]) -> Pixels:
    """A crop with its upper left pixel in the upper left corner of its box; a fractional corner is rounded."""
    left, top = (round(min(each)) for each in zip(*points, strict=True))
    marked = np.zeros(size, bool)
    inside = crop[max(-top, 0) : max(size[0] - top, 0), max(-left, 0) : max(size[1] - left, 0)]
    rows, columns = inside.shape
    marked[max(top, 0) :, max(left, 0) :][:rows, :columns] = inside
    return marked


def _whole(points: Sequence[Point]) -> list[tuple[int, int]]:
    return [(math.floor(x), math.floor(y)) for x, y in points]
