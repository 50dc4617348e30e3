"""Orientation, cropping and layout of figures; expected positions are world coordinates in RAS, by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor

from transmodal.errors import InputError
from transmodal.handlers import SliceView, draw_translations, mid_body_view

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


def view(case: str = "STS_012", target: bool = True) -> SliceView:
    image = 100 * torch.randn(1, 30, 24, 3)
    mask = torch.zeros_like(image)
    mask[:, 4:-4, 4:-4] = 1
    return mid_body_view(case, image, image + 10, image if target else None, mask, note="MAE 10 HU")


def size(path: Path) -> tuple[int, int]:
    height, width = imread(path).shape[:2]
    return height, width


def test_figure_grows_with_cases_and_by_two_columns_with_a_target(tmp_path: Path) -> None:
    draw_translations([view()], tmp_path / "one.png", target_window=(-100, 100))
    draw_translations([view(), view()], tmp_path / "two.png", target_window=(-100, 100))
    draw_translations([view(target=False)], tmp_path / "bare.png", target_window=(-100, 100))
    one, two, bare = (size(tmp_path / f"{name}.png") for name in ("one", "two", "bare"))
    assert two[0] > one[0]
    assert two[1] == one[1]
    assert one[1] > 1.8 * bare[1]


def texts(path: Path, **arguments: object) -> str:
    """All text of a figure: an SVG has each line as a comment beside its glyphs."""
    draw_translations([view()], path, **arguments)  # type: ignore[arg-type]
    return path.read_text()


def test_windows_units_title_and_footer_are_stated(tmp_path: Path) -> None:
    text = texts(
        tmp_path / "f.svg",
        title="CycleGAN on phantoms",
        source="MR",
        target="CT",
        units="HU",
        target_window=(-250, 500),
        error_range=150,
        footer="research use only",
    )
    stated = ["CycleGAN on phantoms", "STS_012", "CT (translated)", "CT (target)", "[-250, 500] HU", "±150 HU"]
    for words in [*stated, "MR (source)", "percentiles 0.5 to 99.5", "research use only"]:
        assert words in text


def test_note_is_written_into_the_error_panel(tmp_path: Path) -> None:
    noted = view()
    draw_translations([noted], tmp_path / "noted.png", target_window=(-100, 100))
    draw_translations([dataclasses.replace(noted, note="")], tmp_path / "plain.png", target_window=(-100, 100))
    changed = (imread(tmp_path / "noted.png") != imread(tmp_path / "plain.png")).any(axis=(0, 2))
    assert changed.any()
    assert np.flatnonzero(changed).min() > 0.75 * len(changed)


def test_fixed_source_window_is_stated_with_its_unit(tmp_path: Path) -> None:
    text = texts(tmp_path / "f.svg", source="CT", source_units="HU", source_window=(-160, 240), target_window=(0, 1000))
    assert "[-160, 240] HU" in text
    assert "percentile" not in text


def test_error_colours_are_white_at_zero_and_red_where_too_high(tmp_path: Path) -> None:
    flat = np.zeros((40, 40), dtype=np.float32)
    case = SliceView("a", flat, flat.copy(), flat, np.ones((40, 40), dtype=bool), (1.0, 1.0), (0.0, 1.0))
    high = dataclasses.replace(case, translated=flat + 50)
    for name, which in (("zero", case), ("high", high)):
        draw_translations([which], tmp_path / f"{name}.png", target_window=(-100, 100), error_range=50)
    zero, red = (imread(tmp_path / f"{name}.png")[..., :3] for name in ("zero", "high"))
    height, width = zero.shape[:2]
    centre = (slice(height // 2 - 5, height // 2 + 5), slice(int(width * 0.87), int(width * 0.87) + 10))
    assert zero[centre].min() > 0.95
    assert red[centre][..., 0].mean() > red[centre][..., 2].mean() + 0.2


def test_constant_and_broken_images_are_drawn(tmp_path: Path) -> None:
    flat = torch.zeros(1, 12, 12, 3)
    broken = mid_body_view("a", flat, flat * torch.nan, flat)
    draw_translations([broken], tmp_path / "f.png", target_window=(-100, 100))
    assert size(tmp_path / "f.png")[0] > 0


def test_figures_leave_no_global_state(tmp_path: Path) -> None:
    before = plt.get_fignums()
    draw_translations([view()], tmp_path / "f.png", target_window=(-100, 100))
    assert plt.get_fignums() == before


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


def test_region_is_outlined_on_every_panel(tmp_path: Path) -> None:
    body, region = marked()
    view = mid_body_view("a", body, body, body, mask=body, regions=[region])
    outlined, plain = (tmp_path / name for name in ("outlined.png", "plain.png"))
    draw_translations([view], outlined, target_window=(0, 1))
    draw_translations([dataclasses.replace(view, regions=())], plain, target_window=(0, 1))
    columns = np.flatnonzero((imread(outlined) != imread(plain)).any(axis=(0, 2)))
    panels = 1 + int((np.diff(columns) > 100).sum())
    assert panels == 4
