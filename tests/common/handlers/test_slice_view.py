"""Which slice is shown, its orientation and its cropping; expected positions are world coordinates in RAS, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.handlers import mid_body_view

AFFINES = {
    "RAS": torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0])),
    "LPS": torch.diag(torch.tensor([-2.0, -3.0, 5.0, 1.0])),
    # voxel axes to superior, left and posterior
    "SLP": torch.tensor([[0.0, -2.0, 0, 0], [0, 0, -3.0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1.0]]),
}


def canonical() -> Tensor:
    """RAS volume (right, anterior, superior) with one bright voxel far right, anterior and in the middle slice."""
    volume = torch.zeros(1, 10, 8, 5)
    volume[0, 9, 7, 2] = 100
    return volume


def stored(volume: Tensor, code: str) -> Tensor:
    """The same anatomy as a file with this orientation holds it."""
    if code == "RAS":
        return volume
    if code == "LPS":
        return volume.flip(1, 2)
    return volume.flip(1, 2).permute(0, 3, 1, 2)


@pytest.mark.parametrize("code", AFFINES)
def test_right_is_on_the_left_and_anterior_is_up_in_any_file_orientation(code: str) -> None:
    image = stored(canonical(), code)
    view = mid_body_view("a", image, image, affine=AFFINES[code])
    assert view.source.shape == (8, 10)
    assert np.argwhere(view.source == 100).tolist() == [[0, 0]]


@pytest.mark.parametrize("code", AFFINES)
def test_spacing_is_that_of_the_displayed_rows_and_columns(code: str) -> None:
    image = stored(canonical(), code)
    assert mid_body_view("a", image, image, affine=AFFINES[code]).spacing == (3.0, 2.0)


@pytest.mark.parametrize("code", AFFINES)
@pytest.mark.parametrize(("plane", "sides"), [("coronal", ("R", "L")), ("sagittal", ("A", "P"))])
def test_other_planes_have_superior_up_and_right_or_anterior_on_the_left(
    code: str, plane: str, sides: tuple[str, str]
) -> None:
    volume = torch.zeros(1, 10, 8, 5)
    volume[0, 9, 7, 2] = 200
    volume[0, 9, 7, 4] = 50  # above it
    image, body = stored(volume, code), torch.zeros_like(volume)
    body[0, 9, 7] = 1
    view = mid_body_view("a", image, image, mask=stored(body, code), affine=AFFINES[code], plane=plane)
    assert view.source.shape[0] == 5
    assert np.argwhere(view.source == 200).tolist() == [[2, 0]]
    assert np.argwhere(view.source == 50).tolist() == [[0, 0]]
    assert view.sides == sides


@pytest.mark.parametrize(("plane", "spacing"), [("coronal", (5.0, 2.0)), ("sagittal", (5.0, 3.0))])
def test_other_planes_have_their_own_spacing(plane: str, spacing: tuple[float, float]) -> None:
    image = canonical()
    assert mid_body_view("a", image, image, affine=AFFINES["RAS"], plane=plane).spacing == spacing


def test_an_unknown_plane_is_refused() -> None:
    with pytest.raises(InputError, match="wanted one of axial, coronal, sagittal"):
        mid_body_view("a", canonical(), canonical(), plane="oblique")


def test_slice_is_the_middle_of_the_body_not_of_the_volume() -> None:
    depth = torch.arange(21.0).expand(1, 6, 6, 21)
    mask = ((depth >= 2) & (depth <= 6)).float()
    assert np.unique(mid_body_view("a", depth, depth, mask=mask).source).tolist() == [4.0]


def test_gap_in_the_middle_of_the_body_is_avoided() -> None:
    depth = torch.arange(9.0).expand(1, 6, 6, 9)
    mask = ((depth <= 3) | (depth == 8)).float()
    assert np.unique(mid_body_view("a", depth, depth, mask=mask).source).tolist() == [3.0]


def test_view_is_cropped_to_the_body_and_a_centimetre_around() -> None:
    mask = torch.zeros(1, 100, 100, 3)
    mask[:, 40:60, 30:60] = 1
    view = mid_body_view("a", mask, mask, mask=mask, affine=torch.diag(torch.tensor([2.0, 5.0, 5.0, 1.0])))
    assert view.source.shape == (30 + 2 * 2, 20 + 2 * 5)


def test_empty_mask_shows_the_whole_slice() -> None:
    image = canonical()
    assert mid_body_view("a", image, image, mask=torch.zeros_like(image)).body.all()


def test_source_window_is_the_percentiles_inside_the_body() -> None:
    image = torch.arange(1000.0).reshape(1, 10, 10, 10)
    mask = (image < 201).float()
    assert mid_body_view("a", image, image, mask=mask).source_window == pytest.approx((1.0, 199.0))


def test_picture_is_a_volume_of_one_slice() -> None:
    image = canonical()[..., 2]
    assert np.argwhere(mid_body_view("a", image, image).source == 100).tolist() == [[0, 0]]


def test_images_on_different_grids_are_refused() -> None:
    with pytest.raises(InputError, match=r"figure of case a: found source \(10, 8, 5\), translated \(10, 8, 4\)"):
        mid_body_view("a", canonical(), canonical()[..., 1:])


def marked() -> tuple[Tensor, Tensor]:
    """A body of which nine slices have tissue, and a region that is largest in the second of them."""
    body, region = torch.zeros(1, 20, 20, 11), torch.zeros(1, 20, 20, 11)
    body[:, 2:18, 2:18, 1:10] = 1
    region[:, 8:10, 8:10, 1:8] = 1
    region[:, 8:12, 8:12, 2] = 1
    return body, region


def test_slice_goes_through_the_largest_extent_of_a_region() -> None:
    body, region = marked()
    depth = torch.arange(11.0).expand(1, 20, 20, 11)
    view = mid_body_view("a", depth, depth, mask=body, regions=[region])
    assert np.unique(view.source).tolist() == [2.0]
    assert view.regions[0].sum() == 16


def test_empty_region_leaves_the_slice_in_the_middle_of_the_body() -> None:
    body, region = marked()
    depth = torch.arange(11.0).expand(1, 20, 20, 11)
    assert np.unique(mid_body_view("a", depth, depth, mask=body, regions=[0 * region]).source).tolist() == [5.0]


def test_region_outside_the_body_shows_the_whole_slice() -> None:
    body, region = torch.zeros(1, 6, 6, 3), torch.zeros(1, 6, 6, 3)
    body[..., 0], region[:, 2, 2, 2] = 1, 1
    assert mid_body_view("a", body, body, mask=body, regions=[region]).source.shape == (6, 6)


def test_region_on_another_grid_is_refused() -> None:
    image = canonical()
    with pytest.raises(InputError, match=r"region 1 \(10, 8, 4\)"):
        mid_body_view("a", image, image, regions=[image[..., 1:]])


@pytest.mark.parametrize("code", AFFINES)
def test_deviation_lies_where_the_image_does(code: str) -> None:
    image = stored(canonical(), code)
    view = mid_body_view("a", image, image, affine=AFFINES[code], deviation=image / 10)
    assert view.deviation is not None
    assert np.argwhere(view.deviation == 10).tolist() == [[0, 0]]


def test_error_and_uncertainty_are_nan_outside_the_body() -> None:
    body, _ = marked()
    view = mid_body_view("a", body, body + 5, body, mask=body, deviation=torch.full_like(body, 3))
    for image, value in ((view.error, 5), (view.uncertainty, 3)):
        assert image is not None
        assert (image[view.body] == value).all()
        assert np.isnan(image[~view.body]).all()


def test_without_target_and_deviation_there_is_no_error_and_no_uncertainty() -> None:
    view = mid_body_view("a", canonical(), canonical())
    assert view.error is None
    assert view.uncertainty is None


def test_deviation_on_another_grid_is_refused() -> None:
    image = canonical()
    with pytest.raises(InputError, match=r"deviation \(10, 8, 4\)"):
        mid_body_view("a", image, image, deviation=image[..., 1:])
