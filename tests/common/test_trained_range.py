"""What a model was trained on, in numbers, and how an image outside of it is told."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation

from transmodal import InputError
from transmodal.trained_range import MEASURES, Profile, TrainedRange, range_beside
from transmodal.transforms import HounsfieldWindow, RobustPercentiles

HU = HounsfieldWindow(-1000, 2000)
AU = RobustPercentiles(scale=1000)


def cuboid(width: int = 20, depth: int = 10, inside: float = 40.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A body of so many voxels in air and its mask, (1, 40, 40, 6); in HU scaled to [-1, 1]."""
    body = torch.zeros(1, 40, 40, 6)
    body[:, 4 : 4 + width, 8 : 8 + depth, 1:5] = 1
    return HU.scale(torch.where(body > 0, inside, -1000.0)), body


def ct(spacing: tuple[float, ...] = (1, 1, 3), **body: float) -> Profile:
    return Profile.of(*cuboid(**body), "ct", HU, np.diag([*spacing, 1]))  # type: ignore[arg-type]


def test_sizes_are_in_mm_and_those_of_a_typical_slice() -> None:
    values = ct(spacing=(0.5, 2, 3)).values
    assert (values["slice_mm"], values["pixel_mm"]) == (3, 2)
    assert (values["width_mm"], values["depth_mm"], values["area_cm2"]) == (10, 20, 2)


def test_the_slice_axis_decides_what_a_slice_is() -> None:
    values = Profile.of(*cuboid(), "ct", HU, np.diag([1, 2, 3, 1]), axis=0).values
    assert (values["slice_mm"], values["pixel_mm"]) == (1, 3)
    assert (values["depth_mm"], values["height_mm"]) == (20, 12)
    assert "width_mm" not in values


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SPL", "PLS", "LSA", "AIR"])
def test_width_and_depth_are_those_of_the_body_however_the_image_is_stored(axcodes: str) -> None:
    """A body 30 mm from left to right and 20 from front to back, in axial slices of voxels of 1×2×3 mm."""
    upright = torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0]))
    image, body = (
        Orientation(axcodes=axcodes, labels=None)(MetaTensor(array, affine=upright)) for array in cuboid(width=30)
    )
    axis = next(number for number, code in enumerate(axcodes) if code in "SI")
    values = Profile.of(image, body, "ct", HU, axis=axis).values
    assert (values["width_mm"], values["depth_mm"]) == (30, 20)
    assert "height_mm" not in values


def test_slices_of_several_planes_have_all_three_extents() -> None:
    planes = [Profile.of(*cuboid(), "ct", HU, axis=axis) for axis in (0, 2)]
    known = TrainedRange.of(planes)
    assert {name: known.modalities["ct"]["range"][f"{name}_mm"] for name in ("width", "depth", "height")} == {
        "width": [20, 20],
        "depth": [10, 10],
        "height": [4, 4],
    }
    assert [known.warnings(plane) for plane in planes] == [[], []]


def test_a_file_of_version_1_calls_no_extent_of_its_training_foreign(tmp_path: Path) -> None:
    """It may have called the depth width; so what is within either is near."""
    known = TrainedRange.of([ct(width=20, depth=10)])
    path = tmp_path / "trained_range.json"
    known.save(path)
    path.write_text(path.read_text().replace('"version": 2', '"version": 1'))
    old = TrainedRange.load(path)
    assert old.modalities["ct"]["range"]["slice_mm"] == [3, 3]
    assert old.warnings(ct(width=10, depth=20)) == []
    assert old.warnings(ct(width=36, depth=5)) == [
        "body width 36 mm, training had 10 to 20 mm",
        "body depth 5 mm, training had 10 to 20 mm",
    ]


def test_spacing_is_that_of_the_image_where_it_knows_it() -> None:
    image, body = cuboid()
    placed = MetaTensor(image, affine=torch.diag(torch.tensor([0.5, 0.5, 4.0, 1.0])))
    assert Profile.of(placed, body, "ct", HU).values["slice_mm"] == 4


@pytest.mark.parametrize(("value", "share"), [(-800.0, "air"), (-100.0, "fat"), (700.0, "bone")])
def test_ct_is_counted_as_air_fat_and_bone(value: float, share: str) -> None:
    image, body = cuboid()
    image[:, 4:9] = torch.where(body > 0, HU.scale(torch.tensor(value)), image)[:, 4:9]
    values = Profile.of(image, body, "ct", HU).values
    assert {name: values[name] for name in ("air", "fat", "bone")} == {"air": 0, "fat": 0, "bone": 0} | {share: 25}
    assert values["median"] == 40


def test_mr_is_told_in_the_documented_scale_and_not_in_tissues() -> None:
    body = torch.ones(1, 10, 10, 10)
    image = torch.linspace(-1, 1, 1000).reshape(1, 10, 10, 10)
    profile = Profile.of(image, body, "mr", AU)
    assert profile.values["dark"] == pytest.approx(100, abs=1)
    assert profile.values["bright"] == pytest.approx(900, abs=1)
    assert not {"air", "fat", "bone"} & profile.values.keys()
    assert profile.units == "a.u."


def test_a_bright_rim_is_told_from_a_bright_core() -> None:
    image, body = torch.full((1, 60, 60, 2), -1.0), torch.zeros(1, 60, 60, 2)
    body[:, 5:55, 5:55] = 1
    image[:, 5:55, 5:55], image[:, 16:44, 16:44] = 0.6, -0.2
    assert Profile.of(image, body, "mr", AU).values["rim"] == pytest.approx(400, abs=1)
    assert Profile.of(-image, body, "mr", AU).values["rim"] == pytest.approx(-400, abs=1)


def test_detail_is_measured_inside_the_body_alone() -> None:
    image, body = cuboid()
    assert Profile.of(image, body, "ct", HU).values["detail"] == 0
    image[:, 4:24:2] += 2 / 3000 * 60  # every second row of the body 60 HU brighter
    assert Profile.of(image, body, "ct", HU).values["detail"] == pytest.approx(60 * 190 / (190 + 180), rel=0.03)


def test_an_empty_mask_measures_the_whole_image() -> None:
    image, body = cuboid()
    assert Profile.of(image, torch.zeros_like(body), "ct", HU).values["area_cm2"] == 16


def test_measured_numbers_have_names() -> None:
    of_mr, of_sides = Profile.of(*cuboid(), "mr", AU), Profile.of(*cuboid(), "ct", HU, axis=0)
    assert ct().values.keys() | of_mr.values.keys() | of_sides.values.keys() == MEASURES.keys()


def test_what_was_trained_on_gets_no_warning() -> None:
    profiles = [ct(width=width) for width in (12, 20, 30)]
    known = TrainedRange.of(profiles)
    assert [known.warnings(profile) for profile in profiles] == [[], [], []]


def test_near_the_training_there_is_no_warning() -> None:
    assert TrainedRange.of([ct(width=20), ct(width=26)]).warnings(ct(width=30)) == []


def test_another_body_is_told_with_numbers_units_and_the_range() -> None:
    found = TrainedRange.of([ct(width=10), ct(width=12, spacing=(1, 1, 4))]).warnings(ct(width=30, depth=30))
    assert found == [
        "body cross-section 9 cm², training had 1 to 1.2 cm²",
        "body width 30 mm, training had 10 to 12 mm",
        "body depth 30 mm, training had 10 mm",
    ]


def test_other_tissue_is_told_in_the_units_of_the_modality() -> None:
    found = TrainedRange.of([ct(inside=30), ct(inside=50)]).warnings(ct(inside=-90))
    assert "median intensity in the body -90 HU, training had 30 to 50 HU" in found
    assert "share of fat in the body 100 %, training had 0 %" in found


def test_a_modality_that_was_not_trained_on_is_told() -> None:
    profile = Profile.of(*cuboid(), "t2", AU)
    assert TrainedRange.of([ct()]).warnings(profile) == ["t2 was not in the training, only ct"]


def test_each_modality_has_its_own_range() -> None:
    mr = Profile.of(*cuboid(width=30, depth=30), "mr", AU)
    known = TrainedRange.of([ct(width=10), mr])
    assert known.warnings(mr) == []
    assert known.modalities["ct"]["volumes"] == 1
    assert known.warnings(ct(width=30, depth=30)) != []


def test_a_range_survives_its_file(tmp_path: Path) -> None:
    known = TrainedRange.of([ct(width=10), ct(width=12), Profile.of(*cuboid(), "mr", AU)])
    path = range_beside(tmp_path / "models" / "model.pt")
    known.save(path)
    assert path == tmp_path / "models" / "trained_range.json"
    assert TrainedRange.load(path) == known


def test_a_file_that_says_the_same_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "trained_range.json"
    TrainedRange.of([ct()]).save(path)
    os.utime(path, ns=(1, 1))
    TrainedRange.of([ct()]).save(path)
    assert path.stat().st_mtime_ns == 1
    TrainedRange.of([ct(width=9)]).save(path)
    assert path.stat().st_mtime_ns > 1


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 9}', '{"version": 1, "modalities": {"ct": {"range": {"colour": [0, 1]}}}}']
)
def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trained_range.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"trained_range\.json: found no range of a training"):
        TrainedRange.load(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: found no range of a training \(FileNotFoundError"):
        TrainedRange.load(tmp_path / "gone.json")


def test_arrays_are_measured_like_tensors() -> None:
    image, body = cuboid()
    assert Profile.of(np.asarray(image), np.asarray(body), "ct", HU) == Profile.of(image, body, "ct", HU)
