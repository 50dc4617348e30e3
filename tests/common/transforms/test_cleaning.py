"""Tidying a mask: islands go, two legs stay, holes close slice by slice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor

from transmodal.errors import InputError
from transmodal.transforms import CleanMaskd

SAGITTAL = torch.tensor([[0.0, 0, 2, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
"""Stored with its slices last, which run from left to right."""


def legs() -> Tensor:
    """Two legs of 4 × 4 × 5 voxels, one with a marrow cavity open above and below, and a table of 6 voxels."""
    mask = torch.zeros(1, 12, 12, 5, dtype=torch.uint8)
    mask[:, 1:5, 1:5], mask[:, 1:5, 7:11] = 1, 1
    mask[:, 2:4, 2:4] = 0
    mask[:, 8:11, 3:5, 2] = 1
    return mask


def clean(mask: Tensor, **arguments: Any) -> Tensor:
    return CleanMaskd("pred", **arguments)({"pred": mask})["pred"]


def test_an_island_goes_and_both_legs_stay() -> None:
    cleaned = clean(legs(), holes=False)
    assert int(cleaned.sum()) == 5 * (16 + 12)


def test_a_cavity_is_filled_in_each_slice() -> None:
    assert int(clean(legs()).sum()) == 5 * 2 * 16


def test_the_largest_component_alone() -> None:
    assert int(clean(legs(), share=1, holes=False).sum()) == 5 * 16


def test_every_component() -> None:
    assert torch.equal(clean(legs(), share=0, holes=False), legs())


def test_switched_off_it_leaves_the_mask() -> None:
    assert torch.equal(clean(legs(), enabled=False), legs())


def test_slices_are_found_however_the_volume_is_stored() -> None:
    """A tube along the patient's axis, stored with sagittal slices: its cavity is open in those and closed in axial."""
    tube = legs()[:, 1:5, 1:5].moveaxis(1, -1)  # columns, slices, rows
    stored = MetaTensor(tube.clone(), affine=SAGITTAL)
    assert int(clean(stored).sum()) == 5 * 16
    assert int(clean(tube.clone()).sum()) == 5 * 12


def test_type_and_place_are_kept() -> None:
    mask = MetaTensor(legs(), affine=SAGITTAL, meta={"case": "a"})
    cleaned = clean(mask)
    assert cleaned.dtype == torch.uint8
    assert torch.equal(cleaned.affine, SAGITTAL)
    assert cleaned.meta["case"] == "a"


@pytest.mark.parametrize("shape", [(1, 9, 9, 4), (1, 9, 9)])
def test_an_empty_mask_stays_empty(shape: tuple[int, ...]) -> None:
    assert not clean(torch.zeros(shape)).any()


def test_a_picture_is_one_slice() -> None:
    assert int(clean(legs()[..., 0]).sum()) == 2 * 16


def test_input_is_not_changed() -> None:
    mask = legs()
    clean(mask)
    np.testing.assert_array_equal(mask, legs())


@pytest.mark.parametrize(
    ("argument", "value"), [("enabled", "false"), ("holes", "true"), ("share", "0.1"), ("share", 2)]
)
def test_what_cannot_be_meant_is_refused(argument: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"CleanMaskd, {argument}: found {value!r}"):
        CleanMaskd("pred", **{argument: value})
