"""A field of view in mm: its size, place and orientation, and what lies outside the scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from nibabel.orientations import aff2axcodes

from transmodal.errors import InputError
from transmodal.transforms import FieldOfViewd, grid_affine

FIELD, GRID = (40.0, 60.0, 80.0), (8, 10, 16)


def scan(shape: tuple[int, int, int] = (40, 40, 40), spacing: float = 2.0) -> MetaTensor:
    """Air with one dense cube, i to the left, j to the back, k to the head, the middle at (5, -3, 100) mm."""
    affine = torch.diag(torch.tensor([-spacing, -spacing, spacing, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([5.0, -3, 100]) - affine[:3, :3].diag() * (torch.tensor(shape) - 1) / 2
    return MetaTensor(torch.full((1, *shape), -1000.0), affine=affine, meta={"case": "7"})


def around(image: MetaTensor, **arguments: Any) -> MetaTensor:
    wanted = {"field_of_view": FIELD, "grid": GRID, "centre": "image", **arguments}
    return FieldOfViewd("ct", **wanted)({"ct": image})["ct"]


def test_grid_extent_and_orientation_are_those_asked_for() -> None:
    found = around(scan())
    assert tuple(found.shape) == (1, *GRID)
    assert aff2axcodes(found.affine.numpy()) == ("S", "P", "L")
    torch.testing.assert_close(found.pixdim, torch.tensor([5.0, 6.0, 5.0], dtype=torch.float64))


def test_the_middle_of_the_grid_is_the_centre() -> None:
    affine = around(scan()).affine.numpy()
    np.testing.assert_allclose(affine[:3, :3] @ [3.5, 4.5, 7.5] + affine[:3, 3], [5, -3, 100])


def test_things_stay_where_they_are_in_space() -> None:
    image = scan()
    image[0, 25:28, 10:13, 25:28] = 500.0  # to the left, in front, at the head
    found = around(image, grid=(40, 60, 80))  # 1 mm
    dense = np.argwhere(found[0].numpy() > 0).mean(axis=0)
    wanted = image.affine.numpy() @ [26, 11, 26, 1]
    np.testing.assert_allclose(found.affine.numpy() @ [*dense, 1], wanted, atol=0.5)


def test_coarser_voxels_average_what_they_cover() -> None:
    image = scan()
    image[0, ::2] = 0.0  # sheets of 2 mm
    found = around(image, field_of_view=(40, 40, 48), grid=(5, 5, 6))  # 8 mm
    torch.testing.assert_close(found.as_tensor(), torch.full((1, 5, 5, 6), -500.0), atol=20, rtol=0)


def test_outside_the_scan_is_air() -> None:
    found = around(scan(shape=(10, 10, 10)) + 1500.0)  # 20 mm wide
    assert float(found[0, 0, 0, 0]) == -1024
    assert float(found[0, 4, 5, 8]) == pytest.approx(500)


def test_the_scanners_padding_becomes_air() -> None:
    image = scan()
    image[0, :20] = -3024.0
    assert float(around(image).min()) == -1024


def test_all_keys_get_the_grid_of_the_first() -> None:
    moved = scan()
    moved.affine = moved.affine + torch.tensor([[0.0, 0, 0, 20]] + [[0.0] * 4] * 3)
    moved[0, 10:30, 10:30, 10:30] = 300.0
    sample = FieldOfViewd(("ct", "other"), FIELD, GRID, centre="image")({"ct": scan(), "other": moved})
    torch.testing.assert_close(sample["other"].affine, sample["ct"].affine)
    middle = (sample["other"][0] > 0).nonzero().double().mean(dim=0)
    assert float(middle[2]) == pytest.approx(7.5 - 20 / 5, abs=0.3)  # 20 mm to the right, voxels of 5 mm


def test_a_sample_without_ct_stays_as_it_is() -> None:
    assert FieldOfViewd("ct", FIELD, GRID)({"case": "7"}) == {"case": "7"}


def test_the_case_stays_known() -> None:
    assert around(scan()).meta["case"] == "7"


@pytest.mark.parametrize("axcodes", ["SPL", "RAS", "LPI"])
def test_an_affine_has_its_centre_in_the_middle_whatever_its_orientation(axcodes: str) -> None:
    affine = grid_affine(FIELD, GRID, axcodes, centre=(1, 2, 3))
    assert aff2axcodes(affine) == tuple(axcodes)
    np.testing.assert_allclose(affine @ [3.5, 4.5, 7.5, 1], [1, 2, 3, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"field_of_view": (40, 60)}, "field_of_view: found .40, 60.; wanted three positive numbers"),
        ({"grid": (8, 0, 16)}, "grid: found .8, 0, 16."),
        ({"grid": (8.5, 10, 16)}, "grid: found .8.5, 10, 16.; wanted three positive whole numbers"),
        ({"axcodes": "SSL"}, "axcodes: found 'SSL'; wanted three letters"),
        ({"axcodes": "SPLX"}, "axcodes: found 'SPLX'"),
        ({"axcodes": "XPL"}, "axcodes: found 'XPL'"),
        ({"centre": "heart"}, "centre: found 'heart'; wanted one of lungs, body, image"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FieldOfViewd("ct", **{"field_of_view": FIELD, "grid": GRID, **arguments})
