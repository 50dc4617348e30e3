"""Ways into the page, and what it says where something is in the way."""

from __future__ import annotations

import base64
from pathlib import Path

import nibabel as nib
import numpy as np
from playwright.sync_api import Page, Route, expect

from tests.integration.web.conftest import RADIOGRAPH, VOLUME, WITHOUT_WEIGHTS, Opener, Served, shown
from tests.integration.web.scans import write_mr, write_radiograph
from tests.tools.translating.scans import mr_values, write_dicom

UNTOLD = {"eta_seconds": None, "seconds": 1.0, "position": None}
NAMES = """() => [...document.querySelectorAll("input, select, button, a, canvas, img")]
    .filter((one) => one.checkVisibility({visibilityProperty: true}))
    .filter((one) => {
        const label = one.labels && [...one.labels].map((each) => each.innerText).join(" ").trim();
        return !(label || one.getAttribute("aria-label") || one.innerText || one.hasAttribute("alt"));
    })
    .map((one) => one.outerHTML)"""


def test_a_dicom_folder_is_taken_as_one_series(page: Page, tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "series", mr_values((24, 26, 9)), Modality="MR")
    page.set_input_files("#folder", folder)
    expect(page.locator("#upload-facts")).to_contain_text("MR, 24 × 26 × 9, 2 × 2 × 3 mm, DICOM")
    shown(page, "input")


def test_a_file_can_be_dropped(page: Page, tmp_path: Path) -> None:
    content = base64.b64encode(write_mr(tmp_path / "mr.nii.gz").read_bytes()).decode()
    page.evaluate(
        """(content) => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            transfer.items.add(new File([bytes], "mr.nii.gz"));
            const event = new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true});
            document.getElementById("drop").dispatchEvent(event);
        }""",
        content,
    )
    expect(page.locator("#upload-name")).to_have_text("mr.nii.gz")


def test_a_malformed_file_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    (tmp_path / "mr.nii.gz").write_bytes(b"this is no image")
    page.set_input_files("#files", tmp_path / "mr.nii.gz")
    expect(page.get_by_role("alert")).to_contain_text("mr.nii.gz")
    expect(page.get_by_role("alert")).to_contain_text("What to do")
    expect(page.get_by_role("button", name="Translate")).to_be_disabled()


def test_a_cancelled_translation_can_be_asked_for_again(page: Page, tmp_path: Path, served: Served) -> None:
    page.select_option("#bundle", VOLUME)
    page.set_input_files("#files", write_mr(tmp_path / "mr.nii.gz"))
    with served.translating_without_end():
        with page.expect_response("**/api/jobs") as started:
            page.locator("#translate:enabled").click()
        page.locator("#steps", has_text="Step 1 ").wait_for()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#notice")).to_contain_text("Cancelled")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#progress")).to_be_hidden()
    expect(page.get_by_role("button", name="Translate")).to_be_enabled()
    expect(page.locator("#result-pane")).to_be_hidden()
    assert page.request.get(f"{page.url.partition('#')[0]}api/jobs/{started.value.json()['job']}").status == 404


def test_a_translation_that_is_over_by_itself_when_it_is_cancelled_is_cancelled(page: Page, tmp_path: Path) -> None:
    gone = False

    def tell(route: Route) -> None:
        nonlocal gone
        if route.request.method == "DELETE":
            gone = True
            route.continue_()
        elif gone:
            route.fulfill(status=404, json={"error": "there is nothing of that name"})
        else:
            route.fulfill(json={"state": "running", "stage": "writing", "step": 4, "steps": 4} | UNTOLD)

    page.route("**/api/jobs/*", tell)
    page.select_option("#bundle", VOLUME)
    page.set_input_files("#files", write_mr(tmp_path / "mr.nii.gz"))
    page.locator("#translate:enabled").click()
    page.locator("#steps", has_text="Step 4 of 4").wait_for()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#notice")).to_contain_text("Cancelled")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("button", name="Translate")).to_be_enabled()


def test_a_result_that_comes_while_its_input_is_still_fetched_is_shown(page: Page, tmp_path: Path) -> None:
    held: list[Route] = []
    page.route("**/api/uploads/*/files/*", lambda route: held.append(route))
    page.select_option("#bundle", VOLUME)
    page.set_input_files("#files", write_mr(tmp_path / "mr.nii.gz"))
    with page.expect_request("**/api/uploads/*/files/*"):
        page.locator("#translate:enabled").click()
    page.locator("#downloads").wait_for()
    held.pop().continue_()
    shown(page, "result")
    expect(page.locator("#stage")).to_have_attribute("data-layout", "side")
    expect(page.locator("#result-pane")).to_be_visible()
    expect(page.locator("#source-title")).to_have_text("Input MR")


def test_a_bundle_without_weights_says_so(page: Page) -> None:
    page.select_option("#bundle", WITHOUT_WEIGHTS)
    expect(page.locator("#why-not")).to_contain_text("weights")
    expect(page.locator("#hindrance")).to_have_text("This model has no weights yet.")
    expect(page.get_by_role("button", name="Translate")).to_be_disabled()


def test_an_option_out_of_its_bounds_cannot_be_sent(page: Page, tmp_path: Path) -> None:
    page.set_input_files("#files", write_mr(tmp_path / "mr.nii.gz"))
    page.locator("#translate:enabled").wait_for()
    for text in ("0", "17", "2.5", ""):
        page.get_by_label("Samples").fill(text)
        expect(page.locator("#hindrance")).to_contain_text("from 1 to 16")
        expect(page.get_by_role("button", name="Translate")).to_be_disabled()


def test_the_direction_follows_the_modality_of_the_upload(page: Page, tmp_path: Path) -> None:
    page.get_by_role("radio", name="CT → MR").check()
    page.set_input_files("#files", write_mr(tmp_path / "mr.nii.gz"))
    expect(page.get_by_role("radio", name="MR → CT")).to_be_checked()


def test_removed_uploads_are_gone_from_page_and_server(page: Page, tmp_path: Path) -> None:
    with page.expect_response("**/api/uploads") as waiting:
        page.set_input_files("#files", write_mr(tmp_path / "mr.nii.gz"))
    upload = waiting.value.json()["upload"]
    shown(page, "input")
    with page.expect_response(f"**/api/uploads/{upload}"):
        page.get_by_role("button", name="Remove").click()
    expect(page.locator("#viewer")).to_be_hidden()
    assert page.request.get(f"{page.url.partition('#')[0]}api/uploads/{upload}").status == 404


def test_the_page_says_how_long_files_are_kept(page: Page) -> None:
    expect(page.locator("#privacy")).to_contain_text("removed after 60 minutes without use")


def test_the_readout_of_an_oblique_ct_tells_side_and_unit(page: Page, tmp_path: Path) -> None:
    affine = np.array([[2, -0.8, 0, 30], [0.8, 2, 0, -60.5], [0, 0, 3, 11], [0, 0, 0, 1.0]])
    values = np.random.default_rng(0).integers(-1000, 1000, (30, 32, 20)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "ct.nii.gz")
    page.set_input_files("#files", tmp_path / "ct.nii.gz")
    shown(page, "input")
    for axis, position in zip(("Sagittal", "Coronal", "Axial"), ("4", "9", "6"), strict=True):
        page.locator("#slices label", has_text=axis).locator("input").fill(position)
    right, anterior, superior = (affine @ [3, 8, 5, 1])[:3]
    assert right > 0 > anterior
    value = float(f"{values[3, 8, 5]:.4g}")
    place = f"R {right:.1f}, P {-anterior:.1f}, S {superior:.1f} mm"
    expect(page.locator("#readout")).to_have_text(f"Place {place} · input {value:g} HU")


def test_a_radiograph_opens_its_own_page(page: Page, tmp_path: Path) -> None:
    page.set_input_files("#files", write_radiograph(tmp_path / "chest.png"))
    expect(page.locator("nav [aria-current=page]")).to_have_text("X-ray → CT")
    expect(page.locator("#bundle")).to_have_value(RADIOGRAPH)
    expect(page.locator("#radiograph")).to_be_visible()


def test_everything_that_can_be_used_has_a_name(page: Page, tmp_path: Path) -> None:
    page.set_input_files("#files", write_mr(tmp_path / "mr.nii.gz"))
    shown(page, "input")
    assert page.evaluate(NAMES) == []


def test_a_narrow_screen_needs_no_scrolling_sideways(opener: Opener, tmp_path: Path) -> None:
    page = opener(width=390, height=800)
    page.set_input_files("#files", write_mr(tmp_path / "mr.nii.gz"))
    shown(page, "input")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()
