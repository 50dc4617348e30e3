"""Flicker along the axis that a model cut its slices along, found on native grids of any orientation."""

from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation
from torch import Tensor

from transmodal.handlers.slice_consistency import (
    SLICE_DIFFERENCE,
    SLICE_DIFFERENCE_TARGET,
    SliceConsistency,
    in_words,
)
from transmodal.metrics import CaseScores

SHAPE = (1, 5, 6, 7)
SAGITTAL = torch.tensor([[0, 0, 3, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
"""Voxel axes to posterior, superior and right."""


def row(case: str, pred: float, target: float) -> CaseScores:
    return CaseScores(case, "model", {SLICE_DIFFERENCE: pred, SLICE_DIFFERENCE_TARGET: target})


def flicker(axis: int, step: float) -> Tensor:
    """0 and ``step`` in turn along a spatial axis."""
    return (step * (torch.arange(SHAPE[axis + 1]) % 2)).reshape([-1 if other == axis else 1 for other in (-1, 0, 1, 2)])


def test_prediction_and_target_are_told_apart() -> None:
    pred, target, mask = flicker(2, 30.0).expand(SHAPE), flicker(2, 20.0).expand(SHAPE), torch.ones(SHAPE)
    found = SliceConsistency()(pred, target, mask, affine=None)
    assert found == {SLICE_DIFFERENCE: 30.0, SLICE_DIFFERENCE_TARGET: 20.0}


def test_axial_slices_are_found_on_a_sagittal_grid() -> None:
    pred, mask = flicker(1, 30.0).expand(SHAPE), torch.ones(SHAPE)
    assert SliceConsistency()(pred, pred, mask, SAGITTAL)[SLICE_DIFFERENCE] == 30.0


@pytest.mark.parametrize("axcodes", ["RAS", "PLS", "SRA"])
@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_native_axis_is_that_which_orientation_makes_the_slice_axis(axcodes: str, slice_axis: int) -> None:
    native = SliceConsistency(slice_axis, axcodes).native_axis(SAGITTAL)
    # what a model of this axis would see of an image that changes along the native axis alone
    image = MetaTensor(flicker(native, 1.0).expand(SHAPE).clone(), affine=SAGITTAL)
    oriented = Orientation(axcodes=axcodes, labels=None)(image).as_tensor()
    changes = [bool(oriented.diff(dim=axis + 1).any()) for axis in (0, 1, 2)]
    assert changes == [axis == slice_axis for axis in (0, 1, 2)]


def test_tilted_slices_belong_to_the_nearest_axis() -> None:
    tilt = math.radians(20)
    tilted = torch.eye(4, dtype=torch.float64)
    tilted[1:3, 1:3] = torch.tensor([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    assert SliceConsistency().native_axis(tilted) == 2


def test_both_are_undefined_for_a_case_that_cannot_be_scored() -> None:
    pred = torch.full(SHAPE, math.nan)
    assert all(map(math.isnan, SliceConsistency()(pred, torch.zeros(SHAPE), torch.ones(SHAPE), None).values()))


def test_summary_has_mean_deviation_and_ratio() -> None:
    found = SliceConsistency().summary([row("a", 30, 10), row("b", 50, 10)], "HU")
    assert found[SLICE_DIFFERENCE] == {"mean": 40, "sd": pytest.approx(math.sqrt(200)), "n": 2}
    assert found[SLICE_DIFFERENCE_TARGET] == {"mean": 10, "sd": 0, "n": 2}
    assert (found["unit"], found["along"], found["ratio"]) == ("HU", "S", 4)


def test_case_of_a_single_slice_is_left_out_of_the_mean() -> None:
    found = SliceConsistency().summary([row("a", 30, 10), row("b", math.nan, math.nan)], "HU")
    assert found[SLICE_DIFFERENCE] == {"mean": 30, "sd": None, "n": 1}


def test_line_states_both_means_and_their_ratio() -> None:
    line = in_words(SliceConsistency().summary([row("a", 35.2, 22.1)], "HU"))
    assert line == "neighbouring slices differ by 35.2 HU in the translations, 22.1 HU in the targets (ratio 1.59)"


def test_line_has_no_ratio_to_targets_without_change() -> None:
    line = in_words(SliceConsistency().summary([row("a", 0.1234, 0)], "a.u."))
    assert line == "neighbouring slices differ by 0.123 a.u. in the translations, 0 a.u. in the targets"


def test_pictures_leave_nothing_to_say() -> None:
    assert in_words(SliceConsistency().summary([row("a", math.nan, math.nan)], "HU")) is None


@pytest.mark.parametrize("arguments", [{"slice_axis": 3}, {"axcodes": "RAX"}, {"axcodes": "RLS"}, {"axcodes": "RA"}])
def test_axes_that_are_none_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="wanted slice_axis 0, 1 or 2 and axcodes such as RAS"):
        SliceConsistency(**arguments)  # type: ignore[arg-type]
