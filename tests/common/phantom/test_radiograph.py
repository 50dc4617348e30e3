"""The radiograph of a phantom."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from transmodal.errors import InputError
from transmodal.phantom import Chest, make_case

PIXEL = 6.0


@pytest.fixture(scope="module")
def chest() -> NDArray[np.float32]:
    """(columns, rows) of the chest of seed 0: 360 x 288 mm."""
    return np.asarray(make_case(Chest(), 0, (8, 8, 8), modalities=["xray"], xray_spacing=PIXEL)["xray"][0])


def at(image: NDArray[np.float32], left: float, up: float) -> float:
    """Mean of 18 x 18 mm around a place ``left`` and ``up`` of the middle, mm."""
    column = round(image.shape[0] / 2 + left / PIXEL)
    row = round(image.shape[1] / 2 - up / PIXEL)
    return float(image[column - 1 : column + 2, row - 1 : row + 2].mean())


def test_it_shows_the_whole_region_whatever_the_grid(chest: NDArray[np.float32]) -> None:
    assert chest.shape == (60, 48)


def test_attenuation_has_the_size_of_a_patient(chest: NDArray[np.float32]) -> None:
    """20 to 25 cm of soft tissue attenuate by 4 to 5 at 0.0193 per mm, with bone up to 8; air does not."""
    assert chest.min() >= 0
    assert 4 < chest.max() < 8


def test_lungs_are_darker_than_the_middle_and_the_abdomen(chest: NDArray[np.float32]) -> None:
    lungs = [at(chest, left, 30) for left in (-80, 80)]
    assert max(lungs) < 0.75 * at(chest, 0, 30)
    assert max(lungs) < 0.75 * at(chest, -70, -120)


def test_it_hangs_with_the_heart_on_the_viewer_s_right(chest: NDArray[np.float32]) -> None:
    """Columns run to the patient's left, where the heart is."""
    assert at(chest, 60, -45) > 1.15 * at(chest, -60, -45)


def test_it_is_of_the_patient_that_the_ct_shows() -> None:
    """Without the noise of either, rays through the CT's own voxels find the same lungs."""
    case = make_case(Chest(), 1, (40, 40, 32), modalities=["ct", "xray"], xray_spacing=9.0)
    hu = np.where(np.asarray(case["mask"][0]) > 0, np.asarray(case["ct"][0], dtype=np.float32), -1000)
    projected = (0.0193 * 9 * np.clip(1 + hu / 1000, 0, None)).sum(axis=1)[:, ::-1]
    assert np.corrcoef(projected.ravel(), np.asarray(case["xray"][0]).ravel())[0, 1] > 0.98


def test_it_does_not_depend_on_the_grid_of_the_other_images() -> None:
    images = [make_case(Chest(), 0, s, modalities=["xray"], xray_spacing=12.0)["xray"] for s in ((8, 8, 8), (12, 9, 4))]
    assert torch.equal(*images)


def test_its_affine_holds_the_pixel_size() -> None:
    affine = make_case(Chest(), 0, (8, 8, 8), modalities=["xray"], xray_spacing=12.0)["xray"].affine
    assert affine.diag().tolist() == [-12, -12, 1, 1]


@pytest.mark.parametrize("spacing", [0, -1.0, float("nan"), float("inf"), "2", True])
def test_a_pixel_that_is_not_a_positive_number_is_refused(spacing: float) -> None:
    with pytest.raises(InputError, match=r"phantom xray_spacing: found .*; wanted a positive number of mm"):
        make_case(Chest(), 0, (8, 8, 8), modalities=["xray"], xray_spacing=spacing)
