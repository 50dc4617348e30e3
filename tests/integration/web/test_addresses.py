"""Uploads and results come back by their address, and an upload that is not wanted any more goes from the server."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.integration.web.conftest import VOLUME, Opener, Served, shown
from tests.integration.web.scans import write_mr

SMALL = (20, 18, 8)
CHECKING = "Checking the image …"


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mr(tmp_path_factory.mktemp("scan") / "mr.nii.gz")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of so few bytes that they arrive while nobody reads them."""
    return write_mr(tmp_path_factory.mktemp("small") / "mr.nii.gz", SMALL)


@pytest.fixture(scope="module")
def result(opener: Opener, scan: Path) -> str:
    """Address of a translation with options of its own, after its ``#``."""
    page = opener()
    page.select_option("#bundle", VOLUME)
    page.set_input_files("#files", scan)
    page.get_by_label("Seed").fill("5")
    page.get_by_label("Samples").fill("2")
    page.locator("#translate:enabled").click()
    shown(page, "result")
    address: str = page.evaluate("location.hash")
    page.context.close()
    return address


def status_of(page: Page, upload: str) -> int:
    return page.request.get(f"{page.url.partition('#')[0]}api/uploads/{upload}").status


def is_removal(response: Response) -> bool:
    return response.request.method == "DELETE" and "/api/uploads/" in response.url


def test_a_reload_comes_back_to_an_upload_without_a_job(page: Page, scan: Path) -> None:
    page.set_input_files("#files", scan)
    shown(page, "input")
    page.reload()
    shown(page, "input")
    expect(page.locator("#upload-name")).to_have_text("mr.nii.gz")
    with page.expect_response(is_removal) as removed:
        page.set_input_files("#files", scan)
    assert removed.value.status == 204
    shown(page, "input")
    assert removed.value.url.rpartition("/")[2] not in page.url


def test_files_that_come_while_others_are_checked_replace_them(
    page: Page, small: Path, tmp_path: Path, served: Served
) -> None:
    with page.expect_response(is_removal) as removed:
        with served.standing_still():
            page.set_input_files("#files", small)
            expect(page.locator("#checking")).to_have_text(CHECKING)
            with page.expect_request("**/api/uploads"):
                page.set_input_files("#files", write_mr(tmp_path / "mr_second.nii.gz", SMALL))
        expect(page.locator("#upload-name")).to_have_text("mr_second.nii.gz")
    assert status_of(page, removed.value.url.rpartition("/")[2]) == 404
    expect(page.locator("#upload-name")).to_have_text("mr_second.nii.gz")


def test_an_upload_on_its_way_can_be_stopped(page: Page, scan: Path) -> None:
    held: list[Route] = []
    page.route("**/api/uploads", lambda route: held.append(route))
    page.set_input_files("#files", scan)
    expect(page.locator("#checking")).to_contain_text("Uploading")
    expect(page.locator("#hindrance")).to_have_text("The image is being uploaded.")
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Cancel the upload").click()
    expect(page.locator("#notice")).to_contain_text("Cancelled")
    expect(page.locator("#sending")).to_be_hidden()
    expect(page.locator("#hindrance")).to_have_text("Choose an image first.")


def test_checks_without_a_known_end_can_be_stopped_and_leave_nothing(page: Page, small: Path, served: Served) -> None:
    with page.expect_response(is_removal) as removed, served.standing_still():
        page.set_input_files("#files", small)
        expect(page.locator("#checking")).to_have_text(CHECKING)
        expect(page.locator("#sending-bar:indeterminate")).to_be_visible()
        page.get_by_role("button", name="Cancel the upload").click()
        expect(page.locator("#sending")).to_be_hidden()
    assert status_of(page, removed.value.url.rpartition("/")[2]) == 404
    expect(page.locator("#upload")).to_be_hidden()


def test_the_options_come_back_with_a_result(opener: Opener, result: str) -> None:
    page = opener(result)
    shown(page, "result")
    expect(page.get_by_label("Seed")).to_have_value("5")
    expect(page.get_by_label("Samples")).to_have_value("2")
    page.context.close()


def test_a_result_names_its_model_and_options(opener: Opener, result: str) -> None:
    page = opener(result)
    shown(page, "result")
    title = page.locator("#bundle option:checked").inner_text()
    expect(page.locator("#made-by")).to_have_text(f"{title} · seed 5 · samples 2")
    page.context.close()


def test_an_address_that_is_pasted_into_an_open_page_opens_its_result(page: Page, result: str) -> None:
    page.evaluate("(address) => { location.hash = address; }", result)
    shown(page, "result")
    assert page.evaluate("location.hash") == result


def test_a_result_outlives_its_upload(page: Page, result: str) -> None:
    page.route("**/api/uploads/*", lambda route: route.fulfill(status=404, json={"error": "its time is over"}))
    page.evaluate("(address) => { location.hash = address; }", result)
    shown(page, "result")
    expect(page.locator("#source-canvas[data-loaded]")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("no longer kept")
    expect(page.locator("#bundle")).to_have_value(VOLUME)
    expect(page.locator("#hindrance")).to_have_text("Choose an image first.")
    expect(page.get_by_role("alert")).to_be_hidden()
