"""Layout, texts and colours of figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.image import imread

from transmodal.handlers import SliceView, draw_translations, mid_body_view


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


def test_region_is_outlined_on_every_panel(tmp_path: Path) -> None:
    body, region = torch.zeros(1, 20, 20, 3), torch.zeros(1, 20, 20, 3)
    body[:, 2:18, 2:18], region[:, 8:12, 8:12] = 1, 1
    case = mid_body_view("a", body, body, body, mask=body, regions=[region], deviation=body)
    outlined, plain = (tmp_path / name for name in ("outlined.png", "plain.png"))
    draw_translations([case], outlined, target_window=(0, 1))
    draw_translations([dataclasses.replace(case, regions=())], plain, target_window=(0, 1))
    columns = np.flatnonzero((imread(outlined) != imread(plain)).any(axis=(0, 2)))
    panels = 1 + int((np.diff(columns) > 100).sum())
    assert panels == 5


def uncertain(deviation: float, target: bool = True) -> SliceView:
    """A case that is right everywhere, with this deviation everywhere, and a body of half its panels."""
    flat, body = np.zeros((40, 40), dtype=np.float32), np.zeros((40, 40), dtype=bool)
    body[:, 20:] = True
    case = SliceView("a", flat, flat, flat if target else None, body, (1.0, 1.0), (0.0, 1.0))
    return dataclasses.replace(case, deviation=flat + deviation)


def deviations(path: Path, deviation: float) -> np.ndarray:
    """Colours in the panel of deviations, (H, W, 3), of a figure with errors up to 50."""
    draw_translations([uncertain(deviation)], path, target_window=(-100, 100), error_range=50)
    picture = imread(path)[..., :3]
    height, width = picture.shape[:2]
    return picture[height // 2 - 5 : height // 2 + 5, int(width * 0.81) : int(width * 0.99)]


def test_deviation_adds_a_column_with_and_without_a_target(tmp_path: Path) -> None:
    widths = {}
    for target in (True, False):
        case = uncertain(5, target)
        for name, which in (("with", case), ("without", dataclasses.replace(case, deviation=None))):
            draw_translations([which], tmp_path / f"{name}.png", target_window=(-100, 100))
            widths[name, target] = size(tmp_path / f"{name}.png")[1]
    columns = {True: 4, False: 2}
    for target, count in columns.items():
        expected = widths["without", target] * (count + 1) / count
        assert widths["with", target] == pytest.approx(expected, rel=0.1)


def test_deviation_of_some_cases_only_is_not_shown(tmp_path: Path) -> None:
    case = uncertain(5)
    bare = dataclasses.replace(case, deviation=None)
    draw_translations([case, bare], tmp_path / "mixed.png", target_window=(-100, 100))
    draw_translations([bare, bare], tmp_path / "bare.png", target_window=(-100, 100))
    assert (tmp_path / "mixed.png").read_bytes() == (tmp_path / "bare.png").read_bytes()


def test_deviation_goes_from_zero_to_the_range_of_the_error(tmp_path: Path) -> None:
    colours = {value: deviations(tmp_path / f"{value}.png", value)[5, -40] for value in (0, 50, 500)}
    dark, bright = (colours[value].sum() for value in (0, 50))
    assert bright > dark + 0.8
    np.testing.assert_array_equal(colours[50], colours[500])


def test_deviation_is_shown_inside_the_body_only(tmp_path: Path) -> None:
    panel = deviations(tmp_path / "f.png", 0)
    assert panel[:, 20:50].min() == 1
    assert panel[:, -50:-20].max() < 0.6


def test_deviation_is_stated_with_its_range_and_unit(tmp_path: Path) -> None:
    path = tmp_path / "f.svg"
    draw_translations([uncertain(5)], path, units="HU", target_window=(-100, 100), error_range=60)
    text = path.read_text()
    assert "predicted deviation" in text
    assert "[0, 60] HU, in the body" in text
    assert text.count("<!-- HU -->") == 3  # bars of target, error and deviation
