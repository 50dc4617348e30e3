"""Training through the server, and what nobody may have it do."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monailabel_app.lib.answered import closed
from tests.integration.monailabel.conftest import CYCLEGAN
from tests.integration.monailabel.serving import TRAINED_ONCE, Server, image_in, wait_until
from transmodal.files import sha256_of

SHORT = {"device": "cpu", "max_epochs": 2, "val_split": 0.5}
ENDLESS = {**SHORT, "max_epochs": 1_000_000}


@pytest.fixture(scope="module")
def names() -> list[str]:
    return [CYCLEGAN]


@pytest.fixture(scope="module")
def server(labelled: Server) -> Server:
    return labelled


def tasks(server: Server) -> list[str]:
    """The trainings there have been, by their identifiers."""
    answer = server.ask("GET", "/train/", params={"all": "true"})
    return [str(task["id"]) for task in answer.json()] if answer.ok else []


@pytest.mark.parametrize("synchronous", ["true", "false"])
def test_code_in_a_request_is_refused_and_not_run(server: Server, tmp_path: Path, synchronous: str) -> None:
    ran, before = tmp_path / "ran", tasks(server)
    params = {**SHORT, "max_epochs": f'$__import__("os").system("touch {ran}") or 1'}
    answer = server.ask("POST", f"/train/{CYCLEGAN}", params={"run_sync": synchronous}, json=params)
    assert answer.status_code == 400
    assert "does not begin with" in answer.json()["detail"]
    assert tasks(server) == before
    assert not ran.exists()


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_a_page_of_somebody_else_cannot_start_a_training(server: Server, headers: dict[str, str]) -> None:
    before = tasks(server)
    answer = server.ask("POST", f"/train/{CYCLEGAN}", json=SHORT, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert tasks(server) == before


@pytest.mark.parametrize("split", [0, 0.01])
def test_a_split_without_a_case_to_validate_with_is_refused(server: Server, split: float) -> None:
    answer = server.ask("POST", f"/train/{CYCLEGAN}", json={**SHORT, "val_split": split})
    assert answer.status_code == 400
    assert "0 to validate with" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_nobody_replaces_removes_or_takes_the_weights(server: Server, method: str) -> None:
    weights = server.bundle(CYCLEGAN) / "models" / "model.pt"
    before = sha256_of(weights)
    files = {"file": ("model.pt", b"of somebody else")} if method == "PUT" else None
    answer = server.ask(method, f"/model/{CYCLEGAN}", files=files)
    assert answer.status_code == 403
    assert "weights are neither taken nor given away" in answer.json()["detail"]
    assert sha256_of(weights) == before
    assert [path.name for path in weights.parent.glob("*.deleted")] == []


@pytest.mark.parametrize(
    "request_",
    [
        "GET /logs/",
        "GET /logs/gpu",
        "POST /reload",
        "GET /proxy/dicom/qido/studies",
        "POST /proxy/dicom/x",
        "GET /ohif/",
    ],
)
def test_what_the_app_is_not_for_is_closed(server: Server, request_: str) -> None:
    method, path = request_.split()
    answer = server.ask(method, path)
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (403, f"{request_} is closed")


def test_of_every_request_that_monai_label_lists_it_is_decided_whether_it_is_answered(server: Server) -> None:
    listed = server.ask("GET", "/openapi.json").json()["paths"]
    paths = {path: path.replace("{session_id}", "0" * 36) for path in listed}
    refusals = {
        (method.upper(), path): closed(method.upper(), paths[path]) for path in paths for method in listed[path]
    }
    assert {key: refusal[0] for key, refusal in refusals.items() if refusal} == {
        **{(method, "/model/{model}"): 403 for method in ("GET", "PUT", "DELETE")},
        **{("GET", path): 403 for path in ("/logs/", "/logs/gpu")},
    }


@pytest.mark.parametrize("path", ["/datastore/", "/datastore/image"])
@pytest.mark.parametrize("name", ["..", "datastore_v2.json", ".lock", "code.npy", "words"])
def test_only_images_are_taken_into_the_studies(server: Server, studies: Path, path: str, name: str) -> None:
    before = files_of(studies.parent)
    answer = server.ask("PUT", path, files={"file": (name, b"of somebody else")})
    assert answer.status_code == 400, answer.text
    assert "is no image of the studies" in answer.json()["detail"]
    assert files_of(studies.parent) == before


def test_only_images_are_taken_as_labels(server: Server, studies: Path) -> None:
    before = files_of(studies.parent)
    named, content = {"image": "first", "tag": "other"}, {"label": ("code.npy", b"of somebody else")}
    answer = server.ask("PUT", "/datastore/label", params=named, files=content)
    assert answer.status_code == 400, answer.text
    assert files_of(studies.parent) == before


def files_of(folder: Path) -> list[str]:
    """Files below a folder, without the locks that come and go."""
    return sorted(str(path) for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_an_archive_is_not_unpacked_to_wherever_it_says(server: Server, tmp_path: Path) -> None:
    ran, archive = tmp_path / "unpacked.txt", io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo(str(ran))
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"code"))
    files = {"files": ("images.tar.gz", archive.getvalue())}
    answer = server.ask("PUT", "/session/", params={"uncompress": "true"}, files=files)
    assert answer.status_code == 400, answer.text
    assert "archives are not unpacked" in answer.json()["detail"]
    assert not ran.exists()


@pytest.fixture(scope="module")
def session(server: Server, phantom: Path) -> dict[str, Any]:
    """What is told of an image that was sent once, for several requests."""
    files = {"files": ("mr.nii.gz", (phantom / "mr.nii.gz").read_bytes())}
    return dict(server.ask("PUT", "/session/", files=files).json())


def test_an_image_of_a_session_is_translated_and_kept_with_the_temporary_ones(
    server: Server, session: dict[str, Any], phantom: Path, tmp_path: Path
) -> None:
    assert server.temporary in Path(session["session_info"]["image"]).parents
    asked = {"session_id": session["session_id"], "output": "image"}
    answer = image_in(server.ask("POST", f"/infer/{CYCLEGAN}", params=asked), tmp_path)
    expected = image_in(server.infer(CYCLEGAN, phantom / "mr.nii.gz"), tmp_path)
    np.testing.assert_array_equal(answer.get_fdata(), expected.get_fdata())


@pytest.mark.parametrize(("name", "status"), [("../../somewhere", 400), ("/etc", 400), ("0" * 36, 404)])
def test_a_session_that_is_none_is_told_and_leads_nowhere(server: Server, name: str, status: int) -> None:
    answer = server.ask("POST", f"/infer/{CYCLEGAN}", params={"session_id": name})
    assert answer.status_code == status, answer.text


@dataclass
class Trained:
    """What two epochs of one iteration each changed."""

    status: object
    before: str
    after: str
    answers: tuple[np.ndarray, np.ndarray]
    said: str


@pytest.fixture(scope="module")
def trained(server: Server, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    weights, folder = server.bundle(CYCLEGAN) / "models" / "model.pt", tmp_path_factory.mktemp("answers")

    def answer() -> np.ndarray:
        return image_in(server.infer(CYCLEGAN, phantom / "mr.nii.gz"), folder).get_fdata()

    def ended() -> object:
        status = server.ask("GET", "/train/").json()["status"]
        return status if status not in ("SUBMITTED", "RUNNING") else None

    before, first = sha256_of(weights), answer()
    server.ask("POST", f"/train/{CYCLEGAN}", json=SHORT).raise_for_status()
    status = wait_until(ended, "the end of the training")
    return Trained(status, before, sha256_of(weights), (first, answer()), server.said())


def test_two_iterations_of_training_end_well(trained: Trained) -> None:
    assert trained.status == "DONE", trained.said[-4000:]
    assert "AlternatingTrainer - INFO - Epoch[2] Complete" in trained.said


def test_the_trained_weights_replace_those_that_were_served(trained: Trained) -> None:
    assert trained.before != trained.after


def test_the_next_request_uses_the_trained_weights(trained: Trained) -> None:
    assert float(np.abs(trained.answers[0] - trained.answers[1]).max()) > 0


def test_a_cancelled_training_leaves_no_temporary_folder(trained: Trained, server: Server) -> None:
    said = len(server.said())
    server.ask("POST", f"/train/{CYCLEGAN}", json=ENDLESS).raise_for_status()
    server.hear(TRAINED_ONCE, said)
    assert len(list(server.temporary.glob("**/label-*"))) == 2
    server.ask("DELETE", "/train/").raise_for_status()
    assert len(list(server.temporary.glob("**/label-*"))) == 1, "that of the server alone"
