"""Chest radiographs told from other pictures: real ones, drawn ones, phantoms, and what must not pass."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tests.common.radiographs import chest
from transmodal.data.radiograph_check import check_radiograph, chest_fit, marks
from transmodal.errors import InputError
from transmodal.phantom import Chest, Head, Thigh, make_case


def as_picture(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None]


def phantom(region: object, seed: int = 1) -> Tensor:
    """The radiograph of a phantom, (1, rows, columns)."""
    images = make_case(region, seed, shape=(16, 16, 16), modalities=("xray",), xray_spacing=6.0)  # type: ignore[arg-type]
    return images["xray"].as_tensor().transpose(1, 2)


def projected(shared: Path, name: str, axis: int) -> Tensor:
    """A CT of shared data summed along an axis of RAS, head up."""
    image = nibabel.as_closest_canonical(nibabel.load(shared / "data" / name))
    water = np.maximum(0, 1 + np.clip(image.get_fdata(), -1024, 3000) / 1000)
    return as_picture(water.sum(axis)[::-1, ::-1].T)


@pytest.mark.parametrize("name", ["00000001_000", "00027426_000"])
def test_radiographs_of_patients_pass_and_their_negatives_do_not(shared: Path, name: str) -> None:
    picture = as_picture(np.asarray(Image.open(shared / f"data/chest_xray/{name}.png")))
    assert check_radiograph(picture, name) is picture
    with pytest.raises(InputError, match="grey levels that are inverted"):
        check_radiograph(255 - picture, name)


def test_the_projection_of_a_patient_passes_from_the_front_and_not_from_the_side(shared: Path) -> None:
    check_radiograph(projected(shared, "chest_ct/lung1_001.nii.gz", axis=1), "front")
    with pytest.raises(InputError, match="without two dark lungs"):
        check_radiograph(projected(shared, "chest_ct/lung1_001.nii.gz", axis=0), "side")


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("patient", ["07", "19"])
def test_slices_of_brains_are_refused(shared: Path, patient: str, axis: int) -> None:
    image = nibabel.load(shared / f"data/brain_multicontrast/patient{patient}/t1.nii.gz").get_fdata()
    with pytest.raises(InputError):
        check_radiograph(as_picture(image.take(image.shape[axis] // 2, axis)[:, ::-1].T), "brain")


def test_slices_of_limbs_are_refused(shared: Path) -> None:
    slices = np.load(shared / "data/ct_mr_slices_128.npz")
    for picture in (*slices["train_mr"][::60], *slices["train_ct"][::60]):
        with pytest.raises(InputError):
            check_radiograph(as_picture(picture), "limb")


@pytest.mark.parametrize("seed", [0, 1])
def test_phantom_chests_pass_and_their_negatives_do_not(seed: int) -> None:
    picture = phantom(Chest(), seed)
    check_radiograph(picture, "phantom")
    with pytest.raises(InputError, match="grey levels that are inverted"):
        check_radiograph(picture.max() - picture, "phantom")


@pytest.mark.parametrize("seed", [2, 3])
def test_a_phantom_from_the_side_is_refused_however_like_its_outlines_are(seed: int) -> None:
    ct = make_case(Chest(), seed, shape=(40, 40, 36), modalities=("ct",))["ct"].as_tensor()[0]
    side = (1 + ct.float().clamp(-1000, 3000) / 1000).sum(0).flip(1).T[None]
    assert chest_fit(side).like > 0.65
    with pytest.raises(InputError, match="not a lateral view"):
        check_radiograph(side, "side")


@pytest.mark.parametrize("region", [Head(), Thigh()])
def test_radiographs_of_other_regions_are_refused(region: object) -> None:
    with pytest.raises(InputError):
        check_radiograph(phantom(region), "other")


@pytest.mark.parametrize("size", [(96, 80), (64, 80), (400, 300), (24, 24)])
def test_size_brightness_and_contrast_do_not_matter(size: tuple[int, int]) -> None:
    drawn = as_picture(chest(*size))
    expected = chest_fit(drawn)
    assert expected.is_chest
    assert chest_fit(3 * drawn - 1000).like == pytest.approx(expected.like, abs=1e-4)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_chest_that_lies_or_stands_on_its_head_is_refused(turns: int) -> None:
    with pytest.raises(InputError):
        check_radiograph(torch.rot90(as_picture(chest(96, 96)), turns, (1, 2)), "turned")


def test_a_strip_is_refused() -> None:
    with pytest.raises(InputError, match="a strip of 90×40 pixels"):
        check_radiograph(as_picture(chest(90, 40)), "strip")


def test_noise_and_a_ramp_are_refused() -> None:
    ramp = torch.arange(60.0)[None, :, None] + torch.arange(60.0)
    for picture in (torch.rand(1, 60, 60), ramp, -ramp, torch.ones(1, 60, 60)):
        with pytest.raises(InputError):
            check_radiograph(picture, "none")


def test_inverted_greys_are_turned_over_where_that_is_wanted() -> None:
    drawn = as_picture(chest())
    torch.testing.assert_close(check_radiograph(drawn.max() - drawn, "x", invert=True), drawn)
    assert check_radiograph(drawn, "x", invert=True) is drawn


def test_what_is_no_chest_is_not_turned_over() -> None:
    with pytest.raises(InputError, match="check_chest false"):
        check_radiograph(torch.rand(1, 60, 60), "x", invert=True)


def test_letters_are_counted_and_a_chest_has_none() -> None:
    """An L and an R of 3-pixel strokes, bright on the dark beside the neck."""
    picture = as_picture(chest(256, 256))
    assert marks(picture) == 0
    picture[0, 8:24, 230:233] = picture[0, 21:24, 230:240] = 1000
    picture[0, 8:24, 20:23] = 1000
    assert marks(picture) == 2


def test_a_bright_border_is_no_letter() -> None:
    picture = as_picture(chest(256, 256))
    picture[0, :4, 100:120] = picture[0, 40:60, :3] = 1000
    assert marks(picture) == 0


@pytest.mark.parametrize("name", ["00000001_000", "00027426_000"])
def test_the_marker_of_a_real_radiograph_is_found(shared: Path, name: str) -> None:
    assert marks(as_picture(np.asarray(Image.open(shared / f"data/chest_xray/{name}.png")))) == 1
