"""Sizes of crops as published, and boxes that lie where the body is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mddga_bundle.crops import box_in_body, fraction_of

from transmodal.errors import InputError


@pytest.mark.parametrize(
    ("size", "fraction", "multiple", "crop"),
    [
        ((160, 224, 168), 0.5, 4, [80, 112, 84]),  # the published crop of volumes
        ((224, 224), 0.25, 1, [56, 56]),  # and of slices
        ((150, 6, 3), 0.5, 4, [72, 4, 4]),
        ((10, 11), 1, 1, [10, 11]),
        ((3, 3), 0.1, 1, [1, 1]),
    ],
)
def test_crops_are_fractions_of_each_axis(size: Any, fraction: float, multiple: int, crop: list[int]) -> None:
    assert fraction_of(size, fraction, multiple) == crop


@pytest.mark.parametrize(("fraction", "multiple"), [(0, 1), (1.1, 1), (-1, 1), ("0.5", 1), (True, 1), (0.5, 0)])
def test_a_fraction_or_multiple_out_of_range_is_refused(fraction: Any, multiple: int) -> None:
    with pytest.raises(InputError, match=r"size of the training crops: found the fraction .*; wanted a fraction above"):
        fraction_of((8, 8), fraction, multiple)


@pytest.mark.parametrize("multiple", [1.0, "4", True, None])
def test_a_multiple_that_is_no_count_is_refused(multiple: Any) -> None:
    with pytest.raises(InputError, match="wanted a fraction above 0 and at most 1, and an integer of 1 or more"):
        fraction_of((8, 8), 0.5, multiple)


def test_the_centre_of_a_box_is_a_voxel_of_the_body_each_as_likely() -> None:
    body = np.zeros((12, 11, 13), dtype=bool)
    voxels = [(4, 5, 6), (4, 5, 7), (7, 4, 6)]
    body[tuple(zip(*voxels, strict=True))] = True
    centres = [tuple(part.start + 2 for part in box_in_body(body, (4, 5, 4), seed)) for seed in range(600)]
    assert set(centres) == set(voxels)
    assert [centres.count(voxel) for voxel in voxels] == pytest.approx([200] * 3, abs=60)


@pytest.mark.parametrize("corner", [(0, 0, 0), (5, 6, 7), (0, 6, 3)])
def test_a_box_at_the_border_is_moved_inwards(corner: tuple[int, ...]) -> None:
    body = np.zeros((6, 7, 8), dtype=bool)
    body[corner] = True
    box = box_in_body(body, (4, 7, 5), seed=0)
    assert body[box].shape == (4, 7, 5)
    assert body[box].any()


def test_the_same_seed_gives_the_same_box() -> None:
    body = np.ones((9, 9, 9), dtype=bool)
    assert box_in_body(body, (2, 2, 2), 5) == box_in_body(body, (2, 2, 2), 5)
    assert len({str(box_in_body(body, (2, 2, 2), seed)) for seed in range(30)}) > 20


def test_without_a_body_boxes_come_from_everywhere() -> None:
    body = np.zeros((9, 9, 9), dtype=bool)
    starts = np.array([[part.start for part in box_in_body(body, (1, 1, 1), seed)] for seed in range(200)])
    assert starts.min(axis=0).tolist() == [0, 0, 0]
    assert starts.max(axis=0).tolist() == [8, 8, 8]
