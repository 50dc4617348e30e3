"""Overlap of masks: numbers by hand, and empty masks that never become NaN."""

from __future__ import annotations

import math

import pytest
import torch
from monai.metrics import compute_dice
from torch import Tensor

from transmodal.errors import InputError
from transmodal.metrics import Overlap, dice, intersection_over_union, outline_distance

SPACING = (2.0, 1.0, 3.0)
EMPTY = torch.zeros(1, 8, 9, 4)


def box(start: int, stop: int) -> Tensor:
    """Rows from ``start`` to ``stop``, columns 2 to 6, slices 1 to 3."""
    mask = EMPTY.clone()
    mask[:, start:stop, 2:6, 1:3] = 1
    return mask


def test_dice_and_iou_of_half_an_overlap() -> None:
    """4 of 4 + 4 rows coincide by 2: Dice 2·2/8, IoU 2/6."""
    assert dice(box(0, 4), box(2, 6)) == pytest.approx(0.5)
    assert intersection_over_union(box(0, 4), box(2, 6)) == pytest.approx(1 / 3)


def test_dice_is_that_of_monai() -> None:
    a, b = (torch.rand(1, 8, 9, 4) > 0.4 for _ in range(2))
    assert dice(a, b) == pytest.approx(float(compute_dice(a[None].float(), b[None].float())))


def test_outlines_two_rows_apart_are_four_millimetres_apart() -> None:
    assert outline_distance(box(0, 4), box(2, 6), SPACING, percentile=100) == pytest.approx(4.0)


def test_a_perfect_mask() -> None:
    assert Overlap()(box(1, 5), box(1, 5), SPACING) == {"dice": 1.0, "iou": 1.0, "hd95": 0.0}


def test_two_empty_masks_agree() -> None:
    assert Overlap()(EMPTY, EMPTY, SPACING) == {"dice": 1.0, "iou": 1.0, "hd95": 0.0}


@pytest.mark.parametrize("masks", [(EMPTY, box(0, 4)), (box(0, 4), EMPTY)], ids=["no_prediction", "no_reference"])
def test_one_empty_mask_is_the_worst(masks: tuple[Tensor, Tensor]) -> None:
    """The diagonal of 8 × 2, 9 × 1 and 4 × 3 mm."""
    scores = Overlap()(*masks, SPACING)
    assert scores == {"dice": 0.0, "iou": 0.0, "hd95": pytest.approx(math.hypot(16, 9, 12))}


def test_any_value_but_zero_is_mask() -> None:
    assert dice(255 * box(0, 4), box(0, 4)) == 1.0


def test_a_single_slice_has_an_outline_in_its_plane() -> None:
    """Taken as a volume, a slice is outline everywhere: then one square within the other would be 0 mm from it."""
    large, small = torch.zeros(1, 11, 11, 1), torch.zeros(1, 11, 11, 1)
    large[:, 1:10, 1:10], small[:, 3:8, 3:8] = 1, 1
    assert outline_distance(small, large, (1.0, 1.0, 5.0), percentile=100) == pytest.approx(2 * math.sqrt(2))


def test_masks_of_other_grids_are_refused() -> None:
    with pytest.raises(InputError, match=r"shapes \(1, 8, 9, 4\) and \(1, 8, 9, 3\)"):
        dice(EMPTY, EMPTY[..., :3])


def test_a_mask_with_nan_is_refused() -> None:
    with pytest.raises(InputError, match="NaN or infinite"):
        intersection_over_union(EMPTY / 0, EMPTY)


def test_the_distance_is_named_by_its_percentile() -> None:
    assert list(Overlap(percentile=100).measures) == ["dice", "iou", "hd100"]
    with pytest.raises(ValueError, match="percentile"):
        Overlap(percentile=0)
