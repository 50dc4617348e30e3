"""Three contrasts of a brain in a real browser, from which the fourth is made."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.integration.web.chromium import greys
from tests.integration.web.conftest import CONTRASTS, shown
from tests.integration.web.scans import write_contrasts


def test_three_contrasts_become_the_fourth(page: Page, tmp_path: Path) -> None:
    page.get_by_role("link", name="Brain MRI contrasts").click()
    expect(page.locator("#bundle")).to_have_value(CONTRASTS)
    page.set_input_files("#files", write_contrasts(tmp_path, "flair", "t1", "t2"))
    expect(page.locator("#checks")).to_contain_text("flair: ")
    page.locator("#translate:enabled").click()
    shown(page, "result")
    expect(page.locator("#result-title")).to_have_text("Synthetic T1 with contrast")
    assert greys(page.locator("#source-canvas")) > 30
    assert greys(page.locator("#result-canvas")) > 10


def test_a_contrast_that_is_missing_is_named(page: Page, tmp_path: Path) -> None:
    page.get_by_role("link", name="Brain MRI contrasts").click()
    page.set_input_files("#files", write_contrasts(tmp_path, "t1", "t2"))
    page.locator("#checks li").first.wait_for()
    expect(page.locator("#hindrance")).to_contain_text("Also needed: FLAIR")
    expect(page.get_by_role("button", name="Translate")).to_be_disabled()
