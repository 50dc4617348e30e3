"""Files of labelme, of every version that embeds its picture or names it; each shape is checked before it is drawn.

The schema is a JSON object with ``shapes``, ``imagePath`` (relative to the file), ``imageData`` (base64, or null since
version 6), ``imageHeight`` and ``imageWidth``; other keys are free.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transmodal.errors import InputError

Point = tuple[float, float]
"""(x, y) in pixels from the upper left corner of the picture; pixel (0, 0) reaches from 0 to 1."""

COUNTS: dict[str, tuple[int, int | None]] = {
    "polygon": (3, None),
    "rectangle": (2, 2),
    "oriented_rectangle": (4, 4),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, None),
    "point": (1, 1),
    "mask": (2, 2),
}
"""Least and most points of each type of shape."""

FARTHEST = 1e5  # pixels from the corner; beyond it a file is broken, and large discs would take minutes
ANNOTATE = "open the file in labelme and draw the shape again, or correct the file"


@dataclass(frozen=True)
class Shape:
    """One drawn shape; ``mask`` is the PNG of a shape of type mask, and ``group`` joins the parts of one object."""

    label: str
    kind: str
    points: tuple[Point, ...]
    group: int | None = None
    mask: bytes | None = None


@dataclass(frozen=True)
class Annotation:
    """A file of labelme without its picture.

    Attributes:
        path: the file.
        shapes: in the order in which they cover each other, the last on top.
        embedded: whether the file holds its picture.
        image_path: the picture's path as the file tells it; may be empty if the picture is embedded.
        size: rows and columns as the file tells them; None where it does not.
    """

    path: Path
    shapes: tuple[Shape, ...]
    embedded: bool
    image_path: str
    size: tuple[int | None, int | None]


def read_annotation(path: Path) -> Annotation:
    """Read and check a file of labelme.

    Raises:
        InputError: if the file is no JSON or no annotation.
        ExceptionGroup: of an InputError for each faulty shape, with its index.
    """
    content = read_json(path)
    shapes = content["shapes"]
    image_path, data = content.get("imagePath"), content.get("imageData")
    for key, value in (("imagePath", image_path), ("imageData", data)):
        if value is not None and not isinstance(value, str):
            raise _refused(path, f"{key} {_short(value)}", "text or null", f"correct {key}")
    if not data and not (image_path or "").strip():
        wanted, remedy = "one of them", "embed the picture with labelme, or write its path into imagePath"
        raise _refused(path, "neither imageData nor imagePath", wanted, remedy)
    size = _length(content, "imageHeight", path), _length(content, "imageWidth", path)
    faults, good = [], []
    for index, shape in enumerate(shapes):
        try:
            good.append(_shape(shape, f"{path}: shapes[{index}]"))
        except InputError as error:
            faults.append(error)
    if faults:
        raise ExceptionGroup(f"{path}: {len(faults)} faulty shapes", faults)
    return Annotation(path, tuple(good), bool(data), (image_path or "").strip(), size)


def read_json(path: Path) -> dict[str, Any]:
    """The content of a file of labelme.

    Raises:
        InputError: if it is no JSON in UTF-8, or has no list of shapes.
    """
    wanted, remedy = "an annotation of labelme", "save it again with labelme, or move it out of the folder"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _refused(path, f"a file that cannot be read ({error.strerror})", wanted, "check the path") from error
    except UnicodeDecodeError as error:
        raise _refused(path, f"bytes that are not UTF-8 (byte {error.start})", wanted, remedy) from error
    except json.JSONDecodeError as error:
        found = f"no valid JSON at line {error.lineno}, column {error.colno} ({error.msg})"
        raise _refused(path, found, wanted, remedy) from error
    except (ValueError, RecursionError) as error:  # numbers or nesting beyond what Python reads
        raise _refused(path, f"no JSON that can be read ({error})", wanted, remedy) from error
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise _refused(path, "JSON without a list of shapes", wanted, remedy)
    return content


def decoded(text: str) -> bytes:
    """Bytes of base64, in which line breaks do not matter.

    Raises:
        ValueError: if it is none.
    """
    return base64.b64decode("".join(text.split()), validate=True)


def decoded_mask(png: bytes) -> NDArray[np.bool_]:
    """The pixels (row, column) that a mask's PNG marks, by any value but 0.

    Raises:
        OSError, SyntaxError, ValueError: if it is no picture of one channel.
    """
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image)
    if pixels.ndim != 2:
        raise ValueError(f"{pixels.shape[-1]} channels")
    return pixels.astype(bool)


def _shape(shape: Any, where: str) -> Shape:
    if not isinstance(shape, dict):
        raise _refused(where, _short(shape), "an object with label and points", ANNOTATE)
    label, kind, group = shape.get("label"), shape.get("shape_type"), shape.get("group_id")
    if not isinstance(label, str) or not label.strip():
        raise _refused(where, f"the label {_short(label)}", "a name", ANNOTATE)
    kind = "polygon" if kind is None else kind
    if not isinstance(kind, str) or kind not in COUNTS:
        prompt = "the shape_type points, which are prompts for labelme's AI and no area"
        found = prompt if kind == "points" else f"the shape_type {_short(kind)}"
        raise _refused(where, found, f"one of {', '.join(COUNTS)}", ANNOTATE)
    if group is not None and (isinstance(group, bool) or not isinstance(group, int)):
        raise _refused(where, f"the group_id {_short(group)}", "a whole number or null", ANNOTATE)
    points = _points(shape.get("points"), where)
    least, most = COUNTS[kind]
    if not least <= len(points) <= (most or len(points)):
        wanted = f"{least} points" if most == least else f"at least {least} points"
        raise _refused(where, f"a {kind} of {_counted(len(points), 'point')}", wanted, ANNOTATE)
    mask = _mask(shape.get("mask"), kind, where)
    if mask is not None:
        _check_box(mask, points, where)
    return Shape(label, kind, points, group, mask)


def _points(points: Any, where: str) -> tuple[Point, ...]:
    if not isinstance(points, list) or not points:
        raise _refused(where, f"the points {_short(points)}", "a list of [x, y]", ANNOTATE)
    for index, point in enumerate(points):
        if not isinstance(point, list) or len(point) != 2 or not all(map(_is_number, point)):
            raise _refused(where, f"points[{index}] {_short(point)}", "[x, y] of two numbers", ANNOTATE)
        if not all(map(_is_near, point)):
            wanted = f"finite numbers of at most {FARTHEST:,.0f} pixels"
            raise _refused(where, f"points[{index}] {_short(point)}", wanted, ANNOTATE)
    return tuple((float(x), float(y)) for x, y in points)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_near(value: float) -> bool:
    return -FARTHEST <= value <= FARTHEST  # false for NaN


def _mask(text: Any, kind: str, where: str) -> bytes | None:
    if kind != "mask":
        if text is not None:
            raise _refused(where, f"a mask on a {kind}", "a mask on shapes of type mask only", ANNOTATE)
        return None
    if text is None:
        raise _refused(where, "a shape of type mask without its mask", "a PNG in base64", ANNOTATE)
    if not isinstance(text, str):
        raise _refused(where, f"the mask {_short(text)}", "a PNG in base64", ANNOTATE)
    try:
        decoded_mask(png := decoded(text))
    except (OSError, SyntaxError, ValueError, binascii.Error, Image.DecompressionBombError) as error:
        found = f"a mask that cannot be decoded ({str(error).splitlines()[0][:100]})"
        raise _refused(where, found, "a PNG of one channel in base64", ANNOTATE) from error
    return png


def _check_box(png: bytes, points: Iterable[Point], where: str) -> None:
    """Refuse a mask whose box, where its corners are whole pixels, is not of the size of its PNG."""
    (x1, y1), (x2, y2) = points
    if not all(map(float.is_integer, (x1, y1, x2, y2))):
        return
    rows, columns = decoded_mask(png).shape
    box = abs(x2 - x1) + 1, abs(y2 - y1) + 1
    if box != (columns, rows):
        raise _refused(
            where, f"a mask of {columns}×{rows} pixels in a box of {box[0]:g}×{box[1]:g}", "one size", ANNOTATE
        )


def _length(content: dict[str, Any], key: str, path: Path) -> int | None:
    value = content.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise _refused(path, f"{key} {_short(value)}", "a number of pixels, or null", f"correct {key}")
    return value


def _refused(where: str | Path, found: str, wanted: str, remedy: str) -> InputError:
    return InputError(where, found=found, wanted=wanted, remedy=remedy)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _short(value: Any) -> str:
    """A value as JSON has it, cut to what fits into a line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except ValueError:  # an integer of thousands of digits
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= 60 else f"{text[:57]}…"
