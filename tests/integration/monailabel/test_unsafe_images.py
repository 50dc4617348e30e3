"""Images whose headers point at other files of the server, claim more than there is, or are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.monailabel.conftest import CYCLEGAN
from tests.integration.monailabel.serving import Server

META = "ObjectType = Image\nNDims = 3\nDimSize = {sizes}\nElementType = MET_UCHAR\nElementDataFile = {place}\n"
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 8 8 8\nencoding: raw\ndata file: {place}\n\n"


@pytest.fixture(scope="module")
def names() -> list[str]:
    return [CYCLEGAN]


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the server's machine that is nobody else's business."""
    path = tmp_path_factory.mktemp("private") / "secret"
    path.write_bytes(bytes(range(256)) * 2)
    return path


@pytest.fixture(scope="module")
def server(labelled: Server) -> Server:
    return labelled


@pytest.mark.parametrize(("name", "text"), [("a.mha", META), ("a.nrrd", NRRD)])
def test_an_upload_cannot_have_another_file_read(
    server: Server, secret: Path, tmp_path: Path, name: str, text: str
) -> None:
    (image := tmp_path / name).write_text(text.format(sizes="8 8 8", place=secret))
    answer = server.infer(CYCLEGAN, image)
    assert answer.status_code == 400, answer.text
    assert "its pixels are in another file" in answer.json()["detail"]


def test_an_upload_that_claims_an_enormous_volume_is_refused(server: Server, tmp_path: Path) -> None:
    (image := tmp_path / "a.mha").write_text(META.format(sizes="99999 99999 9", place="LOCAL"))
    answer = server.infer(CYCLEGAN, image)
    assert answer.status_code == 400, answer.text
    assert "99999×99999×9 pixels; wanted 1 to" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.txt"])
def test_of_an_upload_that_is_none_the_servers_own_folders_are_not_told(
    server: Server, tmp_path: Path, name: str
) -> None:
    (image := tmp_path / name).write_text("junk")
    answer = server.infer(CYCLEGAN, image)
    assert answer.status_code == 400, answer.text
    assert "What to do" in answer.json()["detail"]
    assert str(server.temporary) not in answer.json()["detail"]


def test_an_image_of_the_studies_cannot_have_another_file_read(server: Server, phantom: Path, secret: Path) -> None:
    """Last of all, since it stays in the studies."""
    file = {"file": ("points.mha", META.format(sizes="8 8 8", place=secret).encode())}
    server.ask("PUT", "/datastore/", params={"image": "points"}, files=file).raise_for_status()
    server.label("points", phantom / "ct.nii.gz")
    answers = [
        server.ask("POST", f"/infer/{CYCLEGAN}", params={"image": "points", "output": "image"}),
        server.ask("POST", f"/train/{CYCLEGAN}", json={"device": "cpu", "max_epochs": 1, "val_split": 0.5}),
    ]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert answer.json()["detail"].startswith("points.mha: found a header whose ElementDataFile is")
