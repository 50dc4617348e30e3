"""A chest radiograph in a real browser: its synthetic CT, and that CT's own radiograph beside it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.integration.web.chromium import coloured, greys
from tests.integration.web.conftest import RADIOGRAPH, Opener, shown
from tests.integration.web.scans import write_radiograph


@pytest.fixture(scope="module")
def translated(opener: Opener, tmp_path_factory: pytest.TempPathFactory) -> Page:
    page = opener("#radiograph")
    page.set_input_files("#files", write_radiograph(tmp_path_factory.mktemp("xray") / "chest.png"))
    page.get_by_label("Samples").fill("2")
    page.locator("#translate:enabled").click()
    shown(page, "result")
    return page


def test_the_page_offers_the_model_of_radiographs_alone(translated: Page) -> None:
    assert translated.locator("#bundle option").evaluate_all("all => all.map(one => one.value)") == [RADIOGRAPH]


def test_input_and_projection_are_shown_side_by_side(translated: Page) -> None:
    given, projected = (translated.locator(f"#{name}") for name in ("radiograph", "drr"))
    boxes = [each.bounding_box() for each in (given, projected)]
    assert boxes[0]["y"] == pytest.approx(boxes[1]["y"], abs=1)
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert boxes[0]["width"] == pytest.approx(boxes[1]["width"], abs=1)
    for each in (given, projected):
        assert each.evaluate("one => one.naturalWidth") > 16
        assert greys(each) > 10


def test_the_projection_is_named_synthetic_and_the_input_is_not(translated: Page) -> None:
    names = [translated.locator(f"#{name}").get_attribute("alt") for name in ("radiograph", "drr")]
    assert ["not for diagnosis" in name for name in names] == [False, True]
    expect(translated.locator(".radiographs figcaption")).to_have_text(["Input X-ray", re.compile("Synthetic")])


def test_how_alike_they_are_is_told(translated: Page) -> None:
    expect(translated.locator("#measures")).to_contain_text("Correlation (NCC)")
    expect(translated.locator("#measures")).to_contain_text("SSIM")


def test_the_volume_is_drawn_below(translated: Page) -> None:
    assert greys(translated.locator("#result-canvas")) > 20
    assert translated.locator("#slices input").count() == 3
    expect(translated.locator("#source-pane")).to_be_hidden()


def test_a_lung_window_is_offered(translated: Page) -> None:
    translated.get_by_label("Window preset of the result").select_option("Lung")
    expect(translated.locator("#result-canvas")).to_have_attribute("data-window", "-1350,150")


def test_the_uncertainty_lies_over_the_volume(translated: Page) -> None:
    plain = coloured(translated.locator("#result-viewport"))
    translated.get_by_role("radio", name="Uncertainty").check()
    expect(translated.locator("#result-canvas[data-overlay=uncertainty]")).to_be_visible()
    assert coloured(translated.locator("#result-viewport")) > plain + 0.05
