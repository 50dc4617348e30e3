"""Each type of shape marks the pixels its rule says, wherever it lies."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from annotation.labels import labels_of
from annotation.schema import COUNTS, FARTHEST, Point, Shape
from annotation.shapes import DRAWN, pixels_of, rasterise

SIZE = (40, 50)
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]]
LABELS = labels_of(["body", "arm"], "here")


def drawn(kind: str, *points: Point, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    return pixels_of(Shape("body", kind, points), size)


def box(left: int, top: int, right: int, bottom: int) -> NDArray[np.bool_]:
    """All pixels of a box, its last column and row included."""
    pixels = np.zeros(SIZE, bool)
    pixels[top : bottom + 1, left : right + 1] = True
    return pixels


def pasted(mask: NDArray[np.uint8], *points: Point, mode: str | None = None) -> NDArray[np.bool_]:
    buffer = io.BytesIO()
    image = Image.fromarray(mask)
    (image.convert(mode) if mode else image).save(buffer, format="PNG")
    return pixels_of(Shape("body", "mask", points, mask=buffer.getvalue()), SIZE)


def test_every_type_of_the_schema_is_drawn() -> None:
    assert set(DRAWN) | {"mask"} == set(COUNTS)


def test_a_polygon_includes_its_outline() -> None:
    np.testing.assert_array_equal(drawn("polygon", (5, 6), (20, 6), (20, 12), (5, 12)), box(5, 6, 20, 12))


def test_a_polygon_of_no_area_marks_its_outline() -> None:
    np.testing.assert_array_equal(drawn("polygon", (5, 6), (20, 6), (12, 6)), box(5, 6, 20, 6))


def test_a_polygon_can_be_concave() -> None:
    marked = drawn("polygon", (5, 5), (30, 5), (30, 30), (20, 30), (20, 15), (5, 15))
    assert marked[10, 10]
    assert marked[25, 25]
    assert not marked[25, 10]


def test_a_point_lies_in_the_pixel_that_contains_it() -> None:
    fractional = drawn("polygon", (5.9, 6.1), (20.99, 6.5), (20.2, 12.9), (5.01, 12.0))
    np.testing.assert_array_equal(fractional, box(5, 6, 20, 12))


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.99])
def test_a_rectangle_is_the_same_from_any_corner(fraction: float) -> None:
    left, top, right, bottom = (each + fraction for each in (7, 9, 23, 15))
    corners = [((left, top), (right, bottom)), ((right, top), (left, bottom))]
    for pair in itertools.chain(corners, [(b, a) for a, b in corners]):
        np.testing.assert_array_equal(drawn("rectangle", *pair), box(7, 9, 23, 15))


def test_a_rectangle_of_one_point_twice_is_its_pixel() -> None:
    assert np.argwhere(drawn("rectangle", (3.5, 4.5), (3.5, 4.5))).tolist() == [[4, 3]]


def test_an_oriented_rectangle_is_a_polygon() -> None:
    points = ((20, 5), (35, 15), (25, 30), (10, 20))
    np.testing.assert_array_equal(drawn("oriented_rectangle", *points), drawn("polygon", *points))


@pytest.mark.parametrize("rim", [(31, 20), (25, 26), (25 - 6 * math.sqrt(0.5), 20 + 6 * math.sqrt(0.5))])
def test_a_circle_is_a_disc_through_its_second_point(rim: Point) -> None:
    marked = drawn("circle", (25, 20), rim)
    distance = np.hypot(ROWS - 20, COLUMNS - 25)
    assert marked[distance <= 5].all()
    assert not marked[distance > 7].any()


@pytest.mark.parametrize("radius", [3, 8, 15])
def test_a_circle_is_symmetric_and_as_wide_as_its_radius_tells(radius: int) -> None:
    marked = drawn("circle", (20, 20), (20 + radius, 20), size=(41, 41))
    for other in (marked.T, marked[::-1], marked[:, ::-1]):
        np.testing.assert_array_equal(marked, other)
    assert marked.any(axis=0).sum() == 2 * radius + 1
    assert abs(marked.sum() - math.pi * (radius + 0.5) ** 2) < 4 * radius


def test_a_point_is_a_disc_of_radius_5() -> None:
    np.testing.assert_array_equal(drawn("point", (20, 15)), drawn("circle", (20, 15), (25, 15)))


@pytest.mark.parametrize(("start", "end"), [((10, 20), (40, 20)), ((40, 20), (10, 20))])
def test_a_line_is_10_pixels_wide(start: Point, end: Point) -> None:
    marked = drawn("line", start, end)
    assert set(marked[:, 12:39].sum(axis=0)) == {10}
    assert marked[20, 12:39].all()


def test_a_linestrip_is_its_lines() -> None:
    points = [(5.0, 8.0), (30.0, 12.0), (20.0, 35.0)]
    lines = [drawn("line", *pair) for pair in itertools.pairwise(points)]
    np.testing.assert_array_equal(drawn("linestrip", *points), np.logical_or.reduce(lines))


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("polygon", [(-8, 5), (12, -9), (30, 60), (70, 20)]),
        ("rectangle", [(-4.5, -7.2), (20.1, 8.8)]),
        ("rectangle", [(33, 28), (80, 90)]),
        ("oriented_rectangle", [(-5, 20), (10, -5), (25, 4), (10, 29)]),
        ("circle", [(-3.3, 45.1), (12.7, 45.1)]),
        ("circle", [(25, 20), (25, 500)]),
        ("line", [(-20, -10), (70, 55)]),
        ("linestrip", [(-20, 30), (25, 45), (80, 10)]),
        ("point", [(-2, 17)]),
        ("point", [(50, 40)]),
    ],
)
def test_what_lies_outside_is_cut_off_and_changes_nothing_inside(kind: str, points: Sequence[Point]) -> None:
    margin = 100
    large = (SIZE[0] + 2 * margin, SIZE[1] + 2 * margin)
    whole = drawn(kind, *[(x + margin, y + margin) for x, y in points], size=large)
    np.testing.assert_array_equal(drawn(kind, *points), whole[margin:-margin, margin:-margin])


@pytest.mark.parametrize("kind", ["polygon", "rectangle", "circle", "line", "point"])
def test_a_shape_wholly_outside_marks_nothing(kind: str) -> None:
    assert not drawn(kind, *[(200, 300), (210, 305), (220, 330)][: COUNTS[kind][0]]).any()


def test_the_farthest_points_are_drawn_whole() -> None:
    far = FARTHEST
    assert drawn("polygon", (-far, -far), (far, -far), (far, far), (-far, far)).all()
    assert drawn("rectangle", (-far, -far), (far, far)).all()
    assert drawn("circle", (-far, -far), (far, far)).all()
    np.testing.assert_array_equal(drawn("circle", (-far, 20), (25, 20))[20], np.arange(SIZE[1]) <= 25)


MASK = np.array([[1, 0, 0, 1], [0, 255, 0, 0], [0, 0, 1, 0]], np.uint8)


def test_a_mask_lies_in_its_box() -> None:
    marked = pasted(MASK, (10, 20), (13, 22))
    np.testing.assert_array_equal(marked[20:23, 10:14], MASK > 0)
    assert marked.sum() == 4


@pytest.mark.parametrize("mode", ["1", "P"])
def test_a_mask_may_be_stored_with_fewer_bits_or_a_palette(mode: str) -> None:
    marked = pasted(255 * (MASK > 0).astype(np.uint8), (10, 20), (13, 22), mode=mode)
    np.testing.assert_array_equal(marked[20:23, 10:14], MASK > 0)


def test_a_mask_in_a_fractional_box_starts_at_its_rounded_corner_and_has_its_own_size() -> None:
    marked = pasted(MASK, (9.6, 20.4), (13.2, 22.9))
    np.testing.assert_array_equal(marked[20:23, 10:14], MASK > 0)
    assert marked.sum() == 4


@pytest.mark.parametrize(("left", "top"), [(-2, -1), (48, 38), (-2, 38), (48, -1), (10, -3), (-4, 5), (50, 40)])
def test_a_mask_is_cut_off_at_the_borders(left: int, top: int) -> None:
    margin = 10
    large = np.zeros((SIZE[0] + 2 * margin, SIZE[1] + 2 * margin), bool)
    large[top + margin : top + margin + 3, left + margin : left + margin + 4] = MASK > 0
    np.testing.assert_array_equal(pasted(MASK, (left, top), (left + 3, top + 2)), large[margin:-margin, margin:-margin])


def rectangle(label: str, left: int, right: int, group: int | None = None) -> Shape:
    return Shape(label, "rectangle", ((left, 0), (right, 39)), group)


def test_later_shapes_overwrite_earlier_ones() -> None:
    shapes = [rectangle("body", 0, 30), rectangle("arm", 10, 20), rectangle("__ignore__", 15, 16)]
    classes = rasterise(shapes, LABELS, SIZE).classes[0]
    assert classes[[0, 9, 10, 14, 15, 16, 17, 20, 21, 30, 31]].tolist() == [1, 1, 2, 2, -1, -1, 2, 2, 1, 1, 0]


def test_the_background_can_be_drawn_to_cut_a_hole() -> None:
    raster = rasterise([rectangle("body", 0, 30), rectangle("_background_", 10, 12)], LABELS, SIZE)
    assert raster.classes[0, 9:14].tolist() == [1, 0, 0, 0, 1]
    assert raster.objects[0, 9:14].tolist() == [1, 0, 0, 0, 1]


def test_a_group_is_one_object_and_shapes_without_group_are_their_own() -> None:
    shapes = [
        rectangle("body", 0, 1, group=4),
        rectangle("body", 4, 5),
        rectangle("body", 8, 9, group=4),
        rectangle("arm", 12, 13, group=4),
        rectangle("body", 16, 17),
        rectangle("__ignore__", 20, 21),
        rectangle("body", 24, 25, group=0),
    ]
    objects = rasterise(shapes, LABELS, SIZE).objects[0]
    assert objects[[0, 4, 8, 12, 16, 20, 24, 28]].tolist() == [1, 2, 1, 3, 4, 0, 5, 0]


def test_shapes_that_mark_nothing_are_told() -> None:
    shapes = [rectangle("body", 60, 70), rectangle("arm", 10, 20)]
    assert rasterise(shapes, LABELS, SIZE).empty == (0,)


def test_a_picture_without_shapes_is_background() -> None:
    raster = rasterise([], LABELS, SIZE)
    assert not raster.classes.any()
    assert raster.classes.shape == SIZE
