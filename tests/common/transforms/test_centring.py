"""The middle of lungs, body and grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation, SpatialCrop

from transmodal.errors import InputError
from transmodal.phantom import Chest, Thigh, make_case
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed
from transmodal.transforms.centring import centre_of

AFFINE = torch.tensor([[-6.0, 0, 0, 150], [0, -6, 0, 40], [0, 0, 8, -600], [0, 0, 0, 1]], dtype=torch.float64)
SHAPE = (50, 40, 36)


def box(values: torch.Tensor, low: tuple[int, ...], high: tuple[int, ...], hu: float) -> None:
    values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = hu


def chest(lungs: float = -850.0) -> MetaTensor:
    """A box of a body, off the middle of its grid, with two lungs, off the middle of the body, and gas in its bowel."""
    values = torch.full(SHAPE, -1000.0)
    box(values, (6, 6, 0), (44, 34, 36), 30.0)
    box(values, (9, 10, 12), (22, 30, 32), lungs)
    box(values, (27, 10, 12), (40, 30, 32), lungs)
    box(values, (20, 8, 1), (30, 14, 5), -900.0)
    return MetaTensor(values[None], affine=AFFINE, meta={"case": "box"})


def place(index: tuple[float, ...]) -> np.ndarray:
    return (AFFINE[:3, :3] @ torch.tensor(index, dtype=torch.float64) + AFFINE[:3, 3]).numpy()


def test_the_middle_of_the_lungs() -> None:
    np.testing.assert_allclose(centre_of(chest(), "lungs"), place((24, 19.5, 21.5)), atol=3)


def test_the_middle_of_the_body() -> None:
    np.testing.assert_allclose(centre_of(chest(), "body"), place((24.5, 19.5, 17.5)), atol=3)


def test_the_middle_of_the_grid() -> None:
    np.testing.assert_allclose(centre_of(chest(), "image"), place((24.5, 19.5, 17.5)))


@pytest.mark.parametrize("centre", ["lungs", "body", "image"])
def test_it_does_not_depend_on_how_the_scan_is_stored(centre: str) -> None:
    stored = Orientation(axcodes="SPL", labels=None)(chest())
    np.testing.assert_allclose(centre_of(stored, centre), centre_of(chest(), centre), atol=1e-3)


def test_lungs_that_the_scan_cuts_off_are_not_taken_for_open_air() -> None:
    cut = SpatialCrop(roi_start=(12, 12, 14), roi_end=(37, 28, 30))(chest())
    wanted = place((24, 19.5, 21.5))
    np.testing.assert_allclose(centre_of(cut, "lungs"), wanted, atol=4)


def test_the_lungs_of_a_phantom_lie_inside_its_body() -> None:
    case = make_case(Chest(), seed=4, shape=(40, 40, 30))
    inside = torch.linalg.inv(case["ct"].affine) @ torch.tensor([*centre_of(case["ct"].float(), "lungs"), 1.0]).double()
    i, j, k = (round(float(index)) for index in inside[:3])
    assert case["mask"][0, i, j, k] == 1
    assert 10 <= k <= 24


def test_the_lungs_of_a_patient(shared: Path) -> None:
    """Both lungs of this scan reach from -127 to 116 mm in x and from -605 to -355 mm in z, read off the scan."""
    file = shared / "data" / "chest_ct" / "lung1_001.nii.gz"
    image = EnsureVolumed("ct")(CheckedLoadImaged("ct", modality="ct")({"ct": file}))["ct"]
    np.testing.assert_allclose(centre_of(image, "lungs")[[0, 2]], [-5.5, -480], atol=8)


def test_a_scan_without_lungs_is_refused() -> None:
    thigh = make_case(Thigh(), seed=1, shape=(32, 32, 8))["ct"].float()
    thigh.meta["case"] = "thigh"
    with pytest.raises(InputError, match=r"the CT of case thigh: found no lungs.*wanted a CT of the chest") as told:
        centre_of(thigh, "lungs")
    assert '"body"' in told.value.remedy


def test_an_unknown_centre_is_refused() -> None:
    with pytest.raises(InputError, match="centre: found 'heart'; wanted one of lungs, body, image"):
        centre_of(chest(), "heart")
