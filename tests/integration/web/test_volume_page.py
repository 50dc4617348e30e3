"""A scan in a real browser: uploaded, checked, translated, looked at in every way, and taken away."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.integration.web.chromium import coloured, greys, picture
from tests.integration.web.conftest import VOLUME, Opener, Served, shown
from tests.integration.web.scans import write_mr

COUNT_IMAGES = """() => {
    const load = niivue.NVImage.loadFromUrl;
    const told = document.documentElement.dataset;
    told.images = 0;
    niivue.NVImage.loadFromUrl = async (...all) => {
        const image = await load.apply(niivue.NVImage, all);
        setTimeout(() => (told.images = Number(told.images) + 1)); // when all that waited for it has been done
        return image;
    };
}"""
TOPS = """() => ["source", "result"].map(
    (name) => document.getElementById(`${name}-canvas`).getBoundingClientRect().top)"""
AXES = ("Sagittal", "Coronal", "Axial")


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mr(tmp_path_factory.mktemp("scan") / "mr.nii.gz")


@pytest.fixture(scope="module")
def progress() -> list[str]:
    """What the progress told of one step while the scan of this file was translated."""
    return []


@pytest.fixture(scope="module")
def translated(opener: Opener, scan: Path, progress: list[str], served: Served) -> Page:
    """A page on which the scan has been translated to CT, from two samples."""
    page = opener()
    page.select_option("#bundle", VOLUME)
    page.set_input_files("#files", scan)
    shown(page, "input")
    page.get_by_label("Samples").fill("2")
    with served.translating_without_end():
        page.get_by_role("button", name="Translate").click()
        page.locator("#steps", has_text="Step 1 ").wait_for()
        progress.append(page.locator("#progress").inner_text())
    return shown(page, "result")


@pytest.fixture
def viewer(translated: Page) -> Page:
    """The page with its result, as it is right after the translation."""
    for group, name in (("planes", "Three planes"), ("layouts", "Side by side"), ("overlays", "None")):
        translated.locator(f"#{group}").get_by_role("radio", name=name, exact=True).check()
    for image in ("input", "result"):
        preset = translated.get_by_label(f"Window preset of the {image}")
        preset.select_option(index=0 if image == "input" else preset.locator("option").count() - 2)
    for axis in AXES:
        slider(translated, axis).fill("10")
    translated.evaluate("scrollTo(0, 0)")
    return translated


def slider(page: Page, axis: str) -> Locator:
    return page.locator("#slices label", has_text=axis).locator("input")


def choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).check()


def test_the_upload_is_shown_with_its_size_and_its_checks(translated: Page) -> None:
    expect(translated.locator("#upload-facts")).to_contain_text("MR, 40 × 36 × 16, 5.2 × 5.78 × 7.5 mm")
    assert translated.locator("#checks li.ok .level").first.inner_text() == "Passed"


def test_progress_counted_steps_with_the_time_that_is_left(translated: Page, progress: list[str]) -> None:
    (told,) = progress
    assert re.search(r"Step 1 of 128\b.*about \d+ \w+ left", told, re.DOTALL), (
        told
    )  # samples, steps, slices: 2 · 4 · 16


def test_input_and_result_are_drawn_in_three_planes(viewer: Page) -> None:
    for name in ("source", "result"):
        assert viewer.evaluate(f"document.getElementById('{name}-canvas').clientHeight") > 200
        assert greys(viewer.locator(f"#{name}-canvas")) > 30


def test_input_and_result_begin_at_one_level_however_wide_the_page_is(translated: Page, opener: Opener) -> None:
    page, tops = shown(opener(translated.evaluate("location.hash")), "result"), {}
    for layout in ("Side by side", "Swipe"):
        choose(page, layout)
        for width in (1100, 1280, 1300):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function("width => innerWidth === width", arg=width)
            tops[layout, width] = page.evaluate(TOPS)
    page.context.close()
    assert all(source == result for source, result in tops.values()), tops


def test_a_window_preset_of_ct_changes_level_width_and_picture(viewer: Page) -> None:
    before = picture(viewer.locator("#result-viewport"))
    viewer.get_by_label("Window preset of the result").select_option("Bone")
    assert viewer.get_by_label("Window level of the result").input_value() == "300"
    assert viewer.get_by_label("Window width of the result").input_value() == "1500"
    expect(viewer.locator("#result-canvas")).to_have_attribute("data-window", "-450,1050")
    assert np.abs(picture(viewer.locator("#result-viewport")) - before).max() > 10


def test_a_window_by_number_is_an_own_window(viewer: Page) -> None:
    width = viewer.get_by_label("Window width of the input")
    width.fill("200")
    width.press("Enter")
    assert viewer.get_by_label("Window preset of the input").input_value() == ""
    low, high = map(float, viewer.locator("#source-canvas").get_attribute("data-window").split(","))
    assert high - low == pytest.approx(200)


def test_dragging_with_the_right_button_changes_the_window(viewer: Page) -> None:
    box = viewer.locator("#source-canvas").bounding_box()
    before = viewer.get_by_label("Window level of the input").input_value()
    viewer.mouse.move(box["x"] + 40, box["y"] + 40)
    viewer.mouse.down(button="right")
    viewer.mouse.move(box["x"] + 60, box["y"] + 90, steps=3)
    viewer.mouse.up(button="right")
    assert viewer.get_by_label("Window level of the input").input_value() != before


def test_a_slider_moves_both_images_to_its_slice(viewer: Page) -> None:
    before = {name: picture(viewer.locator(f"#{name}-viewport")) for name in ("source", "result")}
    slider(viewer, "Axial").fill("4")
    expect(viewer.locator("#slices label", has_text="Axial").locator("output")).to_have_text("4 / 16")
    for name, picture_before in before.items():
        assert np.abs(picture(viewer.locator(f"#{name}-viewport")) - picture_before).max() > 30


def test_a_click_in_one_image_moves_the_other(viewer: Page) -> None:
    before = picture(viewer.locator("#result-viewport"))
    viewer.locator("#source-canvas").click(position={"x": 70, "y": 60})
    assert [slider(viewer, axis).input_value() for axis in AXES] != ["10", "10", "10"]
    assert np.abs(picture(viewer.locator("#result-viewport")) - before).max() > 30


def test_keys_move_through_an_image_in_focus(viewer: Page) -> None:
    viewer.locator("#result-canvas").focus()
    viewer.keyboard.press("PageUp")
    viewer.keyboard.press("PageUp")
    viewer.keyboard.press("ArrowLeft")  # to the patient's right
    assert [slider(viewer, axis).input_value() for axis in AXES] == ["11", "10", "12"]


def test_the_readout_tells_the_values_of_the_files_at_the_crosshair(viewer: Page, scan: Path) -> None:
    for axis, position in zip(AXES, ("20", "15", "7"), strict=True):
        slider(viewer, axis).fill(position)
    image = nib.as_closest_canonical(nib.load(scan))
    expected = float(f"{image.get_fdata()[19, 14, 6]:.4g}")
    expect(viewer.locator("#readout")).to_contain_text(f"input {expected:g} · result ")  # MR has no unit
    expect(viewer.locator("#readout")).to_contain_text("HU")


def test_each_plane_can_be_seen_alone(viewer: Page) -> None:
    seen = []
    for name in ("Axial", "Coronal", "Sagittal"):
        choose(viewer, name)
        assert greys(viewer.locator("#source-canvas")) > 30
        seen.append(picture(viewer.locator("#source-viewport")))
    for one, other in ((0, 1), (1, 2), (2, 0)):
        assert np.abs(seen[one] - seen[other]).max() > 100


def test_the_swipe_shows_the_input_left_of_its_line_and_the_result_right_of_it(viewer: Page) -> None:
    choose(viewer, "Axial")
    choose(viewer, "Swipe")
    stage, seen = viewer.locator("#source-viewport"), {}
    for position in ("0", "50", "100"):
        viewer.locator("#swipe").fill(position)
        seen[position] = picture(stage)[20:-40]
    middle = seen["0"].shape[1] // 2
    left, right = np.s_[:, : middle - 12], np.s_[:, middle + 12 :]
    assert np.abs(seen["100"] - seen["0"])[left].max() > 30
    assert np.abs(seen["100"] - seen["0"])[right].max() > 30
    np.testing.assert_array_equal(seen["50"][left], seen["100"][left])
    np.testing.assert_array_equal(seen["50"][right], seen["0"][right])


def test_the_line_of_the_swipe_can_be_dragged(viewer: Page) -> None:
    choose(viewer, "Axial")
    choose(viewer, "Swipe")
    viewer.locator("#swipe").fill("50")
    box = viewer.locator(".divider").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 30
    viewer.mouse.move(x, y)
    viewer.mouse.down()
    viewer.mouse.move(x + 80, y, steps=4)
    viewer.mouse.up()
    assert float(viewer.locator("#swipe").input_value()) > 55


@pytest.mark.parametrize(
    ("name", "title", "high"),
    [("Difference", "difference of shown brightness (%)", "100"), ("Uncertainty", "standard deviation", "HU")],
)
def test_an_overlay_colours_the_result_and_has_a_legend(viewer: Page, name: str, title: str, high: str) -> None:
    result = viewer.locator("#result-viewport")
    plain = coloured(result)
    choose(viewer, name)
    expect(viewer.locator(f"#result-canvas[data-overlay={name.lower()}]")).to_be_visible()
    expect(viewer.locator("#legend-title")).to_contain_text(title)
    expect(viewer.locator("#legend-high")).to_contain_text(high)
    expect(viewer.locator("#readout")).to_contain_text(name.lower())
    assert coloured(result) > plain + 0.05


def test_an_overlay_that_comes_when_another_was_chosen_changes_nothing(viewer: Page) -> None:
    held: list[Route] = []
    viewer.evaluate(COUNT_IMAGES)
    viewer.route("**/files/difference.*", lambda route: held.append(route))
    with viewer.expect_request("**/files/difference.*"):
        choose(viewer, "Difference")
    choose(viewer, "Uncertainty")
    expect(viewer.locator("#legend-title")).to_contain_text("standard deviation")
    held.pop().continue_()
    expect(viewer.locator("html")).to_have_attribute("data-images", "2")
    viewer.unroute("**/files/difference.*")
    expect(viewer.locator("#legend-title")).to_contain_text("standard deviation")
    expect(viewer.locator("#result-canvas")).to_have_attribute("data-overlay", "uncertainty")


def test_the_opacity_of_an_overlay_can_be_taken_away(viewer: Page) -> None:
    choose(viewer, "Difference")
    expect(viewer.locator("#result-canvas[data-overlay=difference]")).to_be_visible()
    full = coloured(viewer.locator("#result-viewport"))
    viewer.get_by_label("Opacity").fill("0")
    assert coloured(viewer.locator("#result-viewport")) < full - 0.05
    viewer.get_by_label("Opacity").fill("70")


def test_the_mark_stays_in_sight_wherever_the_page_is_scrolled(viewer: Page) -> None:
    expect(viewer).to_have_title("Transmodal – medical image translation (synthetic – not for diagnosis)")
    for _ in ("top", "bottom"):
        expect(viewer.locator("#mark")).to_be_in_viewport(ratio=1)
        expect(viewer.locator("#mark")).to_contain_text("Synthetic – not for diagnosis")
        viewer.evaluate("scrollTo(0, document.body.scrollHeight)")


@pytest.mark.parametrize("layout", ["Side by side", "Swipe"])
def test_the_mark_lies_on_the_result(viewer: Page, layout: str) -> None:
    choose(viewer, layout)
    stamp, canvas = (viewer.locator(f"#result-pane {part}").bounding_box() for part in (".stamp", "canvas"))
    for start, size in (("x", "width"), ("y", "height")):
        assert canvas[start] < stamp[start]
        assert stamp[start] + stamp[size] <= canvas[start] + canvas[size]


def test_the_nifti_download_is_on_the_grid_of_the_input(viewer: Page, scan: Path, tmp_path: Path) -> None:
    got = unpacked(viewer, "Download NIfTI", tmp_path)
    (translation,) = got.rglob("ct.nii.gz")
    source, result = nib.load(scan), nib.load(translation)
    assert result.shape == source.shape
    np.testing.assert_allclose(result.affine, source.affine, atol=1e-4)
    (record,) = got.rglob("provenance.json")
    assert json.loads(record.read_text(encoding="utf-8"))["request"]["samples"] == 2
    (notice,) = got.rglob("NOTICE.txt")
    assert "not for diagnosis" in notice.read_text(encoding="utf-8").lower()


def test_the_dicom_download_is_a_marked_series_that_names_its_source(viewer: Page, tmp_path: Path) -> None:
    got = unpacked(viewer, "Download DICOM", tmp_path)
    slices = [pydicom.dcmread(path) for path in sorted(got.glob("**/ct/*.dcm"))]
    assert len(slices) == 16
    assert {each.Modality for each in slices} == {"CT"}
    assert {(each.SyntheticData, each.ContentQualification) for each in slices} == {("YES", "RESEARCH")}
    assert all("SYNTHETIC" in each.SeriesDescription for each in slices)
    sources = {pydicom.dcmread(path).SOPInstanceUID for path in got.glob("**/source/*.dcm")}
    named = {item.ReferencedSOPInstanceUID for each in slices for item in each.SourceImageSequence}
    assert named
    assert named <= sources
    assert all(list(got.rglob(name)) for name in ("NOTICE.txt", "provenance.json"))


def test_the_provenance_is_one_click_away(viewer: Page) -> None:
    address = viewer.get_by_role("link", name="Provenance").get_attribute("href")
    record = viewer.evaluate("(address) => fetch(address).then((answer) => answer.json())", address)
    assert record["notice"] == "synthetic – not for diagnosis"


def test_a_reload_comes_back_to_the_translation(translated: Page, opener: Opener) -> None:
    again = opener(translated.evaluate("location.hash"))
    shown(again, "result")
    expect(again.locator("#upload-name")).to_have_text("mr.nii.gz")
    expect(again.locator("#bundle")).to_have_value(VOLUME)
    again.context.close()


def unpacked(page: Page, link: str, folder: Path) -> Path:
    """Folder with what a download holds."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name=link).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "content")
    return folder / "content"
