"""The interface as a browser meets it, without any translation."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.tools.webpage.conftest import wait_until
from transmodal.errors import InputError
from webpage import processes
from webpage.offered import NotReady
from webpage.processes import Work
from webpage.settings import NOTICE
from webpage.uploads import Upload

HERE = "tests.tools.webpage.test_server"
Open = Callable[..., TestClient]
EXAMINED = {
    "kind": "volume",
    "modality": "ct",
    "name": "scan.nii.gz",
    "checks": [{"level": "ok", "text": "fine"}],
    "files": {"source": "source.nii.gz"},
    "paths": {"image": "scan.nii.gz"},
    "series": None,
    "contrasts": [],
    "dicom": False,
}
OFFER = {
    "name": "a_bundle",
    "inputs": "volume",
    "directions": [{"source": "ct", "target": "mr"}],
    "ready": True,
    "why_not": None,
    "options": [{"id": "seed", "minimum": 0, "maximum": 9}],
    "path": "/somewhere/a_bundle",
}


def held(page: TestClient, **changes: Any) -> Upload:
    """An upload as if it had been received and examined."""
    uploads = page.app.state.server.uploads  # type: ignore[attr-defined]
    upload = Upload(uploads.root, 60)
    upload.examined = {**EXAMINED, **changes}
    (upload.views / "source.nii.gz").write_bytes(b"voxels")
    (upload.files / "scan.nii.gz").write_bytes(b"secret")
    uploads._held[upload.id] = upload
    return upload


def offer(page: TestClient, **changes: Any) -> None:
    page.app.state.server.offered._offers = [{**OFFER, **changes}]  # type: ignore[attr-defined]


def asked(known: Upload, **changes: Any) -> dict[str, Any]:
    return {"upload": known.id, "bundle": "a_bundle", "source": "ct", "target": "mr", "options": {}, **changes}


def test_the_page_and_what_it_says_of_the_server(client: Open) -> None:
    page = client(retention=600, max_upload=1 << 20)
    assert "<title>" in page.get("/").text
    told = page.get("/api/info").json()
    assert (told["notice"], told["retention_minutes"], told["max_upload_bytes"]) == (NOTICE, 10, 1 << 20)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/static/../server.py", "/static/%2e%2e/web.py"])
def test_nothing_else_is_served(client: Open, path: str) -> None:
    assert client().get(path).status_code == 404


def test_the_list_of_bundles_does_not_tell_where_they_are(client: Open) -> None:
    page = client()
    offer(page)
    (listed,) = page.get("/api/bundles").json()
    assert listed["name"] == "a_bundle"
    assert "path" not in listed


@pytest.mark.parametrize(
    "path",
    [
        "/api/uploads/unknown",
        "/api/uploads/..%2f..%2fetc",
        "/api/uploads/unknown/files/source.nii.gz",
        "/api/jobs/unknown",
        "/api/jobs/unknown/download",
        "/api/jobs/unknown/files/translation.nii.gz",
    ],
)
def test_what_is_not_held_is_not_found(client: Open, path: str) -> None:
    answer = client().get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "name", ["scan.nii.gz", "..%2ffiles%2fscan.nii.gz", "../files/scan.nii.gz", "%2fetc%2fpasswd", "progress.json", ""]
)
def test_of_an_upload_only_what_is_shown_can_be_fetched(client: Open, name: str) -> None:
    page = client()
    upload = held(page)
    assert page.get(f"/api/uploads/{upload.id}/files/source.nii.gz").content == b"voxels"
    answer = page.get(f"/api/uploads/{upload.id}/files/{name}")
    assert answer.status_code == 404
    assert b"secret" not in answer.content


def test_what_is_told_of_an_upload_names_no_place(client: Open, tmp_path: Path) -> None:
    page = client()
    upload = held(page)
    told = page.get(f"/api/uploads/{upload.id}").json()
    assert told["usable"] is True
    assert told["files"] == {"source": f"/api/uploads/{upload.id}/files/source.nii.gz"}
    assert str(tmp_path) not in str(told)
    assert "paths" not in told


def test_an_upload_can_be_removed_and_is_gone_with_its_files(client: Open) -> None:
    page = client()
    upload = held(page)
    assert page.delete(f"/api/uploads/{upload.id}").status_code == 204
    assert not upload.folder.exists()
    assert page.get(f"/api/uploads/{upload.id}").status_code == 404


def test_an_upload_that_a_job_needs_stays(client: Open) -> None:
    page = client()
    upload = held(page)
    upload.jobs = 1
    answer = page.delete(f"/api/uploads/{upload.id}")
    assert (answer.status_code, answer.json()) == (409, {"error": "a job still needs this upload; cancel it first"})
    assert upload.folder.exists()


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"upload": "unknown"}, 404, "there is nothing of that name"),
        ({"bundle": "other"}, 422, "bundle: found 'other'"),
        ({"bundle": "../../bundle"}, 422, "bundle: found '../../bundle'"),
        ({"source": "mr"}, 422, "found mr to mr; wanted ct to mr"),
        ({"target": "$import os"}, 422, "found ct to $import os"),
        ({"options": {"seed": 10}}, 422, "a_bundle, seed: found 10; wanted a whole number from 0 to 9"),
        ({"options": {"seed": "1"}}, 422, "options.seed: Input should be a valid integer"),
        ({"options": {"seed": 1.5}}, 422, "options.seed"),
        ({"options": {"seed": True}}, 422, "options.seed"),
        ({"options": {"ckpt_path": 1}}, 422, "found the option 'ckpt_path'; wanted seed"),
        ({"more": 1}, 422, "more: Extra inputs are not permitted"),
        ({"bundle": 7}, 422, "bundle: Input should be a valid string"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused(client: Open, changes: dict[str, Any], status: int, text: str) -> None:
    page = client()
    offer(page)
    answer = page.post("/api/jobs", json=asked(held(page), **changes))
    assert answer.status_code == status
    assert text in answer.json()["error"]


def test_a_bundle_that_lacks_something_says_what(client: Open) -> None:
    page = client()
    offer(page, ready=False, why_not="it has no weights")
    answer = page.post("/api/jobs", json=asked(held(page)))
    assert answer.status_code == 409
    assert "it has no weights" in answer.json()["error"]


@pytest.mark.parametrize(
    ("upload", "bundle", "text"),
    [
        ({"checks": [{"level": "error", "text": "it is broken"}]}, {}, "found it is broken; wanted a CT or MR volume"),
        ({"kind": "radiograph"}, {}, "found a radiograph; wanted a CT or MR volume"),
        ({}, {"inputs": "radiograph"}, "wanted a radiograph of a chest"),
        (
            {"dicom": True, "modality": "mr"},
            {},
            "found DICOM of MR; wanted CT. What to do: choose a direction from MR",
        ),
        (
            {"kind": "volumes", "contrasts": ["t1"]},
            {"inputs": "volumes", "directions": [{"source": "t1+t2", "target": "mr"}]},
            "found no t2; wanted t1, t2, a file each",
        ),
    ],
)
def test_an_upload_that_does_not_fit_is_refused(
    client: Open, upload: dict[str, Any], bundle: dict[str, Any], text: str
) -> None:
    page = client()
    offer(page, **bundle)
    source = bundle.get("directions", OFFER["directions"])[0]["source"]
    answer = page.post("/api/jobs", json=asked(held(page, **upload), source=source))
    assert answer.status_code == 422
    assert text in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "told"), [("{not", "after character 1)"), ('{"upload": ,}', "(Expecting value after character 11)")]
)
def test_what_is_no_json_is_told_so(client: Open, body: str, told: str) -> None:
    answer = client().post("/api/jobs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("the request: no JSON (")
    assert answer.json()["error"].endswith(told)


def test_a_form_without_files_is_refused(client: Open) -> None:
    answer = client().post("/api/uploads", data={"files": "text"})
    assert answer.status_code == 422
    assert "wanted a form of type multipart/form-data" in answer.json()["error"]


def test_an_upload_that_is_too_large_is_refused_and_leaves_nothing(client: Open) -> None:
    page = client(max_upload=1000)
    answer = page.post("/api/uploads", files={"files": ("scan.nii", b"x" * 2000)})
    assert answer.status_code == 413
    assert list(page.app.state.server.uploads.root.iterdir()) == []  # type: ignore[attr-defined]


def test_more_uploads_than_are_kept_are_refused_while_jobs_need_all(client: Open) -> None:
    page = client(max_held=2)
    first, second = held(page), held(page)
    first.jobs = second.jobs = 1
    answer = page.post("/api/uploads", files={"files": ("scan.nii", b"x")})
    assert answer.status_code == 429
    first.jobs = 0
    assert page.post("/api/uploads", content=b"").status_code == 422
    assert [upload.folder.exists() for upload in (first, second)] == [False, True]


def test_where_all_places_are_taken_the_upload_that_was_used_longest_ago_goes(client: Open) -> None:
    page = client(max_held=3)
    first, second, third = held(page), held(page), held(page)
    first.used, second.used = third.used + 2, third.used + 1
    page.post("/api/uploads", content=b"")
    assert [upload.folder.exists() for upload in (first, second, third)] == [True, True, False]


def test_uploads_go_when_their_time_is_over_unless_they_are_used(client: Open) -> None:
    page = client()
    uploads = page.app.state.server.uploads  # type: ignore[attr-defined]
    over, used, needed = held(page), held(page), held(page)
    for upload in (over, used, needed):
        upload.used -= 3600
    needed.jobs = 1
    page.get(f"/api/uploads/{used.id}")
    uploads.sweep()
    assert [upload.folder.exists() for upload in (over, used, needed)] == [False, True, True]


def test_an_error_inside_is_not_told_to_the_browser(client: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    page = client()
    server = page.app.state.server  # type: ignore[attr-defined]
    monkeypatch.setattr(server.offered, "listed", lambda: 1 / 0)
    quiet = TestClient(page.app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False)
    answer = quiet.get("/api/bundles")
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert set(answer.json()) == {"error"}
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def endless() -> None:
    """In place of what a server finds out of bundles and uploads."""
    time.sleep(3600)


@pytest.fixture
def works_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "Work", lambda _, __, *given: Work(f"{HERE}:endless", {}, *given))


@pytest.mark.usefixtures("works_without_end")
def test_a_server_that_ends_does_not_wait_for_its_list_of_bundles(client: Open) -> None:
    page = client()
    offered = page.app.state.server.offered  # type: ignore[attr-defined]
    with page:
        wait_until(lambda: offered._works._running)
    with pytest.raises(NotReady, match="no list of them"):
        offered.listed()


@pytest.mark.usefixtures("works_without_end")
def test_a_server_that_ends_gives_up_what_it_examines(client: Open) -> None:
    server = client().app.state.server  # type: ignore[attr-defined]
    upload = Upload(server.uploads.root, 60)
    with ThreadPoolExecutor(1) as pool:
        examined = pool.submit(server.uploads.examine, upload, {})
        wait_until(lambda: server.uploads._works._running)
        server.close()
        with pytest.raises(InputError, match="files that cannot be examined"):
            examined.result()
    assert not upload.folder.exists()
