"""Sizes of crops as published."""

from __future__ import annotations

from typing import Any

import pytest
from mddga_bundle.crops import fraction_of

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
