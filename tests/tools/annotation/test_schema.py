"""Files of labelme: both generations are read, and every fault is named with file and shape."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation.schema import COUNTS, read_annotation
from transmodal.errors import InputError

Annotate = Callable[..., Path]
TRIANGLE = [[1, 1], [9, 1], [5, 8]]
FEW = {
    "polygon": [[1, 1], [2, 2]],
    "rectangle": [[1, 1]],
    "oriented_rectangle": TRIANGLE,
    "circle": [[1, 1]],
    "line": TRIANGLE,
    "linestrip": [[1, 1]],
    "point": [[1, 1], [2, 2]],
    "mask": [[1, 1]],
}


def shape(**keys: Any) -> dict[str, Any]:
    return {"label": "body", "points": TRIANGLE, "shape_type": "polygon"} | keys


def faults(path: Path) -> list[str]:
    """What is wrong with the shapes of a file."""
    with pytest.raises(ExceptionGroup) as caught:
        read_annotation(path)
    assert all(isinstance(error, InputError) for error in caught.value.exceptions)
    return [str(error) for error in caught.value.exceptions]


def test_a_file_of_the_older_generation_embeds_its_picture(annotate: Annotate, tmp_path: Path) -> None:
    read = read_annotation(annotate(tmp_path / "a.json", [shape(group_id=3, flags={}, description="x")]))
    assert read.embedded
    assert read.size == (20, 30)
    assert read.shapes[0].points == ((1.0, 1.0), (9.0, 1.0), (5.0, 8.0))
    assert read.shapes[0].group == 3


def test_a_file_of_the_newer_generation_names_its_picture(annotate: Annotate, tmp_path: Path) -> None:
    read = read_annotation(annotate(tmp_path / "a.json", [], imageData=None, imagePath="b\\c.png", mine={"free": 1}))
    assert not read.embedded
    assert read.image_path == "b\\c.png"


def test_a_shape_without_type_flags_and_group_is_a_polygon(annotate: Annotate, tmp_path: Path) -> None:
    (read,) = read_annotation(annotate(tmp_path / "a.json", [{"label": "body", "points": TRIANGLE}])).shapes
    assert (read.kind, read.group, read.mask) == ("polygon", None, None)


def test_sizes_may_be_missing(annotate: Annotate, tmp_path: Path) -> None:
    assert read_annotation(annotate(tmp_path / "a.json", imageHeight=None, imageWidth=None)).size == (None, None)


def test_a_byte_order_mark_does_no_harm(annotate: Annotate, tmp_path: Path) -> None:
    path = annotate(tmp_path / "a.json", [shape()])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_annotation(path).shapes) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"shapes": [', "no valid JSON at line 1, column 13"),
        (b'{"shapes": "\xff"}', "bytes that are not UTF-8 (byte 12)"),
        (b"[1, 2]", "JSON without a list of shapes"),
        (b'{"training": []}', "JSON without a list of shapes"),
        (b'{"shapes": {}}', "JSON without a list of shapes"),
        (b'{"shapes": []}', "neither imageData nor imagePath"),
        (b'{"shapes": [], "imageData": 1}', "imageData 1; wanted text or null"),
        (b'{"shapes": [], "imagePath": ["a"]}', 'imagePath ["a"]; wanted text or null'),
        (b'{"shapes": [], "imagePath": "a", "imageHeight": true}', "imageHeight true"),
        (b'{"shapes": [], "imagePath": "a", "imageWidth": "9"}', 'imageWidth "9"'),
        (b'{"shapes": [], "imagePath": "a", "imageWidth": 0}', "imageWidth 0"),
        (b"[" * 100_000, "no JSON that can be read"),
        (b'{"shapes": ' + b"9" * 5000 + b"}", "no JSON that can be read"),
    ],
)
def test_a_file_that_is_no_annotation_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_annotation(tmp_path / "a.json")
    assert str(caught.value).startswith(f"{tmp_path}/a.json: found {told}")


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        ([], "[]; wanted an object with label and points"),
        (shape(label=None), "the label null"),
        (shape(label="  "), 'the label "  "'),
        (shape(label=3), "the label 3"),
        (shape(shape_type="ellipse"), 'the shape_type "ellipse"; wanted one of polygon, rectangle'),
        (shape(shape_type=["polygon"]), 'the shape_type ["polygon"]'),
        (shape(shape_type="points"), "the shape_type points, which are prompts for labelme's AI"),
        (shape(group_id=True), "the group_id true"),
        (shape(group_id="1"), 'the group_id "1"'),
        (shape(points=[]), "the points []"),
        (shape(points=None), "the points null"),
        (shape(points=[[1, 1], [True, 2], [3, 3]]), "points[1] [true, 2]; wanted [x, y] of two numbers"),
        (shape(points=[[1, 1], [2, 2], [3, 3, 3]]), "points[2] [3, 3, 3]; wanted [x, y]"),
        (shape(points=[[1, 1], [2, 2], ["3", 3]]), 'points[2] ["3", 3]'),
        (shape(points=[[1, 1], [2, float("nan")], [3, 3]]), "points[1] [2, NaN]; wanted finite numbers"),
        (shape(points=[[1, 1], [2, 2], [float("inf"), 3]]), "points[2] [Infinity, 3]; wanted finite numbers"),
        (shape(points=[[10**400, 1], [2, 2], [3, 3]]), "points[0] [1000"),
        (
            shape(points=[[1e9, 1], [2, 2], [3, 3]]),
            "points[0] [1000000000.0, 1]; wanted finite numbers of at most 100,000",
        ),
        (shape(mask="aGVsbG8="), "a mask on a polygon"),
        (shape(shape_type="mask", points=[[1, 1], [4, 4]]), "a shape of type mask without its mask"),
        (shape(shape_type="mask", points=[[1, 1], [4, 4]], mask=7), "the mask 7"),
        (shape(shape_type="mask", points=[[1, 1], [4, 4]], mask="no base64!"), "a mask that cannot be decoded"),
        (shape(shape_type="mask", points=[[1, 1], [4, 4]], mask="aGVsbG8="), "a mask that cannot be decoded"),
    ],
)
def test_a_faulty_shape_is_refused_with_its_index(faulty: Any, told: str, annotate: Annotate, tmp_path: Path) -> None:
    (fault,) = faults(annotate(tmp_path / "a.json", [shape(), faulty, shape()]))
    assert fault.startswith(f"{tmp_path}/a.json: shapes[1]: found {told}")


@pytest.mark.parametrize("kind", list(COUNTS))
def test_a_wrong_number_of_points_is_refused(kind: str, annotate: Annotate, tmp_path: Path) -> None:
    (fault,) = faults(annotate(tmp_path / "a.json", [shape(shape_type=kind, points=FEW[kind])]))
    assert f"shapes[0]: found a {kind} of {len(FEW[kind])} point" in fault


def test_all_faulty_shapes_of_a_file_are_told(annotate: Annotate, tmp_path: Path) -> None:
    found = faults(annotate(tmp_path / "a.json", [shape(label=""), shape(), shape(points=[[1, 2]])]))
    assert [text.split(":")[1] for text in found] == [" shapes[0]", " shapes[2]"]


def test_a_mask_in_a_box_of_another_size_is_refused(annotate: Annotate, png_text: Any, tmp_path: Path) -> None:
    mask = png_text(np.ones((3, 4), np.uint8))
    box = shape(shape_type="mask", mask=mask, points=[[2, 2], [5, 4]])
    assert read_annotation(annotate(tmp_path / "a.json", [box])).shapes[0].mask
    (fault,) = faults(annotate(tmp_path / "a.json", [box | {"points": [[2, 2], [6, 4]]}]))
    assert "found a mask of 4×3 pixels in a box of 5×3" in fault


def test_a_mask_in_colours_is_refused(annotate: Annotate, png_text: Any, tmp_path: Path) -> None:
    mask = png_text(np.ones((3, 4, 3), np.uint8))
    (fault,) = faults(annotate(tmp_path / "a.json", [shape(shape_type="mask", mask=mask, points=[[2, 2], [5, 4]])]))
    assert "a mask that cannot be decoded (3 channels)" in fault


def test_base64_may_have_line_breaks(annotate: Annotate, tmp_path: Path, png_text: Any) -> None:
    text = base64.encodebytes(base64.b64decode(png_text(np.eye(60, dtype=np.uint8)))).decode()
    assert "\n" in text.strip()
    box = shape(shape_type="mask", mask=text, points=[[0, 0], [59, 59]])
    assert read_annotation(annotate(tmp_path / "a.json", [json.loads(json.dumps(box))])).shapes[0].mask
